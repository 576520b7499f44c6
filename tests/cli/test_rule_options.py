"""The options of the rule: the same for every verb, and as many as the rule has choices."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from mammo_monai.cli.main import build_parser, main
from mammo_monai.cli.rule_options import (
    HITS,
    IMAGES,
    LEVELS,
    POSITIVE,
    THRESHOLD,
    add_class_options,
    add_rule_options,
    rule_from,
    rule_words,
)
from mammo_monai.metrics import CALIBRATED_FPPI, FrocRule
from mammo_monai.metrics.rule import DECISION_THRESHOLD, FalsePositivesOn, HitRule, Level
from mammo_monai.records import Positive
from mammo_monai.schema import Manifest, read_operating_points, write_detections, write_manifest
from tests.metrics.scenes import found, record
from tests.reports.comparison.scene import write_pair

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)


def parsed(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_rule_options(parser)
    add_class_options(parser)
    return parser.parse_args([str(word) for word in words])


def test_the_choices_are_those_of_the_rule() -> None:
    assert get_args(HitRule) == HITS
    assert get_args(Level) == LEVELS
    assert get_args(FalsePositivesOn) == IMAGES
    assert get_args(Positive) == POSITIVE
    assert THRESHOLD == DECISION_THRESHOLD


def test_without_options_the_rule_is_the_default_one() -> None:
    assert rule_from(parsed()) == FrocRule()
    assert rule_words(parsed()) == []


def test_every_option_reaches_the_rule() -> None:
    words = [
        *("--hit", "center_distance", "--max-distance-mm", 7.5, "--level", "breast"),
        *("--false-positives-on", "with_lesions", "--count-double-hits", "--min-iou", 0.4),
        *("--label", 2, "--bootstrap", 9, "--seed", 5, "--positive", "malignant", "--image-threshold", 0.3),
    ]
    rule = rule_from(parsed(*words), fppi=CALIBRATED_FPPI)
    distance = ("center_distance", 7.5, "breast", "with_lesions")
    expected = FrocRule(0.4, True, 2, CALIBRATED_FPPI, 9, 5, 0.95, *distance, "malignant", 0.3)
    assert rule == expected
    # All but the confidence, which has no option: a new field of the rule needs one.
    differing = {each.name for each in fields(FrocRule) if getattr(rule, each.name) != each.default}
    assert differing == {each.name for each in fields(FrocRule)} - {"confidence"}


def test_the_words_make_the_same_rule_again() -> None:
    given = parsed("--hit", "center_distance", "--max-distance-mm", 7.5, "--positive", "malignant")
    assert rule_from(parsed(*rule_words(given))) == rule_from(given)
    assert rule_words(parsed("--false-positives-on", "normal", "--count-double-hits")) == [
        "--false-positives-on",
        "normal",
        "--count-double-hits",
    ]


@pytest.mark.parametrize(
    "verb", [("evaluate", "d", "-o", "m"), ("compare", "a", "b"), ("calibrate", "d", "-o", "p")]
)
def test_every_scoring_verb_takes_them(verb: tuple[str, ...]) -> None:
    args = build_parser().parse_args([*verb, "--manifest", "m", "--hit", "center", "--level", "image"])
    assert (rule_from(args).hit, rule_from(args).level) == ("center", "image")


def test_an_unknown_choice_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parsed("--hit", "dice")
    assert stop.value.code == 2
    assert "invalid choice: 'dice' (choose from" in capsys.readouterr().err


def compare(folder: Path, *more: object) -> int:
    words = ("compare", folder / "a.json", folder / "b.json", "--manifest", folder / "manifest.json")
    return main([str(each) for each in (*words, "--bootstrap", 20, "--permutations", 10, *more)])


def test_compare_scores_by_the_rule_and_repeats_it_on_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_pair(tmp_path)
    page = folder / "compare.html"
    assert compare(folder, "-o", page, "--hit", "center", "--level", "patient") == 0
    by_patient = capsys.readouterr().out
    assert compare(folder) == 0
    assert capsys.readouterr().out != by_patient
    text = page.read_text()
    assert "--seed 0 --hit center --level patient -o compare.html</code>" in text
    assert "Sensitivity is per patient with a lesion" in text


def test_options_that_do_not_go_together_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_pair(tmp_path)
    assert compare(folder, "--max-distance-mm", 5) == 2
    assert capsys.readouterr().err == (
        "mammo-monai compare: max_distance_mm must be left out unless hit is center_distance, got 5.0.\n"
    )


def test_calibrate_counts_false_positives_where_it_is_told(tmp_path: Path) -> None:
    records = [record(n, [HIT] if n % 2 else [], patient=f"p{n}") for n in range(12)]
    write_manifest(tmp_path / "m.json", Manifest(validation=tuple(records)))
    marks = [found(n, (HIT, 0.9 - n / 50), (ASIDE, 0.3 + n / 50)) for n in range(12)]
    write_detections(tmp_path / "d.json", marks, {})
    words = ["calibrate", "d.json", "--manifest", "m.json", "-o", "p.json"]
    words = [str(tmp_path / each) if each.endswith(".json") else each for each in words]
    assert main([*words, "--bootstrap", "0", "--false-positives-on", "normal"]) == 0
    points = read_operating_points(tmp_path / "p.json")
    assert points.rule["false_positives_on"] == "normal"
    # On the six normal images all marks are false, 0.9 to 0.7 and 0.5 to 0.3: six may be shown, that of 0.5
    # not. The next mark above it, 0.52, stands on an image with a lesion and does not count.
    assert points.points[2].fppi == 1
    assert points.points[2].threshold == pytest.approx((0.5 + 0.52) / 2)
