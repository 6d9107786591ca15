"""Runs the real program in a directory of its own, as a user would."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

BINARY = os.environ["TUSKV_BINARY"]
TIMEOUT_S = 120


class ToolTest(unittest.TestCase):
    """Every test starts with an empty directory and the default store, file:./tuskv-data in it."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="tuskv-cli-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.directory, "LC_ALL": "C"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        # Where the tests run below nohup, the program does not.
        hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.addCleanup(signal.signal, signal.SIGHUP, hangup)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def start(self, *words, **options):
        """The program running, with pipes."""
        return subprocess.Popen([BINARY, *words], cwd=self.directory, env=self.environment, **options)

    def command_line_of_import(self, *words):
        """What others see of its words while it runs."""
        running = self.start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.stdin.write(b'{"key":"k","value":"v"}\n')
        running.stdin.flush()
        self.assertEqual(running.stdout.readline(), b"1\n")
        with open(f"/proc/{running.pid}/cmdline", "rb") as file:
            seen = file.read()
        running.communicate()
        self.assertEqual(running.returncode, 0)
        return seen

    def finish(self, *words, stdin=b"", **options):
        """Runs the program to its end: exit code, stdout, stderr."""
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = subprocess.run([BINARY, *words], cwd=self.directory, env=self.environment, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False, **options)
        return done.returncode, done.stdout, done.stderr

    def tuskv(self, *words, stdin=b"", code=0):
        """stdout of a run that must end with `code` and, unless it fails, say nothing on stderr."""
        got, out, err = self.finish(*words, stdin=stdin)
        self.assertEqual(got, code, f"{words}: stdout {out!r}, stderr {err!r}")
        if code <= 1:
            self.assertEqual(err, b"", words)
        return out

    def text(self, *words, **options):
        return self.tuskv(*words, **options).decode()

    def json(self, *words, **options):
        return json.loads(self.tuskv("--json", *words, **options))

    def lines(self, *words, **options):
        return self.text(*words, **options).splitlines()

    def refusal(self, *words, code, stdin=b""):
        """The one line on stderr of a run that must fail with `code` and print nothing."""
        got, out, err = self.finish(*words, stdin=stdin)
        self.assertEqual((got, out), (code, b""), (words, err))
        self.assertTrue(err.startswith(b"tuskv: ") and err.endswith(b"\n") and err.count(b"\n") == 1, err)
        return err.decode()[len("tuskv: "):].rstrip("\n")
