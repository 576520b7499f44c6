"""`python -m tests.crash.run --kills 200 --out build/crash`: kills every command, writes figures.json.

Goes on where it was stopped; a finished scenario is not run again. Ends with 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a fork has no threads, so its parent may have started none

from mammo_monai.files import write_json_atomic
from tests.crash.attempts import Kill, forked
from tests.crash.chains import Killer
from tests.crash.material import Material
from tests.crash.scenarios import SCENARIOS, SERVE_KILLS, Scenario
from tests.crash.serve_chains import serve_chain
from tests.crash.short_scenarios import SHORT_SCENARIOS, write_short_material

KILLS_OF_A_CHAIN = 6
SERVE = "serve"
CHAIN_S = 1800.0  # more than a chain of nodes takes on a busy machine
BINS = 10
_COUNTS = ("kills", "resumes", "orphans")
_FINDINGS = ("differences", "halves", "left")


class Figures:
    """figures.json: written after each chain, read again by a run that goes on."""

    def __init__(self, path: Path, command: str) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self.rows = {row["scenario"]: row for row in json.loads(path.read_bytes())["rows"]}
        self.command = command

    def kills(self, scenario: str) -> int:
        """So far."""
        return int(self.rows.get(scenario, {}).get("kills", 0))

    def add(self, scenario: str, verb: str, chain: Mapping[str, Any], wall_s: float) -> None:
        """Adds a chain to its scenario's row."""
        row = self.rows.setdefault(scenario, {"scenario": scenario, "verb": verb, "chains": 0, "wall_s": 0.0})
        row["chains"] += 1
        row["wall_s"] = round(row["wall_s"] + wall_s, 1)
        for name in _COUNTS:
            row[name] = row.get(name, 0) + chain[name]
        for name in ("clock_kills_s", "file_kills", *_FINDINGS):
            row[name] = [*row.get(name, []), *chain[name]]
        self.write()

    def write(self) -> None:
        """Writes all rows, with histograms of the moments."""
        rows = [{**row, "moments": _moments(row)} for row in self.rows.values()]
        total = {name: sum(row[name] for row in rows) for name in ("chains", *_COUNTS)}
        total |= {name: sum(len(row[name]) for row in rows) for name in _FINDINGS}
        machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "python": sys.version.split()[0]}
        write_json_atomic(
            self.path, {"command": self.command, "machine": machine, "total": total, "rows": rows}
        )

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, read in halves, or left running."""
        return not any(row["differences"] or row["halves"] or row["orphans"] for row in self.rows.values())


def _moments(row: Mapping[str, Any]) -> dict[str, Any]:
    """Histograms with bins of equal width: of kills by the clock, and at operations on files."""
    found = {}
    for name in ("clock_kills_s", "file_kills"):
        values = row[name]
        width = max(values, default=0) / BINS or 1
        counts = [0] * BINS
        for each in values:
            counts[min(BINS - 1, int(each / width))] += 1
        found[name] = {"bin_width": round(width, 3), "counts": counts}
    return found


def shares(kills: int, scenarios: Sequence[Scenario], *, with_serve: bool) -> dict[str, int]:
    """How many kills each scenario gets, in proportion to its own number; at least 1."""
    weights = {each.name: each.kills for each in scenarios} | ({SERVE: SERVE_KILLS} if with_serve else {})
    whole = sum(weights.values())
    found = {name: max(1, kills * weight // whole) for name, weight in weights.items()}
    for name in list(found)[: max(0, kills - sum(found.values()))]:
        found[name] += 1
    return found


class Progress:
    """A line per chain with the time left."""

    def __init__(self, figures: Figures, wanted: Mapping[str, int]) -> None:
        self.figures, self.wanted = figures, wanted
        self.start_s, self.before = time.monotonic(), self._done()

    def tell(self, scenario: str) -> None:
        """Says how far the run is."""
        done, whole = self._done(), sum(self.wanted.values())
        spent_s = time.monotonic() - self.start_s
        left_s = spent_s / max(1, done - self.before) * (whole - done)
        row = self.figures.rows[scenario]
        found = ", ".join(f"{name} {len(row[name])}" for name in _FINDINGS)
        _say(
            f"{done} of {whole} kills, {left_s:.0f} s left; {scenario}: {row['kills']} kills, {found}, "
            f"orphans {row['orphans']}"
        )

    def _done(self) -> int:
        return sum(min(count, self.figures.kills(name)) for name, count in self.wanted.items())


def kill_commands(out: Path, figures: Figures, wanted: Mapping[str, int], seed: int) -> None:
    """Runs what is missing of every scenario but serve."""
    material = Material(out / "material")
    out.mkdir(parents=True, exist_ok=True)

    def make() -> int:
        material.make()
        if any(each.name in wanted for each in SHORT_SCENARIOS):
            write_short_material(material)
        return 0

    made = forked(make, out / "nothing", out / "material.log")
    if made.code:
        raise RuntimeError(f"the material could not be made: {(out / 'material.log').read_text()[-800:]}")
    progress = Progress(figures, wanted)
    for scenario in (*SCENARIOS, *SHORT_SCENARIOS):
        missing = wanted.get(scenario.name, 0) - figures.kills(scenario.name)
        if missing <= 0:
            continue
        killer = Killer(scenario, material, out / "work" / scenario.name.replace(", ", "-").replace(" ", "-"))
        start_s = time.monotonic()
        reference = killer.reference()
        while (missing := wanted[scenario.name] - figures.kills(scenario.name)) > 0:
            row = figures.rows.get(scenario.name, {})
            chance = random.Random(f"{seed} {scenario.name} {row.get('chains', 0)}")
            chain = killer.chain(reference, chance, most=min(missing, KILLS_OF_A_CHAIN))
            figures.add(scenario.name, scenario.verb, chain.as_json(), time.monotonic() - start_s)
            start_s = time.monotonic()
            progress.tell(scenario.name)


def kill_nodes(out: Path, figures: Figures, wanted: Mapping[str, int], seed: int) -> None:
    """Runs what is missing of serve; the archive and the senders are threads, so each chain has a process."""
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress(figures, wanted)
    answer = out / "serve.json"
    while (missing := wanted.get(SERVE, 0) - figures.kills(SERVE)) > 0:
        number = figures.rows.get(SERVE, {}).get("chains", 0)
        folder = out / "work" / f"serve-{number}"
        chance = random.Random(f"{seed} {SERVE} {number}")

        def conduct() -> int:
            write_json_atomic(answer, serve_chain(folder, chance, kills=min(missing, KILLS_OF_A_CHAIN)))  # noqa: B023
            return 0

        start_s = time.monotonic()
        attempt = forked(conduct, out / "nothing", out / "serve.log", Kill(after_s=CHAIN_S))
        if attempt.code:
            raise RuntimeError(f"serve ended with {attempt.code}: {(out / 'serve.log').read_text()[-800:]}")
        figures.add(SERVE, SERVE, json.loads(answer.read_bytes()), time.monotonic() - start_s)
        progress.tell(SERVE)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Kills; prints the totals; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("build/crash"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these verbs or scenarios (all)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    out = args.out.absolute()
    names = set(args.only or [SERVE, *(each.verb for each in SCENARIOS)])
    chosen = [each for each in (*SCENARIOS, *SHORT_SCENARIOS) if names & {each.verb, each.name}]
    wanted = shares(args.kills, chosen, with_serve=SERVE in names)
    command = f"python -m tests.crash.run --kills {args.kills} --seed {args.seed}"
    figures = Figures(
        out / "figures.json", command + (f" --only {shlex.join(args.only)}" if args.only else "")
    )
    os.environ["MAMMO_MONAI_CACHE"] = str(out / "cache")
    kill_nodes(out, figures, wanted, args.seed)
    kill_commands(out, figures, wanted, args.seed)
    figures.write()
    for row in figures.rows.values():
        for name in _FINDINGS:
            for each in row[name]:
                _say(f"{row['scenario']}: {name}: {each}")
    _say(json.dumps(json.loads(figures.path.read_bytes())["total"]))
    return 0 if figures.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
