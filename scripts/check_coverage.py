"""Prints line coverage by folder from coverage's JSON report, and fails under the gates.

python scripts/check_coverage.py coverage.json
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

GATES = {"metrics": 100.0, "geometry": 100.0, "schema": 100.0, "dicom": 100.0}
REST = 90.0
"""Percent of lines: what decides a published figure is covered to the last one, apart from the rest."""


def folder_of(path: str) -> str:
    """`mammo_monai/metrics/froc.py` → `metrics`; `mammo_monai/files.py` → `files`."""
    parts = Path(path).parts
    return Path(parts[parts.index("mammo_monai") + 1]).stem


def lines_by_folder(report: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Covered lines and all lines of each folder of the package."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for path, file in report["files"].items():
        counts[folder_of(path)][0] += file["summary"]["covered_lines"]
        counts[folder_of(path)][1] += file["summary"]["num_statements"]
    return {name: (covered, lines) for name, (covered, lines) in sorted(counts.items())}


def summed(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Covered lines and all lines of several folders."""
    pairs = list(counts)
    return sum(covered for covered, _ in pairs), sum(lines for _, lines in pairs)


def rest_of(counts: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Covered lines and all lines outside the folders that have a gate of their own."""
    return summed(lines for name, lines in counts.items() if name not in GATES)


def percent(covered: int, lines: int) -> float:
    """100 where there is no line to cover."""
    return 100.0 * covered / lines if lines else 100.0


def failures(counts: dict[str, tuple[int, int]]) -> list[str]:
    """One line for each gate that is not reached; a gated folder that was not measured is not reached."""
    found = [
        f"{name}: not measured, {gate:.0f} % asked" for name, gate in GATES.items() if name not in counts
    ]
    for name, lines, gate in [
        *((name, counts[name], gate) for name, gate in GATES.items() if name in counts),
        ("the rest", rest_of(counts), REST),
    ]:
        if percent(*lines) < gate:
            found.append(f"{name}: {percent(*lines):.2f} % of lines covered, {gate:.0f} % asked")
    return found


def missing_lines(report: dict[str, Any]) -> list[str]:
    """Where the lines of gated folders are that no test ran."""
    return [
        f"{path}: {', '.join(map(str, file['missing_lines']))}"
        for path, file in sorted(report["files"].items())
        if folder_of(path) in GATES and file["missing_lines"]
    ]


def main(path: Path) -> int:
    report = json.loads(path.read_text(encoding="utf-8"))
    counts = lines_by_folder(report)
    print(f"{'line coverage':<16}{'covered':>9}{'lines':>9}{'%':>9}{'gate':>7}")
    for name, (covered, lines) in counts.items():
        gate = f"{GATES[name]:.0f}" if name in GATES else "–"
        print(f"{name:<16}{covered:>9}{lines:>9}{percent(covered, lines):>9.2f}{gate:>7}")
    for name, (covered, lines), gate in (
        ("the rest", rest_of(counts), f"{REST:.0f}"),
        ("whole package", summed(counts.values()), "–"),
    ):
        print(f"{name:<16}{covered:>9}{lines:>9}{percent(covered, lines):>9.2f}{gate:>7}")
    problems = failures(counts)
    for problem in [*problems, *(f"not covered: {each}" for each in missing_lines(report) if problems)]:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
