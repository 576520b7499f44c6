"""One score per image, breast and patient: against a dictionary per unit, and its undefined cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import pool_images
from mammo_monai.metrics.scored_units import UnitScores, unit_scores
from mammo_monai.records import Laterality, ViewPosition
from tests.metrics.scenes import Scene, found, record, scenes

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)
LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT
NOTHING = -np.inf


def scored(scene: Scene, **options) -> UnitScores:
    images = scene.pooled()
    return unit_scores(scene.records, images, **options)


@pytest.fixture
def four_views() -> Scene:
    """Right CC .9, right MLO unmarked, left CC .2, left MLO .4 with a lesion; then an unmarked patient."""
    views = [
        (RIGHT, ViewPosition.CC),
        (RIGHT, ViewPosition.MLO),
        (LEFT, ViewPosition.CC),
        (LEFT, ViewPosition.MLO),
    ]
    records = [
        replace(record(n, [HIT] if n == 3 else [], patient="p"), laterality=side, view_position=view)
        for n, (side, view) in enumerate(views)
    ]
    records.append(replace(record(4, patient="q"), laterality=RIGHT, view_position=ViewPosition.CC))
    detections = (
        found(0, (ASIDE, 0.9), (HIT, 0.3)),
        found(1),
        found(2, (ASIDE, 0.2)),
        found(3, (HIT, 0.4)),
        found(4),
    )
    return Scene(tuple(records), detections)


def test_an_image_scores_as_its_highest_detection_and_below_all_without_one(four_views: Scene) -> None:
    units = scored(four_views)
    assert units.level == "image"
    assert units.scores.tolist() == [0.9, NOTHING, 0.2, 0.4, NOTHING]
    assert units.is_positive.tolist() == [False, False, False, True, False]
    assert units.patient.tolist() == [0, 0, 0, 0, 1]


def test_a_breast_takes_the_highest_or_the_mean_of_its_views(four_views: Scene) -> None:
    highest, mean = (scored(four_views, level="breast", pool=pool) for pool in ("max", "mean"))
    # Left before right; the unmarked view counts 0 in the mean, the unmarked breast stays below all.
    assert highest.scores.tolist() == [0.4, 0.9, NOTHING]
    assert mean.scores.tolist() == pytest.approx([0.3, 0.45, NOTHING])
    for units in (highest, mean):
        assert units.is_positive.tolist() == [True, False, False]
        assert units.patient.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("pool", "pool_breasts", "score"),
    [("max", "max", 0.9), ("mean", "max", 0.45), ("max", "mean", 0.65), ("mean", "mean", 0.375)],
)
def test_a_patient_takes_the_highest_or_the_mean_of_the_breasts(
    four_views, pool, pool_breasts, score
) -> None:
    units = scored(four_views, level="patient", pool=pool, pool_breasts=pool_breasts)
    assert units.scores.tolist() == pytest.approx([score, NOTHING])
    assert units.is_positive.tolist() == [True, False]
    assert units.patient.tolist() == [0, 1]


def test_a_lesion_of_another_label_makes_no_unit_positive(four_views: Scene) -> None:
    images = four_views.pooled(1)
    for level in ("image", "breast", "patient"):
        units = unit_scores(four_views.records, images, level=level)
        assert not units.is_positive.any()
        assert np.isneginf(units.scores).all()


def test_scores_below_zero_leave_the_unmarked_view_lowest() -> None:
    sides = [replace(record(n, patient="p"), laterality=LEFT) for n in range(2)]
    units = scored(
        Scene(tuple(sides), (found(0, (HIT, -2.0), (ASIDE, -4.0)), found(1))), level="breast", pool="mean"
    )
    assert units.scores.tolist() == [-3.0]


def test_the_mean_of_equal_scores_is_that_score() -> None:
    # (0.1 + 0.1 + 0.1) / 3 is not 0.1: a breast of three views would not tie with a breast of one.
    records = [replace(record(n, patient="p" if n else "q"), laterality=LEFT) for n in range(4)]
    units = scored(
        Scene(tuple(records), tuple(found(n, (HIT, 0.1)) for n in range(4))), level="breast", pool="mean"
    )
    assert units.scores[0] == units.scores[1] == 0.1


@settings(max_examples=50, deadline=None)
@given(scene=scenes(max_images=8), data=st.data(), pools=st.tuples(*[st.sampled_from(["max", "mean"])] * 2))
def test_units_agree_with_a_dictionary_per_unit_in_any_order(scene: Scene, data, pools) -> None:
    sides = data.draw(st.lists(st.sampled_from(Laterality), min_size=8, max_size=8))
    records = [replace(each, laterality=side) for each, side in zip(scene.records, sides, strict=False)]
    order = data.draw(st.permutations(range(len(records))))
    shuffled = Scene(tuple(records[n] for n in order), tuple(scene.detections[n] for n in order))
    breasts: dict = {}
    for each, (lesions, detections) in zip(records, scene.plain(), strict=True):
        key = each.patient_id, each.laterality.value
        best = max((score for _, score in detections), default=NOTHING)
        scores, truth = breasts.setdefault(key, ([], []))
        scores.append(best)
        truth.append(bool(lesions))
    patients: dict = {}
    for (patient, _), (scores, truth) in sorted(breasts.items()):
        theirs, truths = patients.setdefault(patient, ([], []))
        theirs.append(pooled(scores, pools[0]))
        truths.append(any(truth))
    expected = {
        "breast": [(pooled(scores, pools[0]), any(truth)) for _, (scores, truth) in sorted(breasts.items())],
        "patient": [
            (pooled(scores, pools[1]), any(truth)) for _, (scores, truth) in sorted(patients.items())
        ],
    }
    for level, rows in expected.items():
        units = scored(shuffled, level=level, pool=pools[0], pool_breasts=pools[1])
        assert units.scores.tolist() == pytest.approx([score for score, _ in rows])
        assert units.is_positive.tolist() == [truth for _, truth in rows]


def pooled(scores: list[float], pool: str) -> float:
    if pool == "max" or max(scores) == NOTHING:
        return max(scores)
    return sum(max(each, 0.0) for each in scores) / len(scores)


def test_breasts_of_unknown_laterality_are_never_guessed(four_views: Scene) -> None:
    records = (replace(four_views.records[0], laterality=None), *four_views.records[1:])
    scene = Scene(records, four_views.detections)
    for options in ({"level": "breast"}, {"level": "patient", "pool": "mean"}):
        with pytest.raises(UndefinedMetricError, match=r"without a laterality: 1 image, 0{16}\."):
            scored(scene, **options)
    assert scored(scene, level="patient").scores.tolist() == [0.9, NOTHING]
    unknown = (*(replace(each, laterality=None) for each in records), record(5), record(6))
    many = Scene(unknown, (*four_views.detections, found(5), found(6)))
    with pytest.raises(UndefinedMetricError, match=r"without a laterality: 7 images, .*0004, …\. Name it"):
        scored(many, level="breast")


def test_what_is_not_asked_for_rightly_is_refused(four_views: Scene) -> None:
    images = four_views.pooled()
    with pytest.raises(ValueError, match="one record per image, got 1 for 5 images"):
        unit_scores(four_views.records[:1], images)
    with pytest.raises(ValueError, match="level must be image, breast, patient, got 'lesion'"):
        unit_scores(four_views.records, images, level="lesion")
    for options in ({"pool": "median"}, {"pool_breasts": "median"}):
        with pytest.raises(ValueError, match="pooled by max or mean, got 'median'"):
            unit_scores(four_views.records, images, **options)
    with pytest.raises(UndefinedMetricError, match="no image to score"):
        unit_scores([], pool_images([], []))
