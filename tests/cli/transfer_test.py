"""import, export and copy."""
import base64
import json
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import time
import unittest
from pathlib import Path

from tool import BINARY, TIMEOUT_S, ToolTest

FAR_MS = 4_070_908_800_123


def record(key, value, **fields):
    return json.dumps({"key": key, "value": value, **fields}) + "\n"


class ImportTest(ToolTest):
    def test_every_field(self):
        lines = (record("a", "1") + "\n" +
                 record({"base64": base64.b64encode(b"\xff\0").decode()}, {"base64": "AAE="}) +
                 record("t", "2", expires_at_ms=FAR_MS, namespace="n"))
        self.assertEqual(self.text("import", stdin=lines), "3\n")
        self.assertEqual(self.text("get", "a"), "1\n")
        self.assertEqual(self.json("get", "t", "--namespace", "n")["expires_at_ms"], FAR_MS)
        self.assertEqual(self.tuskv("export").splitlines()[1], b'{"key":{"base64":"/wA="},"value":"\\u0000\\u0001"}')

    def test_from_a_file_without_a_last_newline(self):
        path = self.write("entries", record("a", "1").rstrip())
        self.assertEqual(self.json("import", path), {"imported": 1, "bad_lines": 0})

    def test_an_expiry_that_has_passed_removes(self):
        self.tuskv("set", "k", "old")
        self.tuskv("import", stdin=record("k", "v", expires_at_ms=1))
        self.tuskv("exists", "k", code=1)

    def test_S166_an_expiry_that_no_time_has_is_refused(self):
        self.tuskv("set", "k", "old")
        for expiry in (2 ** 64 - 1, 2 ** 63, 253402300799001, -253402300799001, -2 ** 63, -2 ** 64):
            code, out, err = self.finish("import", stdin=record("k", "v", expires_at_ms=expiry))
            self.assertEqual((code, out), (2, b"0\n"), expiry)
            self.assertIn(b'"expires_at_ms" is no number of milliseconds since 1970', err)
        self.assertEqual(self.text("get", "k"), "old\n")

    def test_a_bad_line_is_named_and_what_came_before_is_kept(self):
        bad = ["{", "[]", '{"key": "k"}', '{"key": "k", "value": 1}', '{"key": "k", "value": {"base64": "?"}}',
               '{"key": "k", "value": "v", "expires_at_ms": "soon"}', '{"key": "k", "value": "v", "ttl": 3}',
               '{"key": "k", "value": "v", "expires_at_ms": 1e300}', "[" * 100_000, '"\xff']
        for line in bad:
            code, out, err = self.finish("import", stdin=(record("a", "1") + line + "\n" + record("z", "1")))
            self.assertEqual((code, out), (2, b"1\n"), line)
            self.assertTrue(err.startswith(b"tuskv: standard input, line 2: "), err)
            self.assertTrue(err.endswith(b"up to standard input, line 1 (--skip 1 goes on behind it)\n"), err)
            self.assertEqual(err.count(b"\n"), 2)
        self.tuskv("exists", "z", code=1)

    def test_a_member_given_twice_is_refused(self):
        """Only one of the two would be kept."""
        for line, name in (('{"key": "k", "value": "v", "key": "l"}', "key"),
                           ('{"value": "v", "key": "k", "value": "v"}', "value"),
                           ('{"key": {"base64": "aw==", "base64": "bA=="}, "value": "v"}', "base64")):
            code, out, err = self.finish("import", stdin=record("a", "1") + line + "\n")
            self.assertEqual((code, out), (2, b"1\n"), line)
            self.assertIn(f'tuskv: standard input, line 2: "{name}" is given twice in one object\n', err.decode())
        self.assertEqual(self.lines("scan", "--keys-only"), ["a"])
        for document in ('{"x": 1, "x": 2}', '{"x": {"y": [{"z": 1, "z": 1}]}}'):
            self.assertIn("is given twice", self.refusal("import", "--format", "json", stdin=document, code=2))
        self.tuskv("import", "--format", "json", stdin='{"x": {"x": {"x": 1}}, "y": [{"z": 1}, {"z": 1}], "z": {}}')
        self.assertEqual(self.text("get", "x"), '{"x":{"x":1}}\n')

    def test_keep_going(self):
        lines = record("a", "1") + "bad\n" + record("b", "2") + "worse\n"
        code, out, err = self.finish("import", "--keep-going", stdin=lines)
        self.assertEqual((code, out), (2, b"2\n"))
        self.assertIn(b"line 2:", err)
        self.assertIn(b"line 4:", err)

    REFUSED = ((record("k" * 1100, "v"), "1100 bytes"), (record("", "v"), "key is empty"),
               (record("k", "v" * 200), "200 bytes"), (record("k", "v", namespace="\u0001n"), "namespace"),
               (record("k" * 1100, "v", expires_at_ms=FAR_MS), "1100 bytes"))

    def test_what_the_store_refuses_is_a_bad_line(self):
        self.environment["TUSKV_STORE"] = "file:./tuskv-data?max_value_bytes=100B"
        for line, said in self.REFUSED:
            lines = [record(f"k{i:03}", "v") for i in range(100)]
            lines[40] = line
            code, out, err = self.finish("import", stdin="".join(lines))
            self.assertEqual((code, out), (2, b"40\n"), err)
            self.assertRegex(err.decode(), f"^tuskv: standard input, line 41: .*{said}.*\n"
                                           "tuskv: import ended early: .* line 40 .*--skip 40")
            self.assertEqual(self.lines("scan", "--keys-only")[-1], "k039")
            self.assertEqual(self.lines("import", "--skip", "41", "--acknowledge", stdin="".join(lines)), ["100"])
            self.tuskv("del", "--all", "--yes")

    def test_keep_going_writes_all_but_what_is_refused(self):
        self.environment["TUSKV_STORE"] = "file:./tuskv-data?max_value_bytes=100B"
        lines = [record(f"k{i:03}", "v") for i in range(100)]
        for place, (line, _) in enumerate(self.REFUSED):
            lines[place * 13] = line
        path = self.write("entries", "".join(lines))
        code, out, err = self.finish("import", path, "--keep-going", "--json")
        self.assertEqual((code, json.loads(out)), (2, {"imported": 95, "bad_lines": 5}))
        for place, (report, (_, said)) in enumerate(zip(err.decode().splitlines(), self.REFUSED, strict=True)):
            self.assertIn(f"{path}, line {place * 13 + 1}: ", report)
            self.assertIn(said, report)
        self.assertEqual(self.text("count"), "95\n")
        code, out, err = self.finish("import", "--keep-going", "--format", "tsv", stdin="\tno key\nk\tv\n")
        self.assertEqual((code, out), (2, b"1\n"))
        self.assertIn(b"line 1: ", err)

    def test_a_bad_line_can_be_left_out(self):
        self.assertEqual(self.text("import", "--skip", "1", stdin="bad\n" + record("a", "1")), "1\n")

    def test_every_way_out_says_how_far_it_got(self):
        lines = [record(f"k{i:03}", "v") for i in range(1000)]
        lines[700] = record("large", "v" * (8 << 20))
        path = self.write("entries", "".join(lines))

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        code, out, err = self.finish("import", path, "--batch", "200", preexec_fn=limit)
        self.assertEqual((code, out), (9, b"600\n"), err)
        self.assertIn(f"up to {path}, line 600 (--skip 600 goes on behind it)".encode(), err)
        self.assertEqual(self.text("count"), "600\n")
        self.assertEqual(self.text("import", path, "--skip", "600"), "400\n")
        self.assertEqual(self.text("count"), "1000\n")

    def test_a_file_of_another_form_is_told_of_format(self):
        for content in ("a,1\nb,2\n", '{\n "a": "1"\n}\n', '[{"key": "a", "value": "1"}]', '{"a": "1"}'):
            code, _, err = self.finish("import", "--keep-going", stdin=content + "\nworse\n")
            self.assertEqual(code, 2)
            self.assertEqual([b"needs --format" in line for line in err.splitlines()][:2], [True, False], err)

    def test_nothing_is_written(self):
        code, out, err = self.finish("import", stdin="bad\n")
        self.assertEqual((code, out), (2, b"0\n"))
        self.assertTrue(err.endswith(b"nothing is written\n"), err)

    def test_acknowledge_and_skip(self):
        lines = "".join(record(f"k{i}", "v") for i in range(1, 26))
        self.assertEqual(self.lines("import", "--batch", "10", "--acknowledge", stdin=lines), ["10", "20", "25"])
        self.tuskv("del", "--all", "--yes")
        self.assertEqual(self.lines("import", "--skip", "20", "--acknowledge", stdin=lines), ["25"])
        self.assertEqual(self.text("count"), "5\n")

    def test_a_slow_pipe_is_acknowledged_line_by_line(self):
        process = self.start("import", "--acknowledge", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for number in range(1, 4):
            process.stdin.write(record(f"k{number}", "v").encode())
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"%d\n" % number)
        process.stdin.close()
        process.stdout.close()
        self.assertEqual(process.wait(), 0)

    def test_what_was_acknowledged_outlives_a_kill(self):
        process = self.start("import", "--format", "tsv", "--acknowledge", "--batch", "50", stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        lines = "".join(f"k{i}\t{i}\n" for i in range(1, 20_001)).encode()
        process.stdin.write(lines[:len(lines) // 2])
        acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].splitlines()
        acknowledged = int(rest[-1]) if rest else acknowledged
        found = dict(line.split("\t") for line in self.lines("scan"))
        for number in range(1, acknowledged + 1):
            self.assertEqual(found.get(f"k{number}"), str(number))

    def test_an_interrupt_keeps_what_was_read(self):
        process = self.start("import", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(record("a", "1").encode())
        process.stdin.flush()
        while not os.path.exists(self.path("tuskv-data")):
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(TIMEOUT_S), -signal.SIGINT)  # with its input open: the end of that may come first
        process.communicate()

    def import_acknowledged(self, disposition):
        """An import that has written a line, at whose start SIGHUP had this disposition."""
        process = self.start("import", "--acknowledge", "--store", "file:./tuskv-data?durability=unlogged",
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             preexec_fn=lambda: signal.signal(signal.SIGHUP, disposition))
        process.stdin.write(record("a", "1").encode())
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"1\n")
        return process

    def test_S170_a_hangup_ends_it_in_order(self):
        process = self.import_acknowledged(signal.SIG_DFL)
        process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(TIMEOUT_S), -signal.SIGHUP)
        process.communicate()
        self.assertEqual(self.text("get", "a"), "1\n")

    def test_S170_a_hangup_stays_ignored_as_below_nohup(self):
        process = self.import_acknowledged(signal.SIG_IGN)
        process.send_signal(signal.SIGHUP)
        process.stdin.write(record("b", "2").encode())
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"2\n")
        process.communicate()
        self.assertEqual(process.returncode, 0)

    def test_S171_an_interrupt_ends_the_script_around_it(self):
        script = f'for i in 1 2; do "{BINARY}" import --acknowledge; done; echo went on'
        shell = subprocess.Popen(["bash", "-c", script], cwd=self.directory, env=self.environment,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 start_new_session=True,
                                 preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        shell.stdin.write(record("a", "1").encode())
        shell.stdin.flush()
        self.assertEqual(shell.stdout.readline(), b"1\n")
        os.killpg(shell.pid, signal.SIGINT)
        self.assertIn(b"import ended early", shell.stderr.readline())  # before the end of its input is another reason
        out, _ = shell.communicate(timeout=TIMEOUT_S)
        self.assertEqual((shell.returncode, out), (-signal.SIGINT, b""))

    def test_tsv(self):
        self.tuskv("import", "--format", "tsv", "--prefix", "p:", stdin="a\t1\tmore\n\nb\t\n")
        self.assertEqual(self.text("scan"), "p:a\t1\tmore\np:b\t\n")
        self.assertIn("line 1: no tab", self.finish("import", "--format", "tsv", stdin="a 1\n")[2].decode())

    def test_json_documents(self):
        path = self.write("list.json", json.dumps({"3166-1": [{"alpha_2": "AW", "name": "Aruba"},
                                                               {"alpha_2": "AF", "name": "Afghanistan"}]}))
        options = ("--format", "json", "--pointer", "/3166-1", "--key", "alpha_2", "--prefix", "country:")
        self.assertEqual(self.text("import", path, *options), "2\n")
        self.assertEqual(json.loads(self.text("get", "country:AW")), {"alpha_2": "AW", "name": "Aruba"})
        self.tuskv("import", path, *options, "--value", "name")
        self.assertEqual(self.text("get", "country:AF"), "Afghanistan\n")
        self.tuskv("import", "--format", "json", stdin='{"x": "text", "y": 1.5, "z": [null]}')
        self.assertEqual(self.lines("mget", "x", "y", "z"), ["text", "1.5", "[null]"])

    def test_S165_numbers_stay_as_they_were_written(self):
        numbers = ("12345678901234567890123", "1.10", "1e2", "-0", "-0.0", "0.1", "1E-7", "18446744073709551615",
                   "18446744073709551616", "-9223372036854775809", "3", "-3")
        document = '{"a": [%s], "b": {"c\\"": 1.10, "d": "1.10", "e": [], "f": {}}, "g": 1.10}' % " , ".join(numbers)
        self.tuskv("import", "--format", "json", stdin=document)
        self.assertEqual(self.lines("mget", "a", "b", "g"),
                         ["[" + ",".join(numbers) + "]", '{"c\\"":1.10,"d":"1.10","e":[],"f":{}}', "1.10"])
        self.tuskv("del", "--all", "--yes")
        ids = ("1.1", "1.10", "36893488147419103233", "36893488147419103234")
        entries = ",".join('{"id": %s, "n": %s}' % (each, each) for each in ids)
        options = ("--format", "json", "--key", "id")
        self.assertEqual(self.text("import", *options, stdin=f"[{entries}]"), "4\n")
        self.assertEqual(self.lines("scan"), ['%s\t{"id":%s,"n":%s}' % (each, each, each) for each in ids])
        self.tuskv("import", *options, "--value", "n", stdin=f"[{entries}]")
        self.assertEqual(self.lines("scan"), [f"{each}\t{each}" for each in ids])
        self.assertIn("1e400", self.refusal("import", "--format", "json", stdin='{"a": 1e400}', code=2))

    def test_json_documents_that_do_not_fit(self):
        for document, options in (("{", ()), ("[]", ()), ("{}", ("--key", "k")), ("{}", ("--pointer", "/x")),
                                  ("{}", ("--pointer", "x")), ("[" * 100_000, ())):
            self.refusal("import", "--format", "json", *options, stdin=document, code=2)
        code, out, err = self.finish("import", "--format", "json", "--key", "k", stdin='[{"k": "a"}, {"q": 1}, 3]')
        self.assertEqual((code, out), (2, b"1\n"))
        self.assertIn(b'entry 2: no field "k"', err)

    def test_usage(self):
        self.refusal("import", "--format", "xml", code=2)
        self.refusal("import", "--key", "k", code=2)
        self.refusal("import", "--batch", "0", code=2)
        self.assertIn("no-such-file", self.refusal("import", "no-such-file", code=2))
        self.refusal("import", ".", code=2)


@unittest.skipUnless(shutil.which("redis-server"), "there is no Redis here")
class RedisTest(ToolTest):
    SCRIPT = Path(__file__).resolve().parents[2] / "examples/from_redis.lua"

    def redis(self, *words):
        """What redis-cli prints; it fails for what Redis refuses."""
        return subprocess.run(["redis-cli", "-e", "-s", self.path("socket"), "--raw", *words], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout

    def setUp(self):
        super().setUp()
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.path("socket"), "--save", "",
                                   "--dir", self.directory], stdout=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        while not os.path.exists(self.path("socket")):
            self.assertIsNone(server.poll())
            time.sleep(0.01)

    def test_strings_come_over_with_their_expiry(self):
        values = {b"plain": b"Alice", b"\xc3\xbc": b"\xff\x01", b"\xff": b"a\nb\x80", b"empty": b"", b'"\\/': b"\x7f"}
        for key, value in values.items():
            self.redis("set", key, value)
        self.redis("set", "ends", "v", "pxat", str(FAR_MS))
        self.tuskv("import", stdin=self.redis("eval", self.SCRIPT.read_text(encoding="utf-8"), "0"))
        self.assertEqual(self.text("count"), "6\n")
        for key, value in values.items():
            self.assertEqual(self.tuskv("get", "-n", key), value)
            self.assertEqual(self.text("ttl", key), "-1\n")
        self.assertAlmostEqual(self.json("get", "ends")["expires_at_ms"], FAR_MS, delta=1000)

    def test_what_is_no_string_is_left_out_only_when_asked_to(self):
        self.redis("lpush", "l", "1")
        self.redis("set", "s", "1")
        script = self.SCRIPT.read_text(encoding="utf-8")
        with self.assertRaises(subprocess.CalledProcessError):
            self.redis("eval", script, "0")
        self.assertEqual(json.loads(self.redis("eval", script, "0", "strings")), {"key": "s", "value": "1"})


class ExportTest(ToolTest):
    def fill(self):
        self.tuskv("set", "plain", "text")
        self.tuskv("set", "ttl", "v", "--at", "2099-01-01T00:00:00.123Z")
        self.tuskv("set", b"\xfe\x80", "-x", stdin=bytes(range(256)))
        self.tuskv("set", "k", "n\u00fc", "--namespace", "n")
        self.tuskv("set", "k", "deep", "--namespace", "n/m")

    def test_round_trip(self):
        self.fill()
        exported = self.tuskv("export")
        self.assertEqual(len(exported.splitlines()), 5)
        self.assertEqual(self.tuskv("import", "--store", "file:./copy", stdin=exported), b"5\n")
        self.assertEqual(self.tuskv("export", "--store", "file:./copy"), exported)
        self.assertEqual(self.json("get", "ttl", "--store", "file:./copy")["expires_at_ms"], FAR_MS)

    def test_of_one_namespace(self):
        self.fill()
        exported = self.text("export", "--namespace", "n")
        self.assertEqual(json.loads(exported), {"key": "k", "value": "n\u00fc"})
        self.tuskv("import", "--namespace", "new", stdin=exported)
        self.assertEqual(self.text("get", "k", "--namespace", "new"), "n\u00fc\n")

    def test_into_a_file(self):
        self.fill()
        self.assertEqual(self.text("export", "entries"), "5\n")
        self.assertEqual(self.read("entries"), self.tuskv("export"))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("entries")).st_mode), 0o600)
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith("entries")], ["entries"])
        self.refusal("export", "no/such/place", code=9)

    def test_S104_what_is_no_file_is_written_to_and_not_replaced(self):
        self.fill()
        exported = self.tuskv("export")
        os.mkfifo(self.path("pipe"))
        reader = subprocess.Popen(["cat", "pipe"], cwd=self.directory, stdout=subprocess.PIPE)
        self.addCleanup(reader.kill)
        self.tuskv("export", "pipe")
        self.assertEqual(reader.communicate()[0], exported)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("pipe")).st_mode))
        self.write("file", "old")
        os.chmod(self.path("file"), 0o640)
        os.symlink("file", self.path("link"))
        self.tuskv("export", "link")
        self.assertTrue(os.path.islink(self.path("link")))
        self.assertEqual(self.read("file"), exported)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("file")).st_mode), 0o640)
        os.mkdir(self.path("folder"))
        self.assertIn("is a directory", self.refusal("export", "folder", code=2))
        self.assertIn("empty", self.refusal("export", "", code=2))

    def test_S172_the_new_name_is_on_the_disk(self):
        self.fill()
        self.environment["ASAN_OPTIONS"] = self.environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # under strace
        os.mkdir(self.path("folder"))
        for name, folder in (("entries", "."), ("folder/entries", "folder")):
            subprocess.run(["strace", "-f", "-qq", "-y", "-o", "calls", "-e", "trace=fsync,rename,renameat,renameat2",
                            BINARY, "export", name], cwd=self.directory, env=self.environment, check=True,
                           stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)
            calls = self.read("calls").decode()
            renamed = calls.index(f'"{name}"')
            self.assertRegex(calls[renamed:], rf"fsync\(\d+<{re.escape(os.path.realpath(self.path(folder)))}>\) += 0")

    def test_S173_a_link_to_a_file_that_is_not_there_yet_is_followed(self):
        self.fill()
        os.mkdir(self.path("folder"))
        os.symlink("folder/second", self.path("first"))
        os.symlink("../file", self.path("folder/second"))
        for _ in range(2):  # the second time it is there
            self.tuskv("export", "first")
            self.assertTrue(os.path.islink(self.path("first")) and os.path.islink(self.path("folder/second")))
            self.assertEqual(self.read("file"), self.tuskv("export"))
        os.symlink("circle", self.path("circle"))
        self.assertIn("cannot create", self.refusal("export", "circle", code=9))
        self.assertTrue(os.path.islink(self.path("circle")))

    @unittest.skipUnless(os.geteuid() == 0, "only root can give a file away")
    def test_S174_the_owner_stays(self):
        self.fill()
        self.write("file", "old")
        os.chown(self.path("file"), 12345, 23456)
        os.chmod(self.path("file"), 0o640)
        self.tuskv("export", "file")
        found = os.stat(self.path("file"))
        self.assertEqual((found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)), (12345, 23456, 0o640))

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_S174_the_group_stays_or_is_allowed_nothing(self):
        tool = shutil.copy(BINARY, self.path("tool"))  # where everybody may read
        os.chmod(self.directory, 0o755)
        os.mkdir(self.path("folder"))
        os.chown(self.path("folder"), 12345, 12345)
        for groups, expected in (([23456], (12345, 23456, 0o664)), ([], (12345, 12345, 0o604))):
            self.write("folder/file", "old")
            os.chown(self.path("folder/file"), 54321, 23456)
            os.chmod(self.path("folder/file"), 0o664)
            subprocess.run([tool, "--store", "memory:", "export", "folder/file"], cwd=self.directory, check=True,
                           env=self.environment, user=12345, group=12345, extra_groups=groups)
            found = os.stat(self.path("folder/file"))
            self.assertEqual((found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)), expected)
            os.remove(self.path("folder/file"))

    def test_of_nothing(self):
        self.refusal("export", code=2)
        self.tuskv("incr", "n")
        self.tuskv("del", "n")
        self.assertEqual(self.tuskv("export"), b"")


class CopyTest(ToolTest):
    def test_everything_is_copied(self):
        ExportTest.fill(self)
        self.tuskv("set", "extra", "stays", "--store", "file:./b")
        self.assertEqual(self.text("copy", "file:./tuskv-data", "file:./b"), "copied 5 entries, 2 namespaces\n")
        self.assertEqual(self.text("get", "extra", "--store", "file:./b"), "stays\n")
        self.tuskv("del", "extra", "--store", "file:./b")
        self.assertEqual(self.tuskv("export", "--store", "file:./b"), self.tuskv("export"))
        self.assertEqual(self.json("copy", "file:./tuskv-data", "file:./b"), {"copied": 5, "namespaces": 2})

    def test_more_than_a_batch(self):
        lines = "".join(f"key{i}\t{'v' * 100}\n" for i in range(2500))
        self.tuskv("import", "--format", "tsv", stdin=lines)
        self.assertEqual(self.json("copy", "file:./tuskv-data", "file:./b")["copied"], 2500)
        self.assertEqual(self.tuskv("export", "--store", "file:./b"), self.tuskv("export"))

    def test_a_source_that_is_not_there_makes_no_target(self):
        self.refusal("copy", "file:./nope", "file:./target", code=2)
        self.assertEqual(os.listdir(self.directory), [])

    def test_what_the_target_refuses_is_named(self):
        self.tuskv("set", "long" * 400, "v", "--namespace", "n", "--store", "file:./a?max_key_bytes=2KiB")
        self.tuskv("set", "short", "v", "--store", "file:./a?max_key_bytes=2KiB")
        message = self.refusal("copy", "file:./a?max_key_bytes=2KiB", "file:./b", code=2)
        self.assertTrue(message.endswith(" (entries copied: 1)"), message)
        self.assertEqual(self.text("get", "short", "--store", "file:./b"), "v\n")
        self.assertRegex(message, r'^TO refuses the key "longlong.*" of the namespace "n": a key of 1600 bytes')

    def test_what_is_refused(self):
        self.tuskv("set", "k", "v")
        for same in ("file:./tuskv-data", "file:tuskv-data/", "file:./x/../tuskv-data?durability=relaxed",
                     "file://" + self.path("tuskv-data")):
            self.assertIn("same store", self.refusal("copy", "file:./tuskv-data", same, code=2))
        self.refusal("copy", "file:./none", "file:./b", code=2)
        self.refusal("copy", "file:./tuskv-data", code=2)
        self.refusal("copy", "--namespace", "n", "file:./tuskv-data", "file:./b", code=2)


if __name__ == "__main__":
    unittest.main()
