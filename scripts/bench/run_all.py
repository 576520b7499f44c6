"""Runs the benchmarks one after the other, each in a process of its own; one that fails stops no other.

    python scripts/bench/run_all.py [--out build/bench] [--only decode forward …] [--set NAME=OPTIONS]

Writes OUT/NAME.json of each and OUT/table.md of all. The exit code is 1 if a benchmark failed; a target
missed is no failure: it stands in the table.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from table import markdown, read_results

HERE = Path(__file__).resolve().parent
NEEDS_DATA = {"breast_boxes", "breast_region", "loader", "manifest"}
"""Left out unless named: they need a data set that must be given, or write 10 000 files."""
LIMIT_S = 900.0


def names() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def run_bench(
    script: Path, json_path: Path | None, options: Sequence[str] = (), limit_s: float = LIMIT_S
) -> str:
    """Runs one benchmark, its output shown as it comes; why it failed, or ""."""
    command = [sys.executable, str(script), *options]
    if json_path is not None:
        json_path.unlink(missing_ok=True)  # an old result must not stand for a failed run
        command += ["--json", str(json_path)]
    try:
        code = subprocess.run(command, check=False, timeout=limit_s).returncode
    except subprocess.TimeoutExpired:
        return f"took longer than {limit_s:g} s"
    if code != 0:
        return f"exit code {code}"
    if json_path is not None and not json_path.is_file():
        return f"wrote no {json_path}"
    return ""


def writes_json(script: Path) -> bool:
    return "bench_arguments" in script.read_text(encoding="utf-8")


def run_all(wanted: Sequence[str], out: Path, options: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What failed, and why."""
    out.mkdir(parents=True, exist_ok=True)
    failed = {}
    for name in wanted:
        script, start = HERE / f"bench_{name}.py", time.monotonic()
        print(f"== {script.name}", flush=True)
        json_path = out / f"{name}.json" if writes_json(script) else None
        reason = run_bench(script, json_path, options.get(name, ()))
        print(f"   {reason or 'done'}, {time.monotonic() - start:.0f} s", flush=True)
        if reason:
            failed[name] = reason
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--only", nargs="+", choices=names(), metavar="NAME", help=", ".join(names()))
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=OPTIONS", help="options of a benchmark")
    args = parser.parse_args()
    wanted = args.only or [name for name in names() if name not in NEEDS_DATA]
    options = {name: shlex.split(text) for name, _, text in (each.partition("=") for each in args.set)}
    if unknown := sorted(options.keys() - set(names())):
        parser.error(f"--set names no benchmark: {', '.join(unknown)}; there are {', '.join(names())}")
    failed = run_all(wanted, args.out, options)
    if any(args.out.glob("*.json")):
        table = markdown(read_results(args.out))
        (args.out / "table.md").write_text(table + "\n", encoding="utf-8")
        print(f"\n{table}")
    for name, reason in failed.items():
        print(f"FAILED: {name}: {reason}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
