"""Average precision against the slow reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import average_precision, match_detections, match_pooled, pool_images
from mammo_monai.records import Lesion
from tests.metrics.scenes import Scene, found, scenes
from tests.reference import froc_reference


@settings(max_examples=150, deadline=None)
@given(scene=scenes(), min_iou=st.sampled_from([0.2, 0.5]))
def test_average_precision_agrees_with_the_slow_reference(scene: Scene, min_iou: float) -> None:
    matches = match_pooled(
        pool_images(scene.detections, [each.lesions for each in scene.records]), min_iou=min_iou
    )
    expected = froc_reference.average_precision(scene.plain(), min_iou)
    if expected is None:
        with pytest.raises(UndefinedMetricError, match="average precision is undefined"):
            average_precision(matches)
    else:
        assert average_precision(matches) == pytest.approx(expected, abs=1e-9)


def test_average_precision_counts_double_hits_as_false() -> None:
    lesions = [Lesion(box=(0, 0, 4, 6)), Lesion(box=(10, 10, 14, 19))]
    detections = found(0, ((0, 0, 4, 6), 0.9), ((0, 0, 4, 6), 0.8), ((10, 10, 14, 19), 0.7))
    # Precision 1 at sensitivity 1/2, then 2 of 3 at sensitivity 1.
    assert average_precision(match_detections(detections, lesions)) == pytest.approx((1 + 2 / 3) / 2)
