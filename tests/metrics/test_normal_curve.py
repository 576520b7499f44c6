"""False positives per normal image as a curve: counts by hand, intervals as at single scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.normal_curve import (
    EVEN_SCORES,
    MAX_POINTS,
    normal_curve_entry,
    normal_images_curve,
)
from mammo_monai.metrics.normals import false_positives_on_normals, poisson_interval
from mammo_monai.metrics.rule import FrocRule
from tests.metrics.scenes import Scene, found, record, scenes

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)


def parts(scene: Scene) -> tuple[Matches, np.ndarray, np.ndarray]:
    return scene.matches(), *scene.normals_and_patients()


def random_normals(n_images: int, n_marks: int, n_scores: int = 10**6) -> Scene:
    rng = np.random.default_rng(0)
    rows = [
        [(ASIDE, float(s) / n_scores) for s in rng.integers(0, n_scores + 1, n_marks)]
        for _ in range(n_images)
    ]
    records = [record(n, patient=f"patient {n // 2}") for n in range(n_images)]
    return Scene(tuple(records), tuple(found(n, *each) for n, each in enumerate(rows)))


@settings(max_examples=50, deadline=None)
@given(scene=scenes())
def test_counts_are_those_of_counting_by_hand_at_every_score(scene: Scene) -> None:
    matches, is_normal, patient = parts(scene)
    if not is_normal.any():
        with pytest.raises(UndefinedMetricError, match="every image has a lesion"):
            normal_images_curve(matches, is_normal, patient, FrocRule())
        assert normal_curve_entry(matches, is_normal, patient, FrocRule()) is None
        return
    curve = normal_images_curve(matches, is_normal, patient, FrocRule(n_bootstrap=20))
    normals = [marks for lesions, marks in scene.plain() if not lesions]
    measured = {score for marks in normals for _, score in marks}
    assert curve.score.tolist() == sorted({*EVEN_SCORES, *measured})
    by_hand = [sum(s >= least for marks in normals for _, s in marks) for least in curve.score.tolist()]
    assert curve.false_positives_per_image == pytest.approx(np.array(by_hand) / len(normals))
    assert curve.n_images == len(normals)
    assert (np.diff(curve.false_positives_per_image) <= 0).all()
    assert ((curve.low >= 0) & (curve.low <= curve.high)).all()


@pytest.mark.parametrize("n_bootstrap", [0, 200])
def test_the_interval_is_that_of_single_scores(n_bootstrap: int) -> None:
    scene, rule = random_normals(12, 3, n_scores=8), FrocRule(n_bootstrap=n_bootstrap)
    curve = normal_images_curve(*parts(scene), rule)
    single = false_positives_on_normals(*parts(scene), dict(enumerate(curve.score.tolist(), 1)), rule)
    assert curve.low == pytest.approx([each.low for each in single])
    assert curve.high == pytest.approx([each.high for each in single])
    assert curve.is_poisson.tolist() == [each.interval == "poisson" for each in single]
    assert curve.is_poisson.all() == (n_bootstrap == 0)


def test_where_no_mark_is_left_the_interval_is_poissons() -> None:
    scene = Scene((record(0), record(1)), (found(0, (ASIDE, 0.5)), found(1)))
    curve = normal_images_curve(*parts(scene), FrocRule())
    assert curve.is_poisson[-1]
    assert (curve.low[-1], curve.high[-1]) == poisson_interval(0, 2)
    assert curve.high[-1] > 0


def test_a_curve_of_many_scores_keeps_to_200_points_and_to_both_ends() -> None:
    scene = random_normals(40, 30)
    curve = normal_images_curve(*parts(scene), FrocRule(n_bootstrap=0))
    scores = np.concatenate([each.scores for each in scene.detections])
    assert MAX_POINTS - 1 <= len(curve.score) <= MAX_POINTS
    assert (curve.score[0], curve.score[-1]) == (scores.min(), scores.max())
    assert set(EVEN_SCORES) <= set(curve.score.tolist())
    assert curve.false_positives_per_image[0] == 30


def test_images_with_lesions_do_not_count() -> None:
    scene = Scene((record(0, [HIT]), record(1)), (found(0, (ASIDE, 0.9)), found(1, (ASIDE, 0.5))))
    entry = normal_curve_entry(*parts(scene), FrocRule(n_bootstrap=0))
    assert entry is not None
    at = dict(zip(entry["score"], entry["false_positives_per_image"], strict=True))
    assert (at[0.5], at[0.51]) == (1.0, 0.0)


def test_the_entry_is_plain_json_with_lists_of_one_length() -> None:
    entry = normal_curve_entry(*parts(random_normals(6, 2)), FrocRule(n_bootstrap=50))
    assert entry is not None
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry
    columns = ("score", "false_positives_per_image", "low", "high", "interval")
    assert {len(entry[name]) for name in columns} == {len(entry["score"])}
    assert entry["n_bootstrap"] == 50
    assert set(entry["interval"]) <= {"bootstrap", "poisson"}
