"""What becomes of annotated boxes when films are cut to the breast and blackened around it.

    python scripts/bench/bench_breast_boxes.py ANNOTATIONS.json --images DIR --method otsu --oblique "*MLO*"

ANNOTATIONS.json is in COCO format, boxes in pixels of the images in DIR. A box is kept by a crop when at
least 99 % of its area lies inside the region's rectangle. A box is blackened by the share of its pixels that
lie outside the region. Both are printed per margin (a share of the image's longer side). Images whose file
name fits --oblique are MLO views: the share of their boxes that lies on the pectoral muscle is counted too.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.geometry import box_area, clip_boxes
from mammo_monai.imaging import breast_bounding_box, breast_region, pectoral_muscle, with_margin

MARGINS = (0.0, 0.01, 0.02)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--method", choices=("otsu", "global"), default="otsu")
    parser.add_argument("--oblique", default="*MLO*", metavar="PATTERN")
    arguments = parser.parse_args()
    content = json.loads(arguments.annotations.read_text())
    boxes = defaultdict(list)
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        boxes[annotation["image_id"]].append((x, y, x + width, y + height))
    kept: dict[float, list[bool]] = defaultdict(list)
    shares: dict[float, list[float]] = defaultdict(list)
    black: dict[float, list[float]] = defaultdict(list)
    on_muscle: list[float] = []
    empty = without_muscle = oblique = 0
    for entry in content["images"]:
        image = np.asarray(Image.open(arguments.images / entry["file_name"]).convert("L"))
        whole = np.array(boxes[entry["id"]], dtype=np.float64).reshape(-1, 4)
        region = breast_region(image, arguments.method)
        empty += not region.any()
        for margin in MARGINS if region.any() else ():
            x_min, y_min, x_max, y_max = breast_bounding_box(region, margin)
            shares[margin].append((x_max - x_min) * (y_max - y_min) / image.size)
            moved = whole - np.array([x_min, y_min, x_min, y_min])
            inside = box_area(clip_boxes(moved, x_max - x_min, y_max - y_min))
            kept[margin].extend(inside / box_area(whole) >= 0.99)
            black[margin].extend(1 - share for share in covered(whole, with_margin(region, margin)))
        if region.any() and Path(entry["file_name"]).match(arguments.oblique):
            muscle = pectoral_muscle(image, region)
            oblique += 1
            without_muscle += not muscle.any()
            on_muscle.extend(covered(whole, muscle))
    print(f"{len(content['images'])} images, {empty} without a region")
    for margin in MARGINS:
        lost, mean = kept[margin].count(False), np.mean(shares[margin])
        print(
            f"margin {margin:.2f}: {len(kept[margin]) - lost} of {len(kept[margin])} boxes kept "
            f"({np.mean(kept[margin]):.2%}); the rectangle covers {mean:.1%} of the image on average; "
            f"blackened outside by more than 5 %: {above(black[margin], 0.05)}, 25 %: "
            f"{above(black[margin], 0.25)} boxes"
        )
    print(f"{oblique} oblique views, {without_muscle} without a muscle, {len(on_muscle)} boxes")
    counts = ", ".join(f"{limit:.0%}: {above(on_muscle, limit)}" for limit in (0.25, 0.5, 0.75))
    print(f"boxes blackened by the muscle by more than {counts}")


def covered(boxes: NDArray[np.float64], mask: NDArray[np.bool_]) -> list[float]:
    """Share of each box's pixels, those it touches, that the mask marks."""
    low, high = np.floor(boxes[:, :2]).astype(int), np.ceil(boxes[:, 2:]).astype(int)
    return [float(mask[y:y_end, x:x_end].mean()) for (x, y), (x_end, y_end) in zip(low, high, strict=True)]


def above(values: list[float], limit: float) -> int:
    return sum(value > limit for value in values)


if __name__ == "__main__":
    main()
