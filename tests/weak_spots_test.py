#!/usr/bin/env python3
"""Every weak spot of the stores we learnt from, every rule and every capability has its line in weak_spots.md, and
every test named there exists. Run as a test; prints one line for each thing that is missing.

Usage: weak_spots_test.py [TESTS_DIRECTORY]
"""
import re
import sys
import tempfile
import unittest
from pathlib import Path

# The ids that there are: a row that is lost with its test would be missed by nobody else. A new one is added here, too.
IDS = {
    "P": "1-20",
    "G": "1-16",
    "Y": "1-24",
    "B": "1-5",
    "K": "1-20",
    "U": "1-15",
    "R": "1-62 72 80-107 110-128 130-132 140-141",
    "S": "1-5 10-17 20-22 25-30 35-42 45-47 50-59 63-64 70-72 74 80-85 90-124 126-132 140-144 150-158 165-175"
    " 180-182 184-188 190-194 196",
}
# Rows of the table of requirements on files, numbered F1 to F13, and of capabilities, which have names.
FILE_REQUIREMENTS = 13
CAPABILITIES_MIN = 40
REASONS = ("later: ", "never: ")

ROW = re.compile(r"^\| (?P<id>[^|]+?) \| (?P<what>[^|]+?) \| (?P<shown>[^|]+?) \|$", re.M)
MACRO = re.compile(r"^\s*TEST(?:_P|_F)?\((\w+),\s*(\w+)\)", re.M)
METHOD = re.compile(r"^    def (test_\w+)\(", re.M)
ID_IN_NAME = re.compile(r"(?<![A-Z])([PGYBKURS]\d{1,3})(?!\d)")


def tests_in(folder: Path) -> set:
    """`Suite.Name` of every test in C++, `file_test.py:test_name` of every one in Python."""
    names = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".cc":
            names |= {f"{suite}.{name}" for suite, name in MACRO.findall(path.read_text(encoding="utf-8"))}
        elif path.name.endswith("_test.py") and path.resolve() != Path(__file__).resolve():
            names |= {f"{path.name}:{name}" for name in METHOD.findall(path.read_text(encoding="utf-8"))}
    return names


def ids_of(test: str) -> set:
    return set(ID_IN_NAME.findall(re.split(r"\.py:|\.", test, maxsplit=1)[-1]))


def numbers(ranges: str) -> list:
    """Of "1-3 7": 1, 2, 3, 7."""
    found = []
    for each in ranges.split():
        first, _, last = each.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def wanted_ids() -> list:
    ids = [f"{letter}{number}" for letter, ranges in IDS.items() for number in numbers(ranges)]
    return ids + [f"F{number}" for number in range(1, FILE_REQUIREMENTS + 1)]


def check_row(row: re.Match, tests: set) -> list:
    name, shown = row["id"], row["shown"]
    named = re.findall(r"`([^`]+)`", shown)
    found = [f"{name}: there is no test {test}" for test in named if test not in tests]
    if not named and not shown.startswith(REASONS):
        found.append(f"{name}: names neither a test nor a reason ({', '.join(REASONS).strip()})")
    if named and ID_IN_NAME.fullmatch(name) and not any(name in ids_of(test) for test in named):
        found.append(f"{name}: none of its tests has the id in its name")
    return found


def check(table: str, tests: set) -> list:
    rows = [row for row in ROW.finditer(table) if row["id"] not in ("id", "---", "capability", "requirement")]
    names = [row["id"] for row in rows]
    found = [f"{name}: two rows" for name in sorted(set(names)) if names.count(name) > 1]
    found += [f"{name}: no row" for name in wanted_ids() if name not in names]
    known = set(wanted_ids())
    found += [f"{name}: not among IDS" for name in names if ID_IN_NAME.fullmatch(name) and name not in known]
    for row in rows:
        found += check_row(row, tests)
    for test in sorted(tests):
        found += [f"{test}: there is no weak spot {each}" for each in sorted(ids_of(test) - known)]
    capabilities = len(names) - len(known & set(names))
    if capabilities < CAPABILITIES_MIN:
        found.append(f"only {capabilities} capabilities: rows have been lost")
    return found


class WeakSpotsTest(unittest.TestCase):
    """Each rule, broken once."""

    TESTS = {"Suite.P1_Swaps", "Suite.Other", "shell_test.py:test_k9"}

    def found(self, line: str, tests: set = frozenset(TESTS)) -> list:
        return [each for each in check(line, tests) if "no row" not in each and "rows have been lost" not in each]

    def test_rows(self):
        self.assertEqual(self.found("| P1 | swaps are atomic | `Suite.P1_Swaps` |"), [])
        self.assertEqual(self.found("| P12 | index names | later: PostgreSQL |"), [])
        self.assertEqual(len(self.found("| P12 | index names | some day |")), 1)
        self.assertEqual(len(self.found("| P1 | swaps | `Suite.Gone`, `Suite.P1_Swaps` |")), 1)
        self.assertEqual(len(self.found("| P1 | swaps | `Suite.Other` |")), 1)
        self.assertEqual(len(self.found("| get | values | `Suite.Gone` |")), 1)
        self.assertEqual(len(self.found("| P1 | a | `Suite.P1_Swaps` |\n| P1 | b | `Suite.P1_Swaps` |")), 1)
        self.assertEqual(len(self.found("", {"Suite.P21_Unknown"})), 1)

    def test_a_missing_row(self):
        self.assertIn("K20: no row", check("", set()))
        self.assertIn("F13: no row", check("", set()))
        self.assertIn("R91: no row", check("", set()))
        self.assertNotIn("R63: no row", check("", set()))

    def test_an_id_that_nobody_would_miss(self):
        self.assertEqual(self.found("| R999 | news | `Suite.R999_News` |", {"Suite.R999_News"})[0],
                         "R999: not among IDS")

    def test_ranges(self):
        self.assertEqual(numbers("1-3 7"), [1, 2, 3, 7])

    def test_ids_in_names(self):
        self.assertEqual(ids_of("Suite.K2K3AtEveryByte"), {"K2", "K3"})
        self.assertEqual(ids_of("P1.U5_P12_ADeadEntry"), {"U5", "P12"})
        self.assertEqual(ids_of("Suite.KeepsTheNumberK13"), {"K13"})
        self.assertEqual(ids_of("Suite.E11AFailedSync"), set())

    def test_tests_are_found(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a_test.cc").write_text("TEST(A, One) {\nTEST_P(B,\n       Two) {\n// TEST(C, Not) {\n")
            Path(folder, "b_test.py").write_text("class T:\n    def test_three(self):\n")
            self.assertEqual(tests_in(Path(folder)), {"A.One", "B.Two", "b_test.py:test_three"})


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(WeakSpotsTest)
    if not unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful():
        return 1
    found = check((folder / "weak_spots.md").read_text(encoding="utf-8"), tests_in(folder))
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
