"""The rule refuses values outside their range and states itself."""

from __future__ import annotations

import math

import pytest

from mammo_monai.metrics import OPERATING_FPPI, FrocRule


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_iou", -0.1),
        ("min_iou", 1.0),
        ("min_iou", math.nan),
        ("label", -1),
        ("n_bootstrap", -1),
        ("seed", -1),
        ("confidence", 0.0),
        ("confidence", 1.0),
        ("fppi", ()),
        ("fppi", (1.0, 0.5)),
        ("fppi", (0.0, 0.5)),
        ("fppi", (1.0, math.inf)),
    ],
)
def test_a_value_outside_its_range_is_named(name: str, value) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        FrocRule(**{name: value})


def test_the_operating_points_of_the_protocol_are_all_there() -> None:
    assert set(OPERATING_FPPI) >= {0.25, 0.44, 0.5, 0.58, 0.79, 1, 1.3, 1.67, 2, 3, 4}
    assert list(OPERATING_FPPI) == sorted(OPERATING_FPPI)


def test_the_rule_says_what_becomes_of_double_hits() -> None:
    assert "double" not in FrocRule().describe()["text"]
    assert "hit lesion are ignored" in FrocRule().describe()["text"]
    assert "hit lesion count as false positives" in FrocRule(count_double_hits=True).describe()["text"]
    assert "IoU > 0.35" in FrocRule(min_iou=0.35).describe()["text"]
