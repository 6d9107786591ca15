"""Runs kill_driver, alone or under strace, which counts its calls of the disk and kills it, or lets a call fail, at any
of them. A call is named by system call, path and number: strace counts for each thread, so that stays the same from
run to run however the threads take turns."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

DRIVER = os.environ["TUSKV_KILL_DRIVER"]
# What changes files or makes them durable. Some names exist on some machines only, which is what `?` says.
CHANGING = ("pwrite64", "fsync", "fdatasync", "fallocate", "ftruncate", "?rename", "?renameat", "?renameat2",
            "?unlink", "?unlinkat", "?rmdir", "?link", "?linkat", "?mkdir", "?mkdirat", "openat")
# What else uses the disk, and may fail.
READING = ("pread64", "getdents64", "flock")
WORKERS = 2
ALL_STEPS = 1000
TIMEOUT_S = 300  # of what takes a few hundredths of a second
FAILURES_SHOWN = 5
REFUSED = 3  # exit code of the driver

STARTED = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
UNFINISHED = "<unfinished ...>"
PATHS = re.compile(r'"(/[^"]*)"|<(/[^>]*)>')


class Workload(NamedTuple):
    mix: str
    level: str
    seed: int
    short_writes: bool = False  # every write takes two calls

    def __str__(self):
        return f"{self.mix} {self.level}{', short writes,' if self.short_writes else ''} seed {self.seed}"


class Call(NamedTuple):
    """The `number`-th call of `name` by one thread that names `path`. `overall` counts those of all paths, and so names
    a call of the first thread alone."""
    name: str
    path: str
    number: int
    overall: int
    changes: bool
    first_thread: bool


class Event(NamedTuple):
    """A call starts, or a call has ended: then `text` has its result."""
    ended: bool
    thread: str
    name: str
    text: str


class Run(NamedTuple):
    code: int  # negative: the signal
    out: str
    err: str


class Place:
    """A directory with a store and the ledger beside it."""

    def __init__(self, root, name):
        self.folder = os.path.join(root, name)
        self.store = os.path.join(self.folder, "store")
        self.ledger = os.path.join(self.folder, "ledger")
        self.trace = os.path.join(root, name + ".trace")
        self.clear()

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)

    def copy_from(self, other):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(other.folder, self.folder)

    def run(self, workload, steps=ALL_STEPS, strace=(), verb="steps"):
        """To its end, or to its death."""
        command = [*strace, DRIVER, verb, self.store, self.ledger, workload.mix, workload.level, str(workload.seed),
                   str(steps), *(["short"] if workload.short_writes else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False,
                              text=True, errors="replace")
        return Run(done.returncode, done.stdout.strip(), done.stderr.strip())

    def resumed(self, workload, steps):
        """Compares what is there, goes on, and compares again."""
        return self.run(workload, steps, verb="resume")

    def traced(self, workload, steps=ALL_STEPS, inject=()):
        """Under strace that writes all calls down, with nothing injected unless told."""
        traced = [*CHANGING, *READING, "close"]
        strace = ["strace", "--seccomp-bpf", "-f", "-qq", "-y", "-e", "trace=" + ",".join(traced), *inject,
                  "-o", self.trace]
        return self.run(workload, steps, strace)

    def killed(self, workload, call, steps=ALL_STEPS):
        return self.run(workload, steps, self.injection(call, "signal=SIGKILL", f"when={call.number}"))

    def injection(self, call, what, when):
        """Signals are not delivered with --seccomp-bpf, so this stops at every system call."""
        path = call.path.replace("STORE", self.store, 1)
        return ["strace", "-f", "-qq", "-e", f"trace={call.name}", "-P", path, "-e",
                f"inject={call.name}:{what}:{when}", "-o", self.trace]

    def was_injected(self):
        """Whether the last trace shows a failure that strace made."""
        with open(self.trace, encoding="utf-8", errors="replace") as file:
            return "(INJECTED)" in file.read()

    def events(self):
        """What the last trace shows, in its order. Where threads meet, strace writes one call on two lines."""
        unfinished = {}
        with open(self.trace, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                line = line.rstrip("\n")
                if started := STARTED.match(line):
                    thread, name, text = started.groups()
                    yield Event(False, thread, name, text)
                    if text.endswith(UNFINISHED):
                        unfinished[thread] = (name, text.removesuffix(UNFINISHED))
                    else:
                        yield Event(True, thread, name, text)
                elif resumed := RESUMED.match(line):
                    thread, rest = resumed.groups()
                    name, text = unfinished.pop(thread)
                    yield Event(True, thread, name, text + rest)

    def calls(self):
        """The calls in the last trace that name something in the store."""
        found, counts, first_thread = [], {}, None

        def count(*key):
            counts[key] = counts.get(key, 0) + 1
            return counts[key]

        for event in self.events():
            if event.ended:
                continue
            first_thread = first_thread or event.thread
            overall = count(event.thread, event.name)
            paths = dict.fromkeys(text or given for text, given in PATHS.findall(event.text))
            numbers = {path: count(event.thread, event.name, path) for path in paths if path.startswith(self.store)}
            if not numbers or event.name == "close":
                continue
            path = next(iter(numbers))
            changes = event.name not in READING and (event.name != "openat" or "O_CREAT" in event.text)
            found.append(Call(event.name, path.replace(self.store, "STORE", 1), numbers[path], overall, changes,
                              event.thread == first_thread))
        return found


def require_strace():
    """Fails the test where there is no strace or the system does not let it kill."""
    reason = "there is no strace"
    if shutil.which("strace"):
        tried = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "inject=exit_group:signal=SIGKILL", "true"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
        if tried.returncode == -signal.SIGKILL:
            return
        reason = f"strace may not trace here (exit {tried.returncode}): {tried.stdout.strip()}"
    raise AssertionError(f"not one kill has been tried: {reason}\nInstall strace, or allow ptrace, and run again.")


def show(test, failures):
    """Fails the test with the first few."""
    if failures:
        test.fail(f"{len(failures)} failures\n\n" + "\n\n".join(failures[:FAILURES_SHOWN]))


class TestPlaces:
    """A folder for a test, in memory where there is such a place: what a kill leaves does not depend on the disk, and
    the time does."""

    def __enter__(self):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.root = tempfile.mkdtemp(prefix="tuskv-kill-", dir=memory)
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.root, ignore_errors=True)

    def place(self, name):
        return Place(self.root, name)


def in_parallel(work, items):
    """The results of `work(item, worker)`, in order, of as many threads as the test may use."""
    free = list(range(WORKERS))

    def one(item):
        worker = free.pop()
        try:
            return work(item, worker)
        finally:
            free.append(worker)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, items))


def random_seed():
    """The same each time unless told otherwise, as in support/random_seed.h."""
    given = os.environ.get("TUSKV_TEST_SEED", "20260101")
    seed = int.from_bytes(os.urandom(4), "little") if given == "random" else int(given)
    print(f'seed {seed} (repeat with TUSKV_TEST_SEED, or set that to "random")', flush=True)
    return seed


def was_killed(run):
    return run.code == -signal.SIGKILL
