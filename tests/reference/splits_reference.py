"""Slow, obvious checks of a split: every pair of images, every patient, one after the other."""

from __future__ import annotations

from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest


def leaking_pairs(manifest: Manifest) -> list[tuple[str, str]]:
    """Record ids of all pairs of images of one patient that stand in different lists."""
    placed = [("training", r) for r in manifest.training]
    placed += [("validation", r) for r in manifest.validation]
    placed += [("test", r) for r in manifest.test]
    return [
        (one.record_id, other.record_id)
        for number, (list_of_one, one) in enumerate(placed)
        for list_of_other, other in placed[number + 1 :]
        if list_of_one != list_of_other and one.patient_id == other.patient_id
    ]


def patients_with_and_without(records: tuple[ImageRecord, ...]) -> tuple[int, int]:
    """Number of patients with at least one lesion, and of patients without any."""
    patients = {record.patient_id for record in records}
    abnormal = 0
    for patient in patients:
        if any(len(r.lesions) > 0 for r in records if r.patient_id == patient):
            abnormal += 1
    return abnormal, len(patients) - abnormal
