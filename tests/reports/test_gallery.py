"""Galleries show at one operating point what was found, missed and marked in vain, worst first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.reports.gallery import galleries, shown_from, view_text
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


def test_each_gallery_holds_its_images(scene) -> None:
    _, run, records = scene
    shown = galleries(run, records, fppi=1.0)
    assert [card.focus for card in shown["misses"]] == [MISSED]
    assert [card.focus for card in shown["hits"]] == [FOUND]
    assert [card.record.record_id for card in shown["false positives"]] == [f"{1:016x}", f"{0:016x}"]


def test_findings_are_said_in_the_fields_words(scene) -> None:
    _, run, records = scene
    shown = galleries(run, records, fppi=1.0)
    assert shown["misses"][0].finding == "Missed mass, 10 mm: no detection touches it"
    assert shown["hits"][0].finding == "Found mass, 15 mm, malignant, BI-RADS 5, score 0.90, IoU 1.00"
    assert shown["false positives"][0].finding == "False positive, score 0.60; normal image"
    assert shown["false positives"][1].finding == "False positive, score 0.40; image with a lesion"


def test_at_a_stricter_point_fewer_false_positives_are_shown(scene) -> None:
    _, run, records = scene
    assert shown_from(run, 0.25) == 0.9
    assert galleries(run, records, fppi=0.25)["false positives"] == ()
    assert len(galleries(run, records, fppi=0.44)["false positives"]) == 1


def test_a_lesion_found_only_below_the_point_counts_as_missed(scene) -> None:
    _, run, records = scene
    hit = {"lesion": 0, "detection": 2, "score": 0.3, "overlap": 1.0}
    late = with_entry(run, f"{0:016x}", hits=[hit], false_positives=[1])
    cards = galleries(late, records, fppi=0.44)["misses"]
    assert cards[0].finding.endswith("marked only at score 0.300, below the operating point")
    assert galleries(late, records, fppi=0.44)["hits"] == ()


def test_a_near_miss_tells_its_overlap(scene) -> None:
    _, run, records = scene
    record_id = f"{0:016x}"
    entry = run.detections[record_id]
    boxes = entry.boxes.copy()
    boxes[1] = [50, 70, 60, 90]
    near = replace(run, detections={**run.detections, record_id: replace(entry, boxes=boxes)})
    # 5 × 10 of 15 × 20 and 10 × 20 px².
    assert galleries(near, records, fppi=1.0)["misses"][0].finding.endswith(
        "best overlap IoU 0.11 at score 0.400"
    )


def test_an_image_without_detections_says_so(tmp_path: Path) -> None:
    folder = write_scene(tmp_path, has_detections=False)
    run, records = read_run(folder / "run"), read_manifest(folder / "manifest.json").images()
    shown = galleries(run, records, fppi=1.0)
    assert shown["misses"][0].finding.endswith("nothing marked on this image")
    assert shown_from(run, 1.0) == float("inf")
    assert not shown["hits"]


def test_double_hits_are_shown_only_where_they_count(scene) -> None:
    folder, run, records = scene
    marks = galleries(run, records, fppi=4.0)["hits"][0].marks
    assert [mark.kind for mark in marks] == ["lesion", "lesion", "hit", "false positive"]
    score(folder, "run", count_double_hits=True)
    marks = galleries(read_run(folder / "run"), records, fppi=4.0)["hits"][0].marks
    assert [mark.kind for mark in marks].count("false positive") == 2


def test_lesions_of_other_labels_are_not_drawn(scene) -> None:
    _, run, records = scene
    calcification = replace(records[0].lesions[1], label=1)
    changed = replace(records[0], lesions=(records[0].lesions[0], calcification))
    only = with_entry(run, f"{0:016x}", misses=[])
    marks = galleries(only, [changed], fppi=1.0)["hits"][0].marks
    assert [mark.box for mark in marks if mark.kind == "lesion"] == [FOUND]


@pytest.mark.parametrize("changes", [{"misses": [2]}, {"false_positives": [3]}])
def test_entries_that_point_nowhere_are_refused(scene, changes: dict) -> None:
    _, run, records = scene
    with pytest.raises(ManifestError, match=r"record 0{16}: the metrics speak of a lesion or detection"):
        galleries(with_entry(run, f"{0:016x}", **changes), records, fppi=1.0)


def test_images_the_manifest_does_not_hold_are_passed_over(scene) -> None:
    _, run, records = scene
    assert galleries(run, records[1:], fppi=1.0)["misses"] == ()


def test_the_largest_missed_lesion_comes_first(scene) -> None:
    _, run, records = scene
    small = replace(records[1], lesions=(replace(records[0].lesions[1], box=(0.0, 0.0, 2.0, 3.0)),))
    both = with_entry(with_entry(run, f"{0:016x}", misses=[0, 1], hits=[]), f"{1:016x}", misses=[0])
    cards = galleries(both, [small, records[0]], fppi=1.0)["misses"]
    assert [card.focus for card in cards] == [FOUND, (0.0, 0.0, 2.0, 3.0)]
    assert cards[1].finding.startswith("Missed mass, 3 px")


def test_a_view_is_named_as_far_as_known(scene) -> None:
    _, _, records = scene
    assert view_text(records[0]) == "R MLO"
    assert view_text(records[1]) == "view unknown"


def test_boxes_stay_in_original_pixels(scene) -> None:
    _, run, records = scene
    for cards in galleries(run, records, fppi=4.0).values():
        for card in cards:
            boxes = np.array([mark.box for mark in card.marks])
            assert (boxes[:, 2] <= WIDTH).all()
            assert (boxes[:, 3] <= HEIGHT).all()
    assert ASIDE in [mark.box for mark in galleries(run, records, fppi=4.0)["false positives"][0].marks]
