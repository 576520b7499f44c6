"""The Markdown table of all benchmarks from their JSON files; `--into PAGE` puts it between its markers.

    python scripts/bench/table.py build/bench --into docs/explanation/speed.md

A page has the lines `<!-- bench: begin -->` and `<!-- bench: end -->`; what stands between them is replaced.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import SCHEMA

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
HEADER = "| work | peer | ours | ratio | target | equality |\n|---|---|---|---|---|---|"
VERDICT = {None: "", True: ", met", False: ", **missed**"}
Result = Mapping[str, Any]


def read_results(folder: Path) -> list[Result]:
    """The content of every benchmark's file, by name.

    Raises:
        SystemExit: no file, or one that is no benchmark's.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise SystemExit(f"{folder}: expected the JSON files of benchmarks, found none. Run make bench.")
    results = []
    for path in paths:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("schema") != SCHEMA:
            raise SystemExit(
                f"{path}: expected schema {SCHEMA}, got {content.get('schema')}. Remove the file."
            )
        results.append(content)
    return results


def markdown(results: Sequence[Result]) -> str:
    """The machine, then a row for each comparison."""
    rows = [row(one) for result in results for one in result["comparisons"]]
    return "\n\n".join([machine_line(results), "\n".join([HEADER, *rows])])


def row(comparison: Result) -> str:
    """One comparison: medians, ratio, target, evidence."""
    medians, target = comparison["medians_s"], comparison["target"]
    peer, ours = comparison["peer"], comparison["ours"]
    cells = [
        comparison["work"],
        f"{peer}: {seconds(medians[peer])}",
        f"{ours}: {seconds(medians[ours])}",
        f"**{comparison['ratio']:.3g} ×**",
        "" if target is None else f"≥ {target:g} ×{VERDICT[comparison['is_met']]}",
        "; ".join(f"{claim}: {shown(value)}" for claim, value in comparison["equality"].items()),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def machine_line(results: Sequence[Result]) -> str:
    """Processor, cores, versions, and the range of the load while the benchmarks ran."""
    machines = [result["machine"] for result in results]
    about = {key: value for each in machines for key, value in each.items()}
    loads = [each["load_1_min"] for each in machines if isinstance(each["load_1_min"], int | float)]
    load = f", load {min(loads):g} to {max(loads):g}" if loads else ""
    with_torch = (
        f", torch {about['torch']}, {about['threads']} threads, GPU {about['gpu']}"
        if "torch" in about
        else ""
    )
    return (
        f"Machine: {about['cpu']}, {about['cores']} cores, {about['memory_gib']:g} GiB, {about['system']}, "
        f"Python {about['python']}{with_torch}{load}."
    )


def seconds(value: float) -> str:
    """
    >>> seconds(2.5), seconds(0.0421)
    ('2.50 s', '42.1 ms')
    """
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def shown(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def put_into(page: str, table: str) -> str:
    """The page with the table between its markers.

    Raises:
        ValueError: the markers are not there once each, in order.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"expected one {BEGIN} before one {END}.")
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build/bench"))
    parser.add_argument("--into", type=Path, metavar="PAGE", help="also replace the table of this page")
    args = parser.parse_args()
    table = markdown(read_results(args.folder))
    print(table)
    if args.into:
        page = args.into.read_text(encoding="utf-8")
        args.into.write_text(put_into(page, table), encoding="utf-8")


if __name__ == "__main__":
    main()
