#!/usr/bin/env python3
"""The Markdown table of a run of tuskv_bench.

Usage: table.py RESULTS.json [--readme FILE]

Prints the table. With --readme, puts it into the file instead, between the lines <!-- bench:begin --> and
<!-- bench:end -->.
"""
import argparse
import json
import sys
from pathlib import Path

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
SCALES = ((1e6, " M"), (1e3, " k"))


def readable(value: float) -> str:
    """Three significant digits, with k and M."""
    shown, suffix = value, ""
    for size, name in SCALES:
        if abs(value) >= size:
            shown, suffix = value / size, name
            break
    digits = 0 if abs(shown) >= 100 else 1 if abs(shown) >= 10 else 2
    return f"{shown:.{digits}f}{suffix}"


def ratio_text(ratio: dict) -> str:
    if ratio["min"] == ratio["max"]:
        return f"**{ratio['median']:.2f}×**"
    return f"**{ratio['median']:.2f}×** ({ratio['min']:.2f}–{ratio['max']:.2f})"


def goal_text(comparison: dict) -> str:
    goal = comparison.get("goal")
    if goal is None:
        return "reported"
    sign = "≥" if goal["at"] == "least" else "≤"
    return f"{sign} {goal['factor']:g}× " + ("met" if comparison["met"] else "**missed**")


def comparison_lines(result: dict) -> list:
    medians = {series["name"]: series["median"] for series in result["series"]}
    lines = []
    for comparison in result["comparisons"]:
        subject, against = comparison["subject"], comparison["against"]
        lines.append(f"| {result['title']} | {subject}: {readable(medians[subject])} | "
                     f"{against}: {readable(medians[against])} | {result['unit']} | "
                     f"{ratio_text(comparison['ratio'])} | {goal_text(comparison)} |")
    return lines


def series_text(result: dict) -> str:
    figures = (f"{series['name']}: {readable(series['median'])}" for series in result["series"])
    return f"- {result['title']}, {result['unit']}: " + "; ".join(figures) + "."


def note_text(result: dict) -> str:
    return f"- {result['title']}: {'; '.join(result['notes'])}."


def table(results: dict) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items()
                         if not name.startswith("tuskv "))
    lines = [f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}, {machine['kernel']}, "
             f"{machine['file_system']}, {machine['compiler']}, {machine['date']}. {versions}.", "",
             "Ratios are medians of interleaved rounds of one run, with the lowest and the highest; above 1 is in "
             "favour of the left unless the goal says ≤.", "",
             "| what | this | against | unit | ratio | goal |", "| --- | --- | --- | --- | --- | --- |"]
    for result in results["results"]:
        lines += comparison_lines(result)
    lines.append("")
    lines += [series_text(result) for result in results["results"]
              if not any("goal" in comparison for comparison in result["comparisons"]) or len(result["series"]) > 6]
    lines += [note_text(result) for result in results["results"] if result["notes"]]
    return "\n".join(lines)


def put_between_markers(path: Path, text: str) -> bool:
    old = path.read_text(encoding="utf-8")
    begin, end = old.find(BEGIN), old.find(END)
    if begin < 0 or end < begin:
        print(f"{path} has no lines {BEGIN} and {END}", file=sys.stderr)
        return False
    path.write_text(old[:begin] + BEGIN + "\n" + text + "\n" + old[end:], encoding="utf-8")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="The Markdown table of a run of tuskv_bench.")
    parser.add_argument("results", type=Path)
    parser.add_argument("--readme", type=Path)
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text(encoding="utf-8"))
    if arguments.readme is None:
        print(table(results))
        return 0
    if results["quick"]:
        print(f"{arguments.results} comes from --quick, which measures nothing", file=sys.stderr)
        return 1
    return 0 if put_between_markers(arguments.readme, table(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
