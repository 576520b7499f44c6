"""Figures by subgroup: that they add up to those of all, and what is told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.metrics import FrocRule, evaluate_detections
from mammo_monai.metrics.subgroups import FEW_PATIENTS
from mammo_monai.records import ImageRecord, Laterality, Lesion, ViewPosition
from tests.metrics.scenes import Scene, found, record, scenes

HIT, OTHER, ASIDE = (0.0, 0.0, 4.0, 6.0), (5.0, 0.0, 9.0, 6.0), (6.0, 10.0, 9.0, 16.0)
QUICK = FrocRule(fppi=(0.5, 1.0), n_bootstrap=0)
CC, MLO = ViewPosition.CC, ViewPosition.MLO


def subgroups(records: list[ImageRecord], detections: list, rule: FrocRule = QUICK) -> dict:
    entries = evaluate_detections(records, detections, rule=rule)["subgroups"]
    return {(each["by"], each["group"]): each for each in entries}


def lesion(box=HIT, **known) -> Lesion:
    return replace(Lesion(box=box), **known)


def test_each_view_has_its_lesions_sensitivity_and_false_positives() -> None:
    records = [
        replace(record(0, [HIT, OTHER]), view_position=CC),
        replace(record(1, [HIT]), view_position=MLO),
        replace(record(2), view_position=MLO),
    ]
    detections = [found(0, (HIT, 0.9)), found(1, (HIT, 0.5), (ASIDE, 0.6)), found(2, (ASIDE, 0.2))]
    groups = subgroups(records, detections)
    cc, mlo = groups["view_position", "CC"], groups["view_position", "MLO"]
    assert [(each["n_images"], each["n_lesions"]) for each in (cc, mlo)] == [(1, 2), (2, 1)]
    assert [point["sensitivity"] for point in cc["points"]] == [0.5, 0.5]
    assert [point["sensitivity"] for point in mlo["points"]] == [1.0, 1.0]
    # At half a false positive over all three images the score is 0.5: one of the two marks beside lesions.
    assert cc["points"][0]["score"] == mlo["false_positives"][0]["score"] == 0.5
    assert [point["false_positives_per_image"] for point in cc["false_positives"]] == [0.0, 0.0]
    assert [point["false_positives_per_image"] for point in mlo["false_positives"]] == [0.5, 1.0]


@settings(max_examples=40)
@given(scenes(), st.lists(st.sampled_from([CC, MLO, None]), min_size=5, max_size=5), st.booleans())
def test_subgroups_add_up_to_all(scene: Scene, views: list, counts_doubles: bool) -> None:
    records = [replace(each, view_position=views[n]) for n, each in enumerate(scene.records)]
    rule = replace(QUICK, count_double_hits=counts_doubles)
    metrics = evaluate_detections(records, list(scene.detections), rule=rule)
    of_views = [each for each in metrics["subgroups"] if each["by"] == "view_position"]
    if not of_views or not metrics["n_lesions"]:
        return
    assert sum(each["n_lesions"] for each in of_views) == metrics["n_lesions"]
    assert sum(each["n_images"] for each in of_views) == metrics["n_images"]
    for n, point in enumerate(metrics["froc"]["points"]):
        hits = sum((each["points"][n]["sensitivity"] or 0) * each["n_lesions"] for each in of_views)
        assert hits == pytest.approx(point["sensitivity"] * metrics["n_lesions"])
        assert {each["points"][n]["score"] for each in of_views} == {point["score"]}
        marks = sum(
            each["false_positives"][n]["false_positives_per_image"] * each["n_images"] for each in of_views
        )
        assert marks <= point["fppi"] * metrics["n_images"] + 1e-9


def test_what_is_unknown_of_some_comes_last_and_what_tells_nothing_apart_is_left_out() -> None:
    records = [
        replace(record(0, [lesion(subtlety=2), OTHER]), breast_density=4, laterality=Laterality.LEFT),
        replace(record(1, [HIT]), laterality=Laterality.LEFT),
    ]
    assert list(subgroups(records, [found(0), found(1)])) == [
        ("breast_density", "4"),
        ("breast_density", "unknown"),
        ("subtlety", "2"),
        ("subtlety", "unknown"),
    ]


def test_pathology_is_malignant_benign_or_unknown_whatever_the_data_set_writes() -> None:
    words = ("MALIGNANT", "BENIGN_WITHOUT_CALLBACK", "benign", "n/a")
    records = [record(n, [lesion(pathology=word)]) for n, word in enumerate(words)]
    groups = subgroups(records, [found(n, (HIT, 0.9)) for n in range(4)])
    counts = {name: each["n_lesions"] for (by, name), each in groups.items() if by == "pathology"}
    assert counts == {"benign": 2, "malignant": 1, "unknown": 1}
    assert all(each["false_positives"] == [] for each in groups.values())  # an image has no pathology


def test_birads_is_the_lesions_own_else_the_images() -> None:
    records = [
        replace(record(0, [lesion(birads=3), OTHER]), birads=5),
        replace(record(1, [HIT]), birads=4),
    ]
    groups = subgroups(records, [found(0), found(1)])
    assert [name for by, name in groups if by == "birads"] == ["3", "4", "5"]
    assert groups["birads", "5"]["n_images"] == 1


def test_lesions_of_another_label_are_in_no_group() -> None:
    records = [
        record(0, [lesion(), lesion(OTHER, type="calcification", label=1)]),
        record(1, [lesion(type="distortion+mass")]),
    ]
    groups = subgroups(records, [found(0), found(1)])
    assert {name: each["n_lesions"] for (_, name), each in groups.items()} == {
        "mass": 1,
        "distortion+mass": 1,
    }


@pytest.mark.parametrize("n_patients", [FEW_PATIENTS - 1, FEW_PATIENTS])
def test_few_patients_get_an_interval_of_plain_counts(n_patients: int) -> None:
    """Resampling five lesions of three patients gave .33–.50 where Wilson's says .12–.77."""
    views = [CC] * n_patients + [MLO] * 12
    records = [replace(record(n, [HIT]), view_position=view) for n, view in enumerate(views)]
    marks = [[(HIT, 0.9)] if n % 2 else [(ASIDE, 0.8)] for n in range(len(views))]
    detections = [found(n, *each) for n, each in enumerate(marks)]
    group = subgroups(records, detections, replace(QUICK, n_bootstrap=200))["view_position", "CC"]
    is_few = n_patients < FEW_PATIENTS
    assert group["points"][-1]["interval"] == ("wilson" if is_few else "bootstrap")
    assert group["false_positives"][-1]["interval"] == ("poisson" if is_few else "bootstrap")


def test_false_positives_are_those_of_images_where_the_rule_counts_them() -> None:
    records = [
        replace(record(0, [HIT]), view_position=CC),
        replace(record(1), view_position=MLO),
    ]
    detections = [found(0, (HIT, 0.9), (ASIDE, 0.8)), found(1, (ASIDE, 0.7))]
    groups = subgroups(records, detections, replace(QUICK, false_positives_on="normal"))
    assert groups["view_position", "CC"]["false_positives"] == []
    assert groups["view_position", "MLO"]["false_positives"][1]["false_positives_per_image"] == 1.0
    assert groups["view_position", "MLO"]["points"][1]["sensitivity"] is None  # it has no lesion


def test_without_a_lesion_there_is_no_subgroup() -> None:
    records = [replace(record(0), view_position=CC), replace(record(1), view_position=MLO)]
    assert subgroups(records, [found(0, (HIT, 0.9)), found(1)]) == {}


def test_units_are_counted_within_their_subgroup() -> None:
    records = [
        replace(record(0, [HIT], patient="p"), view_position=CC),
        replace(record(1, [HIT], patient="p"), view_position=MLO),
        replace(record(2, [HIT], patient="q"), view_position=MLO),
    ]
    detections = [found(0, (HIT, 0.9)), found(1), found(2)]
    groups = subgroups(records, detections, replace(QUICK, level="patient"))
    assert groups["view_position", "CC"]["points"][0]["sensitivity"] == 1.0
    assert groups["view_position", "MLO"]["points"][0]["sensitivity"] == 0.0  # p is found in the other view
