"""Mean, SD and band over folds; folds that do not belong together are refused by name and field."""

from __future__ import annotations

import copy
import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.metrics import evaluate_detections
from mammo_monai.metrics.fold_summary import SUMMARY_FPPI, summarise_folds
from mammo_monai.metrics.rule import OPERATING_FPPI, FrocRule
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import froc_reference

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)
RULE = FrocRule(n_bootstrap=0)


def fold(first: int, hits: str = "10", **rule: Any) -> dict[str, Any]:
    """Metrics of images from number `first` on, each with a lesion (found where "1") and a false positive."""
    records = [record(first + n, [HIT]) for n in range(len(hits))]
    marks = [
        found(first + n, (ASIDE, 0.5), *([(HIT, 0.9)] if each == "1" else [])) for n, each in enumerate(hits)
    ]
    return evaluate_detections(records, marks, rule=FrocRule(n_bootstrap=0, **rule))


def of(*hits: str) -> dict[str, dict[str, Any]]:
    return {str(n): fold(100 * n, each) for n, each in enumerate(hits, 1)}


def test_mean_sd_and_band_are_those_of_a_textbook() -> None:
    summary = summarise_folds(of("1110", "1100", "1111"), fppi=[0.25, 1.0])
    values = [0.75, 0.5, 1.0]
    half = 4.302653 * statistics.stdev(values) / math.sqrt(3)  # t of 2 degrees of freedom at .975
    assert summary.folds == ("1", "2", "3")
    assert summary.fppi.tolist() == [0.25, 1.0]
    assert summary.sensitivity.tolist() == [[each, each] for each in values]
    assert summary.mean.tolist() == [0.75, 0.75]
    assert summary.sd == pytest.approx([0.25, 0.25])
    assert summary.low == pytest.approx([0.75 - half] * 2, abs=1e-6)
    assert summary.high == pytest.approx([1.0, 1.0])
    assert summary.band_text.startswith("95 % band: mean ± t(2) · SD / √3 over 3 folds, SD with n − 1")


@settings(max_examples=40, deadline=None)
@given(folds=st.lists(scenes(max_images=3), min_size=2, max_size=4), confidence=st.sampled_from([0.8, 0.95]))
def test_every_column_is_that_of_slow_curves(folds: list[Scene], confidence: float) -> None:
    metrics, slow = {}, []
    for n, scene in enumerate(folds):
        if not any(each.has_mass for each in scene.records):
            return
        content = evaluate_detections(scene.records, scene.detections, rule=RULE)
        content["images"] = {f"{n}-{name}": each for name, each in content["images"].items()}
        metrics[f"fold {n}"] = content
        curve = froc_reference.froc(scene.plain(), 0.2, False)
        slow.append([froc_reference.sensitivity_at(curve, each) for each in OPERATING_FPPI])
    summary = summarise_folds(metrics, fppi=OPERATING_FPPI, confidence=confidence)
    assert summary.sd is not None
    assert summary.low is not None
    assert summary.high is not None
    for place, column in enumerate(zip(*slow, strict=True)):
        assert summary.sensitivity[:, place] == pytest.approx(column)
        assert summary.mean[place] == pytest.approx(statistics.fmean(column))
        assert summary.sd[place] == pytest.approx(statistics.stdev(column))
        if summary.sd[place] > 1e-9:
            low, high = stats.t.interval(
                confidence, len(column) - 1, statistics.fmean(column), stats.sem(column)
            )
            assert summary.low[place] == pytest.approx(max(low, 0))
            assert summary.high[place] == pytest.approx(min(high, 1))
    assert (summary.low <= summary.mean + 1e-12).all()
    assert (summary.mean <= summary.high + 1e-12).all()
    assert (np.diff(summary.mean) >= -1e-12).all()
    turned = summarise_folds(dict(reversed(metrics.items())), fppi=OPERATING_FPPI, confidence=confidence)
    np.testing.assert_allclose(turned.mean, summary.mean, atol=1e-12)


def test_one_fold_has_a_mean_and_no_deviation() -> None:
    summary = summarise_folds(of("10"))
    assert summary.mean[-1] == 0.5
    assert (summary.sd, summary.low, summary.high) == (None, None, None)
    assert summary.band_text == "one fold: standard deviation and band are undefined"


def test_the_grid_holds_the_operating_points_and_ascends() -> None:
    assert set(OPERATING_FPPI) <= set(SUMMARY_FPPI)
    assert list(SUMMARY_FPPI) == sorted(set(SUMMARY_FPPI))
    assert (SUMMARY_FPPI[0], SUMMARY_FPPI[-1]) == (0.05, 5.0)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"min_iou": 0.5}, "fold 2: rule.min_iou is 0.5, in fold 1 it is 0.2"),
        ({"count_double_hits": True}, "fold 2: rule.count_double_hits is True, in fold 1 it is False"),
    ],
)
def test_folds_scored_by_another_rule_are_refused(rule: dict[str, Any], named: str) -> None:
    with pytest.raises(ManifestError, match=f"{named}. Folds of one summary"):
        summarise_folds({"1": fold(100), "2": fold(200, **rule)})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hit", "center"),
        ("max_distance_mm", 5.0),
        ("level", "breast"),
        ("false_positives_on", "normal"),
        ("label", 1),
    ],
)
def test_every_choice_of_the_rule_is_compared(field: str, value: object) -> None:
    metrics = of("10", "10")
    metrics["2"]["rule"][field] = value
    with pytest.raises(ManifestError, match=rf"fold 2: rule\.{field} is {value!r}"):
        summarise_folds(metrics)


def test_a_file_from_before_there_was_a_choice_is_of_the_default_rule() -> None:
    metrics = of("10", "10")
    for name in ("hit", "max_distance_mm", "level", "false_positives_on"):
        metrics["1"]["rule"].pop(name, None)
    metrics["2"]["rule"] |= {"hit": "iou", "max_distance_mm": None, "level": "lesion"}
    assert summarise_folds(metrics).mean[-1] == 0.5


def test_resamples_seed_and_confidence_may_differ() -> None:
    metrics = {"1": fold(100), "2": fold(200, seed=7, confidence=0.9)}
    assert summarise_folds(metrics).mean[-1] == 0.5


def test_an_image_in_two_folds_is_refused_by_its_record_id() -> None:
    metrics = {"1": fold(100), "2": fold(200), "3": fold(101)}
    with pytest.raises(ManifestError, match=f"fold 3: record {101:016x} of images stands in fold 1 too"):
        summarise_folds(metrics)


def test_folds_of_different_lists_are_refused_and_other_hashes_are_not() -> None:
    metrics = of("10", "10")
    metrics["1"]["inputs"] = {"manifest_sha256": "a" * 64, "split": "test"}
    metrics["2"]["inputs"] = {"manifest_sha256": "b" * 64, "split": "test"}
    assert summarise_folds(metrics).mean[-1] == 0.5
    metrics["2"]["inputs"]["split"] = "validation"
    with pytest.raises(ManifestError, match=r"fold 2: inputs\.split is 'validation', in fold 1 it is 'test'"):
        summarise_folds(metrics)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["rule"], None, "fold 2: rule must be an object, got None"),
        (["images"], ["a"], r"fold 2: images must be an object, got \['a'\]"),
        (["froc"], 3, "fold 2: froc must be an object, got 3"),
        (["froc", "fppi"], None, r"fold 2: froc\.fppi must be a list, got None"),
        (["froc", "sensitivity"], "0.5", r"fold 2: froc\.sensitivity must be a list"),
        (["froc", "fppi"], [0.0], "fold 2: froc: fppi, sensitivity and score must be lists of equal length"),
        (["froc", "fppi"], [0.0, {}], r"fold 2: froc: float\(\) argument"),
        (["froc", "sensitivity"], [0.5, 0.2, 0.1], "fold 2: froc: .* must not fall"),
        (["froc", "fppi"], [2.0, 3.0, 4.0], "fold 2: froc: fppi must be at least the curve's first"),
    ],
)
def test_a_damaged_file_is_named_with_its_field(path: list[str], value: object, named: str) -> None:
    metrics = copy.deepcopy(of("10", "10"))
    node = metrics["2"]
    for each in path[:-1]:
        node = node[each]
    node[path[-1]] = value
    with pytest.raises(ManifestError, match=named):
        summarise_folds(metrics)


def test_a_fold_without_a_lesion_has_no_sensitivity() -> None:
    normal = evaluate_detections([record(7)], [found(7, (ASIDE, 0.5))], rule=RULE)
    with pytest.raises(UndefinedMetricError, match="fold 2: sensitivity is undefined"):
        summarise_folds({"1": fold(100), "2": normal})


def test_no_fold_and_an_impossible_confidence_are_misuse() -> None:
    with pytest.raises(ValueError, match="at least one fold, got none"):
        summarise_folds({})
    with pytest.raises(ValueError, match=r"confidence must be between 0 and 1, got 1\.5"):
        summarise_folds(of("10"), confidence=1.5)
