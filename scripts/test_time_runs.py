"""What test-time augmentation gains and costs: one FROC row per way of showing an image.

    python scripts/test_time_runs.py BUNDLE --weights model.safetensors --manifest M.json --split test -o DIR

Every way predicts on the same images with the same weights; DIR receives WAY.json (detections). The table
shows the mean sensitivity, the sensitivity at 0.25, 0.5, 1 and 2 false positives per image, and the processor
seconds per image, loading included. --limit 80 takes the first 80 images.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from mammo_monai.bundle import run_bundle
from mammo_monai.metrics import evaluate_detections
from mammo_monai.schema import read_detections, read_manifest

WAYS: dict[str, dict[str, object]] = {
    "none": {},
    "mirror-heads": {"test_time": "mirror", "fusion": "heads"},
    "mirror-boxes": {"test_time": "mirror", "fusion": "boxes"},
    "flips-heads": {"test_time": "flips", "fusion": "heads"},
    "flips-boxes": {"test_time": "flips", "fusion": "boxes"},
    "flips-sizes": {"test_time": "flips", "fusion": "heads", "scales": [1.0, 1.25]},
}
FPPI = (0.25, 0.5, 1.0, 2.0)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("-o", "--output-dir", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    print("way            mean  " + "".join(f"@{fppi:<6g}" for fppi in FPPI) + "s/image")
    for way in arguments.ways:
        print(f"{way:14s} {row(way, arguments)}", flush=True)


def row(way: str, arguments: argparse.Namespace) -> str:
    output = arguments.output_dir / f"{way}.json"
    values: dict[str, object] = {
        f"inferer#{name}": value for name, value in {"test_time": "none", **WAYS[way]}.items()
    }
    values |= {"weights": str(arguments.weights.resolve()), "input": str(arguments.manifest.resolve())}
    values |= {
        "split": arguments.split,
        "dataset#samples#limit": arguments.limit,
        "output": str(output.resolve()),
    }
    start_s = time.process_time()
    run_bundle(arguments.bundle, "inference", "run", values)
    seconds = time.process_time() - start_s
    found = read_detections(output).detections
    ids = {each.record_id for each in found}
    records = [
        each for each in read_manifest(arguments.manifest).images(arguments.split) if each.record_id in ids
    ]
    metrics = evaluate_detections(records, found)
    points = {point["fppi"]: point["sensitivity"] for point in metrics["froc"]["points"]}
    cells = "".join(f"{points[fppi]:<7.3f}" for fppi in FPPI)
    return f"{metrics['mean_sensitivity']['value']:.3f} {cells}{seconds / len(found):.2f}"


if __name__ == "__main__":
    main()
