"""Marks of three formats become the same detections; coverage, classes, provenance; what is refused."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.files import sha256_of
from mammo_monai.metrics import FrocRule, evaluate_files
from mammo_monai.readers.foreign_detections import ForeignDetections, ForeignSource, foreign_detections
from mammo_monai.records import Detections
from mammo_monai.schema import read_detections, read_manifest, write_detections
from tests.readers.foreign_detections.scene import (
    MARKS,
    NAMES,
    coco_results,
    coco_truth,
    table_text,
    write_coco,
    write_films,
    write_yolo,
)


def source_of(kind: str, folder: Path, **more: Any) -> ForeignSource:
    if kind == "coco":
        results, truth = write_coco(folder, coco_results())
        return ForeignSource("coco", results, truth, **more)
    if kind == "csv":
        (folder / "marks.csv").write_text(table_text())
        return ForeignSource("csv", folder / "marks.csv", **more)
    return ForeignSource("yolo", write_yolo(folder), **more)


def by_name(made: ForeignDetections) -> dict[str, Detections]:
    return {"/".join(each.image.parts[-2:]): each for each in made.detections if each.image}


@pytest.mark.parametrize("kind", ["coco", "csv", "yolo"])
def test_every_format_gives_the_same_detections_with_an_entry_per_image(
    kind: str, tmp_path: Path, manifest: Path
) -> None:
    made = foreign_detections(source_of(kind, tmp_path), manifest)
    found = by_name(made)
    assert list(found) == list(NAMES)
    for name in NAMES:
        own = [(box, score) for image, box, score in MARKS if image == name]
        np.testing.assert_allclose(found[name].boxes, np.array([b for b, _ in own]).reshape(-1, 4), atol=1e-9)
        assert found[name].scores.tolist() == [score for _, score in own]
        assert found[name].labels.tolist() == [0] * len(own)
    assert (made.n_marks, made.n_masses, made.n_unmarked) == (4, 4, 1)
    assert made.n_unnamed == (0 if kind == "coco" else 1)
    assert made.score_range == (0.4, 0.9)


@pytest.mark.parametrize("kind", ["coco", "csv", "yolo"])
def test_one_list_leaves_marks_of_the_others_out_and_counts_them(
    kind: str, tmp_path: Path, manifest: Path
) -> None:
    made = foreign_detections(source_of(kind, tmp_path), manifest, "test")
    assert list(by_name(made)) == ["p2/left.png", "p3/other.png"]
    assert (made.n_marks, made.n_elsewhere, made.n_unmarked) == (2, 2, 0)


def test_our_own_detections_as_coco_results_score_as_before(tmp_path: Path, manifest: Path) -> None:
    chance = np.random.default_rng(5)
    own = []
    for record in read_manifest(manifest).images():
        low = chance.uniform((0, 0), (200, 300), (30, 2))
        boxes = np.concatenate([record.boxes, np.hstack([low, low + chance.uniform(5, 90, (30, 2))])])
        scores = chance.random(len(boxes))
        own.append(Detections(record.record_id, boxes, scores, np.zeros(len(boxes), dtype=int)))
    write_detections(tmp_path / "own.json", own, {"name": "own"})
    results = [
        {"image_id": 7 + n, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": score}
        for n, each in enumerate(own)
        for (x0, y0, x1, y1), score in zip(each.boxes.tolist(), each.scores.tolist(), strict=True)
    ]
    paths = write_coco(tmp_path, results)
    made = foreign_detections(ForeignSource("coco", *paths), manifest)
    write_detections(tmp_path / "back.json", made.detections, made.model)
    figures = [
        evaluate_files(tmp_path / name, manifest, rule=FrocRule(n_bootstrap=10))
        for name in ("own.json", "back.json")
    ]
    assert len(figures[0]["froc"]["fppi"]) > 1
    assert figures[0]["froc"] == figures[1]["froc"]
    assert figures[0]["images"] == figures[1]["images"]


def test_the_file_says_whose_marks_it_holds_and_what_they_were_read_from(
    tmp_path: Path, manifest: Path
) -> None:
    source = source_of("coco", tmp_path, name="their network")
    made = foreign_detections(source, manifest)
    write_detections(tmp_path / "d.json", made.detections, made.model)
    model = read_detections(tmp_path / "d.json").model
    assert model["name"] == "their network"
    assert model["converted_from"]["format"] == "coco"
    hashes = {each["name"]: each["sha256"] for each in model["converted_from"]["files"]}
    assert hashes == {name: sha256_of(tmp_path / name) for name in ("results.json", "truth.json")}
    assert str(tmp_path) not in json.dumps(model)


def test_without_a_name_the_model_is_called_after_the_source(tmp_path: Path, manifest: Path) -> None:
    assert foreign_detections(source_of("yolo", tmp_path), manifest).model["name"] == "labels"


def test_a_folder_has_another_hash_when_one_of_its_files_changes(tmp_path: Path, manifest: Path) -> None:
    source = source_of("yolo", tmp_path)
    first = foreign_detections(source, manifest).model
    path = source.path / "p2" / "left.txt"
    path.write_text(path.read_text().replace("0.7", "0.8"))
    assert foreign_detections(source, manifest).model != first


def test_images_the_coco_file_does_not_list_were_not_marked(tmp_path: Path, manifest: Path) -> None:
    truth = coco_truth()
    truth["images"] = truth["images"][2:]
    paths = write_coco(tmp_path, coco_results()[2:], truth)
    source = ForeignSource("coco", *paths)
    with pytest.raises(ManifestError, match=r"but not 2 of the 4 .*left\.png, right\.png.*--split"):
        foreign_detections(source, manifest)
    assert foreign_detections(source, manifest, "test").n_marks == 2


def test_a_list_that_the_source_names_nowhere_is_warned_of(
    tmp_path: Path, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = source_of("csv", tmp_path)
    lines = source.path.read_text().splitlines()
    source.path.write_text("\n".join([lines[0], *lines[3:]]))
    foreign_detections(source, manifest)
    assert "names none of the 2 images of the list training" in caplog.text
    caplog.clear()
    foreign_detections(source, manifest, "test")
    assert caplog.text == ""


def test_scores_of_any_range_stay_as_they_are(tmp_path: Path, manifest: Path) -> None:
    results = coco_results()
    for row, score in zip(results, (-3.5, 12, 0.25, 100), strict=True):
        row["score"] = score
    made = foreign_detections(ForeignSource("coco", *write_coco(tmp_path, results)), manifest)
    assert made.score_range == (-3.5, 100)
    write_detections(tmp_path / "d.json", made.detections, made.model)
    metrics = evaluate_files(tmp_path / "d.json", manifest, rule=FrocRule(n_bootstrap=10))
    assert metrics["reliability"] is None
    assert metrics["froc"]["sensitivity"][-1] == 1.0


def test_categories_become_labels_and_what_is_no_lesion_is_left_out(tmp_path: Path, manifest: Path) -> None:
    truth = coco_truth(categories=[{"id": n, "name": w} for n, w in enumerate(("Lump", "calc", "nipple"))])
    results = coco_results()
    for row, category in zip(results, (0, 1, 0, 2), strict=True):
        row["category_id"] = category
    paths = write_coco(tmp_path, results, truth)
    made = foreign_detections(ForeignSource("coco", *paths, category="lump"), manifest)
    assert [each.labels.tolist() for each in made.detections] == [[0, 1], [], [0], []]
    assert (made.n_marks, made.n_masses, sum(each.n_ignored for each in made.placed)) == (3, 2, 1)
    with pytest.raises(ManifestError, match=r"called 'mass', found lump \(2\).*--category NAME"):
        foreign_detections(ForeignSource("coco", *paths), manifest)


@pytest.mark.parametrize("kind", ["csv", "yolo"])
def test_class_numbers_without_names_must_be_explained(kind: str, tmp_path: Path, manifest: Path) -> None:
    source = source_of(kind, tmp_path)
    if kind == "csv":
        lines = source.path.read_text().splitlines()
        more = ["class", "0", "1", "0", "1"]
        source.path.write_text("\n".join(f"{a},{b}" for a, b in zip(lines, more, strict=True)))
    else:
        (source.path / "classes.txt").unlink()
        path = source.path / "p3" / "other.txt"
        path.write_text("1" + path.read_text()[1:])
    with pytest.raises(ManifestError, match=r"found 0, 1 without names.*--class 0=mass"):
        foreign_detections(source, manifest)
    said = ForeignSource(source.format, source.path, category="0", classes={"1": "ignore"})
    assert foreign_detections(said, manifest).n_marks == (2 if kind == "csv" else 3)


def test_a_word_that_nobody_explains_is_no_mass_and_warned_of(
    tmp_path: Path, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    truth = coco_truth(categories=[{"id": 1, "name": "mass"}, {"id": 2, "name": "cyst"}])
    results = coco_results()
    results[1]["category_id"] = 2
    made = foreign_detections(ForeignSource("coco", *write_coco(tmp_path, results, truth)), manifest)
    assert made.detections[0].labels.tolist() == [0, 4]
    assert "no masses but other: cyst (1); say --class NAME=TYPE" in caplog.text


def test_corners_in_the_place_of_sizes_are_suspected(
    tmp_path: Path, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    results = coco_results()
    results[1]["bbox"] = [200, 300, 220, 330]
    made = foreign_detections(ForeignSource("coco", *write_coco(tmp_path, results)), manifest)
    assert made.placed[0].n_clipped == 1
    assert "1 of 4 boxes lie outside their image by more than half" in caplog.text
    assert "corners stand where width and height should" in caplog.text


def test_marks_that_repeat_are_kept_and_warned_of(
    tmp_path: Path, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = write_coco(tmp_path, coco_results() * 2)
    assert foreign_detections(ForeignSource("coco", *paths), manifest).n_marks == 8
    assert "4 of 8 marks repeat another one exactly" in caplog.text


def test_marks_of_unknown_images_are_refused_or_left_out(tmp_path: Path, manifest: Path) -> None:
    (tmp_path / "m.csv").write_text(
        table_text() + "".join(f"elsewhere/{n}.png,1,2,3,4,0.5\n" for n in range(7))
    )
    with pytest.raises(
        ManifestError, match=r"marks of 7 images that .*manifest\.json does not hold: "
    ) as told:
        foreign_detections(ForeignSource("csv", tmp_path / "m.csv"), manifest)
    assert "elsewhere/4.png and 2 more" in str(told.value)
    made = foreign_detections(ForeignSource("csv", tmp_path / "m.csv", ignore_unknown=True), manifest)
    assert (made.n_marks, made.n_unknown) == (4, 7)


@pytest.mark.parametrize("content", ["[]", "no marks of these"])
def test_a_source_without_a_mark_on_these_images_is_refused(
    content: str, tmp_path: Path, manifest: Path
) -> None:
    paths = write_coco(tmp_path, [] if content == "[]" else coco_results()[:2])
    with pytest.raises(ManifestError, match=r"expected marks on the 2 images asked for, found none"):
        foreign_detections(ForeignSource("coco", *paths), manifest, "test")


def test_shares_in_a_table_are_no_pixels_unless_it_is_said(tmp_path: Path, manifest: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("image,x1,y1,x2,y2,conf\np1/left.png,0.1,0.1,0.2,0.225,0.9\n")
    with pytest.raises(ManifestError, match=r"no corner of any is larger than 0\.225.*--marked-size 1 1"):
        foreign_detections(ForeignSource("csv", path), manifest)
    made = foreign_detections(ForeignSource("csv", path, marked_size=(1.0, 1.0)), manifest)
    np.testing.assert_allclose(made.detections[0].boxes, [[30, 40, 60, 90]])


def test_prepared_copies_are_refused(tmp_path: Path) -> None:
    manifest = write_films(tmp_path, prepared={"key": "k"})
    with pytest.raises(ManifestError, match=r"manifest of prepared copies.*Mark the original images"):
        foreign_detections(source_of("coco", tmp_path), manifest)


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among files")
@pytest.mark.parametrize("role", ["path", "annotations"])
def test_a_pipe_is_refused_and_not_waited_for(role: str, tmp_path: Path, manifest: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    given = {"path": tmp_path / "results.json", role: tmp_path / "pipe"}
    with pytest.raises(ManifestError, match="pipe: expected a file or a folder, found a pipe"):
        foreign_detections(ForeignSource("coco", **given), manifest)


@pytest.mark.parametrize("name", ["results.pkl", "results.json", "folder/case_boxes.pkl"])
@pytest.mark.parametrize("kind", ["coco", "csv", "yolo"])
def test_a_pickle_is_refused_and_never_loaded(kind: Any, name: str, tmp_path: Path, manifest: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Planted(tmp_path / "ran")))
    source = path.parent if "/" in name else path
    with pytest.raises(ManifestError, match=r"a pickle, which can run anything.*COCO results"):
        foreign_detections(ForeignSource(kind, source), manifest)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["coco", "csv", "yolo"])
def test_a_source_that_is_not_there_is_one_clear_error(kind: Any, tmp_path: Path, manifest: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone.*(no such f|cannot be read)"):
        foreign_detections(ForeignSource(kind, tmp_path / "gone"), manifest)
