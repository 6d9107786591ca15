"""Exit codes, and what is said on stderr."""
import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

from tool import BINARY, ToolTest


class FailureTest(ToolTest):
    def test_usage(self):
        for words in ((), ("no-such-verb",), ("get",), ("get", "a", "b"), ("get", "a", "--no-such-option"),
                      ("set", "k"),
                      ("set", "k", "v", "-x"), ("set", "k", "v", "--ttl"), ("set", "k", "v", "--ttl", "1y"),
                      ("set", "k", "v", "--ttl", "1s", "--keep-ttl"), ("set", "k", "v", "--nx", "--xx"),
                      ("set", "k", "v", "--at", "tomorrow"), ("set", "k", "v", "--at", "2030-02-30T00:00:00Z"),
                      ("set", "k", "v", "--at", "2030-01-01T00:00:00"), ("scan", "--limit", "0"), ("scan", "extra"),
                      ("scan", "--limit", "-1"), ("count", "--keys-only"), ("count", "--reverse"),
                      ("index",), ("index", "add"), ("index", "list", "f"), ("index", "grow", "f"),
                      ("search",), ("search", "x", "y"), ("find", "c", "f"), ("find", "c", "f", "1", "2"),
                      ("help", "no-such-verb"), ("bench", "fly"),
                      ("snapshots", "prune"), ("snapshots", "prune", "x"), ("snapshots", "list", "3"),
                      ("--timeout", "soon", "stats"), ("--store", "nonsense", "stats"), ("find", "x"),
                      ("--store", "file:./d?no_such_option=1", "set", "k", "v"), ("--store", "memory:", "check")):
            self.refusal(*words, code=2)
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_mistake_is_named_with_what_was_probably_meant(self):
        for words, said in (
                (("put", "k", "v"), ('no verb "put"', 'did you mean "set"?')),
                (("keys",), ("scan --keys-only",)), (("sacn",), ('"sacn"', "tuskv --help")),
                (("stat",), ('did you mean "stats"?',)), (("help", "delete"), ('did you mean "del"?',)),
                (("set", "k", "hello", "world"), ('"world" is one word too many for set', "quote")),
                (("scan", "user:"), ('"user:" is one word too many for scan', 'did you mean "--prefix user:"?')),
                (("count", "user:*"), ('did you mean "--glob user:*"?',)), (("backup", "b"), ('did you mean "copy"?',)),
                (("GET", "k"), ('no verb "GET"', 'did you mean "get"?')),
                (("set", "k", "v", "NX"), ('"NX" is one word too many for set', "quote", 'did you mean "--nx"?')),
                (("set", "k", "v", "--ex", "5"), ('no option "--ex"', 'did you mean "--ttl"?')),
                (("set", "k", "v", "px", "5"), ('did you mean "--ttl Nms"?',)),
                (("scan", "0", "MATCH", "u*"), ('"MATCH" is one word too many', 'did you mean "--glob"?')),
                (("check", "Memory:"), ("of another kind",)),
                (("compact",), ('did you mean "snapshots take"?',)), (("getex", "k"), ('did you mean "expire"?',)),
                (("get", "k", "--jsno"), ('get has no option "--jsno"', 'did you mean "--json"?')),
                (("--namspace", "n", "get", "k"), ('"--namspace"', 'did you mean "--namespace"?')),
                (("-x", "set", "k"), ('"-x" is an option of set: write it behind the verb',)),
                (("get", "--jsno"), ('no option "--jsno"', 'did you mean "--json"?')),
                (("set", "k", "v", "--ttl"), ("set: --ttl needs a DURATION",)),
                (("set", "k", "v", "--ttl", "1", "--ttl", "2"), ("set: --ttl is given more than once",)),
                (("--store", "memory:", "--store", "memory:", "get", "k"), ("--store is given more than once",)),
                (("set", "k", "v", "--nx=x"), ("set: --nx takes no value",)),
                (("scan", "--glob"), ("scan: --glob needs a value",)),
                (("incr", "k", "--ttl", "0"), ("--ttl must be positive",)),
                (("--", "get", "k"), ('"get" stands behind --',)),
                (("set", "k"), ("set: VALUE is required, or -x",)),
                (("getset", "k", "v", "-x"), ("getset: -x reads VALUE",)),
                (("set", "k", "v", "--ttl", "soon"), ("--ttl takes a duration", 'not "soon"')),
                (("set", "k", "v", "--at", "soon"), ("--at takes a time", 'not "soon"')),
                (("set", "k", "v", "--ttl", "1s", "--keep-ttl"), ("set: --ttl excludes --keep-ttl",)),
                (("get",), ("get: KEY is required",)),
                (("get", "k"), ("there is no store at ./tuskv-data yet",)),
                (("del", "--prefix="), ("--all --yes",)), (("del", "--prefix", ""), ("--all --yes",))):
            message = self.refusal(*words, code=2)
            for part in said:
                self.assertIn(part, message, words)

    def test_S158_how_data_that_begins_with_a_dash_is_written(self):
        for words in (("get", "-foo"), ("set", "-foo", "v"), ("set", "k", "-foo")):
            said = f'{words[0]} has no option "-foo"; see tuskv {words[0]} --help, and write -- before data that'
            self.assertIn(said, self.refusal(*words, code=2))
        self.tuskv("set", "--", "-foo", "--value")
        self.assertEqual(self.text("get", "--", "-foo"), "--value\n")

    def test_S155_no_password_is_shown_whatever_it_holds(self):
        for password in ("it's-secret", 'a"secret', "a secret", "it's a \"secret\"'", "a@b/secret'x", "a\tsecret"):
            for store in (f"postgresql://u:{password}@127.0.0.1:1/db", f"x://u:{password}@h",
                          f"postgresql://127.0.0.1:1/db?password={password}",
                          f"postgresql://u:a@127.0.0.1:1/db?password={password}@x'secret",
                          f"host=127.0.0.1 port=1 password={password}"):
                for words in (("--store", store, "get", "k"), ("copy", store, "memory:"), ("get", "k", store),
                              ("check", store), ("import", store), (store,), ("set", "k", "v", "--ttl", store)):
                    code, out, err = self.finish("--timeout", "100ms", *words)
                    self.assertGreater(code, 1, words)
                    self.assertNotIn(b"secret", out + err, words)
        self.assertIn('"postgresql://u:***@h/d" is one word too many',
                      self.refusal("get", "k", "postgresql://u:it's a secret@h/d", code=2))
        self.assertIn('"postgresql://h/d?password=***" is one word too many',
                      self.refusal("get", "k", "postgresql://h/d?password=it's a secret", code=2))

    def test_S155_the_list_of_processes_shows_no_password(self):
        urls = ("postgresql://u:it's-secret@h/d", 'postgresql://u:a"secret@h/d', "postgresql://u:a secret@h/d",
                "postgresql://h/d?password=it's-secret", "postgresql://h/d?password=a secret&user=u")
        for url in urls:
            words = self.command_line_of_import("import", "--acknowledge", "--prefix", url)
            self.assertIn(b"postgresql://", words)
            self.assertNotIn(b"secret", words)
        self.assertEqual(self.lines("mget", *(url + "k" for url in urls)), ["v"] * len(urls))

    def test_an_empty_namespace_is_not_the_root(self):
        self.tuskv("set", "k", "v")
        self.refusal("del", "--all", "--yes", "--namespace", "", code=2)
        self.refusal("--namespace=", "get", "k", code=2)
        self.assertEqual(self.text("get", "k"), "v\n")

    def test_a_namespace_where_it_has_no_meaning(self):
        self.tuskv("set", "k", "v")
        for words in (("stats",), ("namespaces",), ("sweep",), ("check",), ("repair",), ("snapshots",),
                      ("snapshots", "take"), ("copy", "file:./tuskv-data", "memory:")):
            self.assertIn("--namespace", self.refusal(*words, "--namespace", "n", code=2))
        self.tuskv("--namespace", "n", "shell", stdin="stats\nnamespaces\ncheck\n")

    def test_a_read_makes_no_store(self):
        for words in (("get", "k"), ("scan",), ("stats",), ("export",), ("ttl", "k"), ("namespaces",), ("check",)):
            self.refusal(*words, code=2)
        for words in (("get", "k"), ("set", "k", "v")):
            self.assertIn("create is false", self.refusal(*words, "--store", "file:./s?create=false", code=2))
            self.assertIn("timeot", self.refusal(*words, "--store", "file:./s?timeot=5s", code=2))
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_store_that_is_open_elsewhere(self):
        holder = self.start("import", "--acknowledge", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holder.stdin.write(b'{"key":"k","value":"v"}\n')
        holder.stdin.flush()
        self.assertEqual(holder.stdout.readline(), b"1\n")
        self.assertIn(str(holder.pid), self.refusal("get", "k", "--timeout", "1ms", code=3))
        self.refusal("check", "--timeout", "100ms", code=3)
        waiting = [self.start("--timeout", "1m", *words, stdout=subprocess.PIPE)
                   for words in (("get", "k"), ("check",), ("get", "k", "--store", "FILE:./tuskv-data"),
                                 ("snapshots",))]
        for process in waiting:
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(0.05)
        holder.communicate()
        for process in waiting:
            process.communicate()
            self.assertEqual(process.returncode, 0, process.args)

    def test_uses_at_the_same_time_take_turns(self):
        running = [self.start("--timeout", "1m", "incr", "n", stdout=subprocess.DEVNULL) for _ in range(20)]
        self.assertEqual([process.wait() for process in running], [0] * 20)
        self.assertEqual(self.text("get", "n"), "20\n")

    def catches(self, process, number):
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
            return any(line.startswith("SigCgt:") and int(line.split()[1], 16) >> (number - 1) & 1 for line in status)

    def test_waiting_can_be_interrupted(self):
        holder = self.start("import", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        while not os.path.exists(self.path("tuskv-data/MANIFEST")):
            self.assertIsNone(holder.poll())
        waiting = self.start("--timeout", "1m", "get", "k")
        while not self.catches(waiting, signal.SIGINT):
            time.sleep(0.01)
        with self.assertRaises(subprocess.TimeoutExpired):
            waiting.wait(0.1)
        waiting.send_signal(signal.SIGINT)
        self.assertEqual(waiting.wait(), -signal.SIGINT)
        holder.communicate()

    def test_messages_carry_no_control_characters(self):
        self.assertIn("\\x1b", self.refusal("help", "\x1b[31m", code=2))
        self.refusal("get", "a\nb", "c\nd", code=2)

    def test_help(self):
        text = self.text("--help")
        for needed in ("get", "snapshots", "Exit codes:", "durability=", "TUSKV_STORE"):
            self.assertIn(needed, text)
        self.assertEqual(self.text("help"), text)
        self.assertIn("--keep-ttl", self.text("set", "--help"))
        self.assertIn("Usage: tuskv cas [OPTIONS] KEY OLD NEW | --absent KEY NEW\n", self.text("cas", "--help"))
        self.assertFalse(text.endswith("\n\n"))
        for verb, said in (("get", "Exit code 1 if it is missing"), ("set", "otherwise exit code 1"),
                           ("cas", "otherwise exit code 1"), ("expire", "Exit code 1 if it is missing"),
                           ("set", "2030-01-31T12:00:00Z"), ("expire", "2030-01-31T12:00:00Z"),
                           ("repair", "Exit code 0 also when"), ("import", '"expires_at_ms": MS'),
                           ("import", "passed removes the key"), ("import", "nor the key a tab"),
                           ("scan", "export or --json keep every byte"), ("mget", "--json tells them apart"),
                           ("sweep", "takes a snapshot"), ("snapshots", "that no program has open; a program takes"),
                           ("bench", "must be empty"), ("lock", "it gets twice"),
                           ("import", "numbers stay as they are written"),
                           ("check", "or its file: URL"), ("repair", "or its file: URL"),
                           ("shell", "exit or quit ends it"),
                           ("shell", "~/.tuskv_history"), ("shell", '\\n, \\t, \\xHH, \\" and \\\\ stand')):
            self.assertIn(said, " ".join(self.text("help", verb).split()), verb)
        self.assertEqual(self.text("help", "set"), self.text("set", "-h"))
        self.assertEqual(self.text("help", "lock", "run"), self.text("lock", "run", "--help"))

    def test_version(self):
        self.assertRegex(self.text("version"), r"^tuskv \d+\.\d+\.\d+\n$")
        self.assertEqual(self.text("--version"), self.text("version"))
        self.assertEqual(self.json("version")["version"], self.text("version").split()[1])

    def test_a_reader_that_leaves_is_no_error(self):
        self.tuskv("import", "--format", "tsv", stdin="".join(f"key{i}\t{'v' * 100}\n" for i in range(5000)))
        process = self.start("scan", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()
        self.assertEqual(process.wait(), 128 + signal.SIGPIPE)

    def test_stdout_that_cannot_be_written(self):
        self.tuskv("set", "k", "v")
        with open("/dev/full", "wb") as full:
            process = self.start("get", "k", stdout=full, stderr=subprocess.PIPE)
            self.assertIn(b"standard output", process.communicate()[1])
            self.assertEqual(process.returncode, 9)
        closed = subprocess.run(["bash", "-c", f'"{BINARY}" get k >&-'], cwd=self.directory, env=self.environment,
                                stderr=subprocess.PIPE, check=False)
        self.assertEqual(closed.returncode, 9, closed.stderr)

    def test_closed_descriptors_do_not_reach_the_files_of_the_store(self):
        self.tuskv("set", "k", "v")
        for redirection in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            subprocess.run(["bash", "-c", f'"{BINARY}" mset a 1 b 2 {redirection}; "{BINARY}" get k {redirection}'],
                           cwd=self.directory, env=self.environment, stderr=subprocess.DEVNULL, check=False)
            self.tuskv("check")
        self.assertEqual(self.text("mget", "a", "b", "k"), "1\n2\nv\n")

    def test_a_file_size_limit_is_an_error_like_a_full_disk(self):
        self.tuskv("set", "k", "v")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        code, _, err = self.finish("set", "large", "-x", stdin=b"x" * (8 << 20), preexec_fn=limit)
        self.assertEqual(code, 9, err)
        self.assertEqual(self.text("get", "k"), "v\n")
        self.tuskv("exists", "large", code=1)

    def test_the_locale_changes_nothing(self):
        self.tuskv("set", "n", "1")
        for locale in ("C", "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8", "nonsense"):
            self.environment["LC_ALL"] = locale
            self.assertRegex(self.text("stats"), r"(?m)^entries +1$")
            self.assertEqual(self.text("incr", "n", "1000"), self.text("get", "n"))


class BadInputTest(ToolTest):
    def check(self, cases):
        """Each case: the words, the exit code, and what the message must say. Nothing may change."""
        self.tuskv("mset", "kept", "v", "text", "abc", "largest", str(2 ** 63 - 1))
        before = self.text("scan")
        for words, code, needed in cases:
            message = self.refusal(*words, code=code)
            for part in needed:
                self.assertIn(part, message, words)
        self.assertEqual(self.text("scan"), before)

    def test_keys_values_and_namespaces(self):
        self.check((
            (("set", "", "v"), 2, ("key", "empty")),
            (("get", ""), 2, ("key", "empty")),
            (("set", "k" * 1025, "v"), 2, ("key", "1025 bytes", "1024")),
            (("mset", "a", "1", "k" * 1025, "2"), 2, ("key", "1025 bytes", "1024")),
            (("set", "k", "12345", "--store", "file:./tuskv-data?max_value_bytes=4B"), 2, ("value", "5 bytes", "4")),
            (("set", "k", "v", "--namespace", "n" * 256), 2, ("namespace", "256 bytes", "255")),
            (("set", "k", "v", "--store", ""), 2, ("--store", "empty")),
            (("scan", "--glob", "*" * 1025), 2, ("glob", "1025 bytes", "1024")),
            (("search", ""), 2, ("search for", "empty")), (("find", "c", "f", "Paris"), 2, ("not JSON", "quotes")),
            (("incr", "text"), 8, ("text", "not an integer")),
            (("incr", "largest"), 8, ("largest", "64-bit")),
            (("incr", "kept", "9" * 30), 2, ("BY", "64-bit integer", "9" * 30)),
        ))

    def test_times(self):
        self.check((
            (("set", "k", "v", "--ttl", "0"), 2, ("ttl", "positive")),
            (("set", "k", "v", "--ttl=-1s"), 2, ("ttl", "positive")),
            (("set", "k", "v", "--ttl", "52200w"), 2, ("ttl", "1000 years")),
            (("set", "k", "v", "--ttl", "9" * 17 + "d"), 2, ("ttl", "1000 years")),
            (("set", "k", "v", "--ttl", "9" * 30), 2, ("ttl", "1000 years")),
            (("set", "k", "v", "--ttl=-" + "9" * 30), 2, ("ttl", "positive")),
            (("set", "k", "v", "--ttl", "1y"), 2, ("--ttl", "30s")),
            (("set", "k", "v", "--at", "9" * 30), 2, ("expires_at", "9999")),
            (("set", "k", "v", "--at", "tomorrow"), 2, ("--at", "2030-01-31T12:00:00Z")),
            (("expire", "kept", "0"), 2, ("ttl", "positive")),
            (("expire", "kept", "9" * 30), 2, ("ttl", "1000 years")),
            (("expire", "kept", "soon"), 2, ("DURATION", "30s", "soon")),
            (("get", "kept", "--timeout", "0"), 2, ("timeout", "1ms to 1d")),
            (("get", "kept", "--timeout", "2d"), 2, ("timeout", "1ms to 1d")),
        ))

    def test_options(self):
        self.check((
            (("set", "k", "v", "--store", "file:./tuskv-data?timeout=5"), 2, ("timeout", "1ms to 1d", "unit", '"5"')),
            (("set", "k", "v", "--store", "file:./tuskv-data?durability=x"), 2, ("durability", "relaxed", '"x"')),
            (("set", "k", "v", "--store", "file:./tuskv-data?timeot=5s"), 2, ("timeot", 'did you mean "timeout"')),
            (("set", "k", "v", "--store", "memory:?durability=durable"), 2, ("durability", "file:")),
            (("set", "k", "v", "--store", "./tuskv-data"), 2, ("scheme", "file:./tuskv-data")),
        ))

    def test_directories(self):
        os.mkdir(self.path("photos"))
        self.write("photos/cat.jpg", "meow")
        self.write("file", "bytes")
        os.mkdir(self.path("other"))
        self.write("other/MANIFEST", "Manifest-Version: 1.0\n")
        self.check((
            (("set", "k", "v", "--store", "file:./photos"), 2, ("/photos", "not a tuskv store", "cat.jpg")),
            (("check", "./photos"), 2, ("./photos", "not a tuskv store")),
            (("repair", "./photos"), 2, ("./photos", "not a tuskv store")),
            (("set", "k", "v", "--store", "file:./other"), 2, ("other/MANIFEST", "not the manifest")),
            (("set", "k", "v", "--store", "file:./file"), 2, ("/file", "not a directory")),
            (("set", "k", "v", "--store", "file:./no/such"), 9, ("/no/such", "No such file")),
            (("set", "k", "v", "--store", "file:/sys/tuskv"), 9, ("/sys/tuskv",)),  # nobody can make one there
            (("set", "k", "v", "--store", "file:./none?create=false"), 2, ("/none", "does not exist", "create")),
            (("get", "k", "--store", "file:./none"), 2, ("./none", "no store")),
            (("import", "./photos"), 2, ("./photos", "directory")),
            (("import", "/proc/self/mem"), 9, ("cannot read /proc/self/mem", "Input/output error")),
        ))
        self.assertEqual(sorted(os.listdir(self.directory)), ["file", "other", "photos", "tuskv-data"])
        self.assertEqual(os.listdir(self.path("photos")) + os.listdir(self.path("other")), ["cat.jpg", "MANIFEST"])

    def test_a_link_to_the_directory_of_a_store_is_followed(self):
        os.mkdir(self.path("large-disk"))
        os.symlink("large-disk", self.path("link"))
        self.tuskv("set", "k", "v", "--store", "file:./link")
        for store in ("file:./link", "file:./link/", "file:./large-disk"):
            self.assertEqual(self.text("get", "k", "--store", store), "v\n")
        for words in (("check", "link"), ("check", "link/"), ("repair", "link"),
                      ("snapshots", "--store", "file:./link"), ("snapshots", "take", "--store", "file:./link")):
            self.tuskv(*words)
        os.symlink("nowhere", self.path("dangling"))
        self.refusal("set", "k", "v", "--store", "file:./dangling", code=2)
        self.assertTrue(os.path.islink(self.path("link")) and os.path.islink(self.path("dangling")))

    def test_too_few_descriptors(self):
        self.tuskv("set", "k", "v")
        for limit in range(4, 8):
            code, _, err = self.finish("set", "k", "w", preexec_fn=lambda n=limit: resource.setrlimit(
                resource.RLIMIT_NOFILE, (n, n)))
            if code == 0:
                break
            self.assertEqual((code, b"Too many open files" in err), (9, True), err)
            self.assertEqual(self.text("get", "k"), "v\n")


class FullDiskTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tuskv", self.disk], check=False,
                                 stderr=subprocess.DEVNULL)
        if mounted.returncode != 0:
            self.skipTest("cannot mount a small file system here")
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)

    def test_what_was_acknowledged_is_there_and_room_is_all_it_takes(self):
        self.environment["TUSKV_STORE"] = "file:./disk/data"
        lines = "".join(f"key{i}\t{'v' * 1000}\n" for i in range(10000))
        code, out, err = self.finish("import", "--format", "tsv", "--batch", "1", "--acknowledge", stdin=lines)
        self.assertEqual(code, 9, err)
        self.assertIn(b"No space left on device", err)
        acknowledged = int(out.split()[-1])
        self.assertGreater(acknowledged, 1000)
        self.assertEqual(self.text("count"), f"{acknowledged}\n")
        self.assertEqual(self.text("get", f"key{acknowledged - 1}"), "v" * 1000 + "\n")
        self.tuskv("check")
        self.assertIn("No space left on device", self.refusal("set", "more", "v" * 100000, code=9))
        self.tuskv("get", "more", code=1)
        subprocess.run(["mount", "-o", "remount,size=16m", self.disk], check=True)
        self.tuskv("set", "more", "v" * 100000)
        self.assertEqual(self.text("count"), f"{acknowledged + 1}\n")
        self.tuskv("check")


class DamageTest(ToolTest):
    def damage_a_snapshot_or_log(self):
        """Turns bytes in the middle of the largest file."""
        files = [os.path.join(folder, name) for folder, _, names in os.walk(self.path("tuskv-data")) for name in names]
        largest = max(files, key=os.path.getsize)
        with open(largest, "r+b") as file:
            file.seek(2000)
            content = file.read(64)
            self.assertNotEqual(content.strip(b"\0"), b"", largest)
            file.seek(2000)
            file.write(bytes(byte ^ 0xFF for byte in content))

    def fill(self):
        self.tuskv("import", "--format", "tsv", "--batch", "1",
                   stdin="".join(f"key{i}\t{'v' * 100}\n" for i in range(100)))

    def test_check_of_a_sound_store(self):
        self.fill()
        self.assertRegex(self.text("check"), r"(?m)^damage +none$")
        document = self.json("check")
        self.assertEqual((document["entries"], document["damage"]), (100, []))
        self.assertEqual(self.json("check", "./tuskv-data"), document)
        self.assertEqual(self.json("repair")["changed"], False)

    def test_damage_is_found_reported_and_repaired(self):
        self.fill()
        self.damage_a_snapshot_or_log()
        self.assertTrue(self.refusal("get", "key1", code=6).endswith(": run tuskv check"))
        checked = self.text("check", code=6)
        self.assertRegex(checked, r"(?m)^damage +.+offset \d+: ")
        self.assertNotIn("entries", checked)
        self.assertNotIn("shorter", checked)  # an orderly close has cut the file
        document = self.json("check", code=6)
        self.assertEqual((document["entries"], document["records"]), (None, None))
        damage = document["damage"]
        self.assertTrue(damage and damage[0]["file"] and damage[0]["what"])
        report = self.json("repair")
        self.assertTrue(report["changed"] and os.path.isdir(os.path.join(self.directory, report["backup"])), report)
        self.tuskv("check")
        self.assertEqual(int(self.text("count")), report["entries_kept"])
        self.assertGreater(report["entries_kept"], 50)
        self.assertEqual(report["entries_kept"] + report["records_dropped"], 100)
        self.assertEqual(report["entries_dropped"], 0)

    def test_what_is_lost_with_parts_of_a_snapshot_is_counted(self):
        self.fill()
        ordinal = self.text("snapshots", "take").strip()
        os.remove(self.path(f"tuskv-data/snapshot-{ordinal}/part-3"))
        repaired = self.text("repair")
        kept = int(self.text("count"))
        self.assertLess(kept, 100)
        self.assertRegex(repaired, rf"(?m)^kept +{kept} entries$")
        self.assertRegex(repaired, rf"(?m)^dropped +{100 - kept} entries of the snapshot, 0 records of the log$")


    def test_S105_a_store_without_its_manifest_is_damaged_and_no_stranger(self):
        self.fill()
        os.rename(self.path("tuskv-data/MANIFEST"), self.path("tuskv-data/A"))
        self.assertRegex(self.refusal("get", "key1", code=6), r"holds \S+ and no MANIFEST.*: run tuskv check$")
        self.refusal("set", "key1", "v", code=6)
        self.assertEqual(self.text("check", code=6).count("MANIFEST"), 1)
        self.assertEqual(self.json("repair")["entries_kept"], 100)
        self.assertEqual(self.text("count"), "100\n")

    def test_one_line_for_a_snapshot_that_is_missing(self):
        self.fill()
        ordinal = self.text("snapshots", "take").strip()
        shutil.rmtree(self.path(f"tuskv-data/snapshot-{ordinal}"))
        self.assertEqual([line.split(maxsplit=1)[1] for line in self.lines("check", code=6) if "damage" in line],
                         [f"./tuskv-data/snapshot-{ordinal}: the directory is missing"])


class SnapshotTest(ToolTest):
    def test_take_list_restore_and_prune(self):
        self.tuskv("set", "k", "old", "--store", "file:./tuskv-data?keep_snapshots=10")
        self.environment["TUSKV_STORE"] = "file:./tuskv-data?keep_snapshots=10"
        taken = self.json("snapshots", "take")
        self.assertEqual(taken["entries"], 1)
        self.tuskv("set", "k", "new")
        self.tuskv("snapshots", "take")
        listed = self.json("snapshots")
        self.assertIn(taken["ordinal"], [each["ordinal"] for each in listed])
        self.assertEqual(len(self.lines("snapshots", "list")), len(listed))
        self.tuskv("snapshots", "restore", str(taken["ordinal"]))
        self.assertEqual(self.text("get", "k"), "old\n")
        before = len(self.json("snapshots"))
        removed = int(self.text("snapshots", "prune", "0"))
        self.assertEqual((removed, len(self.json("snapshots"))), (before - 1, 1))
        self.assertEqual(self.text("get", "k"), "old\n")
        self.refusal("snapshots", "restore", "999999", code=2)


if __name__ == "__main__":
    unittest.main()
