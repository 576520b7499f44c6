"""Run as a process by test_same_bytes: the whole chain on phantoms, into the working folder.

python -m tests.determinism.chain
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mammo_monai.cli.main import main

BUNDLE = "coco_to_inbreast_mass_retinanet"
SMALL = (
    "--network_def#backbone resnet18 --network_def#fpn_channels 32 --detector#size_divisible 32 --size_px 96"
)
# Sources keep the time of their last change when they are copied; phantoms that are made twice have two.
CHANGED_AT_S = 1_700_000_000


def commands() -> list[str]:
    """One line per command, in order."""
    bundle = f"--bundle {BUNDLE} {SMALL}"
    weights = f"{bundle} --weights run/model.safetensors"
    scored = "--manifest manifest.json --bootstrap 50"
    return [
        "phantoms --layout inbreast --patients 4 --seed 1 --pixel-spacing-mm 1 --out inbreast",
        "phantoms --layout cbis-ddsm --patients 2 --seed 2 --pixel-spacing-mm 1 --out cbis",
        "manifest cbis-ddsm cbis -o cbis.json",
        "manifest inbreast inbreast -o manifest.json",
        "folds make manifest.json --folds 2 --seed 3 -o folds.json",
        "prepare manifest.json --size-px 96 --out prepared",
        f"train {bundle} --manifest manifest.json --output-dir run --init none --epochs 2 --batch_size 2",
        f"predict manifest.json {weights} -o detections.json --overlays overlays",
        f"predict manifest.json {weights} -o detections.jsonl",
        f"evaluate detections.json {scored} -o metrics.json",
        f"calibrate detections.json {scored} --hit center_distance --max-distance-mm 60 -o points.json",
        "show manifest.json -o sheets/index.html",
        "report metrics.json --manifest manifest.json --name run -o report.html",
        "report metrics.json --manifest manifest.json --name run -o report.pdf",
        "report metrics.json --name run -o report.csv",
        "report metrics.json --name run -o report.tex",
        f"compare detections.json detections.json {scored} --permutations 50 -o compared.html",
        "dicom sr detections.json --min-score 0.02 -o sr",
        "bundle pack cbis_mass_detection -o packed.zip",
    ]


if __name__ == "__main__":
    for line in commands():
        code = main(line.split())
        if code not in (0, 1):
            sys.exit(f"{line}: exit code {code}")
        if line.startswith("phantoms"):
            for each in Path().rglob("*"):
                os.utime(each, (CHANGED_AT_S, CHANGED_AT_S))
