"""Galleries show at one operating point every lesion found, every one missed, and every mark made in vain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.reports.gallery.items import galleries, has_same_truth, shown_from, view_text
from mammo_monai.reports.runs import Run, read_run
from mammo_monai.schema import read_manifest
from tests.reports.scene import ASIDE, FOUND, HEIGHT, MISSED, WIDTH, score, write_scene


@pytest.fixture
def scene(tmp_path: Path):
    folder = write_scene(tmp_path)
    return folder, read_run(folder / "run"), read_manifest(folder / "manifest.json").images()


def with_entry(run: Run, record_id: str, **changes) -> Run:
    images = {**run.metrics["images"], record_id: {**run.metrics["images"][record_id], **changes}}
    return replace(run, metrics={**run.metrics, "images": images})


def with_boxes(run: Run, number: int, *boxes) -> Run:
    """The run with the boxes of image 0 from `number` on moved; the metrics stay."""
    entry = run.detections[f"{0:016x}"]
    moved = entry.boxes.copy()
    moved[number : number + len(boxes)] = boxes
    return replace(run, detections={**run.detections, f"{0:016x}": replace(entry, boxes=moved)})


def test_each_finding_stands_in_its_gallery(scene) -> None:
    _, run, records = scene
    shown = galleries(run, records, fppi=1.0)
    assert [item.focus for item in shown["misses"]] == [MISSED]
    assert [item.focus for item in shown["hits"]] == [FOUND]
    assert [item.record.record_id for item in shown["false positives"]] == [f"{1:016x}", f"{0:016x}"]
    assert all(item.kind == kind for kind, items in shown.items() for item in items)


def test_findings_are_said_in_the_fields_words(scene) -> None:
    _, run, records = scene
    shown = galleries(run, records, fppi=1.0)
    assert (shown["misses"][0].what, shown["misses"][0].how) == ("mass, 10 mm", "no detection touches it")
    assert shown["hits"][0].what == "mass, 15 mm, malignant, BI-RADS 5"
    assert shown["hits"][0].how == "score 0.900, IoU 1.00"
    assert shown["false positives"][0].what == "14 px, normal image"
    assert shown["false positives"][1].what == "7 mm, image with a lesion"
    assert shown["false positives"][1].how == "score 0.400"


def test_findings_are_grouped_by_size_and_by_the_kind_of_image(scene) -> None:
    _, run, records = scene
    shown = galleries(run, [replace(records[0], pixel_spacing_mm=(1.0, 0.5)), *records[1:]], fppi=1.0)
    assert shown["hits"][0].group == "≥ 2 cm"
    assert galleries(run, records, fppi=1.0)["misses"][0].group == "< 2 cm"
    bare = [replace(record, pixel_spacing_mm=None) for record in records]
    assert galleries(run, bare, fppi=1.0)["misses"][0].group == "size unknown"
    assert {item.group for item in shown["false positives"]} == {"normal image", "image with a lesion"}


def test_every_false_positive_of_an_image_is_shown_highest_score_first(scene) -> None:
    folder, _, records = scene
    score(folder, "run", count_double_hits=True)
    items = galleries(read_run(folder / "run"), records, fppi=4.0)["false positives"]
    assert [item.score for item in items] == [0.6, 0.4, 0.3]
    assert [item.focus for item in items] == [ASIDE, ASIDE, FOUND]
    assert items[2].how == "score 0.300, IoU 1.00 with a lesion"


def test_double_hits_on_images_that_do_not_count_are_no_false_positives(scene) -> None:
    folder, _, records = scene
    score(folder, "run", count_double_hits=True)
    run = read_run(folder / "run")
    for counted_on, expected in (("all", 3), ("with_lesions", 2), ("normal", 1)):
        rule = {**run.metrics["rule"], "false_positives_on": counted_on}
        counted = replace(run, metrics={**run.metrics, "rule": rule})
        assert len(galleries(counted, records, fppi=4.0)["false positives"]) == expected


def test_at_a_stricter_point_fewer_false_positives_are_shown(scene) -> None:
    _, run, records = scene
    assert shown_from(run, 0.25) == 0.9
    assert galleries(run, records, fppi=0.25)["false positives"] == ()
    assert len(galleries(run, records, fppi=0.44)["false positives"]) == 1


def test_a_lesion_found_only_below_the_point_counts_as_missed(scene) -> None:
    _, run, records = scene
    hit = {"lesion": 0, "detection": 2, "score": 0.3, "overlap": 1.0}
    late = with_entry(run, f"{0:016x}", hits=[hit], false_positives=[1])
    item = next(each for each in galleries(late, records, fppi=0.44)["misses"] if each.focus == FOUND)
    assert item.how == "found only at score 0.300, IoU 1.00"
    assert ("near miss", 0.3) in [(each.kind, each.score) for each in item.marked]
    assert galleries(late, records, fppi=0.44)["hits"] == ()


def test_a_near_miss_is_the_highest_score_that_touches_the_lesion(scene) -> None:
    _, run, records = scene
    # 5 × 10 of 15 × 20 and 10 × 20 px².
    near = with_boxes(run, 1, (50, 70, 60, 90), (39, 59, 56, 81))
    item = galleries(near, records, fppi=1.0)["misses"][0]
    assert (item.score, item.how) == (0.4, "touched at score 0.400, IoU 0.11")


def test_detections_of_other_labels_are_no_near_misses(scene) -> None:
    _, run, records = scene
    near = with_boxes(run, 1, (50, 70, 60, 90))
    entry = near.detections[f"{0:016x}"]
    other = replace(entry, labels=np.array([0, 1, 0]))
    run = replace(near, detections={**near.detections, f"{0:016x}": other})
    assert galleries(run, records, fppi=1.0)["misses"][0].score is None


def test_misses_come_by_near_miss_score_then_by_size(scene) -> None:
    _, run, records = scene
    small = replace(records[1], lesions=(replace(records[0].lesions[1], box=(0.0, 0.0, 2.0, 3.0)),))
    both = with_entry(with_entry(run, f"{0:016x}", misses=[0, 1], hits=[]), f"{1:016x}", misses=[0])
    items = galleries(both, [small, records[0]], fppi=1.0)["misses"]
    assert [(item.focus, item.score) for item in items] == [
        (FOUND, 0.9),
        (MISSED, None),
        ((0.0, 0.0, 2.0, 3.0), None),
    ]
    assert items[2].what == "mass, 3 px"


def test_an_image_without_detections_says_so(tmp_path: Path) -> None:
    folder = write_scene(tmp_path, has_detections=False)
    run, records = read_run(folder / "run"), read_manifest(folder / "manifest.json").images()
    shown = galleries(run, records, fppi=1.0)
    assert shown["misses"][0].how == "nothing marked on this image"
    assert shown_from(run, 1.0) == float("inf")
    assert not shown["hits"]


def test_a_found_lesion_is_shown_whole_with_its_detection(scene) -> None:
    _, run, records = scene
    wide = with_boxes(run, 0, (5.0, 25.0, 35.0, 48.0))
    assert galleries(wide, records, fppi=1.0)["hits"][0].focus == (5.0, 20.0, 35.0, 50.0)


def test_a_detection_is_drawn_once_as_what_it_counts_as(scene) -> None:
    _, run, records = scene
    near = with_boxes(run, 1, (50, 70, 60, 90))  # a false positive that touches the missed lesion
    marked = galleries(near, records, fppi=1.0)["misses"][0].marked
    assert [(each.kind, each.score) for each in marked] == [("false positive", 0.4), ("hit", 0.9)]


def test_lesions_of_other_labels_are_not_drawn(scene) -> None:
    _, run, records = scene
    calcification = replace(records[0].lesions[1], label=1)
    changed = replace(records[0], lesions=(records[0].lesions[0], calcification))
    only = with_entry(run, f"{0:016x}", misses=[])
    item = galleries(only, [changed], fppi=1.0)["hits"][0]
    assert [lesion.box for lesion in item.lesions] == [FOUND]


@pytest.mark.parametrize("changes", [{"misses": [2]}, {"false_positives": [3]}])
def test_entries_that_point_nowhere_are_refused(scene, changes: dict) -> None:
    _, run, records = scene
    with pytest.raises(ManifestError, match=r"record 0{16}: the metrics speak of a lesion or detection"):
        galleries(with_entry(run, f"{0:016x}", **changes), records, fppi=1.0)


def test_images_the_manifest_does_not_hold_are_passed_over(scene) -> None:
    _, run, records = scene
    assert galleries(run, records[1:], fppi=1.0)["misses"] == ()


def test_the_same_lesions_in_another_file_are_the_same_truth(scene) -> None:
    _, run, records = scene
    first, second = records[0].lesions
    assert has_same_truth(run, [replace(record, image=Path("elsewhere.png")) for record in records])
    moved = replace(records[0], lesions=(replace(first, box=(10.0, 22.0, 30.0, 50.0)), second))
    for others in (records[1:], [replace(records[0], lesions=(first,)), *records[1:]], [moved, *records[1:]]):
        assert not has_same_truth(run, others)
    assert not has_same_truth(replace(run, detections={}), records)


def test_a_view_is_named_as_far_as_known(scene) -> None:
    _, _, records = scene
    assert view_text(records[0]) == "R MLO"
    assert view_text(records[1]) == "view unknown"


def test_boxes_stay_in_original_pixels(scene) -> None:
    _, run, records = scene
    for items in galleries(run, records, fppi=4.0).values():
        for item in items:
            boxes = np.array([each.box for each in item.marked])
            assert (boxes[:, 2] <= WIDTH).all()
            assert (boxes[:, 3] <= HEIGHT).all()
    assert ASIDE in [each.box for each in galleries(run, records, fppi=4.0)["false positives"][0].marked]
