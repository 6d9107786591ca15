#!/usr/bin/env python3
"""The real program with four threads at full speed and snapshots beside them, killed at random moments, again and again
on the same files. Each opening finds what every thread had been answered, transfers whole, and goes on from there."""
import random
import signal
import subprocess
import sys
import time

import strace

ROUNDS = (("Durable", 20), ("Relaxed", 20), ("Unlogged", 10))
LIFE_MS = (5, 120)
FOR_EVER = 10**12


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
            if program.stdout.readline() == "open\n":
                time.sleep(self.chance.uniform(*LIFE_MS) / 1000)  # the moment is what is random here
                program.kill()
            _, err = program.communicate(timeout=strace.TIMEOUT_S)
            return "" if program.returncode == -signal.SIGKILL else f"exit {program.returncode}: {err}"

    def look(self):
        done = subprocess.run(self.command(0), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=strace.TIMEOUT_S, check=False)
        return done.stderr if done.returncode != 0 else ""


def main():
    chance = random.Random(strace.random_seed())
    with strace.TestPlaces() as places:
        for level, rounds in ROUNDS:
            bank = Bank(places, level, chance)
            for number in range(rounds):
                failure = bank.kill()
                if failure:
                    print(f"{level}, kill {number + 1}: {failure}")
                    return 1
            failure = bank.look()
            if failure:
                print(f"{level}, in the end: {failure}")
                return 1
            print(f"{level}: {rounds} kills", flush=True)
    return 0


sys.exit(main())
