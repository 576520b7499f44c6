"""The rule refuses values outside their range and states itself."""

from __future__ import annotations

import itertools
import math
from typing import get_args

import pytest

from mammo_monai.metrics import OPERATING_FPPI, FrocRule
from mammo_monai.metrics.rule import FalsePositivesOn, HitRule, Level, rule_phrase

START = "A detection hits a lesion when "
ORDER = (
    ". In each image candidates are taken by score, highest first, equal scores in file order; each takes "
    "the free lesion "
)
END = (
    ". Equal scores enter the curve together; the curve starts at (0, 0); sensitivity at an FPPI is the "
    "highest measured at or below it. Only label 0 is scored, against boxes as annotated."
)
HITS = {
    ("iou", None): ("IoU > 0.2 (strictly)", "it overlaps most"),
    ("center", None): (
        "its centre lies inside the lesion's box (right and lower edge excluded)",
        "whose centre is nearest, in widths and heights of that lesion's box",
    ),
    ("center_distance", None): (
        "their centres lie less than half of the lesion's longest side apart, in mm where the pixel spacing "
        "is known, else in pixels",
        "whose centre is nearest",
    ),
    ("center_distance", 12.5): ("their centres lie at most 12.5 mm apart", "whose centre is nearest"),
}
DOUBLES = {
    False: ". Further detections on a hit lesion are ignored. ",
    True: ". Further detections on a hit lesion count as false positives. ",
}
LEVELS = {
    "lesion": "Sensitivity is per lesion; ",
    "image": (
        "Sensitivity is per image with a lesion, found at the best score that hits any of its lesions; "
        "further hits on it count as nothing; "
    ),
    "breast": (
        "Sensitivity is per breast (patient and laterality) with a lesion, found at the best score that hits "
        "any of its lesions in any view; further hits on it count as nothing; "
    ),
    "patient": (
        "Sensitivity is per patient with a lesion, found at the best score that hits any of their lesions in "
        "any view; further hits on the patient count as nothing; "
    ),
}
IMAGES = {
    "all": "false positives are per image over all images, normal ones included",
    "normal": "false positives are counted on, and per, images without a lesion of the scored label",
    "with_lesions": "false positives are counted on, and per, images with a lesion of the scored label",
}


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
        ("hit", "overlap"),
        ("level", "study"),
        ("false_positives_on", "none"),
        ("max_distance_mm", 5.0),
        # An experiment file may hold any of these; its runs would fail at their scoring, hours later.
        ("n_bootstrap", 10.5),
        ("n_bootstrap", "1000"),
        ("seed", 1.5),
        ("label", 0.5),
        ("label", True),
        ("min_iou", "0.2"),
        ("confidence", None),
        ("image_threshold", "half"),
        ("image_threshold", 1.5),
        ("fppi", 1.0),
        ("fppi", ("1",)),
        ("count_double_hits", "no"),
    ],
)
def test_a_value_outside_its_range_is_named(name: str, value) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        FrocRule(**{name: value})


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, "five"])
def test_a_distance_is_a_positive_number_of_mm(value) -> None:
    with pytest.raises(ValueError, match=f"^max_distance_mm must be a positive number of mm, got {value}"):
        FrocRule(hit="center_distance", max_distance_mm=value)


def test_a_choice_is_refused_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="hit must be iou or center or center_distance, got 'middle'"):
        FrocRule(hit="middle")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(
        ValueError, match=r"max_distance_mm must be left out unless hit is center_distance, got 5\.0"
    ):
        FrocRule(hit="center", max_distance_mm=5.0)


def test_the_operating_points_of_the_protocol_are_all_there() -> None:
    assert set(OPERATING_FPPI) >= {0.25, 0.44, 0.5, 0.58, 0.79, 1, 1.3, 1.67, 2, 3, 4}
    assert list(OPERATING_FPPI) == sorted(OPERATING_FPPI)


def test_the_rule_without_choices_says_what_it_always_said() -> None:
    assert FrocRule().describe()["text"] == (
        "A detection hits a lesion when IoU > 0.2 (strictly). In each image candidates are taken by score, "
        "highest first, equal scores in file order; each takes the free lesion it overlaps most. Further "
        "detections on a hit lesion are ignored. Sensitivity is per lesion; false positives are per image "
        "over all images, normal ones included. Equal scores enter the curve together; the curve starts at "
        "(0, 0); sensitivity at an FPPI is the highest measured at or below it. Only label 0 is scored, "
        "against boxes as annotated."
    )
    assert "IoU > 0.35" in str(FrocRule(min_iou=0.35).describe()["text"])
    assert "Only label 3 is" in str(FrocRule(label=3).describe()["text"])


@pytest.mark.parametrize(
    ("hit", "doubles", "level", "images"), list(itertools.product(HITS, DOUBLES, LEVELS, IMAGES))
)
def test_every_combination_is_stated_in_values_and_in_words(hit, doubles: bool, level, images) -> None:
    rule = FrocRule(
        hit=hit[0],
        max_distance_mm=hit[1],
        count_double_hits=doubles,
        level=level,
        false_positives_on=images,
    )
    stated = rule.describe()
    meets, takes = HITS[hit]
    parts = (START, meets, ORDER, takes, DOUBLES[doubles], LEVELS[level], IMAGES[images], END)
    assert stated["text"] == "".join(parts)
    assert (stated["hit"], stated["max_distance_mm"]) == hit
    assert (stated["level"], stated["false_positives_on"]) == (level, images)
    assert stated["interval"] == (
        f"percentiles of a bootstrap over patients; Wilson over {level}s (marked `wilson`) where resampling "
        "says nothing: no resamples asked for, one patient, or bounds that coincide"
    )


def test_every_choice_is_among_the_combinations() -> None:
    assert {hit for hit, _ in HITS} == set(get_args(HitRule))
    assert set(LEVELS) == set(get_args(Level))
    assert set(IMAGES) == set(get_args(FalsePositivesOn))


@pytest.mark.parametrize(
    ("described", "phrase"),
    [
        ({}, "lesion level, IoU > ?"),
        ({"min_iou": 0.5}, "lesion level, IoU > 0.5"),
        (FrocRule(hit="center").describe(), "lesion level, centre in the lesion's box"),
        (
            FrocRule(hit="center_distance", level="patient").describe(),
            "patient level, centres less than half the lesion's longest side apart",
        ),
        (
            FrocRule(hit="center_distance", max_distance_mm=10, false_positives_on="with_lesions").describe(),
            "lesion level, centres at most 10 mm apart, false positives on images with lesions",
        ),
        ({"hit": "dice", "level": "image"}, "image level, dice"),
    ],
)
def test_a_few_words_say_the_rule_of_any_file(described, phrase: str) -> None:
    assert rule_phrase(described) == phrase
