"""A small audited data set on disk: non-square, a right breast, a normal, one image that cannot be shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mammo_monai.records import ImageRecord, Laterality, Lesion, ViewPosition
from mammo_monai.schema import Action, Finding, Manifest, Quarantined

WIDTH, HEIGHT = 60, 90
PATIENTS = ("MARKER-Doe^Jane", "MARKER patient two")
FILE = "MARKERfile"
MASS, CALCIFICATION = (10.0, 20.0, 30.0, 50.0), (36.0, 60.0, 42.0, 66.0)


def write_picture(path: Path, *, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """A bright half disc at the left edge, as a breast, on black."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    inside = (columns / (0.8 * width)) ** 2 + ((rows - height / 2) / (0.4 * height)) ** 2 < 1
    pixels = np.where(inside, 120 + (rows + columns) % 60, 3).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def record(folder: Path, number: int, **more) -> ImageRecord:
    """A record of a picture that is written, with a marked file name and patient."""
    path = write_picture(folder / "MARKERfolder" / f"{FILE}{number}.png")
    values = {"image": path, "record_id": f"{number:016x}", "patient_id": PATIENTS[number % 2]}
    return ImageRecord(**{**values, "width": WIDTH, "height": HEIGHT, **more})


def audited(folder: Path, *, about: dict | None = None) -> Manifest:
    """Two training images (a right MLO with two kinds of lesions, a normal), a test image, two left out."""
    lesions = (
        Lesion(MASS, birads=4, pathology="MALIGNANT"),
        Lesion(CALCIFICATION, type="calcification", label=1),
    )
    right = {"laterality": Laterality.RIGHT, "view_position": ViewPosition.MLO}
    broken = folder / "MARKERfolder" / f"{FILE}9.png"
    first = record(
        folder, 0, lesions=lesions, **right, breast_density=3, pixel_spacing_mm=(0.5, 1.0), birads=5
    )
    broken.write_bytes(first.image.read_bytes()[:60])
    return Manifest(
        training=(first, record(folder, 1, laterality=Laterality.LEFT, view_position=ViewPosition.CC)),
        test=(record(folder, 3, lesions=(Lesion(MASS),)),),
        path=folder / "manifest.json",
        quarantined=(
            Quarantined("9" * 16, "file-cut-short", broken, "table.csv row 9"),
            Quarantined("8" * 16, "image-missing", None, "table.csv row 8"),
        ),
        about=about or {},
    )


def findings() -> list[Finding]:
    """A finding of each action, one of the whole data set."""
    return [
        Finding("file-cut-short", "9" * 16, "the file ends early", Action.QUARANTINED, "table.csv row 9"),
        Finding("image-missing", "8" * 16, "no such image", Action.QUARANTINED, "table.csv row 8"),
        Finding("side-differs", f"{0:016x}", "the table says L & <the picture> R", Action.WARNED),
        Finding("table-bom", "", "the table begins with a byte order mark", Action.REPAIRED, "table.csv"),
    ]
