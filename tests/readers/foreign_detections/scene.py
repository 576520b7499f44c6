"""A manifest of four films and what other toolkits might have marked on them; no picture is ever opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.records import ImageRecord, Laterality, Lesion, ViewPosition
from mammo_monai.schema import Manifest, write_manifest

WIDTH, HEIGHT = 300, 400
BOXES = {"p1/left.png": (30.0, 40.0, 60.0, 90.0), "p2/left.png": (100.0, 50.0, 130.0, 70.0)}
NAMES = ("p1/left.png", "p1/right.png", "p2/left.png", "p3/other.png")
MARKS = (
    ("p1/left.png", (32.0, 41.0, 62.0, 92.0), 0.9),
    ("p1/left.png", (200.0, 300.0, 220.0, 330.0), 0.4),
    ("p2/left.png", (101.0, 49.0, 128.5, 71.0), 0.7),
    ("p3/other.png", (5.0, 5.0, 25.0, 45.0), 0.6),
)


def write_films(folder: Path, **more: Any) -> Path:
    """A manifest: training p1/left, which shows a mass, and p1/right; test p2/left, a mass, and p3/other."""
    records = [
        ImageRecord(
            image=folder / "films" / name,
            record_id=f"{number:016x}",
            patient_id=name[:2],
            width=WIDTH,
            height=HEIGHT,
            lesions=(Lesion(BOXES[name]),) if name in BOXES else (),
            laterality=Laterality.RIGHT if "right" in name else Laterality.LEFT,
            view_position=ViewPosition.CC,
            **more,
        )
        for number, name in enumerate(NAMES)
    ]
    path = folder / "manifest.json"
    write_manifest(path, Manifest(training=tuple(records[:2]), test=tuple(records[2:])))
    return path


def coco_truth(size: tuple[int, int] = (WIDTH, HEIGHT), **more: Any) -> dict[str, Any]:
    """The COCO file of the films; ids begin with 7."""
    return {
        "images": [
            {"id": number, "file_name": name, "width": size[0], "height": size[1]}
            for number, name in enumerate(NAMES, 7)
        ],
        "annotations": [],
        "categories": [{"id": 1, "name": "mass"}, {"id": 2, "name": "nipple"}],
        **more,
    }


def coco_results() -> list[dict[str, Any]]:
    """`MARKS` as COCO results."""
    return [
        {
            "image_id": 7 + NAMES.index(name),
            "category_id": 1,
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "score": score,
        }
        for name, box, score in MARKS
    ]


def write_coco(folder: Path, results: Any, truth: Any = None) -> tuple[Path, Path]:
    """results.json and truth.json."""
    paths = folder / "results.json", folder / "truth.json"
    for path, content in zip(paths, (results, coco_truth() if truth is None else truth), strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return paths


def table_text(separator: str = ",") -> str:
    """`MARKS` as a table of corners."""
    rows = [("file_name", "xmin", "ymin", "xmax", "ymax", "score")]
    rows += [(name, *map(str, box), str(score)) for name, box, score in MARKS]
    return "\n".join(separator.join(row) for row in rows) + "\n"


def write_yolo(folder: Path) -> Path:
    """`MARKS` as text files in labels/, beside a file of class names; an image without a mark has no file."""
    labels = folder / "run" / "labels"
    for name, (x0, y0, x1, y1), score in MARKS:
        path = labels / Path(name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        shares = (x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT
        with path.open("a") as stream:
            stream.write(" ".join(map(str, (0, *shares, score))) + "\n")
    (labels / "classes.txt").write_text("mass\nnipple\n")
    return labels


def types() -> LesionTypes:
    """What words mean where nobody says more."""
    return LesionTypes()
