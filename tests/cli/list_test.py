"""Verbs that list, and those on the store as a whole."""
import json
import os
import time
import unittest

from tool import ToolTest


class ListTest(ToolTest):
    def fill(self):
        self.tuskv("mset", "a", "1", "b:1", "2", "b:2", "3", "b:10", "4", "c", "5")

    def test_scan(self):
        self.fill()
        self.assertEqual(self.text("scan"), "a\t1\nb:1\t2\nb:10\t4\nb:2\t3\nc\t5\n")
        self.assertEqual(self.text("scan", "--prefix", "b:"), "b:1\t2\nb:10\t4\nb:2\t3\n")
        self.assertEqual(self.text("scan", "--glob", "b:?"), "b:1\t2\nb:2\t3\n")
        self.assertEqual(self.text("scan", "--after", "b:10", "--keys-only"), "b:2\nc\n")
        self.assertEqual(self.text("scan", "--limit", "2", "--keys-only"), "a\nb:1\n")
        self.assertEqual(self.text("scan", "--reverse", "--keys-only", "--limit", "2"), "c\nb:2\n")
        self.assertEqual(self.text("scan", "--reverse", "--after", "b:1", "--keys-only"), "a\n")
        self.assertEqual(self.text("scan", "--prefix", "none"), "")

    def test_ranges(self):
        self.fill()
        between = ("--from", "b:1", "--to", "b:2")
        self.assertEqual(self.text("scan", *between), "b:1\t2\nb:10\t4\n")
        self.assertEqual(self.lines("scan", "--keys-only", "--from", "b:2"), ["b:2", "c"])
        self.assertEqual(self.lines("scan", "--keys-only", "--to", "b:10", "--reverse"), ["b:1", "a"])
        self.assertEqual(self.text("scan", "--from", "c", "--to", "a"), "")
        self.assertEqual(self.text("count", *between), "2\n")
        self.assertEqual(self.text("count", *between, "--after", "b:1"), "1\n")
        self.assertEqual(self.text("search", "4", *between), "b:10\t4\n")
        self.assertEqual(self.text("del", *between), "2\n")
        self.assertEqual(self.text("del", "--from", "c"), "1\n")
        self.assertEqual(self.text("del", "--to", "b"), "1\n")
        self.assertEqual(self.text("scan", "--keys-only"), "b:2\n")
        # An unset variable of a script must not mean everything.
        for words in (("del", "--from="), ("del", "--to", ""), ("scan", "--from", "a", "--to=")):
            self.assertIn("not an empty text", self.refusal(*words, code=2))
        for words in (("del", "b:2", "--from", "a"), ("del", "--prefix", "b", "--to", "c"),
                      ("del", "--all", "--yes", "--from", "a")):
            self.assertIn("del takes", self.refusal(*words, code=2))

    def test_scan_of_more_than_a_page(self):
        lines = "".join(f"key{i:05}\tvalue {i}\n" for i in range(3000))
        self.tuskv("import", "--format", "tsv", stdin=lines)
        self.assertEqual(self.text("scan"), lines)
        self.assertEqual(len(self.lines("scan", "--limit", "1234")), 1234)
        self.assertEqual(self.lines("scan", "--keys-only", "--reverse"), [f"key{i:05}" for i in reversed(range(3000))])

    def test_scan_json_is_one_document_a_line(self):
        self.fill()
        self.tuskv("set", b"\xff\x00".replace(b"\x00", b"\x01"), "z", "--at", "2099-01-01T00:00:00Z")
        documents = [json.loads(line) for line in self.lines("scan", "--json")]
        self.assertEqual(documents[0], {"key": "a", "value": "1"})
        self.assertEqual(documents[-1], {"key": {"base64": "/wE="}, "value": "z", "expires_at_ms": 4070908800000})
        self.assertEqual([json.loads(line) for line in self.lines("scan", "--json", "--keys-only", "--limit", "1")],
                         [{"key": "a"}])

    def test_values_pass_raw_into_a_pipe(self):
        self.tuskv("set", "k", "-x", stdin=b"\x1b[31mred\x07\n")
        self.assertEqual(self.tuskv("scan"), b"k\t\x1b[31mred\x07\n\n")

    def test_count(self):
        self.fill()
        self.assertEqual(self.text("count"), "5\n")
        self.assertEqual(self.text("count", "--prefix", "b:"), "3\n")
        self.assertEqual(self.json("count", "--glob", "b:1*"), {"count": 2})

    def test_count_counts_what_scan_prints(self):
        self.fill()
        for options in ((), ("--after", "b:1"), ("--limit", "2"), ("--after", "b:2", "--limit", "9"),
                        ("--after", "b:2", "--reverse"), ("--glob", "b:*", "--limit", "2"), ("--after", "z")):
            self.assertEqual(int(self.text("count", *options)), len(self.lines("scan", *options)), options)
        lines = "".join(f"key{i:05}\tvalue {i}\n" for i in range(1200))
        self.tuskv("import", "--format", "tsv", stdin=lines)
        self.assertEqual(self.text("count", "--after", "key", "--limit", "1100"), "1100\n")
        self.assertEqual(self.json("count", "--after", "key00099"), {"count": 1100})

    def test_search(self):
        self.tuskv("mset", "a:1", "Hello", "a:2", "other", "b:1", "say hello", "b:2", "HELLO")
        self.assertEqual(self.text("search", "hello"), "b:1\tsay hello\n")
        self.assertEqual(self.lines("search", "hello", "--ignore-case"), ["a:1\tHello", "b:1\tsay hello", "b:2\tHELLO"])
        self.assertEqual(self.text("search", "ello", "--prefix", "a:"), "a:1\tHello\n")
        self.assertEqual(self.text("search", "ello", "--after", "a:1", "--limit", "1"), "b:1\tsay hello\n")
        self.assertEqual(self.json("search", "other"), {"key": "a:2", "value": "other"})
        self.assertEqual(self.text("search", "nowhere"), "")

    def test_find(self):
        self.tuskv("mset", "c:1", '{"f": 1, "g": "x"}', "c:2", '{"f": 1.0}', "c:3", '{"f": "1"}',
                   "c:4", "no JSON", "d:1", '{"f": 1}')
        self.assertEqual(self.lines("find", "c", "f", "1"), ['c:1\t{"f": 1, "g": "x"}', 'c:2\t{"f": 1.0}'])
        self.assertEqual(self.text("find", "c", "f", '"1"'), 'c:3\t{"f": "1"}\n')
        self.assertEqual(len(self.lines("find", "c", "f", "1", "--text")), 2)
        self.assertEqual(self.text("find", "c", "g", "x", "--text", "--limit", "1"), 'c:1\t{"f": 1, "g": "x"}\n')
        self.assertEqual(self.text("find", "c", "f", "1", "--after", "c:1"), 'c:2\t{"f": 1.0}\n')
        self.assertEqual(self.text("find", "c", "f", "-1"), "")
        self.assertEqual(self.json("find", "c", "f", '"1"'), {"key": "c:3", "value": '{"f": "1"}'})

    def test_pages_follow_each_other(self):
        lines = "".join(f"c:{i:05}\t{{\"f\": {i % 2}}}\n" for i in range(1300))
        self.tuskv("import", "--format", "tsv", stdin=lines)
        self.assertEqual(len(self.lines("find", "c", "f", "1")), 650)
        self.assertEqual(len(self.lines("search", '"f"')), 1300)
        self.assertEqual(len(self.lines("search", '"f"', "--limit", "1001")), 1001)

    def test_namespaces(self):
        self.tuskv("set", "k", "v")
        self.tuskv("set", "k", "v", "--namespace", "two")
        self.tuskv("set", "k", "v", "--namespace", "one")
        self.assertEqual(self.lines("namespaces"), ["one", "two"])
        self.assertEqual(self.json("namespaces"), ["one", "two"])

    def test_stats(self):
        self.fill()
        document = self.json("stats")
        self.assertEqual((document["engine"], document["durability"], document["entries"]), ("file", "durable", 5))
        self.assertLessEqual({"log_bytes", "syncs", "synced_sequence", "newest_snapshot"}, set(document))
        self.assertRegex(self.text("stats"), r"(?m)^entries +5$")
        self.assertRegex(self.text("stats"), r"(?m)^key_bytes +17$")
        self.tuskv("set", "large", "v" * 2048)
        self.assertRegex(self.text("stats"), r"(?m)^value_bytes_max +2048 \(2.0 KiB\)$")

    def test_stats_are_those_that_the_engine_has(self):
        document = self.json("stats", "--store", "memory:")
        self.assertEqual(document["entries"], 0)
        self.assertFalse({"durability", "log_bytes", "syncs", "snapshots", "recovered_records"} & set(document))
        self.assertNotIn("log_bytes", self.text("stats", "--store", "memory:"))

    def test_help_tells_which_documents_are_lines_and_which_an_array(self):
        self.fill()
        said = " ".join(self.text("--help").split())
        lines, arrays = said.split("With --json, ", 1)[1].split(" print a document a line; ", 1)
        arrays = arrays.split(" print one array", 1)[0]
        for verb, *words in (("scan",), ("search", "1"), ("export",)):
            self.assertIn(verb, lines)
            self.assertGreater(len([json.loads(line) for line in self.lines(verb, *words, "--json")]), 0)
        for verb, *words in (("mget", "a", "b:1"), ("doctor",), ("namespaces",), ("snapshots",)):
            self.assertIn(verb, arrays)
            self.assertIsInstance(self.json(verb, *words), list)

    def test_doctor(self):
        self.refusal("doctor", code=2)
        self.fill()
        document = self.json("doctor")
        self.assertEqual([each["topic"] for each in document],
                         ["durability", "log", "snapshots", "disk", "entries", "expired"])
        self.assertEqual({each["severity"] for each in document}, {"ok"})
        self.assertRegex(self.text("doctor"), r"(?m)^ok       durability    durable: every write")
        self.assertRegex(self.text("doctor", "--store", "memory:"), r"^ok       durability    in memory: ")
        self.assertIn("--namespace", self.refusal("doctor", "--namespace", "n", code=2))

    def test_sweep(self):
        self.environment["TUSKV_STORE"] = "file:./tuskv-data?ttl_mode=manual"
        self.tuskv("mset", "a", "1", "b", "2", "--ttl", "1ms")
        self.tuskv("set", "c", "3")
        time.sleep(0.05)
        self.assertEqual(self.text("count"), "1\n")
        script = "stats --json\nsweep --limit 1\nsweep --json\nsweep\nstats --json\n"
        before, *removed, after = self.lines("shell", stdin=script)
        self.assertEqual(removed, ["1", '{"removed":1}', "0"])
        self.assertEqual((json.loads(before)["expired"], json.loads(after)["expired"]), (2, 0))

    def test_S168_a_sweep_ends_when_nothing_is_left(self):
        self.environment["TUSKV_STORE"] = "file:./tuskv-data?ttl_mode=manual"
        entries = "".join("mset --ttl 1ms " + " ".join(f"k{i}:{j} v" for j in range(5000)) + "\n" for i in range(40))
        self.tuskv("shell", stdin=entries)
        script = "sweep --limit 150000\nsweep\nsweep\n"
        self.assertEqual(self.lines("--timeout", "1ms", "shell", stdin=script), ["150000", "50000", "0"])

    def test_what_is_swept_stays_away(self):
        self.tuskv("set", "k", "v")
        self.tuskv("set", "short", "a-secret", "--ttl", "1ms")
        time.sleep(0.05)
        self.assertEqual(self.text("sweep"), "1\n")
        self.assertEqual(self.text("sweep"), "0\n")
        self.tuskv("snapshots", "prune", "0")
        with_expired = ("--store", "file:./tuskv-data?ttl_mode=disabled")
        self.tuskv("get", "short", *with_expired, code=1)
        self.assertEqual(self.text("get", "k", *with_expired), "v\n")
        for folder, _, names in os.walk(self.path("tuskv-data")):
            for name in names:
                self.assertNotIn(b"a-secret", self.read(os.path.join(folder, name)), name)
        self.refusal("sweep", "--store", "file:./none", code=2)

    def test_the_store_comes_from_the_option_or_the_environment(self):
        self.tuskv("set", "k", "default")
        self.environment["TUSKV_STORE"] = "file:./other"
        self.tuskv("set", "k", "other")
        self.assertEqual(self.text("get", "k", "--store", "file:./tuskv-data"), "default\n")
        self.assertEqual(self.text("get", "k"), "other\n")
        self.environment["TUSKV_STORE"] = ""
        self.assertIn("TUSKV_STORE", self.refusal("set", "k", "lost", code=2))
        self.assertEqual(self.text("get", "k", "--store", "file:./tuskv-data"), "default\n")


if __name__ == "__main__":
    unittest.main()
