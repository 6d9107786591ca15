"""Locks, rate limits and claims. No test waits for an expiry, but for the one of a holder that is stopped."""
import os
import signal
import subprocess
import time
import unittest

from tool import BINARY, TIMEOUT_S, ToolTest

SCRIPT = """trap 'echo got $1; exit 5' $1
echo ready
while :; do sleep 0.02; done
"""


class LockTest(ToolTest):
    def lock(self, *words):
        """`lock run job` with pipes."""
        return self.start("lock", "run", "job", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, process):
        out, err = process.communicate(timeout=TIMEOUT_S)
        return process.returncode, out.decode(), err.decode()

    def holds_signals(self, process):
        """Whether it has begun: from then on signals are its own to serve."""
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
            return any(line.startswith("SigBlk:") and int(line.split()[1], 16) != 0 for line in status)

    def token(self):
        return int(self.text("lock", "run", "job", "--", "sh", "-c", "echo $TUSKV_LOCK_TOKEN"))

    def test_runs_the_command_and_passes_its_exit_code(self):
        self.assertEqual(self.text("lock", "run", "job", "--", "echo", "--ttl", "a  b"), "--ttl a  b\n")
        for code in (0, 1, 3, 255):
            self.assertEqual(self.finish("lock", "run", "job", "--", "sh", "-c", f"exit {code}")[0], code)
        self.assertEqual(self.finish("lock", "run", "job", "--", "sh", "-c", "kill -KILL $$")[0], 128 + 9)
        self.assertEqual(self.text("lock", "run", "job", "--", "cat", stdin="input"), "input")

    def test_S153_a_command_stands_behind_two_dashes(self):
        for words in (("touch", "ran"), ("touch", "ran", "--namespace", "staging"), ("touch", "ran", "--ttl", "1h"),
                      ("touch", "--", "ran"), ("[", "--", "ran")):
            self.assertIn("write -- before the command", self.refusal("lock", "run", "job", *words, code=2))
        self.assertIn("write --", self.refusal("lock", "run", "job", "touch", "ran", "-c", code=2))
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(self.text("lock", "run", "job", "--", "echo", "--namespace", "--", "x"), "--namespace -- x\n")
        self.assertEqual(self.text("lock", "run", "--", "job", "echo", "--json"), "--json\n")

    def test_a_command_that_cannot_run_leaves_no_lock(self):
        code, out, err = self.finish("lock", "run", "job", "--", "./no-such-program")
        self.assertEqual((code, out), (127, b""))
        self.assertIn(b"no-such-program", err)
        self.write("text", "no program")
        self.assertEqual(self.finish("lock", "run", "job", "--", "./text")[0], 126)
        self.text("lock", "run", "job", "--wait", "0", "--", "true")

    def test_tokens_grow_also_when_a_holder_is_killed(self):
        tokens = [self.token(), self.token()]
        killed = self.lock("--ttl", "1h", "--", "sh", "-c", "echo $TUSKV_LOCK_TOKEN; kill -KILL $PPID")
        tokens.append(int(self.end(killed)[1]))
        message = self.refusal("lock", "run", "job", "--wait", "100ms", "--", "true", code=4)
        self.assertRegex(message, r'^the lock "job" was not free within 100 ms: ".+:%d:\d+" holds it$' % killed.pid)
        self.assertEqual(tokens, sorted(set(tokens)))

    def test_signals_are_forwarded(self):
        for name in ("TERM", "INT", "HUP", "USR1"):
            running = self.lock("--", "sh", "-c", SCRIPT.replace("$1", name))
            self.assertEqual(running.stdout.readline(), b"ready\n")
            running.send_signal(getattr(signal, "SIG" + name))
            self.assertEqual(self.end(running), (5, f"got {name}\n", ""))
        self.text("lock", "run", "job", "--wait", "0", "--", "true")

    def test_the_command_begins_with_ordinary_signals(self):
        status = self.text("lock", "run", "job", "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
        for line in status.splitlines():  # above 31 are those of the C library
            self.assertEqual(int(line.split()[1], 16) & 0x7FFF_FFFF, 0, line)

    def test_a_lost_lock_ends_the_command(self):
        running = self.lock("--ttl", "300ms", "--", "sh", "-c", SCRIPT.replace("$1", "TERM"))
        self.assertEqual(running.stdout.readline(), b"ready\n")
        running.send_signal(signal.SIGSTOP)
        time.sleep(0.5)  # only the real clock can end the lock of a stopped holder
        running.send_signal(signal.SIGCONT)
        code, out, err = self.end(running)
        self.assertEqual((code, out), (7, "got TERM\n"))
        self.assertIn("the lock is lost", err)

    def test_a_lock_lost_unnoticed_shows_in_the_exit_code(self):
        running = self.lock("--ttl", "100ms", "--", "sh", "-c", "echo ready; kill -STOP $PPID; sleep 0.3; exit 0")
        self.assertEqual(running.stdout.readline(), b"ready\n")
        time.sleep(0.5)
        running.send_signal(signal.SIGCONT)
        code, _, err = self.end(running)
        self.assertEqual(code, 7, err)

    def test_it_is_renewed_as_long_as_the_command_runs(self):
        words = ("lock", "run", "job", "--ttl", "300ms", "--", "sh", "-c", "sleep 1; echo done")
        self.assertEqual(self.text(*words), "done\n")

    def test_a_wait_can_be_interrupted(self):
        self.end(self.lock("--ttl", "1h", "--", "sh", "-c", "kill -KILL $PPID"))
        waiting = self.lock("--wait", "1h", "--", "true")
        while not self.holds_signals(waiting):
            time.sleep(0.01)
        waiting.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(waiting)[0], -signal.SIGTERM)

    def test_S171_what_ends_the_command_ends_the_run_as_well(self):
        for name in ("TERM", "INT", "USR1"):
            number = getattr(signal, "SIG" + name)
            running = self.lock("--", "sh", "-c", f"trap 'trap - {name}; kill -{name} $$' {name}; echo ready; "
                                "while :; do sleep 0.02; done")
            self.assertEqual(running.stdout.readline(), b"ready\n")
            running.send_signal(number)
            self.assertEqual(self.end(running), (-number, "", ""))
        self.text("lock", "run", "job", "--wait", "0", "--", "true")

    def test_a_directory_that_is_open_above_is_not_waited_for(self):
        self.tuskv("set", "k", "v")
        self.environment["TUSKV"] = BINARY
        begin = time.monotonic()
        code, out, err = self.finish("lock", "run", "job", "--", "sh", "-c",
                                     '"$TUSKV" --timeout 1h --store file:tuskv-data/../tuskv-data get k')
        self.assertEqual((code, out), (3, b""))
        self.assertIn(b"the lock run above keeps it open", err)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertEqual(self.text("lock", "run", "job", "--", "sh", "-c",
                                   '"$TUSKV" --store file:other set k v && "$TUSKV" --store file:other get k'), "v\n")

    def test_a_lock_whose_holder_was_killed_is_shown_and_ended(self):
        self.tuskv("set", "k", "v")
        self.assertEqual(self.text("lock", "holder", "job", code=1), "")
        self.assertEqual(self.json("lock", "holder", "job", code=1), {"key": "job", "owner": None})
        killed = self.lock("--ttl", "1h", "--", "sh", "-c", "echo $TUSKV_LOCK_TOKEN; kill -KILL $PPID")
        token = self.end(killed)[1].strip()
        owner, shown, ends = self.text("lock", "holder", "job").rstrip("\n").split("\t")
        self.assertRegex(owner, rf":{killed.pid}:\d+$")
        self.assertEqual(shown, token)
        self.assertRegex(ends, r"^20\d\d-\d\d-\d\dT.*Z$")
        document = self.json("lock", "holder", "job")
        self.assertEqual((document["owner"], document["token"]), (owner, int(token)))
        self.assertTrue(0 < document["expires_at_ms"] / 1000 - time.time() <= 3600)
        self.tuskv("lock", "release", "job", str(int(token) + 1), code=1)
        self.tuskv("lock", "release", "job", token, "--namespace", "other", code=1)
        self.assertEqual(self.text("lock", "holder", "job").split("\t")[1], token)
        self.tuskv("lock", "release", "job", token)
        self.tuskv("lock", "release", "job", token, code=1)
        self.assertGreater(self.token(), int(token))

    def test_usage(self):
        for words in (("lock",), ("lock", "run"), ("lock", "run", "job"), ("lock", "walk", "job", "--", "true"),
                      ("lock", "holder"), ("lock", "holder", "job", "1"), ("lock", "release", "job"),
                      ("lock", "release", "job", "x"), ("lock", "release", "job", "1", "--ttl", "1s"),
                      ("lock", "run", "job", "--wait", "2d", "--", "true"),
                      ("lock", "run", "", "--", "true"), ("lock", "run", "job", "--ttl", "0", "--", "true")):
            self.refusal(*words, code=2)
        code, out, err = self.finish("shell", stdin="lock run job -- true\n")
        self.assertEqual((code, out), (2, b""))
        self.assertIn(b"outside the shell", err)
        self.assertIn("run KEY", self.text("lock", "--help"))


class RateTest(ToolTest):
    def test_grants_the_limit_and_no_more(self):
        hit = ("rate", "login", "--limit", "3", "--window", "1h")
        remaining, reset_ms = self.text(*hit).split("\t")
        self.assertEqual(remaining, "2")
        self.assertTrue(3_500_000 < int(reset_ms) <= 3_600_000)
        self.assertEqual(self.text(*hit, "--cost", "3", code=1).split("\t")[0], "2")
        document = self.json(*hit, "--cost", "2")
        self.assertEqual((document["allowed"], document["remaining"]), (True, 0))
        self.assertFalse(self.json(*hit, code=1)["allowed"])
        self.assertEqual(self.text("rate", "login", "--limit", "3", "--peek", code=1).split("\t")[0], "0")
        self.assertEqual(self.text("rate", "login", "--limit", "5", "--peek", "--cost", "2").split("\t")[0], "2")
        self.tuskv("rate", "login", "--reset")
        self.tuskv("rate", "login", "--reset", code=1)
        self.assertEqual(self.text("rate", "login", "--limit", "5", "--peek"), "5\t0\n")
        self.assertEqual(self.text("count"), "0\n")

    def test_usage(self):
        for words in ((), ("k",), ("k", "--limit", "1"), ("k", "--window", "1s"), ("k", "--peek"),
                      ("k", "--limit", "-1", "--window", "1s"), ("k", "--limit", "1", "--window", "0"),
                      ("k", "--limit", "1", "--window", "1s", "--cost", "0"), ("k", "--peek", "--reset")):
            self.refusal("rate", *words, code=2)


class ClaimTest(ToolTest):
    def test_take_release_owner_move_and_list(self):
        self.tuskv("claim", "take", "name:alice", "user:1")
        self.tuskv("claim", "take", "name:alice", "user:1")
        self.tuskv("claim", "take", "name:alice", "user:2", code=1)
        self.assertEqual(self.json("claim", "take", "name:alice", "user:2", code=1), {"done": False, "owner": "user:1"})
        self.assertEqual(self.text("claim", "owner", "name:alice"), "user:1\n")
        self.assertEqual(self.text("claim", "owner", "name:bob", code=1), "")
        self.assertEqual(self.json("claim", "owner", "name:bob", code=1), {"name": "name:bob", "owner": None})
        self.tuskv("claim", "take", "mail:alice", "user:1", "--ttl", "1h")
        self.assertEqual(self.lines("claim", "list", "user:1"), ["mail:alice", "name:alice"])
        self.assertEqual(self.lines("claim", "list", "user:1", "--prefix", "n"), ["name:alice"])
        self.assertEqual(self.lines("claim", "list", "user:1", "--limit", "1"), ["mail:alice"])
        self.tuskv("claim", "move", "name:alice", "user:2", "user:3", code=1)
        self.tuskv("claim", "move", "name:alice", "user:1", "user:2")
        self.assertEqual(self.json("claim", "list", "user:2"), {"name": "name:alice"})
        self.tuskv("claim", "release", "name:alice", "user:1", code=1)
        self.tuskv("claim", "release", "name:alice", "user:2")
        self.tuskv("claim", "owner", "name:alice", code=1)
        self.tuskv("claim", "owner", "mail:alice", "--namespace", "other", code=1)
        self.assertEqual(self.text("count"), "0\n")

    def test_more_than_a_page(self):
        script = "".join(f"claim take n{i:04} a\n" for i in range(1001))
        self.tuskv("shell", stdin=script)
        self.assertEqual(self.lines("claim", "list", "a"), [f"n{i:04}" for i in range(1001)])
        self.assertEqual(len(self.lines("claim", "list", "a", "--limit", "600")), 600)

    def test_usage(self):
        self.tuskv("claim", "take", "n", "a")
        for words in ((), ("take",), ("take", "n"), ("take", "n", ""), ("take", "", "a"), ("take", "n", "a", "b"),
                      ("give", "n", "a"), ("owner",), ("move", "n", "a"), ("list",), ("owner", "n", "--ttl", "1s"),
                      ("take", "n", "a", "--limit", "1"), ("release", "n", "a", "--prefix", "p")):
            self.refusal("claim", *words, code=2)


if __name__ == "__main__":
    unittest.main()
