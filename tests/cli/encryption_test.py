"""Encrypted stores: keys from files and the environment, changing them, and no key where it does not belong."""
import json
import os
import signal
import subprocess
import time
import unittest

from tool import BINARY, TIMEOUT_S, ToolTest

OLD = bytes(range(32)).hex()
NEW = bytes(range(100, 132)).hex()
OTHER = bytes(range(200, 232)).hex()
IDS = {OLD: 1, NEW: 2, OTHER: 3}
SECRET = b"PLAINTEXT-THAT-MUST-NOT-SHOW"


def key_lines(*keys):
    return "".join(f"{IDS[key]}:{key}\n" for key in keys)


class EncryptionToolTest(ToolTest):
    """Every test has a file of keys that the environment names, and a store that is not there yet."""

    def setUp(self):
        super().setUp()
        self.give_keys(OLD)

    def give_keys(self, *keys):
        path = self.write("keys", key_lines(*keys))
        os.chmod(path, 0o600)
        self.environment["TUSKV_KEY_FILE"] = path

    def take_keys(self):
        self.environment.pop("TUSKV_KEY_FILE", None)
        self.environment.pop("TUSKV_KEYS", None)

    def refusal_without_keys(self, *words, code=2):
        message = self.refusal(*words, code=code)
        for key in IDS:
            self.assertNotIn(key[:8], message)
        return message


class RotationTest(EncryptionToolTest):
    """The part that PostgreSQL shares (postgres_test.py)."""

    ENTRIES = 10_000
    CALL = "pwrite64"  # one for each value, and a few at the start
    KILLED_AT = (3, 500, 4_000)  # in which call of these

    def entries(self):
        return "".join(f"key{i:05}\tvalue {i}\n" for i in range(self.ENTRIES))

    def kill_at(self, call):
        """Runs reencrypt until it makes the call of this number, and kills it there."""
        code = subprocess.run(
            ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={self.CALL}",
             "-e", f"inject={self.CALL}:signal=KILL:when={call}", BINARY, "reencrypt"],
            cwd=self.directory, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
            timeout=TIMEOUT_S).returncode
        self.assertEqual(code, -signal.SIGKILL, f"{self.CALL} {call}")

    def test_rotation_killed_midway_loses_nothing(self):
        self.tuskv("import", "--format", "tsv", stdin=self.entries())
        self.tuskv("set", "lives", "long", "--ttl", "7d", "--namespace", "n")
        self.tuskv("claim", "take", "name", "owner")
        self.give_keys(NEW, OLD)
        for call in self.KILLED_AT:
            self.kill_at(call)
        finished = self.json("reencrypt")
        self.assertGreaterEqual(finished["examined"], self.ENTRIES + 3)  # a claim is two entries
        print(f"{finished['rewritten']} of {finished['examined']} left for the last run", flush=True)
        # The kills fell in the middle: both before and behind them there was something to do.
        self.assertGreater(finished["rewritten"], 100)
        self.assertLess(finished["rewritten"], self.ENTRIES - 100)
        self.assertEqual(finished["unreadable"], 0)
        self.assertEqual(self.json("reencrypt")["rewritten"], 0)
        self.give_keys(NEW)
        self.assertEqual(self.text("scan", "--limit", str(self.ENTRIES)), self.entries())
        self.assertEqual(self.text("get", "lives", "--namespace", "n"), "long\n")
        self.assertGreater(int(self.text("ttl", "lives", "--namespace", "n")), 6 * 86400)
        self.assertEqual(self.text("claim", "owner", "name"), "owner\n")
        self.give_keys(OLD)
        self.assertIn("key id 2, which is not in the key ring", self.refusal_without_keys("get", "key00000"))

    def test_without_rotation_the_old_key_stays_needed(self):
        self.tuskv("set", "k", "v")
        self.give_keys(NEW)
        self.assertIn("key id 1, which is not in the key ring", self.refusal_without_keys("get", "k"))
        self.give_keys(NEW, OLD)
        self.tuskv("set", "l", "w")
        self.assertEqual(self.lines("mget", "k", "l"), ["v", "w"])
        self.assertEqual(self.text("reencrypt"), "examined 2 entries, rewrote 1\n")
        self.assertEqual(self.text("reencrypt"), "examined 2 entries, rewrote 0\n")
        self.give_keys(NEW)
        self.assertEqual(self.lines("mget", "k", "l"), ["v", "w"])

    def test_expired_entries_are_rewritten_with_the_rest(self):
        """Some mode may show them: the old key is needed as long as they are there."""
        store = self.environment.get("TUSKV_STORE", "file:./tuskv-data")
        store += "&" if "?" in store else "?"
        self.tuskv("--store", store + "ttl_mode=manual", "set", "k", "v", "--ttl", "1ms")
        time.sleep(0.002)
        self.give_keys(NEW, OLD)
        code, out, err = self.finish("--store", store + "ttl_mode=manual", "--json", "reencrypt")
        self.assertEqual((code, json.loads(out)["left"]), (8, 1))
        self.assertIn(b"ttl_mode=disabled", err)
        self.give_keys(NEW)
        self.assertIn("the given keys are not its own", self.refusal_without_keys("get", "k"))
        self.give_keys(NEW, OLD)
        self.assertEqual(self.json("reencrypt")["rewritten"], 1)
        self.give_keys(NEW)
        self.assertEqual(self.text("--store", store + "ttl_mode=disabled", "get", "k"), "v\n")


class ShellTest(EncryptionToolTest):
    def test_S150_expired_entries_are_shown_to_reencrypt_alone(self):
        self.tuskv("--store", "file:./tuskv-data?ttl_mode=manual", "set", "dead", "v", "--ttl", "1ms")
        time.sleep(0.002)
        self.give_keys(NEW, OLD)
        shell = ("--store", "file:./tuskv-data?sweep_interval=1d", "--json", "shell")
        for rewritten, script in ((1, "exists dead\nreencrypt\nexists dead\n"),
                                  (0, "reencrypt\nexists dead\nexists dead\n")):
            documents = [json.loads(line) for line in self.lines(*shell, stdin=script)]
            report = next(each for each in documents if "rewritten" in each)
            self.assertEqual((report["examined"], report["rewritten"], report["left"]), (1, rewritten, 0))
            self.assertEqual([each["exists"] for each in documents if "exists" in each], [0, 0])
        script = "reencrypt\nset dead w --nx\nget dead\nclaim take name owner --ttl 1h\n"
        self.assertEqual(self.text("shell", stdin=script), "examined 1 entries, rewrote 0\nw\n")

    def test_S150_reencrypt_loses_nothing_of_a_memory_store(self):
        script = "set k v\nreencrypt\nget k\n"
        self.assertEqual(self.text("--store", "memory:", "shell", stdin=script), "examined 1 entries, rewrote 0\nv\n")
        script = "reencrypt\nclaim take name owner --ttl 1h\n"
        self.assertEqual(self.text("--store", "memory:", "shell", stdin=script), "examined 0 entries, rewrote 0\n")


class KeyTest(EncryptionToolTest):
    def test_keys_from_a_file_or_the_environment_or_the_url(self):
        self.tuskv("set", "k", "v")
        path = self.path("keys")
        for store, variables in (("file:./tuskv-data", {"TUSKV_KEY_FILE": path}),
                                 ("file:./tuskv-data", {"TUSKV_KEYS": key_lines(OLD)}),
                                 (f"file:./tuskv-data?encryption_key_file={path}", {}),
                                 ("file:./tuskv-data?encryption_key_file=./keys", {"TUSKV_KEYS": key_lines(NEW)})):
            self.take_keys()
            self.environment.update(variables)
            self.assertEqual(self.text("--store", store, "get", "k"), "v\n", store)
        self.environment["TUSKV_KEY_FILE"] = path
        self.assertIn("both set", self.refusal("get", "k", code=2))

    def test_what_is_set_but_empty_is_no_word_for_plain_text(self):
        for name in ("TUSKV_KEY_FILE", "TUSKV_KEYS"):
            self.take_keys()
            self.environment[name] = ""
            self.assertIn(f"{name} is set, but empty", self.refusal("set", "k", "v", code=2))
        self.take_keys()
        self.assertIn("must be the path of a file",
                      self.refusal("--store", "file:./d?encryption_key_file=", "set", "k", "v", code=2))
        self.assertEqual(os.listdir(self.directory), ["keys"])

    def test_S112_what_the_url_says_of_keys_wins_over_the_environment(self):
        file = self.environment["TUSKV_KEY_FILE"]
        self.environment["TUSKV_KEY_FILE"] = "/nonexistent"
        self.tuskv("--store", "file:./plain?encryption_key_file=none", "set", "x", "y")
        self.tuskv("--store", f"file:./encrypted?encryption_key_file={file}", "set", "x", "y")
        self.environment["TUSKV_KEYS"] = key_lines(OLD)
        self.assertEqual(self.text("--store", "file:./plain?encryption_key_file=none", "get", "x"), "y\n")
        self.take_keys()
        self.assertEqual(self.text("--store", "file:./plain", "get", "x"), "y\n")
        self.assertIn("the store is encrypted", self.refusal("--store", "file:./encrypted", "get", "x", code=2))

    def test_verbs_that_read_encrypt_no_store(self):
        plain = ("--store", "file:./tuskv-data?encryption_key_file=none")
        self.tuskv(*plain, "set", "k", "v")
        self.tuskv(*plain, "del", "k")
        self.assertEqual(self.json("stats")["entries"], 0)
        self.assertEqual(self.text("scan"), "")
        self.tuskv(*plain, "set", "k", "v")

    def test_an_encrypted_store_is_not_opened_without_its_keys(self):
        self.tuskv("set", "k", "v")
        self.take_keys()
        self.assertIn("the store is encrypted: it cannot be opened without its keys",
                      self.refusal_without_keys("get", "k"))
        self.assertIn("the store is encrypted",
                      self.refusal("--store", "file:./tuskv-data?encryption_key_file=none", "set", "k", "v", code=2))
        self.give_keys(NEW)
        self.assertIn("the given keys are not its own", self.refusal_without_keys("get", "k"))
        self.environment["TUSKV_KEY_FILE"] = self.write("keys", f"1:{NEW}\n")
        self.assertIn("the given keys are not its own", self.refusal_without_keys("get", "k"))

    def test_a_store_in_plain_text_is_not_opened_with_keys(self):
        self.tuskv("--store", "file:./plain?encryption_key_file=none", "set", "k", "v")
        message = self.refusal("--store", "file:./plain", "get", "k", code=2)
        self.assertIn("tuskv copy FROM TO, where the URL of FROM says encryption_key_file=none", message)
        message = self.refusal("copy", "file:./plain", "file:./tuskv-data", code=2)
        self.assertTrue(message.startswith("FROM: the store holds entries that are not encrypted"), message)
        message = self.refusal("copy", "file:./plain?encryption_key_file=none", "file:./plain2/../plain3/x", code=9)
        self.assertTrue(message.startswith("TO: "), message)
        self.tuskv("copy", "file:./plain?encryption_key_file=none", "file:./tuskv-data")
        self.assertEqual(self.text("get", "k"), "v\n")
        self.tuskv("copy", "file:./tuskv-data", "file:./back?encryption_key_file=none")
        self.take_keys()
        self.assertEqual(self.text("--store", "file:./back", "get", "k"), "v\n")

    def test_files_that_are_no_key_files(self):
        path = self.path("keys")
        for mode in (0o644, 0o604, 0o660):
            os.chmod(path, mode)
            self.assertIn(f"TUSKV_KEY_FILE={path}: the key file can be read or written by others",
                          self.refusal_without_keys("set", "k", "v"))
        os.chmod(path, 0o600)
        self.write("keys", key_lines(OLD) + OLD)
        self.assertIn("the key file, line 2: a key is written ID:KEY", self.refusal_without_keys("set", "k", "v"))
        # A key where the name of a file belongs.
        self.environment["TUSKV_KEY_FILE"] = f"1:{OLD}"
        self.assertIn("TUSKV_KEY_FILE: the key file cannot be opened", self.refusal_without_keys("set", "k", "v"))
        self.environment["TUSKV_KEY_FILE"] = "no/such-keys"
        self.assertIn("TUSKV_KEY_FILE=no/such-keys: the key file cannot be opened: No such file",
                      self.refusal_without_keys("set", "k", "v"))
        self.take_keys()
        self.assertIn('option "encryption_key_file": the key file cannot be opened',
                      self.refusal_without_keys("--store", f"file:./d?encryption_key_file=1:{OLD}", "set", "k", "v"))
        self.environment["TUSKV_KEYS"] = OLD
        self.assertIn("the environment variable TUSKV_KEYS, line 1: a key is written ID:KEY",
                      self.refusal_without_keys("set", "k", "v"))
        self.assertEqual(os.listdir(self.directory), ["keys"])  # a mistake makes no store

    def test_a_value_that_cannot_be_decrypted(self):
        self.tuskv("set", "a", "v")
        self.give_keys(OTHER, OLD)
        self.tuskv("set", "k", "w")
        self.give_keys(NEW, OLD)
        named = 'the value of key "k" cannot be decrypted: it names key id 3, which is not in the key ring'
        for words in (("get", "k"), ("incr", "k"), ("getset", "k", "x"), ("scan",), ("export",)):
            self.assertEqual(self.refusal_without_keys(*words, code=8), named)
        self.assertEqual(self.text("get", "a"), "v\n")
        code, out, err = self.finish("reencrypt")
        self.assertEqual((code, out), (8, b"examined 2 entries, rewrote 1\n"))
        self.assertEqual(err, b"tuskv: values that these keys cannot decrypt, and that are left as they are: 1; "
                              b'the first is that of key "k"\n')
        # The old key is needed as long as that is so: the mark of the store is under it.
        self.give_keys(NEW)
        self.assertIn("the given keys are not its own", self.refusal_without_keys("get", "a"))
        self.give_keys(NEW, OLD)
        self.tuskv("set", "k", "x")
        self.tuskv("reencrypt")
        self.give_keys(NEW)
        self.assertEqual(self.lines("mget", "a", "k"), ["v", "x"])

    def test_a_store_that_is_not_encrypted_has_nothing_to_reencrypt(self):
        self.take_keys()
        self.tuskv("set", "k", "v")
        self.assertIn("the store is not encrypted", self.refusal("reencrypt", code=2))
        self.assertIn("--namespace", self.refusal("reencrypt", "--namespace", "n", code=2))


class PlaintextTest(EncryptionToolTest):
    def bytes_on_disk(self):
        found = b""
        for folder, _, names in os.walk(self.path("tuskv-data")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found += file.read()
        return found

    def test_no_value_is_in_the_files(self):
        secret = SECRET.decode()
        self.tuskv("set", "marks-the-key", secret)
        self.tuskv("mset", "a", secret, "b", secret + "-2")
        self.tuskv("getset", "a", secret + "-3")
        self.tuskv("cas", "b", secret + "-2", secret + "-4")
        self.tuskv("claim", "take", "name", "owner")
        self.tuskv("lock", "run", "job", "--", "true")
        self.environment["TUSKV_KEYS"] = key_lines(OLD)
        del self.environment["TUSKV_KEY_FILE"]
        given = self.text("lock", "run", "job", "--", "env")
        self.assertIn("PATH=", given)
        self.assertNotIn(OLD, given)
        self.tuskv("snapshots", "take")
        self.assertEqual(self.text("get", "a"), secret + "-3\n")
        found = self.bytes_on_disk()
        self.assertIn(b"marks-the-key", found)
        self.assertNotIn(SECRET, found)
        self.assertNotIn(bytes.fromhex(OLD), found)

    def test_an_export_is_in_plain_text(self):
        self.tuskv("set", "k", SECRET.decode())
        self.assertEqual(json.loads(self.tuskv("export"))["value"], SECRET.decode())

    def test_no_key_in_what_is_told(self):
        self.tuskv("set", "k", "v")
        told = self.text("stats") + self.text("doctor", code=0) + self.text("--json", "stats") + self.text("--help")
        self.assertIn("encryption    AES-256-GCM; new values with key id 1", told)
        self.assertNotIn(OLD[:8], told)
        self.assertEqual(self.json("stats")["entries"], 1)  # not the mark of an encrypted store


if __name__ == "__main__":
    unittest.main()
