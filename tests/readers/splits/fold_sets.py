"""Data sets for the tests of splits and folds: image records without files, some of them without a mass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from mammo_monai.records import ImageRecord, Laterality, Lesion
from mammo_monai.schema import Manifest

MASS = Lesion(box=(1, 2, 3, 4))
CALCIFICATION = Lesion(box=(1, 2, 3, 4), type="calcification", label=1)


def image(
    number: int, patient: str, *, abnormal: bool = False, lesions: Sequence[Lesion] = (), tag: str = "0"
) -> ImageRecord:
    """A record of a 60 × 90 px image; odd ones show right breasts."""
    record_id = f"{tag}{number:015x}"
    return ImageRecord(
        image=Path(f"/data/{tag}/{number}.dcm"),
        record_id=record_id,
        patient_id=patient,
        width=60,
        height=90,
        lesions=(MASS,) if abnormal else tuple(lesions),
        laterality=Laterality.RIGHT if number % 2 else Laterality.LEFT,
    )


def manifest_of(tag: str, patients: Sequence[Sequence[bool]]) -> Manifest:
    """A manifest "<tag>.json" with patients "0", "1", …, each with an image per entry: with a mass or not."""
    rows = [(str(number), abnormal) for number, images in enumerate(patients) for abnormal in images]
    records = [image(n, row[0], abnormal=row[1], tag=tag) for n, row in enumerate(rows)]
    return Manifest(training=tuple(records), path=Path(f"/data/{tag}.json"))


def patients(min_patients: int = 0, max_patients: int = 40) -> st.SearchStrategy[list[list[bool]]]:
    """Patients with 1 to 4 images each, each image with a mass or without."""
    images = st.lists(st.booleans(), min_size=1, max_size=4)
    return st.lists(images, min_size=min_patients, max_size=max_patients)


def two_views(n_abnormal: int, n_normal: int) -> list[list[bool]]:
    """Patients with two images each; the abnormal ones have a mass in the second."""
    return [[False, True]] * n_abnormal + [[False, False]] * n_normal
