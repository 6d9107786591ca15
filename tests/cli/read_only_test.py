"""Directories that are only read: by several at once, because nothing can be written, or because nothing shall be."""
import os
import subprocess
import unittest

from tool import ToolTest


class ReadOnlyTest(ToolTest):
    def test_a_medium_that_cannot_be_written_is_read(self):
        disk = self.path("disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tuskv", disk], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("cannot mount a small file system here")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        self.environment["TUSKV_STORE"] = "file:./disk/data"
        self.tuskv("set", "k", "v")
        self.tuskv("snapshots", "take")
        self.tuskv("set", "k", "w")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        self.assertEqual(self.text("get", "k"), "w\n")
        self.assertEqual(self.text("get", "k", "--store", "file:./disk/data/snapshot-1"), "v\n")
        self.assertEqual(self.text("scan", "--keys-only"), "k\n")
        self.assertIn('"k"', self.text("export"))
        self.assertRegex(self.text("check"), r"(?m)^damage +none$")
        self.assertEqual(len(self.json("snapshots")), 1)
        self.tuskv("doctor")
        self.tuskv("copy", "file:./disk/data", "file:./copy")
        self.assertEqual(self.text("get", "k", "--store", "file:./copy"), "w\n")
        for words in (("set", "k", "x"), ("del", "k"), ("snapshots", "take")):
            self.assertIn("cannot be written", self.refusal(*words, code=2))
        for words in (("repair",), ("snapshots", "prune", "0")):
            self.assertIn("Read-only file system", self.refusal(*words, code=9))

    def test_readers_share_a_directory(self):
        self.tuskv("set", "k", "v")
        store = "file:./tuskv-data?read_only=true"
        reader = self.start("shell", "--store", store, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
        reader.stdin.write(b"get k\n")
        reader.stdin.flush()
        self.assertEqual(reader.stdout.readline(), b"v\n")
        self.assertEqual(self.text("get", "k", "--store", store), "v\n")
        self.refusal("set", "k", "w", "--timeout", "1ms", code=3)
        reader.communicate()
        self.assertIn("read_only=true", self.refusal("set", "k", "w", "--store", store, code=2))
        for verb in (("set", "k", "v"), ("get", "k")):
            self.assertIn("read_only is true", self.refusal(*verb, "--store", "file:./none?read_only=true", code=2))
        self.assertEqual(self.text("get", "k"), "v\n")

    def test_S94_verbs_that_read_share_a_directory(self):
        self.tuskv("mset", *(word for i in range(2000) for word in (f"k{i:04}", "v" * 1000)))
        scan = self.start("scan", stdout=subprocess.PIPE)  # has more to print than the pipe takes
        self.assertEqual(scan.stdout.read(1), b"k")
        for words in (("get", "k0000"), ("mget", "k0000"), ("exists", "k0000"), ("ttl", "k0000"), ("count",),
                      ("scan", "--limit", "1"), ("search", "v", "--limit", "1"), ("namespaces",), ("stats",),
                      ("export",),
                      ("copy", "file:./tuskv-data", "file:./copy"), ("lock", "holder", "k"), ("claim", "list", "o")):
            self.assertIn(self.finish(*words)[0], (0, 1), words)
        for words in (("set", "k0000", "w"), ("snapshots", "take"), ("doctor",), ("sweep",)):
            self.refusal(*words, "--timeout", "1ms", code=3)
        scan.communicate()
        self.assertEqual(scan.returncode, 0)
        self.tuskv("set", "k0000", "w")

    def test_S94_a_script_of_the_shell_reads_and_writes(self):
        self.tuskv("set", "k", "v")
        self.assertEqual(self.text("shell", stdin="get k\nset k w\nget k\n"), "v\nw\n")

    def test_S94_an_empty_directory_is_no_store_to_read(self):
        os.mkdir(self.path("tuskv-data"))
        for _ in range(2):
            self.assertIn("no store at ./tuskv-data yet", self.refusal("get", "k", code=2))
            self.assertEqual(os.listdir(self.path("tuskv-data")), [])
        store = "file:./tuskv-data?create=false"
        self.assertIn("create is false", self.refusal("set", "k", "v", "--store", store, code=2))
        self.assertEqual(os.listdir(self.path("tuskv-data")), [])
        self.tuskv("set", "k", "v")

    def test_S95_a_store_that_is_only_read_is_not_maintained(self):
        self.tuskv("set", "k", "v")
        self.tuskv("snapshots", "take")
        self.tuskv("set", "k", "w")
        before = self.json("snapshots")
        store = "file:./tuskv-data?read_only=true"
        for words in (("snapshots", "prune", "0"), ("snapshots", "restore", "1"), ("snapshots", "take"), ("repair",)):
            self.assertIn("read_only=true", self.refusal(*words, "--store", store, code=2))
        self.assertIn("read_only=true", self.refusal("repair", store, code=2))
        self.assertEqual(self.json("snapshots", "--store", store), before)
        self.assertEqual(self.text("get", "k", "--store", store), "w\n")

    def test_a_kept_snapshot_in_place_is_only_read(self):
        self.tuskv("set", "k", "old")
        self.tuskv("snapshots", "take")
        self.tuskv("set", "k", "new")
        kept = "file:./tuskv-data/snapshot-1"
        self.assertIn("kept snapshot", self.refusal("set", "k", "changed", "--store", kept, code=2))
        self.assertEqual(self.text("get", "k", "--store", kept), "old\n")
        self.assertEqual(self.text("get", "k"), "new\n")


if __name__ == "__main__":
    unittest.main()
