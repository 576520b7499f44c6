"""Figures by subgroup: by view, side and density of the image, and by what is known of each lesion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.metrics.froc import froc_curve, score_at_fppi
from mammo_monai.metrics.levels import count_by_rule
from mammo_monai.metrics.matching import Matches, restrict_lesions
from mammo_monai.metrics.normals import false_positive_rates, marks_on_images
from mammo_monai.metrics.point_entries import or_none, point_entries
from mammo_monai.metrics.pooling import PooledImages
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.records import ImageRecord, Lesion, is_malignant

UNKNOWN = "unknown"
FEW_PATIENTS = 10  # fewer are too few to draw from: percentiles of their few outcomes come out too narrow
Json = dict[str, Any]


def _word(value: object) -> str:
    return UNKNOWN if value is None else str(getattr(value, "value", value))


def _pathology(lesion: Lesion) -> str:
    verdict = is_malignant(lesion.pathology)
    return UNKNOWN if verdict is None else "malignant" if verdict else "benign"


# The group of an image, and of a lesion on its image; UNKNOWN where the manifest does not say.
GROUPS_OF_IMAGES: Mapping[str, Callable[[ImageRecord], str]] = {
    "view_position": lambda record: _word(record.view_position),
    "laterality": lambda record: _word(record.laterality),
    "breast_density": lambda record: _word(record.breast_density),
}
GROUPS_OF_LESIONS: Mapping[str, Callable[[ImageRecord, Lesion], str]] = {
    "type": lambda record, lesion: lesion.type,
    "pathology": lambda record, lesion: _pathology(lesion),
    "birads": lambda record, lesion: _word(record.birads if lesion.birads is None else lesion.birads),
    "subtlety": lambda record, lesion: _word(lesion.subtlety),
}


def subgroup_entries(
    records: Sequence[ImageRecord],
    found: Matches,
    images: PooledImages,
    patient: NDArray[np.int64],
    rule: FrocRule,
) -> list[Json]:
    """`subgroups` of metrics.json, in the order of the two tables above, groups by name, unknown last.

    All groups are shown at the same scores: those at which **all** counted images together have the stated
    false positives per image. So the sensitivities of the groups of one kind average, weighted by their
    lesions, to that of all. Where images are told apart, `false_positives` holds what a group's own images
    have at that score. A kind is left out where all are of one group; all kinds are where there is no lesion.
    Of fewer than ten patients the interval is Wilson's, or Poisson's, of the plain count.

    Args:
        found: lesions matched by the hit rule, before they are brought to the rule's level.
        patient: number of each image's patient, shape (n_images,).
    """
    if not found.n_lesions:
        return []
    counted = count_by_rule(found, images, rule)
    curve = froc_curve(counted, count_double_hits=rule.count_double_hits)
    of_all = _All(found, counted, images, patient, rule, {at: score_at_fppi(curve, at) for at in rule.fppi})
    rows: list[Json] = []
    for by, of_image in GROUPS_OF_IMAGES.items():
        group = np.array([of_image(record) for record in records])
        for name in _names(group):
            is_member = group == name
            entry = _entry(by, name, is_member[found.lesion_image], of_all)
            false_positives = _false_positives(is_member, of_all)
            rows.append({**entry, "n_images": int(is_member.sum()), "false_positives": false_positives})
    places = list(zip(found.lesion_image.tolist(), found.lesion_index.tolist(), strict=True))
    for by, of_lesion in GROUPS_OF_LESIONS.items():
        group = np.array([of_lesion(records[image], records[image].lesions[n]) for image, n in places])
        rows += [_entry(by, name, group == name, of_all) for name in _names(group)]
    return rows


@dataclass(frozen=True, eq=False)
class _All:
    """All images and lesions, of which subgroups are taken.

    Attributes:
        found: lesions matched by the hit rule. counted: the same, brought to the rule's level.
        patient: number of each image's patient, shape (n_images,).
        scores: lowest shown, by false positives per image over all counted images.
    """

    found: Matches
    counted: Matches
    images: PooledImages
    patient: NDArray[np.int64]
    rule: FrocRule
    scores: Mapping[float, float]


def _names(group: NDArray[np.str_]) -> list[str]:
    """The groups, unknown last; none where they tell nothing apart."""
    names = sorted(set(group.tolist()), key=lambda name: (name == UNKNOWN, name))
    return names if len(names) > 1 else []


def _entry(by: str, name: str, is_kept: NDArray[np.bool_], of_all: _All) -> Json:
    """Sensitivity for some of the lesions; the false positives are those of all counted images."""
    kept = restrict_lesions(of_all.found, is_kept)
    counted = count_by_rule(kept, of_all.images, of_all.rule)
    curve = froc_curve(counted, count_double_hits=of_all.rule.count_double_hits)
    rule = _drawn(of_all.rule, of_all.patient[kept.lesion_image])
    points = point_entries(curve, counted, of_all.patient, rule)
    return {
        "by": by,
        "group": name,
        "n_images": len(np.unique(kept.lesion_image)),
        "n_lesions": kept.n_lesions,
        "points": [{**point, "score": or_none(of_all.scores[point["fppi"]])} for point in points],
        "false_positives": [],
    }


def _false_positives(is_member: NDArray[np.bool_], of_all: _All) -> list[Json]:
    """False positives per image on the group's images at each operating point; empty where none count."""
    counted, rule = of_all.counted, of_all.rule
    of_group = is_member & counted.is_counted
    if not of_group.any():
        return []
    is_false = counted.is_false_positive(count_double_hits=rule.count_double_hits)
    marks = marks_on_images(counted, is_false, of_group, of_all.patient)
    points = false_positive_rates(marks, of_all.scores, _drawn(rule, of_all.patient[of_group]))
    return [{**asdict(each), "score": or_none(each.score)} for each in points]


def _drawn(rule: FrocRule, patients: NDArray[np.int64]) -> FrocRule:
    """The rule; without resampling where the patients are few."""
    return rule if len(np.unique(patients)) >= FEW_PATIENTS else replace(rule, n_bootstrap=0)
