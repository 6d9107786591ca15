#!/usr/bin/env python3
"""The real program on a disk that fails: calls of every kind fail once, and from some call on for ever, with each error
that the system may give. The program says what it must (Io or NoSpace, applied or not), nothing refused is there
afterwards, nothing acknowledged is missing, and on a disk that works again the store goes on. Interrupted calls and
short writes are never noticed. A descriptor whose sync has failed is never synced again, as strace's own record
shows."""
import random
import re
import unittest

import strace
from strace import Workload

STEPS = 12
CHOSEN = (("Batches", "Durable", True), ("Snapshots", "Durable", False), ("LargeValues", "Durable", False),
          ("Checkpoints", "Relaxed", True), ("Levels", "Unlogged", False))
CALLS_MAX = 60  # of each workload that fail once; drawn from all of them
LASTING_MAX = 12
MET_MIN = 400
SHORT_WRITES_MIN = 18  # of a workload that has them
ERRORS = {
    "pwrite64": ("EIO", "ENOSPC", "EINTR"),
    "fsync": ("EIO", "EINTR"),
    "fdatasync": ("EIO", "EINTR"),
    "fallocate": ("EIO", "ENOSPC", "EINTR", "EOPNOTSUPP"),
    "ftruncate": ("EIO", "EINTR"),
    "openat": ("EIO", "ENOSPC", "EINTR", "EMFILE"),
    "mkdir": ("EIO", "ENOSPC"),
    "rename": ("EIO", "ENOSPC"),
    "link": ("EIO", "ENOSPC", "EMLINK"),
    "unlink": ("EIO",),
    "rmdir": ("EIO",),
    "pread64": ("EIO", "EINTR"),
    "getdents64": ("EIO",),
    "flock": ("EIO", "EINTR"),
}
INVISIBLE = ("EINTR", "EOPNOTSUPP")  # handled where they occur
DESCRIPTOR = re.compile(r"^(\d+)<([^>]*)>")
RESULT = re.compile(r"\) += (-?\d+)(.*)$")
SUMMARY_FINE = re.compile(r"^\d+ done, \d+ refused, 0 unknown, 0 lost, (\d+) short writes$")


def base_name(name):
    """renameat2 and the like fail as rename does."""
    return re.sub(r"at2?$", "", name) if name != "openat" else name


def syncs_after_failure(place):
    """How many syncs of the log failed, and what was done wrong after a failed sync: another of the same descriptor, or
    a write to that log by the thread that had been told."""
    failed, wrong, log_failures = {}, [], 0  # the thread, by descriptor
    for event in place.events():
        match = DESCRIPTOR.match(event.text)
        if not match:
            continue
        descriptor, path = match.groups()
        if event.ended:
            result = RESULT.search(event.text)
            if event.name == "fdatasync" and result and result[1] == "-1" and "EINTR" not in result[2]:
                failed[descriptor] = event.thread
                log_failures += path.endswith(".tlog")
        elif event.name == "close":
            failed.pop(descriptor, None)
        elif descriptor in failed and event.name == "fdatasync":
            wrong.append(event.text)
        elif failed.get(descriptor) == event.thread and event.name == "pwrite64" and path.endswith(".tlog"):
            wrong.append(event.text)
    return log_failures, wrong


class Failer:
    def __init__(self, places, seed):
        self.random = random.Random(seed)
        self.places = [places.place(f"worker{i}") for i in range(strace.WORKERS)]
        self.runs = self.met = self.poisoned = 0
        self.failures = []

    def run(self, workload):
        place = self.places[0]
        place.clear()
        whole = place.traced(workload, STEPS)
        calls = place.calls()
        fine = SUMMARY_FINE.match(whole.out)
        if whole.code != 0 or not calls or not fine or (workload.short_writes and int(fine[1]) < SHORT_WRITES_MIN):
            self.failures.append(f"{workload}: {len(calls)} calls without an error: {whole}")
            return
        tries = [(call, error, "once") for call in self.draw(calls, CALLS_MAX) for error in self.errors(call)]
        first = [call for call in calls if call.first_thread]
        tries += [(call, error, "for ever") for call in self.draw(first, LASTING_MAX) for error in self.errors(call)
                  if error not in INVISIBLE]
        tries += [(call, "EIO", "traced") for call in self.draw(first, CALLS_MAX) if call.name == "fdatasync"]
        for met, poisoned, failure in strace.in_parallel(lambda item, worker: self.one(workload, item, worker), tries):
            self.runs += 1
            self.met += met
            self.poisoned += poisoned
            if failure:
                self.failures.append(failure)
        print(f"{workload}: {len(tries)} runs", flush=True)

    def draw(self, calls, count):
        """Some of each kind, so that the rare ones have their turn."""
        kinds = {}
        for call in calls:
            kinds.setdefault(call.name, []).append(call)
        share = max(1, count // len(kinds))
        return [call for kind in kinds.values() for call in self.random.sample(kind, min(share, len(kind)))]

    @staticmethod
    def errors(call):
        return ERRORS[base_name(call.name)]

    def one(self, workload, item, worker):
        call, error, lasting = item
        place = self.places[worker]
        place.clear()
        if lasting == "once":
            run = place.run(workload, STEPS, place.injection(call, f"error={error}", f"when={call.number}"))
        else:
            when = f"when={call.overall}" + ("+" if lasting == "for ever" else "")
            run = place.traced(workload, STEPS, ["-e", f"inject={call.name}:error={error}:{when}"])
        met = place.was_injected()
        problem = self.judge(place, item, run)
        if not problem:
            again = place.run(workload)
            if again.code != 0:
                problem = f"on a disk that works again: exit {again.code}: {again.err}"
        text = problem and f"{workload}, {item}: {problem}"
        return int(met), int("poisoned" in run.out), text

    @staticmethod
    def judge(place, item, run):
        """What is wrong with the run, or nothing."""
        _, error, lasting = item
        if run.code not in (0, strace.REFUSED):
            return f"exit {run.code}: {run.err}"
        if error in INVISIBLE and not SUMMARY_FINE.match(run.out):
            return f"{error} was noticed: {run.out}: {run.err}"
        if lasting != "once":
            log_failures, wrong = syncs_after_failure(place)
            if log_failures and SUMMARY_FINE.match(run.out):
                return "nobody was told of a failed sync"
            if wrong:
                return "after a failed sync: " + "; ".join(wrong)
        return ""


class StraceErrorTest(unittest.TestCase):
    def test_calls_fail_once_and_for_ever(self):
        strace.require_strace()
        seed = strace.random_seed()
        with strace.TestPlaces() as places:
            failer = Failer(places, seed)
            for mix, level, short_writes in CHOSEN:
                failer.run(Workload(mix, level, seed, short_writes))
        print(f"{failer.runs} runs, {failer.met} of them met an error, {failer.poisoned} stores poisoned")
        strace.show(self, failer.failures)
        self.assertGreaterEqual(failer.met, MET_MIN)
        self.assertGreater(failer.poisoned, 0)


if __name__ == "__main__":
    unittest.main()
