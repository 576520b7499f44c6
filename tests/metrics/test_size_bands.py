"""Size bands need a physical size; without spacing they say so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.metrics import size_band
from mammo_monai.metrics.size_bands import (
    AREA_BANDS,
    area_band,
    area_bands_of,
    lesion_area_mm2,
    size_bands_of,
)
from mammo_monai.records import Lesion
from tests.metrics.scenes import record

SQUARE = ((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0))
BOX = (0.0, 0.0, 500.0, 400.0)


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
    assert area_bands_of(records) == ((), ("<1cm2", "<1cm2"), ("unknown",))


@pytest.mark.parametrize(
    ("lesion", "area_mm2"),
    [
        (Lesion(box=BOX, contour=SQUARE, area_mm2=77.0), 200.0),
        (Lesion(box=BOX, area_mm2=77.0), 77.0),
        (Lesion(box=BOX), 4000.0),
        (Lesion(box=BOX, contour=SQUARE[:1], area_mm2=77.0), 77.0),
        (Lesion(box=BOX, contour=SQUARE[:2]), 4000.0),
        (Lesion(box=BOX, contour=((0.0, 0.0), (1.0, 1.0), (5.0, 5.0))), 4000.0),
        (Lesion(box=BOX, area_mm2=0.0), 4000.0),
    ],
    ids=["contour", "mask", "box", "dot with a mask", "dot", "line", "empty mask"],
)
def test_the_contour_counts_before_the_mask_and_the_mask_before_the_box(
    lesion: Lesion, area_mm2: float
) -> None:
    assert lesion_area_mm2(lesion, (0.1, 0.2)) == pytest.approx(area_mm2)


@pytest.mark.parametrize(
    ("area_mm2", "band"),
    [(99.9, "<1cm2"), (100.0, "1-4cm2"), (250.0, "1-4cm2"), (400.0, "1-4cm2"), (400.1, ">4cm2")],
)
def test_exactly_1_and_exactly_4_square_cm_lie_between(area_mm2: float, band: str) -> None:
    assert area_band(Lesion(box=BOX, area_mm2=area_mm2), (0.1, 0.1)) == band


@pytest.mark.parametrize("lesion", [Lesion(box=BOX), Lesion(box=BOX, area_mm2=77.0, contour=SQUARE)])
def test_without_spacing_the_area_is_unknown_never_guessed(lesion: Lesion) -> None:
    assert area_band(lesion, None) == "unknown"


@given(
    size=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    spacing=st.tuples(st.floats(0.02, 0.2), st.floats(0.02, 0.2)),
)
def test_a_box_and_the_contour_along_its_edge_lie_in_one_band(size, spacing) -> None:
    width, height = map(float, size)
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    box = (0.0, 0.0, width, height)
    band = area_band(Lesion(box=box), spacing)
    assert band in AREA_BANDS
    assert band == area_band(Lesion(box=box, contour=corners), spacing)
    cells = np.ones((int(height), int(width))).sum() * spacing[0] * spacing[1]
    assert lesion_area_mm2(Lesion(box=box), spacing) == pytest.approx(cells, abs=1e-5)
