"""Operating points as text: what each shows, what was not reached, and what stands behind them."""

from __future__ import annotations

from dataclasses import replace

from mammo_monai.reports.tables.operating_points import points_headline, points_table
from mammo_monai.schema import (
    Calibration,
    IsotonicCurve,
    OperatingPoint,
    OperatingPoints,
)

POINTS = OperatingPoints(
    points=(OperatingPoint(0.25, 0.61234, 0.7, 0.6, 0.8), OperatingPoint(2.0, 0.1, 0.9, 0.85, 0.95, 1.2345)),
    calibration=Calibration(IsotonicCurve((0.5,), (0.5,)), 0.1234, 0.0567, ()),
    rule={"min_iou": 0.2, "confidence": 0.9},
    n_images=40,
    n_lesions=30,
    n_patients=20,
    manifest_sha256="a" * 64,
    weights_sha256=(None,),
)


def test_the_table_has_a_row_per_point() -> None:
    table = points_table(POINTS)
    assert table.header == ("FPPI", "score at least", "sensitivity", "90 % CI")
    assert table.rows == (
        ("0.25", "0.6123", "0.70", "0.60–0.80"),
        ("2 (reached 1.2)", "0.1000", "0.90", "0.85–0.95"),
    )


def test_the_headline_says_what_the_figures_stand_on() -> None:
    assert points_headline(POINTS) == (
        "chosen on 40 images, 30 lesions, 20 patients; lesion level, IoU > 0.2; calibration (isotonic): "
        "Brier score 0.123, expected error 0.057 on patients left out"
    )


def test_without_calibration_the_headline_says_so() -> None:
    assert points_headline(replace(POINTS, calibration=None)).endswith("IoU > 0.2; not calibrated")
    by_distance = {**POINTS.rule, "hit": "center_distance", "max_distance_mm": 60.0}
    headline = points_headline(replace(POINTS, calibration=None, rule=by_distance))
    assert headline.endswith("lesion level, centres at most 60.0 mm apart; not calibrated")
