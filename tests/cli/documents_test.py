"""Every command shown in the documents does what they say.

A ```console block is a session of one shell in an empty directory: lines that start with `$ ` are run (a line that ends
with a backslash goes on in the next), and the lines behind them are what must come out. A last line `[exit N]` is the
exit code, which is 0 without one; `...` stands for any lines.
"""
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import NamedTuple

from tool import BINARY, TIMEOUT_S, ToolTest

ROOT = Path(__file__).resolve().parent.parent.parent


class Step(NamedTuple):
    line: int
    command: str
    output: list
    code: int


def sessions(text):
    """The steps of each ```console block."""
    for block in re.finditer(r"(?ms)^```console\n(.*?)^```$", text):
        first = text.count("\n", 0, block.start()) + 2
        steps = []
        for number, line in enumerate(block.group(1).splitlines(), first):
            if line.startswith("$ "):
                steps.append(Step(number, line[2:], [], 0))
            elif steps and not steps[-1].output and steps[-1].command.endswith("\\"):
                steps[-1] = steps[-1]._replace(command=steps[-1].command + "\n" + line)
            elif steps and re.fullmatch(r"\[exit \d+\]", line):
                steps[-1] = steps[-1]._replace(code=int(line[6:-1]))
            elif steps:
                steps[-1].output.append(line)
        yield steps


def matches(wanted, lines):
    pattern = "\n".join(".*" if line == "..." else re.escape(line) for line in wanted)
    return re.fullmatch(pattern, "\n".join(lines), re.DOTALL) is not None


class ExtractorTest(unittest.TestCase):
    def test_steps(self):
        text = "text\n```console\n$ a \\\n  b\n1\n2\n[exit 3]\n$ c\n```\n```sh\n$ d\n```\n"
        self.assertEqual(list(sessions(text)), [[Step(3, "a \\\n  b", ["1", "2"], 3), Step(8, "c", [], 0)]])

    def test_matches(self):
        self.assertTrue(matches(["a", "...", "z"], ["a", "b", "c", "z"]))
        self.assertFalse(matches(["a"], ["a", "b"]))
        self.assertFalse(matches([], ["a"]))


class DocumentsTest(ToolTest):
    def run_session(self, steps):
        """Exit code and output lines of every step."""
        os.makedirs(self.path("bin"), exist_ok=True)
        if not os.path.exists(self.path("bin/tuskv")):
            os.symlink(BINARY, self.path("bin/tuskv"))
        environment = {**self.environment, "PATH": self.path("bin") + ":" + self.environment["PATH"]}
        script = "".join(f"{step.command}\nprintf '\\0%d\\0' $?\n" for step in steps)
        os.makedirs(self.path("session"), exist_ok=True)
        done = subprocess.run(["bash"], input=script.encode(), cwd=self.path("session"), env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False)
        parts = done.stdout.decode().split("\0")
        return [(int(parts[i + 1]), parts[i].splitlines()) for i in range(0, len(parts) - 1, 2)]

    def check_document(self, path):
        count = 0
        for steps in sessions(path.read_text(encoding="utf-8")):
            subprocess.run(["rm", "-rf", self.path("session")], check=True)
            results = self.run_session(steps)
            self.assertEqual(len(results), len(steps), f"{path}: the session ended early")
            for step, (code, lines) in zip(steps, results):
                where = f"{path.name}:{step.line}: $ {step.command}"
                self.assertEqual(code, step.code, f"{where}\n" + "\n".join(lines))
                self.assertTrue(matches(step.output, lines), f"{where}\nwanted {step.output}\ngot    {lines}")
                count += 1
        return count

    def test_every_document(self):
        documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
        counts = {path.name: self.check_document(path) for path in documents}
        print(f"ran {sum(counts.values())} commands of {len(documents)} documents", file=sys.stderr)
        self.assertGreater(counts["README.md"], 0)


if __name__ == "__main__":
    unittest.main()
