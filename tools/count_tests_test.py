#!/usr/bin/env python3
"""What count_tests.py makes of ctest's and GoogleTest's own files."""
import re
import tempfile
import unittest
from pathlib import Path

import count_tests

RESULTS = """<?xml version="1.0"?>
<testsuites tests="4" failures="1" disabled="1" errors="0" time="0.1" name="AllTests">
  <testsuite name="Kinds/Point" tests="4" failures="1" disabled="1" skipped="1" errors="0">
    <testcase name="Sets/memory" status="run" result="completed" time="0" classname="Kinds/Point" />
    <testcase name="Gets/memory" status="run" result="skipped" time="0" classname="Kinds/Point"><skipped /></testcase>
    <testcase name="Erases/memory" status="notrun" result="suppressed" time="0" classname="Kinds/Point" />
    <testcase name="Sets/file" status="run" result="completed" time="0" classname="Kinds/Point">
      <failure message="a.cc:1" type="" /><failure message="\xff" type="" />
    </testcase>
  </testsuite>
</testsuites>
"""
GREEN = re.sub("<failure[^>]*>", "", RESULTS)


class CountTestsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def count(self, cases: str, **results: str) -> tuple:
        (self.folder / "junit.xml").write_text(f'<testsuite name="x">{cases}</testsuite>')
        for name, text in results.items():
            (self.folder / f"{name}.xml").write_text(text, encoding="latin-1")
        return tuple(count_tests.count(self.folder / "junit.xml", self.folder))

    def test_a_program_is_one_test(self):
        self.assertEqual(self.count('<testcase name="tidy" status="run" />'), (1, (), 0))
        self.assertEqual(self.count('<testcase name="tidy" status="fail"><failure message="" /></testcase>'),
                         (0, ("tidy (the process)",), 0))

    def test_each_of_googletest_is_one(self):
        self.assertEqual(self.count('<testcase name="a" status="run" />', a=GREEN), (2, (), 2))
        self.assertEqual(self.count('<testcase name="a" status="fail" />', a=RESULTS),
                         (1, ("a Kinds/Point.Sets/file",), 2))

    def test_a_process_that_fails_counts_though_all_its_tests_passed(self):
        self.assertEqual(self.count('<testcase name="a" status="fail" />', a=GREEN), (2, ("a (the process)",), 2))
        self.assertEqual(self.count('<testcase name="a" status="fail" />', a=RESULTS[:100]),
                         (0, ("a (the process)",), 0))

    def test_what_could_not_start_has_failed(self):
        """As when the fixture it needs has failed."""
        self.assertEqual(self.count('<testcase name="a" status="notrun"><skipped message="" /></testcase>'),
                         (0, ("a (the process)",), 0))
        self.assertEqual(
            self.count('<testcase name="b" status="notrun"><skipped message="SKIP_RETURN_CODE=77" /></testcase>'
                       '<testcase name="c" status="disabled"><skipped message="Disabled" /></testcase>'), (0, (), 2))

    def test_all_are_added_up(self):
        cases = '<testcase name="tidy" status="run" /><testcase name="a" status="fail" />'
        self.assertEqual(self.count(cases, a=RESULTS), (2, ("a Kinds/Point.Sets/file",), 2))


if __name__ == "__main__":
    unittest.main()
