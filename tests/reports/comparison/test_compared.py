"""Two detections files compared: which images and lesions differ, which files are refused, tables and CSV."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.files import sha256_of
from mammo_monai.metrics import LesionCounts
from mammo_monai.reports.comparison.compared import CompareOptions, Comparison, compare_files, image_changes
from mammo_monai.reports.comparison.tables import (
    CSV_COLUMNS,
    as_text,
    change_table,
    difference_table,
    p_phrase,
    p_text,
    write_csv,
)
from mammo_monai.schema import read_detections, write_detections
from tests.reports.comparison.scene import RULE, compared, write_pair


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pair(tmp_path)


@pytest.fixture
def comparison(folder: Path) -> Comparison:
    return compared(folder)


def rewritten(path: Path, *, keep=lambda n: True, model=None, add=()) -> None:
    content = read_detections(path)
    kept = [each for n, each in enumerate(content.detections) if keep(n)]
    write_detections(path, [*kept, *add], content.model if model is None else model)


def test_names_are_the_models_and_files_are_known_by_hash(comparison: Comparison, folder: Path) -> None:
    assert (comparison.first.name, comparison.second.name) == ("model a", "model b")
    assert comparison.second.file.sha256 == sha256_of(folder / "b.json")
    assert comparison.manifest.sha256 == sha256_of(folder / "manifest.json")


def test_models_of_one_name_or_none_are_told_apart(folder: Path) -> None:
    for name in ("a.json", "b.json"):
        rewritten(folder / name, model={"name": "same"})
    comparison = compared(folder)
    assert (comparison.first.name, comparison.second.name) == ("same (A)", "same (B)")
    rewritten(folder / "a.json", model={})
    comparison = compared(folder)
    assert (comparison.first.name, comparison.second.name) == ("a", "same")


def test_a_nameless_model_has_the_name_of_its_folder_but_not_one_that_all_files_have(folder: Path) -> None:
    for name, new in (("a", "old"), ("b", "new")):
        rewritten(folder / f"{name}.json", model={"bundle": "one of ours"})
        (folder / new).mkdir()
        (folder / f"{name}.json").rename(folder / new / "detections.json")
    paths = folder / "old", folder / "new" / "detections.json"
    comparison = compare_files(*paths, folder / "manifest.json", CompareOptions(rule=RULE, n_permutations=30))
    assert (comparison.first.name, comparison.second.name) == ("old", "B")


@pytest.mark.parametrize("names", [["one"], ["one", "one"], ["one", "two", "three"]])
def test_two_different_names_are_needed(folder: Path, names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"expected two different names .* got one"):
        compared(folder, names=names)


def test_images_that_differ_come_best_change_first(comparison: Comparison) -> None:
    changes = image_changes(comparison)
    assert [each.image for each in changes] == [0, 3, 2, 1]
    assert [each.change for each in changes] == [(1, 0), (0, 1), (0, 0), (-1, -1)]
    gain, saved, swap, loss = changes
    assert (gain.gained, gain.lost, gain.n_found, gain.n_lesions) == ((1,), (), (1, 2), 2)
    assert (saved.gained, saved.lost, saved.false_positives) == ((), (), (1, 0))
    assert (swap.gained, swap.lost, swap.n_found) == ((1,), (0,), (1, 1))
    assert (loss.gained, loss.lost, loss.false_positives) == ((), (0,), (0, 1))


def test_lesions_are_counted_by_who_found_them(comparison: Comparison) -> None:
    assert comparison.counts == LesionCounts(both=2, only_first=2, only_second=2, neither=0)
    assert [(each.image, each.lesion, each.by_second) for each in comparison.apart] == [
        (0, 1, True),
        (1, 0, False),
        (2, 0, False),
        (2, 1, True),
    ]


def test_the_shared_operating_point_is_among_the_figures(folder: Path) -> None:
    comparison = compared(folder, fppi=0.33)
    assert (0.33,) in [each.fppi for each in comparison.differences]
    assert (0.25,) in [each.fppi for each in comparison.differences]


def test_a_folder_stands_for_the_detections_in_it(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / f"{name}.json").rename(folder / name / "detections.json")
        (folder / f"{name}.json").symlink_to(folder / name)
    assert compared(folder).second.name == "model b"


def test_a_file_against_itself_is_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "b.json").write_bytes((folder / "a.json").read_bytes())
    comparison = compared(folder)
    assert "same content: nothing can differ" in caplog.text
    assert image_changes(comparison) == ()
    assert {(each.difference, each.p_value) for each in comparison.differences} == {(0.0, 1.0)}


def test_images_of_other_lists_are_left_out_and_the_list_may_not_be_empty(folder: Path) -> None:
    assert len(compared(folder, split="test").records) == 6
    with pytest.raises(UndefinedMetricError, match=r"the split is empty.* Manifest: .*json, training\."):
        compared(folder, split="training")


def test_files_of_different_images_are_refused_by_name(folder: Path) -> None:
    rewritten(folder / "a.json", keep=lambda n: n != 1)
    with pytest.raises(ManifestError, match=r"not run on the same images: 1 only in .*b\.json \(0{15}1\)"):
        compared(folder)


def test_images_missing_from_both_are_refused(folder: Path) -> None:
    for name in ("a.json", "b.json"):
        rewritten(folder / name, keep=lambda n: n != 1)
    with pytest.raises(
        ManifestError, match=r"a\.json: 1 record ids have no entry .*manifest\.json, all lists"
    ):
        compared(folder)


def test_unknown_images_are_refused_by_name(folder: Path) -> None:
    stranger = replace(read_detections(folder / "b.json").detections[0], record_id="f" * 16)
    rewritten(folder / "b.json", add=[stranger])
    with pytest.raises(ManifestError, match=r"b\.json, detections row 6 \(f{16}\): no image of"):
        compared(folder)


def test_without_lesions_the_difference_is_undefined(tmp_path: Path) -> None:
    with pytest.raises(UndefinedMetricError, match="6 images without a lesion of the scored label"):
        compared(write_pair(tmp_path, has_lesions=False))


def test_the_table_holds_mean_points_intervals_and_p_values(comparison: Comparison) -> None:
    table = difference_table(comparison)
    assert table.header == ("FPPI", "model a", "model b", "difference (95 % CI)", "p")
    assert table.rows[0][0] == "mean .25–4"
    assert len(table.rows) == 1 + len(RULE.fppi)
    at_one = {row[0]: row for row in table.rows}["1"]
    assert at_one[1:3] == ("0.667", "0.667")
    assert at_one[3].startswith("0.000 (−")
    assert at_one[4] == "1.000"


def test_what_is_undefined_is_a_dash_and_explained(folder: Path) -> None:
    comparison = compared(folder, rule=replace(RULE, n_bootstrap=0), n_permutations=0)
    assert difference_table(comparison).rows[1][3:] == ("0.000 (–)", "–")
    assert as_text(comparison).endswith(
        "–: no interval: no resample was asked for; no p-value: no permutation was asked for."
    )
    assert p_phrase(comparison.differences[0]) == "no p-value"


def test_the_text_lists_the_lesions_found_by_one_alone(comparison: Comparison) -> None:
    text = as_text(comparison)
    assert "found by model a   2                 2\nmissed by model a  2                 0" in text
    assert "0000000000000000  R MLO         2       model b   0.400  –" in text


def test_without_differing_lesions_there_is_no_such_list(folder: Path) -> None:
    (folder / "b.json").write_bytes((folder / "a.json").read_bytes())
    assert "found by one alone" not in as_text(compared(folder))


def test_the_images_that_differ_stand_in_a_table_by_record_id(comparison: Comparison) -> None:
    table = change_table(comparison, image_changes(comparison))
    assert table.caption.startswith("4 of 6 images differ at 1 FPPI")
    assert table.rows[0] == ("0000000000000000", "R MLO", "2", "1", "2", "0", "0")
    assert table.rows[-1] == ("0000000000000001", "view unknown", "1", "1", "0", "0", "1")


def test_p_values_are_never_printed_as_0() -> None:
    assert [p_text(each) for each in (1.0, 0.0314, 0.001, 1 / 1001, math.nan)] == [
        "1.000",
        "0.031",
        "0.001",
        "< 0.001",
        "–",
    ]


def test_a_p_value_is_a_phrase_with_its_sign(comparison: Comparison) -> None:
    phrases = [p_phrase(replace(comparison.differences[0], p_value=each)) for each in (0.5, 0.0002)]
    assert phrases == ["p = 0.500", "p < 0.001"]


def test_the_csv_keeps_all_digits_and_says_why_a_figure_is_missing(folder: Path) -> None:
    comparison = compared(folder, n_permutations=0)
    write_csv(folder / "c.csv", comparison)
    with (folder / "c.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert rows[0]["fppi"] == "0.25 0.5 1 2 4"
    assert float(rows[0]["first"]) == comparison.differences[0].first
    assert (rows[0]["p_value"], rows[0]["note"]) == ("nan", "no p-value: no permutation was asked for")
