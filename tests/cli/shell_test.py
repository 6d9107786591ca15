"""The shell as a script reads it, and the program at a real terminal."""
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import termios
import time
import unittest

from tool import BINARY, TIMEOUT_S, ToolTest


class ScriptTest(ToolTest):
    def test_the_same_verbs(self):
        script = "set a 1\nget a\nincr n 5\n\n# a comment\nmget a n\n  scan --keys-only  \n--json get missing\n"
        self.assertEqual(self.text("shell", stdin=script),
                         '1\n5\n1\n5\na\nn\n{"key":"missing","value":null}\n')

    def test_quotes(self):
        script = ('set a "two words"\nget a\nset b \'it"s\'\nget b\nset c "\\x41\\n\\"\\\\"\nget -n c\n'
                  "set d a\\ b\nget d\nset e ''\nget e\n")
        self.assertEqual(self.text("shell", stdin=script), 'two words\nit"s\nA\n"\\' + "a b\n\n")

    def test_an_error_does_not_end_it_and_the_first_failure_is_its_exit_code(self):
        script = "set t text\nget none\nincr t\nno-such-verb\nset 'open\nget t\n"
        code, out, err = self.finish("shell", stdin=script)
        self.assertEqual((code, out), (8, b"text\n"))
        self.assertRegex(err, rb"^tuskv: line 3: .*\ntuskv: line 4: .*\ntuskv: line 5: .*\n$")
        self.tuskv("shell", stdin="set t x\nget none\nexit\nno-such-verb\n")

    def test_the_namespace_of_the_shell(self):
        self.tuskv("--namespace", "n", "shell", stdin="set a 1\nset b 2 --namespace m\n")
        self.assertEqual(self.lines("namespaces"), ["m", "n"])

    def test_what_makes_no_sense_in_it(self):
        for line in ("shell", "set k -x", "import", "--store memory: get k", "--timeout 1s get k"):
            code, _, err = self.finish("shell", stdin=line + "\n")
            self.assertEqual((code, err.count(b"\n")), (2, 1), line)

    def test_maintenance_between_other_verbs(self):
        script = "set a 1\nsnapshots take\ncheck\nget a\nset a 2\nsnapshots\nget a\n"
        self.assertRegex(self.text("shell", stdin=script), r"(?s)^\d+\n.*damage +none\n1\n.*\n2\n$")

    def test_a_memory_store_lives_as_long_as_the_shell(self):
        self.assertEqual(self.text("--store", "memory:", "shell", stdin="incr n\nincr n\n"), "1\n2\n")

    def test_S151_a_memory_store_outlives_verbs_on_directories(self):
        self.tuskv("set", "k", "v")
        script = "incr n\ncheck\nsnapshots\nrepair ./none\ncheck ./tuskv-data\nincr n\n"
        code, out, err = self.finish("--store", "memory:", "shell", stdin=script)
        self.assertEqual((code, err.count(b"\n")), (2, 3), err)
        self.assertRegex(out.decode(), r"(?s)^1\n.*damage +none\n2\n$")

    def test_S157_a_line_may_not_name_a_namespace_where_the_shell_may(self):
        self.tuskv("set", "k", "v")
        for line in ("stats", "sweep", "doctor", "namespaces", "check", "snapshots", "copy file:./tuskv-data memory:"):
            self.tuskv("--namespace", "n", "shell", stdin=line + "\n")
            for own in ("other", "n"):
                code, out, err = self.finish("--namespace", "n", "shell", stdin=f"{line} --namespace {own}\n")
                self.assertEqual((code, out), (2, b""), (line, own))
                self.assertIn(b"--namespace", err)

    def test_S150_expired_entries_are_removed_whatever_verb_opened_the_store(self):
        self.tuskv("set", "k", "v")
        for verb in ("sweep", "doctor", "snapshots take"):
            shell = self.start("--store", "file:./tuskv-data?sweep_interval=1ms", "--json", "shell",
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)

            def ask(line, shell=shell):
                shell.stdin.write(line.encode() + b"\n")
                shell.stdin.flush()
                return json.loads(shell.stdout.readline())

            ask(verb)
            ask("set dead v --ttl 1ms")
            deadline = time.monotonic() + TIMEOUT_S
            stats = ask("stats")
            while (stats["entries"], stats["expired"]) != (1, 0) and time.monotonic() < deadline:
                time.sleep(0.01)
                stats = ask("stats")
            shell.communicate()
            self.assertEqual((stats["entries"], stats["expired"], shell.returncode), (1, 0, 0), verb)


class Terminal:
    """The program with a terminal of its own for stdin, stdout and stderr."""

    def __init__(self, test, *words):
        self.screen = b""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run below nohup
            os.chdir(test.directory)
            os.execve(BINARY, [BINARY, *words], {**test.environment, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
        self.code = None

    def expect(self, wanted):
        """Reads until the screen holds `wanted`, and forgets what was before it."""
        deadline = time.monotonic() + TIMEOUT_S
        while wanted not in self.shown():
            if not select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"no {wanted!r} on the screen, but {self.screen!r}")
            if not self.read():
                raise AssertionError(f"ended without {wanted!r}; the screen holds {self.screen!r}")
        before, _, self.screen = self.shown().partition(wanted)
        return before

    def prompt(self):
        """Waits for the prompt, and for the line editor behind it: what is typed before means something else."""
        before = self.expect(b"tuskv> ")
        deadline = time.monotonic() + TIMEOUT_S
        while termios.tcgetattr(self.descriptor)[3] & termios.ICANON:
            if time.monotonic() > deadline:
                raise AssertionError("the terminal is not the line editor's")
            time.sleep(0.001)
        return before

    def shown(self):
        """The screen without movements of the cursor: the line editor may write the end of a word after one."""
        return re.sub(rb"\r(?!\n)|\x1b\[[0-9;]*[A-Za-z]", b"", self.screen)

    def read(self):
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:
            data = b""
        self.screen += data
        return data

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def close(self):
        """Takes the terminal away; the exit code."""
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def finish(self):
        """The exit code, once it has ended by itself; the rest of the screen."""
        while self.read():
            pass
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.descriptor)
        return self.code, self.screen


class TerminalTest(ToolTest):
    def at_terminal(self, *words):
        code, screen = Terminal(self, *words).finish()
        return code, screen.replace(b"\r\n", b"\n")

    def leave(self, terminal):
        """Ends the shell at its prompt."""
        terminal.prompt()
        terminal.type("\x04")
        self.assertEqual(terminal.finish()[0], 0)

    def test_control_characters_are_escaped(self):
        self.tuskv("set", "k", "-x", stdin=b"\x1b[31mred\x07 \xc2\x9b1m \xff ok\xc3\xbc\n2")
        self.assertEqual(self.at_terminal("get", "k"),
                         (0, b"\\x1b[31mred\\x07 \\xc2\\x9b1m \\xff ok\xc3\xbc\n2\n"))
        self.assertIn(b"\x1b[31mred", self.at_terminal("get", "k", "--raw")[1])
        self.tuskv("set", "a\tb\n", "x")
        self.assertIn(b"a\\tb\\n\tx\n", self.at_terminal("scan")[1])
        self.assertNotIn(b"\x1b", self.at_terminal("get", "k", "--json")[1])

    def test_a_missing_value_is_shown(self):
        self.tuskv("set", "k", "v")
        self.assertEqual(self.at_terminal("get", "none"), (1, b"(nil)\n"))
        self.assertEqual(self.at_terminal("mget", "none", "k"), (1, b"(nil)\nv\n"))

    def test_a_progress_bar_only_at_a_terminal(self):
        self.write("entries", "".join(f"key{i}\t{'v' * 100}\n" for i in range(20_000)))
        code, screen = self.at_terminal("import", "--format", "tsv", "entries")
        self.assertEqual(code, 0)
        self.assertRegex(screen, rb"imported \d+ entries \[#* *\] \d+%")
        self.assertTrue(screen.endswith(b"20000\n"), screen[-100:])
        self.assertRegex(self.at_terminal("copy", "file:./tuskv-data", "file:./b")[1], rb"copied \d+ entries \[")
        self.assertEqual(self.text("copy", "file:./tuskv-data", "file:./c"), "copied 20000 entries, 0 namespaces\n")

    def test_the_shell_at_a_terminal(self):
        terminal = Terminal(self, "shell")
        terminal.prompt()
        terminal.type("set greeting hello\n")
        terminal.expect(b"OK")
        terminal.type("get missing\n")
        terminal.expect(b"(nil)")
        terminal.type("incr greeting\n")
        terminal.expect(b"tuskv: ")
        terminal.prompt()
        terminal.type("get greeting\n")
        terminal.expect(b"hello")
        terminal.type("help\n")
        terminal.expect(b"exit or quit ends it")
        terminal.prompt()
        terminal.type("exit\n")
        self.assertEqual(terminal.finish()[0], 0)

    def test_completion_of_verbs_and_keys(self):
        self.tuskv("mset", "user:alice", "1", "user:bob", "2", "odd key", "3")
        terminal = Terminal(self, "shell")
        terminal.prompt()
        terminal.type("sna\t")
        terminal.expect(b"snapshots ")
        terminal.type("\x15ge")
        terminal.type("\t")
        terminal.expect(b"get")
        terminal.type("\x15get us\t")
        terminal.expect(b"user:")
        terminal.type("\t")
        terminal.expect(b"user:alice")
        terminal.expect(b"user:bob")
        terminal.type("b\t\n")
        terminal.expect(b"\n2\r\n")
        self.leave(terminal)

    def test_S156_completion_stops_before_a_character_that_differs_within(self):
        self.tuskv("mset", "größe", "1", "grüße", "2")
        terminal = Terminal(self, "shell")
        terminal.prompt()
        terminal.type("get g\t")
        terminal.expect(b"gr")
        terminal.type("\t")
        terminal.expect("größe".encode())
        terminal.expect("grüße".encode())
        terminal.type("ü\t\n")
        terminal.expect(b"\n2\r\n")
        self.leave(terminal)

    def test_S154_completion_in_a_store_that_is_not_there(self):
        terminal = Terminal(self, "shell")
        terminal.prompt()
        terminal.type("get us\t")
        terminal.expect(b"\a")
        terminal.type("\x15set user v\n")
        terminal.expect(b"OK")
        terminal.prompt()
        terminal.type("get us\t\n")
        terminal.expect(b"\nv\r\n")
        self.leave(terminal)

    def test_S154_completion_that_waits_can_be_interrupted(self):
        holder = self.start("import", "--acknowledge", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holder.stdin.write(b'{"key":"user","value":"v"}\n')
        holder.stdin.flush()
        self.assertEqual(holder.stdout.readline(), b"1\n")
        terminal = Terminal(self, "--timeout", "1h", "shell")
        terminal.prompt()
        terminal.type("get us\t")
        terminal.expect(b"get us")
        time.sleep(0.2)  # so that it waits for the directory: a signal before would be one at the prompt
        terminal.type("\x03")
        terminal.prompt()
        holder.communicate()
        terminal.type("incr n\n")
        terminal.expect(b"\n1\r\n")
        self.leave(terminal)

    def test_S155_no_password_is_in_the_history(self):
        terminal = Terminal(self, "shell")
        terminal.prompt()
        for url in ("postgresql://u:it\\'s-secret@h/d", "postgresql://u:it\\ is\\ secret@h/d",
                    '"postgresql://u:it\'s secret@h/d"', '"postgresql://h/d?password=it\'s secret"'):
            terminal.type(f"copy file:./none {url}\n")
            terminal.prompt()
        terminal.type("get token\n")
        terminal.prompt()
        terminal.type("\x04")
        terminal.finish()
        history = self.read(".tuskv_history")
        self.assertIn(b"token", history)
        self.assertNotIn(b"secret", history)

    def test_history_holds_no_values_and_is_its_owners_alone(self):
        terminal = Terminal(self, "shell")
        terminal.prompt()
        for line in ("set token secret-1", "  mset token secret-2", "getset token secret-3",
                     "cas token secret-3 secret-4",
                     "--json set token secret-5", "copy file:./none postgresql://u:secret-6@h/d", "get token"):
            terminal.type(line + "\n")
            terminal.prompt()
        terminal.type("\x1b[A")
        terminal.expect(b"get token")
        terminal.type("\x15exit\n")
        terminal.finish()
        history = self.read(".tuskv_history")
        self.assertIn(b"get", history)
        self.assertNotIn(b"secret", history)
        self.assertEqual(stat.S_IMODE(os.stat(self.path(".tuskv_history")).st_mode), 0o600)
        again = Terminal(self, "shell")
        again.prompt()
        again.type("\x1b[A\x1b[A")
        again.expect(b"get token")
        again.type("\x15exit\n")
        again.finish()

    def test_an_interrupt_drops_the_line_and_not_the_shell(self):
        terminal = Terminal(self, "shell")
        terminal.prompt()
        terminal.type("del --all --yes")
        terminal.expect(b"--yes")
        time.sleep(0.1)  # so that it waits for the next key: a signal just before would be seen with that key only
        terminal.type("\x03")
        terminal.prompt()
        terminal.type("incr n\n")
        terminal.expect(b"\n1\r\n")
        self.leave(terminal)

    def test_an_interrupt_ends_a_long_verb(self):
        terminal = Terminal(self, "bench", "set", "--seconds", "60", "--keys", "10")
        terminal.expect(b"workload")
        terminal.type("\x03")
        code, _ = terminal.finish()
        self.assertEqual(code, -signal.SIGINT)
        self.assertEqual(self.text("namespaces"), "")

    def test_S170_a_terminal_that_is_closed_ends_the_shell_in_order(self):
        self.environment["TUSKV_STORE"] = "file:./tuskv-data?durability=unlogged"
        terminal = Terminal(self, "shell")
        terminal.prompt()
        terminal.type("incr n\n")
        terminal.expect(b"\n1\r\n")
        terminal.prompt()
        self.assertEqual(terminal.close(), -signal.SIGHUP)
        self.assertEqual(self.text("get", "n"), "1\n")
        self.assertIn(b"incr", self.read(".tuskv_history"))

    def test_S170_the_signal_comes_from_the_shell_around_it_and_from_the_terminal(self):
        self.environment["TUSKV_STORE"] = "file:./tuskv-data?durability=unlogged"
        terminal = Terminal(self, "shell")
        terminal.prompt()
        terminal.type("incr n\n")
        terminal.expect(b"\n1\r\n")
        terminal.prompt()
        for _ in range(50):
            os.kill(terminal.pid, signal.SIGHUP)  # which is there until it is waited for
            time.sleep(0.001)
        self.assertEqual(terminal.close(), -signal.SIGHUP)
        self.assertEqual(self.text("get", "n"), "1\n")

    def test_S170_a_terminal_that_is_closed_ends_a_long_verb(self):
        terminal = Terminal(self, "bench", "set", "--seconds", "60", "--keys", "10")
        terminal.expect(b"workload")
        self.assertEqual(terminal.close(), -signal.SIGHUP)
        self.assertEqual(self.text("namespaces"), "")


class BenchTest(ToolTest):
    def test_it_measures_and_leaves_nothing_behind(self):
        self.tuskv("set", "mine", "stays")
        options = ("bench", "--seconds", "1", "--keys", "100", "--threads", "2", "--value-size", "10")
        text = self.lines(*options)
        self.assertEqual([line.split()[0] for line in text], ["workload", "set", "get", "mixed"])
        row = self.json(*options, "mixed")
        self.assertEqual((row["workload"], row["threads"], row["value_bytes"]), ("mixed", 2, 10))
        self.assertGreater(row["operations"], 0)
        self.assertLessEqual(row["p50_us"], row["p99_us"])
        self.assertLessEqual(row["p99_us"], row["max_us"])
        self.assertEqual(self.text("namespaces"), "")
        self.assertEqual(self.text("scan"), "mine\tstays\n")

    def test_S169_entries_of_somebody_else_are_not_removed(self):
        for words, name in (((), "tuskv-bench"), (("--namespace", "n"), "n/tuskv-bench")):
            self.tuskv("set", "mine", "stays", "--namespace", name)
            message = self.refusal("bench", "set", "--seconds", "1", "--keys", "10", *words, code=2)
            self.assertIn(f"tuskv del --all --yes --namespace {name} removes them", message)
            self.assertEqual(self.text("scan", "--namespace", name), "mine\tstays\n")
            self.tuskv("del", "--all", "--yes", "--namespace", name)
            self.tuskv("bench", "set", "--seconds", "1", "--keys", "10", *words)


if __name__ == "__main__":
    unittest.main()
