"""Verbs on entries named one by one."""
import time
import unittest

from tool import ToolTest

BINARY_BYTES = bytes(range(256))


class PointTest(ToolTest):
    def test_set_and_get(self):
        self.assertEqual(self.text("set", "user:1", "Alice"), "")
        self.assertEqual(self.text("get", "user:1"), "Alice\n")
        self.assertEqual(self.text("get", "-n", "user:1"), "Alice")
        self.assertEqual(self.text("get", "nobody", code=1), "")

    def test_get_json_tells_all_of_an_entry(self):
        before = int(time.time() * 1000) - 1
        self.tuskv("set", "k", "v", "--ttl", "1h")
        entry = self.json("get", "k")
        self.assertEqual((entry["key"], entry["value"]), ("k", "v"))
        self.assertGreaterEqual(entry["created_at_ms"], before)
        self.assertEqual(entry["updated_at_ms"], entry["created_at_ms"])
        self.assertGreater(entry["version"], 0)
        self.assertAlmostEqual(entry["expires_at_ms"], before + 3_600_000, delta=60_000)
        self.assertEqual(self.json("get", "none", code=1), {"key": "none", "value": None})

    def test_values_pass_byte_for_byte(self):
        self.tuskv("set", "k", "-x", stdin=BINARY_BYTES)
        self.assertEqual(self.tuskv("get", "-n", "k"), BINARY_BYTES)
        self.assertEqual(self.json("get", "k")["value"].keys(), {"base64"})
        self.tuskv("set", "empty", "")
        self.assertEqual(self.tuskv("get", "empty"), b"\n")
        self.tuskv("set", "none", "-x")
        self.assertEqual(self.tuskv("get", "-n", "none"), b"")

    def test_a_large_value_passes_whole(self):
        value = BINARY_BYTES * 40_000
        self.tuskv("set", "large", "-x", stdin=value)
        self.assertEqual(self.tuskv("get", "-n", "large"), value)

    def test_words_that_look_like_something_else_are_data(self):
        words = ["[a,b]", "{}", "++", "%%", "", "-5", "-", "\x01", "\x01x", "get", "a b", "$x", "[", "=", "@f", "//"]
        for word in words:
            self.tuskv("set", "k", word)
            self.assertEqual(self.tuskv("get", "-n", "k"), word.encode(), word)
        for key in words:
            if key:
                self.tuskv("set", key, "as a key")
                self.assertEqual(self.text("get", key), "as a key\n", key)
        self.tuskv("mset", *[word for key in words if key for word in (key, key)])
        keys = [key for key in words if key]
        self.assertEqual([each["value"] for each in self.json("mget", *keys)], keys)

    def test_words_behind_two_dashes_are_data(self):
        self.tuskv("set", "--", "--json", "-x")
        self.tuskv("set", "k", "--", "--ttl")
        self.assertEqual(self.text("get", "--", "--json"), "-x\n")
        self.assertEqual(self.text("get", "k"), "--ttl\n")
        self.assertEqual(self.text("mget", "k", "--", "--json"), "--ttl\n-x\n")

    def test_S152_the_value_of_an_option_is_data(self):
        words = ["\x01", "\x01user", "{}", "[a,b]", "++", "%%", "=", "--"]
        for word in words:
            self.tuskv("mset", "user", "v", "--", word + "1", "v")
            self.assertEqual(self.text("count", f"--prefix={word}"), "1\n", word)
            self.assertEqual(self.text("del", f"--prefix={word}"), "1\n", word)
            self.assertEqual(self.text("scan"), "user\tv\n", word)
            if word.startswith("\x01"):
                self.assertIn("reserved", self.refusal("set", "k", "v", f"--namespace={word}", code=2))
            else:
                self.tuskv("set", "k", "v", f"--namespace={word}")
        self.assertEqual(self.json("namespaces"), sorted(words[2:]))
        for flag in ("--nx=", "--nx=\x01", "--nx={}"):
            self.assertEqual(self.refusal("set", "k", flag, code=2), "set: --nx takes no value")

    def test_settings_before_and_after_the_verb(self):
        self.tuskv("--namespace", "n", "set", "k", "v")
        self.assertEqual(self.text("get", "k", "--namespace", "n"), "v\n")
        self.assertEqual(self.text("get", "--namespace=n", "k"), "v\n")
        self.tuskv("get", "k", code=1)
        self.assertEqual(self.json("count", "--namespace", "n"), {"count": 1})

    def test_set_conditions(self):
        self.tuskv("set", "k", "1", "--xx", code=1)
        self.tuskv("set", "k", "1", "--nx")
        self.tuskv("set", "k", "2", "--nx", code=1)
        self.assertEqual(self.text("get", "k"), "1\n")
        self.tuskv("set", "k", "3", "--xx")
        self.assertEqual(self.text("get", "k"), "3\n")
        self.assertEqual(self.json("set", "k", "4", "--nx", code=1), {"done": False})
        self.assertEqual(self.json("set", "k", "4"), {"done": True})

    def test_set_expiry(self):
        self.tuskv("set", "k", "1", "--ttl", "1h")
        self.tuskv("set", "k", "2", "--keep-ttl")
        self.assertIn(self.text("ttl", "k"), ("3600\n", "3599\n", "3598\n"))
        self.tuskv("set", "k", "3")
        self.assertEqual(self.text("ttl", "k"), "-1\n")
        self.tuskv("set", "k", "4", "--at", "2099-12-31T23:59:59.5Z")
        self.assertEqual(self.json("get", "k")["expires_at_ms"], 4102444799500)
        self.tuskv("set", "k", "4", "--at", "2099-12-31T23:59:59+01:00")
        self.assertEqual(self.json("get", "k")["expires_at_ms"], 4102441199000)
        self.tuskv("set", "k", "5", "--at", "4102444799")
        self.assertEqual(self.json("get", "k")["expires_at_ms"], 4102444799000)
        self.tuskv("set", "k", "6", "--at", "2001-01-01T00:00:00Z")
        self.tuskv("get", "k", code=1)

    def test_ttl_and_expire_and_persist(self):
        self.tuskv("set", "k", "v")
        self.assertEqual(self.text("ttl", "k"), "-1\n")
        self.assertEqual(self.text("ttl", "none", code=1), "-2\n")
        self.tuskv("expire", "k", "100")
        self.assertIn(self.text("ttl", "k"), ("100\n", "99\n", "98\n"))
        self.assertGreater(int(self.text("ttl", "k", "--ms")), 90_000)
        document = self.json("ttl", "k")
        self.assertEqual((document["key"], document["state"]), ("k", "remaining"))
        self.assertEqual(self.json("ttl", "none", code=1)["state"], "missing")
        self.tuskv("persist", "k")
        self.tuskv("persist", "k", code=1)
        self.tuskv("expire", "none", "5m", code=1)
        self.tuskv("expire", "k", "--at", "2001-01-01T00:00:00Z")
        self.tuskv("exists", "k", code=1)
        self.refusal("expire", "k", "0", code=2)
        self.refusal("expire", "k", "soon", code=2)
        self.refusal("expire", "k", code=2)

    def test_counters(self):
        self.assertEqual(self.text("incr", "n"), "1\n")
        self.assertEqual(self.text("incr", "n", "41"), "42\n")
        self.assertEqual(self.text("incr", "n", "-2"), "40\n")
        self.assertEqual(self.text("decr", "n"), "39\n")
        self.assertEqual(self.text("decr", "n", "-1"), "40\n")
        self.assertEqual(self.json("incr", "n"), {"key": "n", "value": 41})
        self.tuskv("incr", "t", "--ttl", "1h")
        self.assertIn(self.text("ttl", "t"), ("3600\n", "3599\n", "3598\n"))
        self.tuskv("set", "max", "9223372036854775807")
        self.refusal("incr", "max", code=8)
        self.tuskv("set", "text", "seven")
        self.refusal("incr", "text", code=8)
        self.assertEqual(self.text("get", "text"), "seven\n")
        for step in ("1.5", "one", "9223372036854775808", ""):
            self.refusal("incr", "n", step, code=2)

    def test_getset(self):
        self.assertEqual(self.text("getset", "k", ""), "")
        self.assertEqual(self.text("getset", "k", "1"), "\n")
        self.assertEqual(self.text("getset", "k", "2"), "1\n")
        self.assertEqual(self.json("getset", "k", "3"), {"key": "k", "value": "2"})
        self.assertEqual(self.text("getset", "k", "-x", stdin="4"), "3\n")

    def test_cas(self):
        self.assertEqual(self.json("cas", "k", "1", "2", code=1),
                         {"done": False, "status": "not_found", "current": None})
        self.tuskv("cas", "k", "--absent", "1")
        self.tuskv("cas", "k", "--absent", "1", code=1)
        self.assertEqual(self.text("cas", "k", "1", "2"), "")
        self.assertEqual(self.json("cas", "k", "1", "3", code=1), {"done": False, "status": "mismatch", "current": "2"})
        self.tuskv("cas", "k", "2", "-x", stdin="from input")
        self.assertEqual(self.text("get", "k"), "from input\n")
        self.refusal("cas", "k", "1", code=2)
        self.refusal("cas", "k", "1", "2", "3", code=2)

    def test_mset_and_mget(self):
        self.tuskv("mset", "a", "1", "b", "2", "a", "3")
        self.assertEqual(self.text("mget", "b", "a"), "2\n3\n")
        self.assertEqual(self.text("mget", "a", "none", "b", code=1), "3\n\n2\n")
        self.assertEqual(self.json("mget", "a", "none", code=1),
                         [{"key": "a", "value": "3"}, {"key": "none", "value": None}])
        self.tuskv("mset", "--nx", "c", "1", "a", "9", code=1)
        self.tuskv("exists", "c", code=1)
        self.tuskv("mset", "c", "-x", stdin="3\n")
        self.assertEqual(self.tuskv("get", "-n", "c"), b"3\n")
        self.refusal("mset", "a", code=2)
        self.refusal("mset", code=2)
        self.refusal("mget", code=2)

    def test_exists_and_del(self):
        self.tuskv("mset", "a", "1", "b", "2", "c", "3")
        self.assertEqual(self.text("exists", "a"), "1\n")
        self.assertEqual(self.text("exists", "a", "a", "b"), "3\n")
        self.assertEqual(self.text("exists", "a", "none", code=1), "1\n")
        self.assertEqual(self.text("del", "a", "none"), "1\n")
        self.assertEqual(self.text("del", "a", code=1), "0\n")
        self.assertEqual(self.json("del", "b"), {"removed": 1})

    def test_del_of_many(self):
        self.tuskv("mset", "a:1", "x", "a:2", "x", "b:1", "x")
        self.tuskv("set", "--namespace", "n", "a:1", "x")
        self.assertEqual(self.text("del", "--prefix", "a:"), "2\n")
        self.assertEqual(self.text("del", "--prefix", "a:"), "0\n")
        self.refusal("del", "--all", code=2)
        self.refusal("del", "--prefix=", code=2)
        self.refusal("del", code=2)
        self.refusal("del", "b:1", "--all", "--yes", code=2)
        self.assertEqual(self.text("del", "--all", "--yes"), "1\n")
        self.assertEqual(self.text("count", "--namespace", "n"), "1\n")


if __name__ == "__main__":
    unittest.main()
