"""What every benchmark shares: sides timed in turn, medians, the ratio to the peer, equality, one JSON file.

    from harness import Comparison, alternate, bench_arguments, report

    args = bench_arguments(__doc__, repeats=5).parse_args()
    sides = {"stock": partial(stock, data), "ours": partial(ours, data)}
    seconds = alternate(sides, args.repeats, warm_up=1)
    report(
        Comparison(work="…", peer="stock", ours="ours", seconds=seconds, target=2.0, equality={"…": True}),
        json=args.json,
    )

Sides alternate in one process, round after round, so that other load on the machine falls on all of them:
ratios travel between machines and survive load, seconds do neither.
"""

from __future__ import annotations

import argparse
import json as json_format
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Value = bool | int | float | str
SCHEMA = "mammo-monai/bench/1"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One work done by several sides, two of which are compared.

    Attributes:
        work: what is done, with its size.
        peer: the side to beat: what people use instead.
        ours: the side of this package.
        seconds: of each side, one per round; sides of equal length were timed in turn.
        target: the least ratio peer / ours that was promised; None where nothing was.
        equality: evidence that both sides did the same work, claim → value; `False` says that they did not.
        extra: further measures beside the time (memory, counts), name → value.
    """

    work: str
    peer: str
    ours: str
    seconds: Mapping[str, Sequence[float]]
    target: float | None
    equality: Mapping[str, Value]
    extra: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (self.peer, self.ours):
            if not self.seconds.get(name):
                raise ValueError(f"{self.work}: no seconds of side {name!r}, only of {sorted(self.seconds)}.")

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio_of(self, name: str) -> float:
        """Peer / side, the median over rounds; above 1 the side is faster.

        >>> Comparison(
        ...     work="a", peer="p", ours="o", seconds={"p": [4.0, 8.0, 9.0], "o": [2.0, 4.0, 3.0]},
        ...     target=None, equality={},
        ... ).ratio
        2.0
        """
        peer, side = self.seconds[self.peer], self.seconds[name]
        if len(peer) != len(side):
            return self.median(self.peer) / self.median(name)
        return statistics.median(theirs / own for theirs, own in zip(peer, side, strict=True))

    @property
    def ratio(self) -> float:
        return self.ratio_of(self.ours)

    @property
    def is_equal(self) -> bool:
        return all(value is not False for value in self.equality.values())

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met by equal work; None without a target."""
        return None if self.target is None else bool(self.ratio >= self.target and self.is_equal)


def between(peer: str, ours: str, seconds: Mapping[str, Sequence[float]], **fields: Any) -> Comparison:
    """The comparison of two of many sides; `fields` are the others of `Comparison`."""
    return Comparison(peer=peer, ours=ours, seconds={each: seconds[each] for each in (peer, ours)}, **fields)


def bench_arguments(description: str | None, *, repeats: int = 5) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes: --repeats, --threads, --json. Add your own to it."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=repeats, help="rounds; each times every side once")
    parser.add_argument("--threads", type=int, help="of torch; its own choice without")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    return parser


def alternate(
    sides: Mapping[str, Callable[[], T]],
    repeats: int,
    warm_up: int = 1,
    *,
    synchronize: Callable[[], object] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each side, `repeats` of them, the sides in turn; the first `warm_up` rounds are not kept.

    Every other round goes backwards, so that no side always follows the same one.
    `synchronize` waits for the device (`torch.cuda.synchronize`) before the clock is read.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(warm_up + repeats):
        for name in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            start = time.perf_counter()
            sides[name]()
            if synchronize is not None:
                synchronize()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def report(comparisons: Comparison | Sequence[Comparison], *, json: Path | None = None) -> None:
    """Prints medians, ratio, target and equality of each; writes them with the machine to `json`."""
    each = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
    for comparison in each:
        print(as_text(comparison))
    if json is not None:
        content = {"schema": SCHEMA, "machine": machine(), "comparisons": [as_fields(one) for one in each]}
        json.parent.mkdir(parents=True, exist_ok=True)
        part = json.with_name(json.name + ".part")
        part.write_text(json_format.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(json)


def as_text(comparison: Comparison) -> str:
    """A line of the work, one per side, one of the ratio, one per piece of evidence."""
    lines = [comparison.work]
    for name in comparison.seconds:
        role = {comparison.peer: "peer", comparison.ours: "ours"}.get(name, "")
        lines.append(
            f"  {name:44s} {_readable(comparison.median(name)):>10s}  "
            f"x{comparison.ratio_of(name):<7.3g} {role}".rstrip()
        )
    verdict = {None: "no target", True: "target met", False: "TARGET MISSED"}[comparison.is_met]
    wanted = "" if comparison.target is None else f" (target >= {comparison.target:g})"
    lines.append(f"  ratio peer / ours: {comparison.ratio:.3g}{wanted}: {verdict}")
    lines += [f"  equality: {claim}: {_shown(value)}" for claim, value in comparison.equality.items()]
    lines += [f"  {name}: {_shown(value)}" for name, value in comparison.extra.items()]
    return "\n".join(lines)


def as_fields(comparison: Comparison) -> dict[str, object]:
    """What the JSON file holds of a comparison."""
    return {
        "work": comparison.work,
        "peer": comparison.peer,
        "ours": comparison.ours,
        "medians_s": {name: comparison.median(name) for name in comparison.seconds},
        "ratios": {name: comparison.ratio_of(name) for name in comparison.seconds},
        "ratio": comparison.ratio,
        "target": comparison.target,
        "is_met": comparison.is_met,
        "equality": dict(comparison.equality),
        "extra": dict(comparison.extra),
        "seconds": {name: list(values) for name, values in comparison.seconds.items()},
    }


def machine() -> dict[str, Value]:
    """Processor, cores, memory, versions, threads, and the load while this ran."""
    found: dict[str, Value] = {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_1_min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else "unknown",
    }
    torch = sys.modules.get("torch")  # a benchmark without torch need not load it
    if torch is not None:
        found["torch"] = str(torch.__version__)
        found["threads"] = torch.get_num_threads()
        found["gpu"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _memory_gib() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return 0.0


def _readable(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
