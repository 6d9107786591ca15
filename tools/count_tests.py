#!/usr/bin/env python3
"""Counts the tests of a ctest run, and names those that failed: one of GoogleTest each, and the whole of any other
program. ctest itself counts processes, in which hundreds may run.

Usage: count_tests.py JUNIT_FILE RESULTS_DIRECTORY
The first is ctest's, the second holds GoogleTest's, of the same run: TEST.xml for the ctest test of that name.
Prints a line for each failed test and, at the end, "PASSED FAILED SKIPPED".
"""
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple


class Counts(NamedTuple):
    passed: int = 0
    failed: tuple = ()
    skipped: int = 0

    def __add__(self, other):
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


def cases_in(results: Path) -> list:
    """What a failed test shows may be any bytes."""
    text = results.read_bytes().decode("utf-8", "replace")
    return list(ElementTree.fromstring(text).iter("testcase"))


def of_each(results: Path) -> Counts:
    """What GoogleTest wrote. Nothing when the process died before it did."""
    try:
        cases = cases_in(results)
    except (FileNotFoundError, ElementTree.ParseError):
        return Counts()
    failed = [case for case in cases if case.find("failure") is not None]
    passed = [case for case in cases if case not in failed and case.get("result") == "completed"]
    names = tuple(f"{results.stem} {case.get('classname')}.{case.get('name')}" for case in failed)
    return Counts(len(passed), names, len(cases) - len(failed) - len(passed))


def of_process(case: ElementTree.Element, directory: Path) -> Counts:
    name = case.get("name")
    found = of_each(directory / f"{name}.xml")
    if case.get("status") == "run":
        return found if sum((found.passed, len(found.failed), found.skipped)) > 0 else Counts(passed=1)
    skipped = case.find("skipped")
    if case.get("status") == "disabled" or (skipped is not None and skipped.get("message", "").startswith("SKIP_")):
        return found + Counts(skipped=1)
    # It died, took too long or could not start: that is a failure, and no test's of its own.
    return found if found.failed else found + Counts(failed=(f"{name} (the process)",))


def count(junit: Path, directory: Path) -> Counts:
    return sum((of_process(case, directory) for case in cases_in(junit)), Counts())


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    counts = count(Path(sys.argv[1]), Path(sys.argv[2]))
    for name in counts.failed:
        print(f"FAILED {name}")
    print(counts.passed, len(counts.failed), counts.skipped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
