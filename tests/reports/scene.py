"""A small scored scene on disk for tests of reports: non-square, a right breast, a normal image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mammo_monai.metrics import FrocRule, evaluate_files
from mammo_monai.records import Detections, ImageRecord, Laterality, Lesion, ViewPosition
from mammo_monai.schema import Manifest, write_detections, write_manifest, write_metrics

WIDTH, HEIGHT = 60, 90
FOUND, MISSED, ASIDE = (10.0, 20.0, 30.0, 50.0), (40.0, 60.0, 55.0, 80.0), (2.0, 70.0, 12.0, 84.0)


def detections_of(record_id: str, *rows: tuple[tuple[float, float, float, float], float]) -> Detections:
    return Detections(
        record_id,
        np.array([box for box, _ in rows], dtype=float).reshape(-1, 4),
        np.array([score for _, score in rows], dtype=float),
        np.zeros(len(rows), dtype=np.int64),
    )


def write_scene(folder: Path, *, has_lesions: bool = True, has_detections: bool = True) -> Path:
    """Writes images, manifest.json, run/detections.json and run/metrics.json; returns the folder."""
    records = []
    for n in range(3):
        pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        pixels[10:, :40] = 60 + 20 * n
        path = folder / f"image{n}.png"
        Image.fromarray(pixels).save(path)
        lesions = (Lesion(FOUND, pathology="MALIGNANT", birads=5), Lesion(MISSED)) if n == 0 else ()
        records.append(
            ImageRecord(
                path,
                f"{n:016x}",
                f"patient {n}",
                WIDTH,
                HEIGHT,
                lesions if has_lesions else (),
                Laterality.RIGHT if n == 0 else None,
                ViewPosition.MLO if n == 0 else None,
                (0.5, 0.5) if n == 0 else None,
            )
        )
    write_manifest(folder / "manifest.json", Manifest(test=tuple(records)))
    rows = [[(FOUND, 0.9), (ASIDE, 0.4), (FOUND, 0.3)], [(ASIDE, 0.6)], []]
    entries = [
        detections_of(record.record_id, *(each if has_detections else []))
        for record, each in zip(records, rows, strict=True)
    ]
    run = folder / "run"
    write_detections(run / "detections.json", entries, {"name": "a model"})
    score(folder, "run")
    return folder


def score(folder: Path, run: str, **rule) -> None:
    metrics = evaluate_files(
        folder / run / "detections.json",
        folder / "manifest.json",
        split="test",
        rule=FrocRule(n_bootstrap=rule.pop("n_bootstrap", 50), **rule),
    )
    write_metrics(folder / run / "metrics.json", metrics)
