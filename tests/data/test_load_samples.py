from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.data import load_samples, records_of, samples
from mammo_monai.errors import ManifestError
from mammo_monai.records import ImageRecord, Laterality, Lesion, Split, ViewPosition
from mammo_monai.schema import Manifest, write_manifest

KEYS = {
    "image", "image_path", "record_id", "patient_id", "laterality", "view_position", "pixel_spacing_mm",
    "width", "height", "box", "label", "box_original", "label_original", "prepared",
}  # fmt: skip


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [int(sample["record_id"], 16) for sample in found]


def test_sample_holds_the_record_with_boxes_twice(manifest: Path) -> None:
    sample = load_samples(manifest, "training")[1]
    assert set(sample) == KEYS
    assert sample["image"] == sample["image_path"] == str(manifest.parent / "films" / "film1.png")
    assert (sample["laterality"], sample["view_position"]) == ("R", "CC")
    assert sample["pixel_spacing_mm"] == (0.2, 0.2)
    assert (sample["box"].dtype, sample["box_original"].dtype) == (np.float32, np.float64)
    assert sample["box"].tolist() == sample["box_original"].tolist() == [[70, 70, 100, 110]]
    assert sample["label"].dtype == sample["label_original"].dtype == np.int64
    assert sample["label"] is not sample["label_original"]


def test_normal_image_has_empty_boxes(manifest: Path) -> None:
    sample = load_samples(manifest, only="normals")[0]
    assert sample["box"].shape == sample["box_original"].shape == (0, 4)
    assert sample["label"].shape == (0,)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"split": "training"}, [0, 1, 2, 3]),
        ({"split": Split.TEST}, [4, 5]),
        ({"laterality": "R"}, [1, 3, 5]),
        ({"laterality": Laterality.LEFT, "view_position": ViewPosition.MLO}, [4]),
        ({"only": "lesions"}, [0, 1, 4]),
        ({"split": "training", "only": "normals", "limit": 1}, [2]),
        ({"limit": 99}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_filters_choose_in_the_order_of_the_manifest(
    manifest: Path, options: dict[str, Any], expected: list[int]
) -> None:
    assert ids(load_samples(str(manifest), **options)) == expected


@pytest.mark.parametrize(
    ("labels", "kept"),
    [(None, [0, 1, 2, 3]), ([0], [0, 2]), ([1], [1]), ([3, 0], [0, 2, 3]), ((7,), [])],
)
def test_labels_choose_the_targets_and_never_touch_the_truth(
    tmp_path: Path, labels: list[int] | None, kept: list[int]
) -> None:
    boxes = [(float(n), 0.0, n + 2.0, 3.0) for n in range(4)]
    found = tuple(Lesion(box=box, label=label) for box, label in zip(boxes, (0, 1, 0, 3), strict=True))
    record = ImageRecord(tmp_path / "a.png", "a" * 16, "p", width=9, height=9, lesions=found)
    record.image.touch()
    write_manifest(tmp_path / "manifest.json", Manifest(training=(record,)))
    sample = load_samples(tmp_path, "training", labels=labels)[0]
    assert sample["box"].tolist() == [list(boxes[n]) for n in kept]
    assert sample["label"].tolist() == [(0, 1, 0, 3)[n] for n in kept]
    assert (sample["box"].shape, sample["box"].dtype) == ((len(kept), 4), np.float32)
    assert sample["label"].dtype == np.int64
    assert sample["box_original"].tolist() == [list(box) for box in boxes]
    assert sample["label_original"].tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize("labels", [0, "0", [], [0.5], [True], [-1], [None]])
def test_labels_that_are_no_list_of_classes_are_refused(manifest: Path, labels: Any) -> None:
    with pytest.raises(ManifestError, match=r"labels must be a list of classes, such as \[0\], or null, got"):
        load_samples(manifest, labels=labels)


def test_empty_choice_names_file_split_filters_and_counts(manifest: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"manifest\.json: no image in validation\. .*training 4, validation 0, test 2"
    ):
        load_samples(manifest, "validation")
    with pytest.raises(ManifestError, match=r"no image in test with view_position=CC, only=lesions\."):
        load_samples(manifest, Split.TEST, view_position="CC", only="lesions")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "train"}, "split must be training, validation or test"),
        ({"view_position": "cc"}, "ViewPosition must be one of CC, MLO, .* or null, got 'cc'"),
        ({"laterality": "left"}, "Laterality must be one of L, R or null, got 'left'"),
        ({"only": "masses"}, "only must be lesions, normals or null, got 'masses'"),
        ({"limit": 0}, "limit must be at least 1"),
    ],
)
def test_wrong_choices_say_what_is_allowed(manifest: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        load_samples(manifest, **options)


@pytest.mark.parametrize(
    ("only", "labels", "expected"),
    [("lesions", [0], [0]), ("normals", [0], [1, 2]), ("lesions", None, [0, 1]), ("normals", None, [2])],
)
def test_normal_means_without_a_lesion_of_the_classes_asked_for(
    tmp_path: Path, only: Any, labels: list[int] | None, expected: list[int]
) -> None:
    """As in scoring: an image with calcifications alone is normal to a detector of masses."""
    lesions = [(Lesion((1, 2, 3, 4)),), (Lesion((1, 2, 3, 4), type="calcification", label=1),), ()]
    (tmp_path / "a.png").touch()
    images = [
        ImageRecord(tmp_path / "a.png", f"{number:016x}", "p", 9, 9, found)
        for number, found in enumerate(lesions)
    ]
    write_manifest(tmp_path / "m.json", Manifest(test=tuple(images)))
    assert ids(load_samples(tmp_path / "m.json", only=only, labels=labels)) == expected


def test_missing_image_files_are_counted_and_named(manifest: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        (manifest.parent / "films" / f"film{number}.png").unlink()
    message = r"5 of 6 image files are missing: .*film0\.png, .*film2\.png …\."
    assert len(load_samples(manifest)) == 6  # each fails for itself, the sixth does not
    assert re.search(message, caplog.text)
    with pytest.raises(ManifestError, match=r"image files are missing: .*film0\.png"):
        load_samples(manifest, "training")
    assert ids(load_samples(manifest, "test", only="normals")) == [5]


def test_a_manifest_without_any_of_its_files_is_refused(manifest: Path) -> None:
    shutil.rmtree(manifest.parent / "films")
    with pytest.raises(ManifestError, match="6 of 6 image files are missing"):
        load_samples(manifest)


def test_folder_of_images_gives_samples_without_truth(manifest: Path) -> None:
    found = load_samples(manifest.parent / "films")
    assert [Path(sample["image"]).name for sample in found] == [f"film{n}.png" for n in range(6)]
    assert found[0]["box_original"].shape == (0, 4)
    assert (found[0]["width"], found[0]["laterality"], found[0]["pixel_spacing_mm"]) == (None, None, None)
    assert len({sample["record_id"] for sample in found}) == 6
    with pytest.raises(ManifestError, match="images without a manifest are in no list, yet split=test"):
        load_samples(manifest.parent / "films", "test")


def test_record_ids_of_a_folder_do_not_depend_on_where_it_lies(manifest: Path) -> None:
    before = [sample["record_id"] for sample in load_samples(manifest.parent / "films")]
    (manifest.parent / "films").rename(manifest.parent / "moved")
    assert [sample["record_id"] for sample in load_samples(manifest.parent / "moved")] == before


def test_files_may_be_listed(manifest: Path) -> None:
    films = manifest.parent / "films"
    found = load_samples([films / "film3.png", str(films / "film1.png")])
    assert [Path(sample["image"]).name for sample in found] == ["film3.png", "film1.png"]


def test_folder_of_a_manifest_stands_for_it(manifest: Path) -> None:
    assert ids(load_samples(manifest.parent, "test")) == [4, 5]


def test_no_manifest_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.json: no such file"):
        load_samples(tmp_path / "none.json")


def test_phantoms_are_read_through_their_manifest(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fake(request: str) -> Path:
        asked.append(request)
        return manifest

    monkeypatch.setattr(samples, "phantom_manifest", fake)
    assert ids(load_samples("phantoms:film:3", "test")) == [4, 5]
    assert asked == ["film:3"]


def test_counts_are_logged(manifest: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="mammo_monai.data.samples"):
        load_samples(manifest, "training")
    assert "4 images, 3 lesions (training)" in caplog.text


def test_the_records_behind_samples_are_those_of_their_list(manifest: Path) -> None:
    made, records = load_samples(manifest, "test"), records_of(manifest, "test")
    assert [sample["record_id"] for sample in made] == list(records)
    assert all(np.array_equal(each["box_original"], records[each["record_id"]].boxes) for each in made)
