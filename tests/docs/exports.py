"""A site's folder of pictures with its own annotations, and public exports, of the images of a manifest."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mammo_monai.dicom import read_mammogram
from mammo_monai.records import MASS_LABEL
from mammo_monai.schema import read_manifest


def write_ours(folder: Path, manifest: Path) -> None:
    """A site's folder: ours/PATIENT/PATIENT_SIDE_VIEW.png, boxes.csv, labels/ (YOLO), masks/ (PNG)."""
    images, annotations = _content(manifest)
    boxes: list[list[object]] = []
    for image in images:
        name = f"images/{image['patient']}_{image['side']}_{image['view']}"
        write_png(image["source"], folder / "ours" / f"{name}.png")
        own = [box for number, box in annotations if number == image["id"]]
        patient = image["patient"]
        boxes += [[f"{name}.png", *box, "mass", patient] for box in own] or [
            [f"{name}.png", *[""] * 5, patient]
        ]
        _write_yolo(folder / "ours" / "labels" / f"{Path(name).name}.txt", image["size"], own)
        if own:
            _write_mask(folder / "ours" / "masks" / f"{Path(name).name}.png", image["size"], own)
    _write_coco(folder / "ours" / "boxes.json", images, annotations, "{patient}_{side}_{view}.png")
    with (folder / "ours" / "boxes.csv").open("w", newline="", encoding="utf-8") as stream:
        header = ["file_name", "xmin", "ymin", "xmax", "ymax", "label", "patient_id"]
        csv.writer(stream).writerows([header, *boxes])
    (folder / "ours" / "labels" / "classes.txt").write_text("mass\ncalcification\n", encoding="utf-8")


def write_export(folder: Path, manifest: Path) -> None:
    """images/ of 8 bits and annotations.coco.json, as public exports come."""
    images, annotations = _content(manifest)
    file = "{patient}_{full_side}_{view}.png"
    for image in images:
        write_png(image["source"], folder / "images" / file.format(**image))
    _write_coco(folder / "annotations.coco.json", images, annotations, file)


def write_png(source: Path, target: Path) -> None:
    """The film as an export shows it: 8 bits, dense tissue bright."""
    film = read_mammogram(source)
    low, high = film.output_range
    shown = (film.pixels - low) / (high - low) * 255
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(shown.astype(np.uint8)).save(target)


def _write_yolo(path: Path, size: tuple[int, int], boxes: list[list[float]]) -> None:
    width, height = size
    path.parent.mkdir(parents=True, exist_ok=True)
    shares = [
        ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
        for x0, y0, x1, y1 in boxes
    ]
    path.write_text(
        "".join("0 {:.5f} {:.5f} {:.5f} {:.5f}\n".format(*share) for share in shares), encoding="utf-8"
    )


def _write_mask(path: Path, size: tuple[int, int], boxes: list[list[float]]) -> None:
    mask = np.zeros((size[1], size[0]), dtype=np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[round(y0) : round(y1), round(x0) : round(x1)] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def _write_coco(
    path: Path, images: list[dict[str, Any]], annotations: list[tuple[int, list[float]]], file: str
) -> None:
    listed = [
        {"id": each["id"], "file_name": file.format(**each), "width": each["size"][0],
         "height": each["size"][1], "patient_id": each["patient"],
         "split": "training" if int(each["patient"]) % 4 else "test"}
        for each in images
    ]  # fmt: skip
    marks = [
        {"id": n, "image_id": number, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        for n, (number, (x0, y0, x1, y1)) in enumerate(annotations, 1)
    ]
    content = {"images": listed, "annotations": marks, "categories": [{"id": 1, "name": "mass"}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _content(path: Path) -> tuple[list[dict[str, Any]], list[tuple[int, list[float]]]]:
    """Images of a data set as numbers of a site's own, and their boxes by image."""
    manifest = read_manifest(path)
    patients: dict[str, int] = {}
    images, annotations = [], []
    records = [*manifest.training, *manifest.validation, *manifest.test]
    for number, record in enumerate(sorted(records, key=lambda each: each.record_id), 1):
        patient = patients.setdefault(record.patient_id, 1001 + len(patients))
        images.append(
            {"id": number, "source": record.image, "patient": f"{patient}", "side": record.laterality.value,
             "full_side": "LEFT" if record.laterality.value == "L" else "RIGHT",
             "view": record.view_position.value, "size": (record.width, record.height)}
        )  # fmt: skip
        masses = [lesion.box for lesion in record.lesions if lesion.label == MASS_LABEL]
        annotations += [(number, [round(float(side), 1) for side in box]) for box in masses]
    return images, annotations
