"""Share of annotated boxes that the breast region's bounding rectangle keeps.

    python scripts/bench/bench_breast_boxes.py ANNOTATIONS.json --images DIR --method otsu

ANNOTATIONS.json is in COCO format, boxes in pixels of the images in DIR. A box is kept when at least 99 % of
its area lies inside the rectangle. Prints one row per margin (a share of the image's longer side).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from mammo_monai.geometry import box_area, clip_boxes
from mammo_monai.imaging import breast_bounding_box, breast_region

MARGINS = (0.0, 0.01, 0.02)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--method", choices=("otsu", "global"), default="otsu")
    arguments = parser.parse_args()
    content = json.loads(arguments.annotations.read_text())
    boxes = defaultdict(list)
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        boxes[annotation["image_id"]].append((x, y, x + width, y + height))
    kept, shares, empty = defaultdict(list), defaultdict(list), 0
    for entry in content["images"]:
        image = np.asarray(Image.open(arguments.images / entry["file_name"]).convert("L"))
        region = breast_region(image, arguments.method)
        empty += not region.any()
        for margin in MARGINS if region.any() else ():
            x_min, y_min, x_max, y_max = breast_bounding_box(region, margin)
            shares[margin].append((x_max - x_min) * (y_max - y_min) / image.size)
            whole = np.array(boxes[entry["id"]], dtype=np.float64).reshape(-1, 4)
            moved = whole - np.array([x_min, y_min, x_min, y_min])
            inside = box_area(clip_boxes(moved, x_max - x_min, y_max - y_min))
            kept[margin].extend(inside / box_area(whole) >= 0.99)
    print(f"{len(content['images'])} images, {empty} without a region")
    for margin in MARGINS:
        lost, mean = kept[margin].count(False), np.mean(shares[margin])
        print(
            f"margin {margin:.2f}: {len(kept[margin]) - lost} of {len(kept[margin])} boxes kept "
            f"({np.mean(kept[margin]):.2%}); the rectangle covers {mean:.1%} of the image on average"
        )


if __name__ == "__main__":
    main()
