"""Made mammograms with patients, breasts and pixel spacings, and every rule they can be scored by."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
from hypothesis import strategies as st

from mammo_monai.metrics import FrocRule
from mammo_monai.metrics.pooling import PooledImages, pool_records
from mammo_monai.metrics.rule import FalsePositivesOn, HitRule, Level
from mammo_monai.records import Detections, Laterality
from tests.metrics.scenes import Scene, scenes
from tests.reference import rule_reference

# Powers of two: distances between centres, which are whole or half pixels, come out without rounding.
SPACINGS = ((0.25, 0.25), (0.5, 0.25), (1.0, 2.0))
FPPI = (0.3, 0.7, 1.1, 2.1)  # no share of few images: no rounding decides


@st.composite
def rules(draw: st.DrawFn, levels: tuple[Level, ...] = get_args(Level)) -> FrocRule:
    hit = draw(st.sampled_from(get_args(HitRule)))
    limits = st.sampled_from([None, 0.5, 1.0, 2.5]) if hit == "center_distance" else st.none()
    return FrocRule(
        min_iou=draw(st.sampled_from([0.0, 0.2, 0.5])),
        count_double_hits=draw(st.booleans()),
        fppi=FPPI,
        n_bootstrap=0,
        hit=hit,
        max_distance_mm=draw(limits),
        level=draw(st.sampled_from(levels)),
        false_positives_on=draw(st.sampled_from(get_args(FalsePositivesOn))),
    )


@st.composite
def mammograms(draw: st.DrawFn, max_images: int = 6) -> Scene:
    """As `scenes`, of two patients' breasts in any number of views, each image with a spacing of its own."""
    scene = draw(scenes(max_images=max_images))
    records = [
        replace(
            each,
            patient_id=draw(st.sampled_from(["p", "q"])),
            laterality=draw(st.sampled_from(Laterality)),
            pixel_spacing_mm=draw(st.sampled_from(SPACINGS)),
        )
        for each in scene.records
    ]
    return Scene(tuple(records), scene.detections)


def pooled(scene: Scene, label: int = 0) -> PooledImages:
    return pool_records(scene.records, scene.detections, label=label)


def films(scene: Scene) -> list[rule_reference.Film]:
    """What the slow reference reads, of label 0."""
    return [
        rule_reference.Film(
            lesions, detections, record.patient_id, str(record.laterality), record.pixel_spacing_mm
        )
        for record, (lesions, detections) in zip(scene.records, scene.plain(), strict=True)
    ]


def plain(rule: FrocRule) -> rule_reference.Rule:
    return rule_reference.Rule(
        hit=rule.hit,
        min_iou=rule.min_iou,
        max_distance_mm=rule.max_distance_mm,
        level=rule.level,
        false_positives_on=rule.false_positives_on,
        count_double_hits=rule.count_double_hits,
    )


def is_defined(scene: Scene, rule: FrocRule) -> bool:
    """Whether there is an image whose false positives count."""
    return any(rule_reference.is_counted(film, plain(rule)) for film in films(scene))


def stretched(scene: Scene, x: float, y: float, *, keeps_mm: bool) -> Scene:
    """Columns and rows stretched; pixels become as much smaller where mm are kept."""
    by = np.array([x, y, x, y])
    records = []
    for each in scene.records:
        row_mm, column_mm = each.pixel_spacing_mm or (1.0, 1.0)
        lesions = tuple(
            replace(lesion, box=tuple((np.array(lesion.box) * by).tolist())) for lesion in each.lesions
        )
        spacing = (row_mm / y, column_mm / x) if keeps_mm else (row_mm, column_mm)
        records.append(replace(each, lesions=lesions, pixel_spacing_mm=spacing))
    detections = [
        Detections(each.record_id, each.boxes * by, each.scores, each.labels) for each in scene.detections
    ]
    return Scene(tuple(records), tuple(detections))
