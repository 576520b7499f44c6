"""What readers stand for, in the three formats others read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.cli.main import main
from mammo_monai.dicom.results import read_marks
from mammo_monai.errors import DicomError
from mammo_monai.records import Detections
from mammo_monai.schema import read_detections, read_manifest
from mammo_monai.service.review import ReviewImage, Worklist, export, export_reviews
from mammo_monai.service.review.marks import fresh_review
from tests.service.review.scene import Client, accepted, own_box


def review_all(client: Client) -> None:
    """R CC without a mark; R MLO: a mark rejected, one moved, one drawn, one below the slider; L CC not."""
    client("PUT", "/api/images/0", accepted(client("GET", "/api/images/0")[1]["review"]))
    review = client("GET", "/api/images/1")[1]["review"]
    first, second, third = review["marks"]
    marks = [
        {**first, "verdict": "rejected"},
        {**second, "verdict": "accepted", "box": [4, 10, 25, 41.5]},
        third,
        {**own_box([40, 5, 55.5, 20]), "label": 1, "comment": "cluster"},
    ]
    sent = {**review, "marks": marks, "is_reviewed": True, "reader": "AB"}
    assert client("PUT", "/api/images/1", sent)[0] == 200


def exported(client: Client, *kinds: str) -> dict[str, Any]:
    status, answer, _ = client("POST", "/api/export", {"kinds": list(kinds or export.KINDS)})
    assert status == 200, answer
    return dict(answer)


def test_coco_is_what_the_coco_reader_takes(client: Client, folder: Path, tmp_path: Path) -> None:
    review_all(client)
    done = exported(client, "coco")
    assert (done["files"], done["n_images"], done["n_boxes"], done["n_left_out"]) == (
        ["corrected.coco.json"],
        2,
        2,
        2,
    )
    told = json.loads((folder / "corrected.coco.json").read_text())["info"]["model"]
    assert told["bundle"] == "some_marker"
    assert "some_marker" in told["told"]
    manifest = tmp_path / "again" / "manifest.json"
    assert main(["manifest", "coco", str(folder / "corrected.coco.json"), "-o", str(manifest)]) == 0
    records = {f"{r.laterality.value} {r.view_position.value}": r for r in read_manifest(manifest).images()}
    assert set(records) == {"R CC", "R MLO"}
    assert records["R CC"].is_normal
    assert records["R MLO"].boxes.tolist() == [[4, 10, 25, 41.5], [40, 5, 55.5, 20]]
    assert [lesion.type for lesion in records["R MLO"].lesions] == ["mass", "calcification"]
    assert len({record.patient_id for record in records.values()}) == 1
    assert "anna" not in manifest.read_text()  # a reader's manifest names patients by a salted hash


def test_detections_keep_the_models_scores_and_say_they_were_reviewed(client: Client, folder: Path) -> None:
    review_all(client)
    exported(client, "detections")
    content = read_detections(folder / "corrected.detections.json")
    found = {each.record_id: each for each in content.detections}
    assert set(found) == {"rcc", "rmlo"}
    assert found["rmlo"].scores.tolist() == [0.4, 1.0]
    assert found["rmlo"].labels.tolist() == [0, 1]
    assert content.model["bundle"] == "some_marker"
    assert content.model["reviewed"]["readers"] == ["AB"]


def test_a_report_holds_the_readers_boxes_in_the_study_of_the_image(client: Client, folder: Path) -> None:
    review_all(client)
    done = exported(client, "sr")
    assert done["files"] == ["sr/rmlo.dcm"]
    assert "1 of the reviewed images are no DICOM files" in done["problems"][0]
    (marks,) = read_marks(folder / "sr" / "rmlo.dcm")
    assert marks.is_reviewed
    assert marks.boxes.tolist() == [[4, 10, 25, 41.5], [40, 5, 55.5, 20]]
    np.testing.assert_allclose(marks.scores, [0.4, np.nan])


def test_the_report_of_an_image_opened_again_goes_with_the_next_export(client: Client, folder: Path) -> None:
    review_all(client)
    exported(client, "sr")
    review = client("GET", "/api/images/1")[1]["review"]
    assert client("PUT", "/api/images/1", {**review, "is_reviewed": False})[0] == 200
    assert exported(client, "sr")["files"] == []
    assert list((folder / "sr").iterdir()) == []


def test_a_report_that_cannot_be_made_is_named_and_the_rest_is_written(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise DicomError("no Study Instance UID")

    review_all(client)
    exported(client, "sr")
    monkeypatch.setattr(export, "build_result", refused)
    done = exported(client)
    assert done["files"] == ["corrected.coco.json", "corrected.detections.json"]
    assert "R MLO, record rmlo: no report" in done["problems"][1]
    assert list((folder / "sr").iterdir()) == []


def test_an_export_without_a_review_is_empty_and_says_what_is_left(client: Client, folder: Path) -> None:
    done = exported(client, "coco", "detections")
    assert (done["n_images"], done["n_left_out"]) == (0, 4)
    assert json.loads((folder / "corrected.coco.json").read_text())["images"] == []


def test_a_box_of_the_model_that_reaches_over_the_border_is_cut_and_one_outside_left_out(
    tmp_path: Path,
) -> None:
    boxes = np.array([[-3.0, 1, 4, 5], [70, 10, 80, 20]])
    detections = Detections("a", boxes, np.array([0.9, 0.8]), np.array([0, 9]))
    image = ReviewImage("a", detections, tmp_path / "a.png", width=60, height=90)
    fresh = fresh_review(detections, 0.0)
    marks = tuple(replace(mark, verdict="accepted") for mark in fresh.marks)
    review = replace(fresh, marks=marks, is_reviewed=True, reader="AB")
    done = export_reviews(tmp_path, Worklist((image,), tmp_path), [review], kinds=["coco"])
    content = json.loads((tmp_path / "corrected.coco.json").read_text())
    assert done.n_boxes == 1
    assert [each["bbox"] for each in content["annotations"]] == [[0, 1, 4, 4]]
    assert content["images"][0]["file_name"] == "a.png"
