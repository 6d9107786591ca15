#!/usr/bin/env python3
"""The real program, killed at every call that changes a file: every write, sync, rename, removal, link, reservation and
creation of several workloads, between the two halves of a short write, and in the openings that recover from such
kills. After each kill every acknowledged write is there, every batch and transaction is whole, the store goes on, and a
check of its files finds no damage.

At least KILLS_MIN kills; TUSKV_KILL_ALL=1 takes every workload at every level, whole, which takes hours."""
import itertools
import os
import random
import unittest
from typing import NamedTuple

import strace
from strace import Workload

KILLS_MIN = 2000
KILLS_OF_EACH_MIN = 20  # of every workload: fewer are no test of it
ROUNDS_MAX = 4
STEPS = 16  # short workloads: the cost of all kills of one grows with the square of its length
STEPS_AFTER = 8
MIXES = ("Sets", "Batches", "Expiry", "Ranges", "LargeValues", "Snapshots", "Levels", "Checkpoints")
LEVELS = ("Durable", "Relaxed", "Unlogged")


class Chosen(NamedTuple):
    mix: str
    level: str
    short_writes: bool = False


# What the ordinary run takes: every kind of write, rolling segments, snapshots asked for and snapshots by the log's
# size, all levels.
CHOSEN = (
    Chosen("Snapshots", "Durable"),
    Chosen("LargeValues", "Durable"),
    Chosen("Batches", "Relaxed", short_writes=True),
    Chosen("Checkpoints", "Durable"),
    Chosen("Levels", "Unlogged"),
    Chosen("Ranges", "Relaxed"),
    Chosen("Sets", "Unlogged"),
    Chosen("LargeValues", "Relaxed", short_writes=True),
    Chosen("Batches", "Durable", short_writes=True),
    Chosen("Expiry", "Relaxed"),
)
NESTED_PERCENT = 4  # of the kills after which the recovery is killed as well
NESTED_KILLS = 8


class Killer:
    def __init__(self, places, seed, steps):
        self.seed = seed
        self.steps = steps
        self.places = [places.place(f"worker{i}") for i in range(strace.WORKERS)]
        self.copies = [places.place(f"copy{i}") for i in range(strace.WORKERS)]
        self.kills = self.nested = self.missed = 0
        self.failures = []

    def run(self, workload):
        """At every call of the workload."""
        before = self.kills
        place = self.places[0]
        place.clear()
        whole = place.traced(workload, self.steps)
        calls = [call for call in place.calls() if call.changes]
        if whole.code != 0 or not calls:
            self.fail(workload, f"{len(calls)} calls without a kill", whole)
            return
        for kills, nested, missed in strace.in_parallel(lambda call, worker: self.one(workload, call, worker), calls):
            self.kills += kills
            self.nested += nested
            self.missed += missed
        print(f"{workload}: {self.kills - before} kills", flush=True)
        if self.kills - before < KILLS_OF_EACH_MIN:
            self.failures.append(f"{workload}: {self.kills - before} kills are no test")

    def one(self, workload, call, worker):
        place = self.places[worker]
        place.clear()
        run = place.killed(workload, call, self.steps)
        if not self.died(workload, run, call):
            return 0, 0, 1
        nested = 0
        chance = random.Random(f"{self.seed} {workload} {call}")
        if chance.random() * 100 < NESTED_PERCENT:
            nested = self.kill_recovery(workload, call, worker, chance)
        self.look(workload, place, call)
        return 1 + nested, nested, 0

    def kill_recovery(self, workload, call, worker, chance):
        """Kills the next opening at some of its calls, each time from the same files, and the last of these again."""
        place, copy = self.places[worker], self.copies[worker]
        copy.copy_from(place)
        copy.traced(workload, steps=2)
        inner = [found for found in copy.calls() if found.changes]
        kills = 0
        for second in chance.sample(inner, min(NESTED_KILLS, len(inner))):
            copy.copy_from(place)
            if self.died(workload, copy.killed(workload, second, steps=2), second):
                kills += 1
            self.look(workload, copy, (call, second))
        return kills

    def died(self, workload, run, call):
        if not strace.was_killed(run) and run.code != 0:
            self.fail(workload, call, run)
        return strace.was_killed(run)

    def look(self, workload, place, call):
        """What is there, then some more steps, then what is there."""
        run = place.resumed(workload, STEPS_AFTER)
        if run.code != 0:
            self.fail(workload, call, run)

    def fail(self, workload, call, run):
        self.failures.append(f"{workload}, {call}: exit {run.code}\n{run.out}\n{run.err}")


class StraceKillTest(unittest.TestCase):
    def test_every_call_that_changes_a_file(self):
        strace.require_strace()
        seed = strace.random_seed()
        everything = os.environ.get("TUSKV_KILL_ALL") == "1"
        chosen = [Chosen(*which) for which in itertools.product(MIXES, LEVELS, (False, True))] if everything else CHOSEN
        with strace.TestPlaces() as places:
            killer = Killer(places, seed, strace.ALL_STEPS if everything else STEPS)
            # All of them once, and as many again as it takes.
            for number in range(ROUNDS_MAX * len(chosen)):
                if killer.failures or (number >= len(chosen) and killer.kills >= KILLS_MIN):
                    break
                which = chosen[number % len(chosen)]
                killer.run(Workload(which.mix, which.level, seed + number // len(chosen), which.short_writes))
        print(f"{killer.kills} kills, {killer.nested} of them of recoveries; {killer.missed} calls did not come again")
        strace.show(self, killer.failures)
        self.assertGreaterEqual(killer.kills, KILLS_MIN)


if __name__ == "__main__":
    unittest.main()
