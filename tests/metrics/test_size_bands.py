"""Size bands need a physical size; without spacing they say so."""

from __future__ import annotations

import pytest

from mammo_monai.metrics import size_band
from mammo_monai.metrics.size_bands import size_bands_of
from tests.metrics.scenes import record


@pytest.mark.parametrize(
    ("box", "spacing", "band"),
    [
        ((0, 0, 10, 199), (0.1, 0.1), "<2cm"),
        ((0, 0, 10, 200), (0.1, 0.1), ">=2cm"),
        ((0, 0, 200, 10), (0.1, 0.1), ">=2cm"),
        ((50, 10, 60, 20), (0.1, 0.1), "<2cm"),
        ((0, 0, 100, 10), (0.1, 0.2), ">=2cm"),
        ((0, 0, 100, 10), (0.2, 0.1), "<2cm"),
        ((0, 0, 2000, 2000), None, "unknown"),
    ],
)
def test_the_longest_side_in_mm_decides(box, spacing, band: str) -> None:
    assert size_band(box, spacing) == band


def test_bands_follow_the_lesions_of_each_record() -> None:
    records = [
        record(0),
        record(1, [(0, 0, 2, 3), (0, 0, 2, 20)], spacing=(1.0, 1.0)),
        record(2, [(0, 0, 1, 1)], spacing=None),
    ]
    assert size_bands_of(records) == ((), ("<2cm", ">=2cm"), ("unknown",))
