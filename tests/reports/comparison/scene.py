"""Two detectors on made images on disk: gains, losses, swaps; non-square, a right breast, normal images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mammo_monai.metrics import FrocRule
from mammo_monai.records import ImageRecord, Laterality, Lesion, ViewPosition
from mammo_monai.reports.comparison.compared import CompareOptions, Comparison, compare_files
from mammo_monai.schema import Manifest, write_detections, write_manifest
from tests.reports.scene import ASIDE, FOUND, HEIGHT, MISSED, WIDTH, detections_of

# Per image: lesions, what the first marks, what the second marks.
IMAGES = (
    ((FOUND, MISSED), [(FOUND, 0.9)], [(FOUND, 0.5), (MISSED, 0.4)]),  # gains one
    ((FOUND,), [(FOUND, 0.8)], [(ASIDE, 0.3)]),  # loses one, and a false positive more
    ((FOUND, MISSED), [(FOUND, 0.7)], [(MISSED, 0.35)]),  # another one, as many
    ((), [(ASIDE, 0.6)], []),  # a false positive less
    ((), [], []),  # as before
    ((FOUND,), [(FOUND, 0.85), (FOUND, 0.84)], [(FOUND, 0.45)]),  # as before: a double hit is nothing
)
RULE = FrocRule(n_bootstrap=60)


def write_pair(folder: Path, *, has_lesions: bool = True) -> Path:
    """Writes images, manifest.json (test list), a.json and b.json; returns the folder."""
    records = []
    for n, (lesions, _, _) in enumerate(IMAGES):
        path = folder / f"image{n}.png"
        pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        pixels[10:, :40] = 60 + 20 * n
        Image.fromarray(pixels).save(path)
        records.append(
            ImageRecord(
                path,
                f"{n:016x}",
                f"patient {(n + 1) // 2}",
                WIDTH,
                HEIGHT,
                tuple(Lesion(box) for box in lesions) if has_lesions else (),
                Laterality.RIGHT if n == 0 else None,
                ViewPosition.MLO if n == 0 else None,
            )
        )
    write_manifest(folder / "manifest.json", Manifest(test=tuple(records)))
    for column, name in ((1, "a"), (2, "b")):
        entries = [detections_of(f"{n:016x}", *each[column]) for n, each in enumerate(IMAGES)]
        write_detections(folder / f"{name}.json", entries, {"name": f"model {name}"})
    return folder


def compared(folder: Path, **options) -> Comparison:
    options = {"rule": RULE, "n_permutations": 30, **options}
    return compare_files(
        folder / "a.json", folder / "b.json", folder / "manifest.json", CompareOptions(**options)
    )
