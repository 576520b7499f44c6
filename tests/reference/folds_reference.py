"""Slow, obvious checks of folds: every subset of the patients, every pair of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest
from mammo_monai.schema.folds import Folds


def nearest_sum(sizes: Sequence[int], wanted: int) -> int:
    """Distance from `wanted` of the nearest sum of some of the sizes, but neither of none nor of all."""
    sums = [sum(chosen) for n in range(1, len(sizes)) for chosen in combinations(sizes, n)]
    return min(abs(each - wanted) for each in sums)


def has_leak(folds: Folds, manifests: Mapping[str, Manifest]) -> bool:
    """Whether a patient of one manifest stands on two sides of any fold."""
    whose = {
        record.record_id: (letter, record.patient_id)
        for letter, manifest in manifests.items()
        for record in manifest.images()
    }
    for fold in folds.folds:
        tested = {whose[each] for each in fold.stages[-1].test}
        for stage in fold.stages:
            lists = [{whose[each] for each in ids} for ids in (stage.training, stage.validation, stage.test)]
            if any(one & other for one, other in combinations(lists, 2)):
                return True
            if stage is not fold.stages[-1] and tested & (lists[0] | lists[1]):
                return True
    return False


def abnormal_and_normal(records: Sequence[ImageRecord]) -> tuple[int, int]:
    """Number of patients with a mass in any of these images, and of patients without."""
    patients = {record.patient_id for record in records}
    abnormal = {record.patient_id for record in records if any(each.label == 0 for each in record.lesions)}
    return len(abnormal), len(patients - abnormal)
