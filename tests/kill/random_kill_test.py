#!/usr/bin/env python3
"""The real program with four threads at full speed and snapshots beside them, killed at random moments, again and again
on the same files. Each opening finds what every thread had been answered, transfers whole, and goes on from there."""
import random
import signal
import subprocess
import time
import unittest

import strace

LIFE_MS = (5, 120)
FOR_EVER = 10**12
WRITES_MIN = 100  # that were there in the end: fewer are no test


class Bank:
    def __init__(self, places, level, chance):
        self.place = places.place(level)
        self.level = level
        self.chance = chance

    def command(self, transfers):
        return [strace.DRIVER, "threads", self.place.store, self.place.ledger, self.level, str(transfers)]

    def kill(self):
        """Opens, which compares, and kills a while later; what went wrong, or nothing."""
        with subprocess.Popen(self.command(FOR_EVER), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as program:
            if program.stdout.readline().startswith("open"):
                time.sleep(self.chance.uniform(*LIFE_MS) / 1000)  # the moment is what is random here
                program.kill()
            _, err = program.communicate(timeout=strace.TIMEOUT_S)
            return "" if program.returncode == -signal.SIGKILL else f"exit {program.returncode}: {err}"

    def look(self):
        """Compares once more; how many writes there are."""
        done = subprocess.run(self.command(0), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=strace.TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise AssertionError(f"in the end: exit {done.returncode}: {done.stderr}")
        return int(done.stdout.split()[1])


class RandomKillTest(unittest.TestCase):
    def kill_again_and_again(self, level, rounds):
        chance = random.Random(strace.random_seed())
        with strace.TestPlaces() as places:
            bank = Bank(places, level, chance)
            for number in range(rounds):
                if failure := bank.kill():
                    self.fail(f"kill {number + 1}: {failure}")
            writes = bank.look()
        print(f"{level}: {rounds} kills, {writes} writes", flush=True)
        self.assertGreaterEqual(writes, WRITES_MIN)

    def test_durable(self):
        self.kill_again_and_again("Durable", 20)

    def test_relaxed(self):
        self.kill_again_and_again("Relaxed", 20)

    def test_unlogged(self):
        self.kill_again_and_again("Unlogged", 10)


if __name__ == "__main__":
    unittest.main()
