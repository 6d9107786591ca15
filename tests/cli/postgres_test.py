"""The same program on PostgreSQL: the verbs, moving entries in and out, exit codes, and no password anywhere.

TUSKV_TEST_POSTGRES names the file that says where the server is which the tests of a ctest run share
(tests/support/postgres_fixture.cc).
"""
import itertools
import json
import os
import socket
import subprocess
import threading
import time
import unittest

import encryption_test
import point_test
import shell_test
import transfer_test
from tool import ToolTest

with open(os.environ["TUSKV_TEST_POSTGRES"], encoding="utf-8") as addresses:
    HOST, PORT = addresses.read().split()[:2]

numbers = itertools.count()


def url(database="postgres", user="tuskv", **options):
    given = {"host": HOST, "port": PORT, "user": user, **options}
    return f"postgresql:///{database}?" + "&".join(f"{name}={value}" for name, value in given.items())


class Door:
    """A way to the server that can be shut, and what went through it to the server."""

    def __init__(self):
        self.sent = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = [self.listener]
        threading.Thread(target=self.let_in, daemon=True).start()

    def let_in(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if HOST.startswith("/"):
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{HOST}/.s.PGSQL.{PORT}")
            else:
                server = socket.create_connection((HOST, PORT))
            self.sockets += [client, server]
            for way in ((client, server, self.sent), (server, client, [])):
                threading.Thread(target=self.carry, args=way, daemon=True).start()

    @staticmethod
    def carry(source, target, seen):
        try:
            while data := source.recv(65536):
                seen.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def shut(self):
        """Ends every connection; the next one is refused."""
        for each in self.sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()


class PostgresToolTest(ToolTest):
    """Every test starts with a schema that does not exist yet."""

    def setUp(self):
        super().setUp()
        self.schema = f"cli_{os.getpid()}_{next(numbers)}"
        self.environment["TUSKV_STORE"] = url(schema=self.schema)

    def sql(self, command, database="postgres"):
        subprocess.run(["psql", "--quiet", "--no-psqlrc", url(database), "--command", command], check=True)

    def through(self, door):
        """The URL of the store behind it."""
        return url(schema=self.schema, host="127.0.0.1", port=door.port, sslmode="disable")


class PointTest(PostgresToolTest, point_test.PointTest):
    """Every verb on single entries, as on a directory."""


@unittest.skipIf(os.environ.get("TUSKV_ENCRYPTION") == "OFF", "built without OpenSSL")
class EncryptionTest(PostgresToolTest, encryption_test.RotationTest):
    """Keys are changed as on a directory, and no value is in the table."""

    CALL = "sendto"  # one for some hundred values
    KILLED_AT = (9, 20, 40)

    def test_no_value_is_in_the_table(self):
        self.tuskv("set", "marks-the-key", encryption_test.SECRET.decode())
        self.take_keys()
        self.environment["TUSKV_STORE"] += "&table=other"
        self.tuskv("set", "k", encryption_test.SECRET.decode())
        dump = subprocess.run(["pg_dump", "-h", HOST, "-p", PORT, "-U", "tuskv", "-n", self.schema, "postgres"],
                              stdout=subprocess.PIPE, check=True).stdout
        self.assertIn(b"marks-the-key".hex().encode(), dump)
        self.assertEqual(dump.count(encryption_test.SECRET.hex().encode()), 1)  # the one in plain text

    def test_json_columns_take_no_encrypted_values(self):
        self.environment["TUSKV_STORE"] += "&value_type=jsonb"
        self.assertIn("encrypted values are no JSON", self.refusal("set", "k", "1", code=2))


class ListTest(PostgresToolTest):
    def test_listing_and_the_store_as_a_whole(self):
        lines = "".join(f"key{i:04}\tvalue {i}\n" for i in range(1200))
        self.tuskv("import", "--format", "tsv", stdin=lines)
        self.assertEqual(self.text("scan"), lines)
        self.assertEqual(self.lines("scan", "--prefix", "key00", "--limit", "2", "--reverse", "--keys-only"),
                         ["key0099", "key0098"])
        self.assertEqual(self.lines("scan", "--glob", "key*7", "--after", "key1186", "--keys-only"),
                         ["key1187", "key1197"])
        self.assertEqual(self.json("count", "--prefix", "key11"), {"count": 100})
        self.tuskv("set", "k", "v", "--namespace", "n")
        self.assertEqual(self.json("namespaces"), ["n"])
        stats = self.json("stats")
        self.assertEqual((stats["engine"], stats["durability"], stats["entries"]), ("postgresql", "durable", 1201))
        self.assertIn("synced_sequence", stats)
        self.assertFalse({"log_bytes", "syncs", "snapshots", "recovered_records"} & set(stats))
        self.environment["TUSKV_STORE"] += "&ttl_mode=manual"
        self.tuskv("mset", "a", "1", "b", "2", "--ttl", "1ms")
        self.tuskv("set", "c", "3")
        time.sleep(0.05)
        script = "sweep\nsweep --json\ncount\n"
        self.assertEqual(self.lines("shell", stdin=script), ["2", '{"removed":0}', "1201"])
        self.assertEqual(self.text("--json", "bench", "mixed", "--seconds", "1", "--keys", "10", "--threads", "2")[:19],
                         '{"workload":"mixed"')
        self.assertEqual(self.lines("namespaces"), ["n"])

    def test_indexes(self):
        self.assertIn("value_type=jsonb", self.refusal("index", "add", "f", code=2))
        self.environment["TUSKV_STORE"] += "_documents&value_type=jsonb"
        self.assertEqual(self.tuskv("index", "add", "f"), b"")
        self.assertEqual(self.json("index", "add", "f", code=1), {"done": False})
        self.tuskv("set", "c:1", '{"f": 1}')
        self.assertEqual(self.text("find", "c", "f", "1.0"), 'c:1\t{"f": 1}\n')
        self.assertEqual(self.lines("index", "list"), ["f"])
        self.assertEqual(self.json("index", "list"), ["f"])
        self.tuskv("index", "drop", "f")
        self.tuskv("index", "drop", "f", code=1)
        self.assertEqual(self.lines("index", "list"), [])

    def test_a_table_of_the_other_type_is_refused_before_the_first_write(self):
        store = self.environment["TUSKV_STORE"]
        for have, ask in (("jsonb", ""), ("bytea", "&value_type=jsonb")):
            table = f"{store}&table={have}"
            self.tuskv("--store", f"{table}&value_type={have}", "set", "k", "1")
            for words in (("get", "k"), ("set", "k", "{}"), ("doctor",)):
                self.assertIn(f"holds values of type {have}", self.refusal("--store", table + ask, *words, code=2))
            self.assertIn(f"give value_type={have}", self.refusal("--store", table + ask, "get", "k", code=2))

    def test_what_only_a_directory_has_is_refused(self):
        self.tuskv("set", "k", "v")
        for words in (("check",), ("repair",), ("snapshots",), ("snapshots", "prune", "1"),
                      ("snapshots", "restore", "1"), ("check", url(user="u:secret")), ("check", "postgresql://u:secret@host/db")):
            self.assertIn("pg_dump", self.refusal(*words, code=2))
        self.assertIn("pg_dump", self.refusal("snapshots", "take", code=2))

    def test_a_read_makes_no_table(self):
        for words in (("get", "k"), ("scan",), ("stats",), ("export",)):
            self.assertRegex(self.refusal(*words, code=2),
                             "^there is no table .* yet: .* the first verb that writes, such as set$")
        for said in ("create=false", "create=%66alse"):  # then no verb makes it
            refusal = self.refusal("get", "k", "--store", f"{url(schema=self.schema)}&{said}", code=2)
            self.assertRegex(refusal, "^there is no table .* yet: ")
            self.assertNotIn("verb", refusal)


class DoctorTest(PostgresToolTest):
    def test_verdicts_and_exit_code(self):
        self.tuskv("set", "k", "v")
        document = self.json("doctor")
        self.assertEqual((document[0]["topic"], document[0]["value"][:11]), ("server", "PostgreSQL "))
        self.assertNotIn("warning", [each["severity"] for each in document])
        self.assertRegex(self.text("doctor"), r"(?m)^ok       durability    durable: fsync and full_page_writes are on")
        self.sql(f"create rule quiet as on update to {self.schema}.tuskv do also nothing")
        self.assertRegex(self.text("doctor", code=1), r"(?m)^warning  triggers      .*quiet - they run in every write")
        self.assertEqual([each["topic"] for each in self.json("doctor", code=1) if each["severity"] == "warning"],
                         ["triggers"])


class WarningTest(PostgresToolTest):
    def test_a_sweeper_that_fails_says_what_it_tried(self):
        self.tuskv("set", "k", "v")
        role = f"{self.schema}_reader"
        self.sql(f"create role {role} login; grant usage on schema {self.schema} to {role}; "
                 f"grant select on {self.schema}.tuskv to {role}")
        self.addCleanup(self.sql, f"drop owned by {role}; drop role {role}")
        self.environment["TUSKV_STORE"] = url(schema=self.schema, user=role, sweep_interval="10ms")
        shell = self.start("shell", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        shell.stdin.write(b"get k\n")
        shell.stdin.flush()
        try:
            self.assertRegex(shell.stderr.readline(), b"^tuskv: warning: expired entries are not removed: .*denied")
        finally:
            shell.communicate(timeout=30)


class LockTest(PostgresToolTest):
    TIMEOUT_S = 3

    def run_and_shut_the_door(self, ttl, script, pause_s=0.0):
        """`lock run` of a script that prints a line, finds the server gone, and is sent a line after a pause: the exit
        code and stderr. From then on it waits for the server once."""
        self.tuskv("set", "k", "v")
        door = Door()
        process = self.start("--store", self.through(door), "--timeout", f"{self.TIMEOUT_S}s", "lock", "run", "job",
                             "--ttl", ttl, "--", "sh", "-c", "echo ready; " + script, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ready = process.stdout.readline()
        door.shut()
        time.sleep(pause_s)
        begin = time.monotonic()
        err = process.communicate(b"go on\n")[1].decode()
        seconds = time.monotonic() - begin
        self.assertEqual(ready, b"ready\n", err)
        self.assertLess(seconds, 1.5 * self.TIMEOUT_S)
        self.assertEqual(len(set(err.splitlines())), len(err.splitlines()), err)
        return process.returncode, err

    def test_the_exit_code_of_the_command_counts_when_the_server_has_gone(self):
        code, err = self.run_and_shut_the_door("30s", "read line; exit 0")
        self.assertEqual(code, 0, err)
        self.assertIn("the lock is not given back and ends with its TTL", err)

    def test_it_counts_also_while_the_lock_is_renewed(self):
        # The renewal begins after a third of the TTL, and waits for the server when the command ends.
        code, err = self.run_and_shut_the_door("4s", "read line; exit 5", pause_s=1.7)
        self.assertEqual(code, 5, err)

    def test_a_lock_lost_with_the_server_is_a_conflict(self):
        code, err = self.run_and_shut_the_door("300ms", "trap 'exit 9' TERM; while :; do sleep 0.02; done")
        self.assertEqual(code, 7, err)
        self.assertIn("the lock is lost", err)


class TransferTest(PostgresToolTest):
    def test_from_a_directory_and_back_with_every_field(self):
        there = self.environment["TUSKV_STORE"]
        self.environment["TUSKV_STORE"] = "file:./data"
        transfer_test.ExportTest.fill(self)
        for durability in ("durable", "relaxed", "unlogged"):
            target = f"{there}_{durability}&durability={durability}"
            self.assertEqual(self.json("copy", "file:./data", target), {"copied": 5, "namespaces": 2})
            self.assertEqual(self.json("copy", target, f"file:./{durability}"), {"copied": 5, "namespaces": 2})
            exported = self.tuskv("export")
            self.assertEqual(self.tuskv("export", "--store", target), exported)
            self.assertEqual(self.tuskv("export", "--store", f"file:./{durability}"), exported)
        self.assertEqual(json.loads(exported.splitlines()[1])["expires_at_ms"], transfer_test.FAR_MS)
        self.assertIn("same store", self.refusal("copy", there, there, code=2))
        self.tuskv("set", "k", "v", "--store", there)
        for way in ("&connect_timeout=9", "&application_name=other", "&pool_size=2"):
            self.assertIn("same store", self.refusal("copy", there, there + way, code=2))
            self.assertIn("same store", self.refusal("copy", there + way, there, code=2))

    def test_import_and_export(self):
        lines = "".join(transfer_test.record(f"k{i:04}", "v" * 100, expires_at_ms=transfer_test.FAR_MS + i,
                                             namespace=f"n{i % 3}") for i in range(2500))
        self.assertEqual(self.lines("import", "--acknowledge", stdin=lines)[-1], "2500")
        exported = self.text("export")
        self.assertEqual(sorted(map(json.loads, exported.splitlines()), key=lambda each: each["key"]),
                         list(map(json.loads, lines.splitlines())))
        self.tuskv("del", "--all", "--yes", "--namespace", "n0")
        self.assertEqual(self.text("import", stdin=exported), "2500\n")
        self.assertEqual(self.text("export"), exported)
        code, out, err = self.finish("import", "--keep-going", stdin="bad\n" + transfer_test.record("k", "v"))
        self.assertEqual((code, out), (2, b"1\n"), err)


    def test_S167_nobody_counts_for_a_bar_that_is_not_shown(self):
        self.tuskv("set", "k", "v")
        door = Door()
        self.assertEqual(json.loads(self.tuskv("export", "--store", self.through(door)))["key"], "k")
        self.assertEqual(self.json("copy", self.through(door), "file:./copy")["copied"], 1)
        sent = b"".join(door.sent)
        self.assertIn(b"select", sent.lower())
        self.assertFalse(b"pg_total_relation_size" in sent, "the store was counted")
        door.shut()

    def test_S167_a_store_that_cannot_be_counted_is_exported(self):
        database = role = self.schema
        self.sql(f"create role {role} login")
        self.addCleanup(self.sql, f"drop role {role}")
        self.sql(f"create database {database} owner {role}")
        self.addCleanup(self.sql, f"drop database {database} (force)")
        self.sql("revoke execute on function pg_catalog.pg_total_relation_size(regclass) from public", database)
        self.environment["TUSKV_STORE"] = url(database, user=role, schema=self.schema)
        self.tuskv("set", "k", "v")
        self.assertIn("denied", self.refusal("stats", code=2))
        for words in (("export", "entries"), ("copy", self.environment["TUSKV_STORE"], "file:./copy")):
            code, screen = shell_test.Terminal(self, *words).finish()
            self.assertEqual(code, 0, screen)
        self.assertEqual(json.loads(self.read("entries"))["key"], "k")


class BenchTest(PostgresToolTest):
    WORDS = ("bench", "set", "--seconds", "1", "--keys", "5000", "--threads", "2")

    def test_S169_it_cleans_up_beside_others_that_write(self):
        self.tuskv("set", "k", "v")
        other = subprocess.Popen(["psql", "--quiet", "--no-psqlrc", url()], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        self.addCleanup(other.communicate)
        other.stdin.write(f"begin; lock table {self.schema}.tuskv in row exclusive mode;\n\\echo locked\n".encode())
        other.stdin.flush()
        self.assertEqual(other.stdout.readline(), b"locked\n")
        self.tuskv(*self.WORDS)
        self.assertEqual(self.lines("namespaces"), [])

    def test_S169_what_it_leaves_behind_is_said_beside_what_went_wrong(self):
        self.tuskv("set", "k", "v")
        door = Door()
        store = self.through(door) + "&ttl_mode=manual"  # no sweeper that warns
        process = self.start("--store", store, "--timeout", "1s", "bench", "set", "--seconds", "60", "--keys", "10",
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertTrue(process.stdout.readline().startswith(b"workload"))
        door.shut()
        err = process.communicate()[1].decode().splitlines()
        self.assertIn(process.returncode, (3, 4, 5), err)
        self.assertRegex("\n".join(err), r"^tuskv: warning: .*\(entries of the bench are left: tuskv del --all --yes "
                                         r"--namespace tuskv-bench removes them\)\ntuskv: .*")
        self.assertNotIn("are left", err[-1])
        self.assertIn("tuskv del", self.refusal(*self.WORDS, code=2))


class FailureTest(PostgresToolTest):
    def test_exit_codes(self):
        self.tuskv("mset", "text", "abc", "k", "v")
        self.tuskv("get", "none", code=1)
        self.refusal("incr", "text", code=8)
        self.assertEqual(self.text("get", "k", "--store", "PostgreSQL" + self.environment["TUSKV_STORE"][10:]), "v\n")
        nobody = "--timeout", "300ms", "--store"
        self.assertIn("cannot connect", self.refusal(*nobody, "postgresql://127.0.0.1:1/postgres", "get", "k", code=3))
        self.assertIn("cannot connect", self.refusal(*nobody, "postgresql:///x?host=/nonexistent", "get", "k", code=3))
        for wrong, said in ((url("nowhere"), "nowhere"), (url(user="nobody_here"), "nobody_here"),
                            (self.environment["TUSKV_STORE"] + "&durability=unlogged", "is logged"),
                            (self.environment["TUSKV_STORE"] + "&partitions=2", "partitions"),
                            (url(table="Upper"), "table"), (url(no_such_option="1"), "cannot be read")):
            self.assertIn(said, self.refusal("--store", wrong, "get", "k", code=2), wrong)

    def test_a_server_that_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            store = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/postgres"
            self.refusal("--timeout", "200ms", "--store", store, "set", "k", "v", code=3)

    def test_no_password_is_shown(self):
        for store in ("postgresql://u:secret@127.0.0.1:1/db", "postgresql://u:se@cret/secret@127.0.0.1:1/db",
                      "postgresql://u:secret?secret@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db?password=secret",
                      "host=127.0.0.1 port=1 password=secret", "host=127.0.0.1 port=1 password='a secret'",
                      "postgres://u:secret@[x/db", "x://u:secret@h", "POSTGRESQL://u:secret@127.0.0.1:1/db"):
            for words in (("--store", store, "get", "k"), ("copy", store, "memory:"), ("get", "k", store),
                          ("check", store), ("import", store)):
                code, out, err = self.finish("--timeout", "100ms", *words)
                self.assertGreater(code, 1, words)
                self.assertNotIn(b"secret", out + err, words)

    def test_the_list_of_processes_shows_no_password(self):
        store = self.environment["TUSKV_STORE"] + "&password=secret"
        words = self.command_line_of_import("--store", store, "import", "--acknowledge")
        self.assertIn(b"import", words)
        self.assertNotIn(b"secret", words)


if __name__ == "__main__":
    unittest.main()
