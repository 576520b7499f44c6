import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from mammo_monai.errors import ManifestError
from mammo_monai.records import Detections, ImageRecord, Laterality, Split, ViewPosition
from mammo_monai.schema import (
    Manifest,
    Quarantined,
    read_detections,
    read_manifest,
    read_metrics,
    write_detections,
    write_manifest,
    write_metrics,
)
from tests import strategies

Json = dict[str, Any]
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def an_item(**fields: Any) -> Json:
    """One image of a manifest as another site's tool might write it: only what is required, and a box."""
    item = {
        "image": "images/a.dcm",
        "box": [[10, 20, 30.5, 60]],
        "label": [0],
        "record_id": "00112233445566aa",
        "patient_id": "P1",
        "width": 300,
        "height": 400,
    }
    return {name: value for name, value in {**item, **fields}.items() if value is not ...}


def a_marked_image(**fields: Any) -> Json:
    item = {
        "image": None,
        "record_id": "00112233445566aa",
        "boxes": [[1, 2, 3, 4]],
        "scores": [0.5],
        "labels": [0],
    }
    return {name: value for name, value in {**item, **fields}.items() if value is not ...}


@pytest.fixture
def manifest_with(tmp_path: Path) -> Callable[..., Path]:
    def write(*items: object, split: str = "test", **content: object) -> Path:
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps({"schema": "mammo-monai/manifest/1", split: list(items), **content}))
        return path

    return write


@pytest.fixture
def detections_with(tmp_path: Path) -> Callable[..., Path]:
    def write(*items: object, **content: object) -> Path:
        path = tmp_path / "detections.json"
        path.write_text(
            json.dumps({"schema": "mammo-monai/detections/1", "detections": list(items), **content})
        )
        return path

    return write


unique_records = st.lists(
    strategies.records(), min_size=1, max_size=5, unique_by=lambda record: record.record_id
)


@in_one_folder
@given(records=unique_records, cuts=st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted))
def test_a_manifest_reads_back_as_it_was_written(
    tmp_path: Path, records: list[ImageRecord], cuts: list[int]
) -> None:
    first, second = cuts
    parts = [tuple(records[:first]), tuple(records[first:second]), tuple(records[second:])]
    path = tmp_path / "manifest.json"
    write_manifest(path, Manifest(training=parts[0], validation=parts[1], test=parts[2]))
    manifest = read_manifest(path)
    assert [manifest.training, manifest.validation, manifest.test] == parts
    assert manifest.path == path


@in_one_folder
@given(found=st.lists(strategies.detections(), max_size=3))
def test_detections_read_back_as_they_were_written(tmp_path: Path, found: list[Detections]) -> None:
    found = [
        Detections(f"{n:016x}", each.boxes, each.scores, each.labels, each.image)
        for n, each in enumerate(found)
    ]
    path = tmp_path / "detections.json"
    write_detections(path, found, {"name": "phantom model", "weights_sha256": None})
    content = read_detections(path)
    assert content.model == {"name": "phantom model", "weights_sha256": None}
    assert len(content.detections) == len(found)
    for each, expected in zip(content.detections, found, strict=True):
        assert (each.record_id, each.image) == (expected.record_id, expected.image)
        assert_array_equal(each.boxes, expected.boxes)
        assert_array_equal(each.scores, expected.scores)
        assert_array_equal(each.labels, expected.labels)
        assert each.boxes.shape == (len(each.scores), 4)
        assert each.boxes.dtype == np.float64
        assert each.labels.dtype == np.int64


@in_one_folder
@given(found=strategies.detections(), data=st.data())
def test_probabilities_read_back_where_there_are_some(tmp_path: Path, found: Detections, data: Any) -> None:
    chance = st.floats(0, 1)
    chances = data.draw(st.lists(chance, min_size=len(found.scores), max_size=len(found.scores)))
    calibrated = Detections(
        "b" * 16, found.boxes, found.scores, found.labels, probabilities=np.array(chances, dtype=np.float64)
    )
    path = tmp_path / "detections.json"
    write_detections(path, [found, calibrated], {})
    plain, read = read_detections(path).detections
    assert plain.probabilities is None
    assert read.probabilities is not None
    assert_array_equal(read.probabilities, chances)
    rows = json.loads(path.read_text())["detections"]
    assert ["probabilities" in row for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("probabilities", "named"),
    [
        ([0.5, 0.6], "expected one probability per score or no list, got 2 probabilities for 1 score"),
        ([], "got 0 probabilities for 1 score"),
        ([1.5], r"probabilities must be a list of numbers from 0 to 1, got \[1.5\]"),
        ([None], "probabilities must be a list of numbers from 0 to 1"),
        (0.5, "probabilities must be a list of numbers from 0 to 1, got 0.5"),
    ],
)
def test_probabilities_that_cannot_be_are_refused(
    detections_with: Callable[..., Path], probabilities: object, named: str
) -> None:
    path = detections_with(a_marked_image(probabilities=probabilities))
    with pytest.raises(ManifestError, match=rf"detections row 0 \(00112233445566aa\): .*{named}"):
        read_detections(path)


def test_metrics_read_back_under_their_schema(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics(path, {"schema": "someone else's", "n_images": 3, "sensitivity": None})
    assert read_metrics(path) == {"schema": "mammo-monai/metrics/1", "n_images": 3, "sensitivity": None}


def test_undefined_metrics_are_not_written_as_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"metrics\.json.*Undefined figures are null"):
        write_metrics(tmp_path / "metrics.json", {"sensitivity": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_minimal_item_is_enough(manifest_with: Callable[..., Path]) -> None:
    path = manifest_with(an_item(), an_item(record_id="b" * 16, box=..., label=...))
    first, second = read_manifest(path).test
    assert first.image == path.parent / "images" / "a.dcm"
    assert first.boxes.tolist() == [[10.0, 20.0, 30.5, 60.0]]
    assert (first.lesions[0].type, first.lesions[0].label) == ("mass", 0)
    assert (first.laterality, first.view_position, first.pixel_spacing_mm, first.breast_density) == (
        None,
    ) * 4
    assert second.is_normal


def test_a_full_item_gives_every_field(manifest_with: Callable[..., Path]) -> None:
    lesion = {"id": 7, "area_mm2": 12, "contour": [[10, 20], [30, 60]], "birads": 5, "subtlety": 2}
    item = an_item(
        laterality="R", view_position="MLO", pixel_spacing_mm=[0.07, 0.08], breast_density=3, lesions=[lesion]
    )
    (record,) = read_manifest(manifest_with(item)).test
    assert (record.laterality, record.view_position) == (Laterality.RIGHT, ViewPosition.MLO)
    assert (record.pixel_spacing_mm, record.breast_density) == ((0.07, 0.08), 3)
    (read,) = record.lesions
    assert (read.id, read.area_mm2, read.birads, read.subtlety) == ("7", 12.0, 5, 2)
    assert read.contour == ((10.0, 20.0), (30.0, 60.0))


def test_image_paths_are_relative_on_disk_and_absolute_when_read(tmp_path: Path) -> None:
    record = ImageRecord(tmp_path / "images" / "a.png", "a" * 16, "P1", width=3, height=4)
    write_manifest(tmp_path / "lists" / "m.json", Manifest(test=(record,)))
    assert json.loads((tmp_path / "lists" / "m.json").read_text())["test"][0]["image"] == "../images/a.png"
    (tmp_path / "lists").rename(tmp_path / "moved")
    assert read_manifest(tmp_path / "moved" / "m.json").test == (record,)


def test_what_was_left_out_and_how_it_was_made_stand_in_the_manifest(tmp_path: Path) -> None:
    record = ImageRecord(tmp_path / "images" / "a.png", "a" * 16, "P1", width=3, height=4)
    left_out = (
        Quarantined("b" * 16, "mask-missing", tmp_path / "images" / "b.png", "cases.csv row 2"),
        Quarantined("c" * 16, "image-missing"),
    )
    about = {"layout": "folder", "published": {"counts": {"images": 3}}}
    write_manifest(tmp_path / "m.json", Manifest(test=(record,), quarantined=left_out, about=about))
    manifest = read_manifest(tmp_path / "m.json")
    assert (manifest.quarantined, manifest.about) == (left_out, about)
    assert json.loads((tmp_path / "m.json").read_text())["quarantined"][0]["image"] == "images/b.png"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"quarantined": {}}, r"manifest\.json: quarantined must be a list, got {}"),
        ({"quarantined": ["a"]}, r"quarantined row 0: expected an object with record_id, code, got str"),
        ({"quarantined": [{"record_id": "a"}]}, r"quarantined row 0: code must be a text, got None"),
        ({"about": []}, r"manifest\.json: about must be a mapping, got \[\]"),
    ],
)
def test_wrong_words_about_the_manifest_name_file_and_field(
    manifest_with: Callable[..., Path], content: Json, message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(manifest_with(an_item(), **content))


def test_stock_monai_reads_the_manifest_as_a_datalist(tmp_path: Path) -> None:
    from monai.data import load_decathlon_datalist

    (tmp_path / "a.png").touch()
    record = ImageRecord(tmp_path / "a.png", "a" * 16, "P1", width=3, height=4)
    write_manifest(tmp_path / "m.json", Manifest(training=(record,)))
    (item,) = load_decathlon_datalist(tmp_path / "m.json", is_segmentation=False, data_list_key="training")
    assert item["image"] == str(tmp_path / "a.png")
    assert (item["box"], item["label"], item["record_id"]) == ([], [], "a" * 16)


def test_a_byte_order_mark_is_no_obstacle(manifest_with: Callable[..., Path]) -> None:
    path = manifest_with(an_item())
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert len(read_manifest(path).test) == 1


def test_images_gives_one_list_or_all_in_order(manifest_with: Callable[..., Path]) -> None:
    rows = {split: [an_item(record_id=split)] for split in ("test", "training", "validation")}
    manifest = read_manifest(manifest_with(**rows))
    assert [each.record_id for each in manifest.images()] == ["training", "validation", "test"]
    assert manifest.images("test") == manifest.images(Split.TEST) == manifest.test
    with pytest.raises(ManifestError, match="split must be training, validation or test, got 'train'"):
        manifest.images("train")


def test_entries_without_boxes_are_fine(detections_with: Callable[..., Path]) -> None:
    (each,) = read_detections(detections_with(a_marked_image(boxes=[], scores=[], labels=...))).detections
    assert (each.boxes.shape, each.scores.shape, each.labels.shape) == ((0, 4), (0,), (0,))


def test_labels_default_to_mass_and_the_model_to_nothing(detections_with: Callable[..., Path]) -> None:
    path = detections_with(a_marked_image(labels=..., image="/a/b.dcm"))
    (each,) = read_detections(path).detections
    assert (each.labels.tolist(), each.image) == ([0], Path("/a/b.dcm"))
    assert read_detections(path).model == {}


def test_a_model_given_by_name_alone_is_kept(detections_with: Callable[..., Path]) -> None:
    assert read_detections(detections_with(model="yolo")).model == {"name": "yolo"}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("a.dcm", "expected an object with image, box, label …, got str"),
        (an_item(image=...), "image must be a text, got None"),
        (an_item(image=""), "image must be a text, got ''"),
        (an_item(record_id=7), "record_id must be a text, got 7"),
        (an_item(patient_id=...), "patient_id must be a text, got None"),
        (an_item(width=...), "width must be a pixel count, got None"),
        (an_item(width=True), "width must be a pixel count, got True"),
        (an_item(height=0), "height must be a pixel count, got 0"),
        (an_item(height=2.5), r"height must be a pixel count, got 2\.5"),
        (an_item(height="400"), "height must be a pixel count, got '400'"),
        (an_item(height=float("inf")), "height must be a pixel count, got inf"),
        (an_item(laterality="left"), "laterality must be one of L, R, got 'left'"),
        (an_item(view_position="AP"), "view_position must be one of CC, MLO, ML, LM, XCCL, OTHER, got 'AP'"),
        (an_item(view_position=["CC"]), r"view_position must be one of CC, .*, got \['CC'\]"),
        (an_item(pixel_spacing_mm=0.07), r"pixel_spacing_mm must be a spacing, got 0\.07"),
        (an_item(pixel_spacing_mm=[0.07]), r"pixel_spacing_mm must be a spacing, got \[0\.07\]"),
        (an_item(pixel_spacing_mm=[0.07, 0]), r"pixel_spacing_mm must be a spacing, got \[0\.07, 0\]"),
        (an_item(pixel_spacing_mm=[0.07, float("nan")]), r"pixel_spacing_mm must be a spacing, got"),
        (an_item(breast_density=2.5), r"breast_density must be a density from 1 to 4, got 2\.5"),
        (an_item(birads="4a"), "birads must be a birads from 0 to 6, got '4a'"),
        (an_item(sha256="00FF"), "sha256 must be a sha256, got '00FF'"),
        (an_item(file_size=-0.5), r"file_size must be a byte count, got -0\.5"),
        (an_item(prepared="yes"), "prepared must be a mapping, got 'yes'"),
        (an_item(box=[[0, 0, 301, 10]]), r"box 0 .* outside the image of 300 × 400 px.*x_min, y_min"),
        (an_item(box=[[9, 0, 3, 10]]), r"box 0 \[9\.0, 0\.0, 3\.0, 10\.0\] is reversed"),
        (an_item(box=[[0, 0, float("nan"), 10]]), "box 0 .* is not finite"),
        (an_item(box=[0, 0, 3, 10]), r"boxes must have shape \(N, 4\).*got \(4,\)"),
        (an_item(box=[["a", 0, 3, 10]]), "box must be a list of boxes of numbers, got"),
        (an_item(box=None), "box must be a list of boxes of numbers, got None"),
        (an_item(label=[0, 1]), r"label must be a list as long as box \(1\), got \[0, 1\]"),
        (an_item(label=0), r"label must be a list as long as box \(1\), got 0"),
        (an_item(label=[-1]), "label must be a class index, got -1"),
        (an_item(label=[0.5]), r"label must be a class index, got 0\.5"),
        (an_item(label=["mass"]), "label must be a class index, got 'mass'"),
        (an_item(lesions=[]), r"lesions must be a list as long as box \(1\), got \[\]"),
        (an_item(lesions=["mass"]), "each entry of lesions must be an object, got str"),
        (an_item(lesions=[{"area_mm2": "big"}]), "area_mm2 must be a finite number, got 'big'"),
        (an_item(lesions=[{"area_mm2": float("nan")}]), "area_mm2 must be a finite number, got nan"),
        (an_item(lesions=[{"contour": [[1, 2, 3]]}]), r"contour must be a contour, got \[\[1, 2, 3\]\]"),
        (an_item(lesions=[{"contour": [[1, float("inf")]]}]), "contour must be a contour"),
        (an_item(lesions=[{"birads": "4a"}]), "birads must be a birads from 0 to 6, got '4a'"),
        (an_item(lesions=[{"subtlety": True}]), "subtlety must be a subtlety from 1 to 5, got True"),
    ],
)
def test_a_wrong_image_names_file_row_and_field(
    manifest_with: Callable[..., Path], item: object, message: str
) -> None:
    path = manifest_with(an_item(record_id="first"), item)
    with pytest.raises(ManifestError, match=f"{path}, test row 1: .*{message}"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("item", "where", "message"),
    [
        ([], "row 1", "expected an object with record_id, boxes, scores, got list"),
        (a_marked_image(record_id=...), "row 1", "record_id must be a text, got None"),
        (
            a_marked_image(boxes=...),
            r"row 1 \(00112233445566aa\)",
            "boxes must be a list of boxes of numbers, got",
        ),
        (a_marked_image(boxes=[[1, 2, 3]]), "row 1 .*", r"boxes: .*shape \(N, 4\).*got \(1, 3\)"),
        (a_marked_image(boxes=[[3, 2, 1, 4]]), "row 1 .*", r"boxes: box 0 \[3\.0, .* is reversed"),
        (a_marked_image(scores=...), "row 1 .*", "scores must be a list of finite numbers, got None"),
        (a_marked_image(scores="1"), "row 1 .*", "scores must be a list of finite numbers, got '1'"),
        (a_marked_image(scores=[float("nan")]), "row 1 .*", r"scores must be .*finite numbers, got \[nan\]"),
        (a_marked_image(scores=[[0.5]]), "row 1 .*", r"scores must be .*numbers, got \[\[0\.5\]\]"),
        (a_marked_image(labels=[0.5]), "row 1 .*", r"labels must be a list of class indices, got \[0\.5\]"),
        (
            a_marked_image(scores=[]),
            "row 1 .*",
            "expected one score and one label per box, got 1 box, 0 scores, 1 label",
        ),
        (a_marked_image(labels=[]), "row 1 .*", "expected one .* per box, got 1 box, 1 score, 0 labels"),
    ],
)
def test_wrong_detections_name_file_row_and_field(
    detections_with: Callable[..., Path], item: object, where: str, message: str
) -> None:
    path = detections_with(a_marked_image(record_id="first"), item)
    with pytest.raises(ManifestError, match=f"{path}, detections {where}: {message}"):
        read_detections(path)


def test_an_image_listed_twice_is_refused_with_both_rows(manifest_with: Callable[..., Path]) -> None:
    path = manifest_with(training=[an_item()], test=[an_item(record_id="other"), an_item()])
    message = f"{path}, test row 1: record_id 00112233445566aa stands already in training row 0"
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


def test_detections_of_one_image_listed_twice_are_refused(detections_with: Callable[..., Path]) -> None:
    path = detections_with(a_marked_image(), a_marked_image())
    message = f"{path}, detections row 1: record_id 00112233445566aa stands already in detections row 0"
    with pytest.raises(ManifestError, match=message):
        read_detections(path)


def test_an_empty_manifest_is_refused(manifest_with: Callable[..., Path]) -> None:
    path = manifest_with()
    with pytest.raises(ManifestError, match=f"{path}: the manifest is empty.*mammo-monai manifest"):
        read_manifest(path)


def test_a_split_that_is_no_list_is_refused(manifest_with: Callable[..., Path]) -> None:
    path = manifest_with(training={"a": 1})
    with pytest.raises(ManifestError, match=f"{path}: training must be a list of images, got dict"):
        read_manifest(path)


def test_detections_that_are_no_list_are_refused(detections_with: Callable[..., Path]) -> None:
    path = detections_with(detections={"a": 1})
    with pytest.raises(ManifestError, match=f"{path}: detections must be a list .*per image, got dict"):
        read_detections(path)


readers = pytest.mark.parametrize(
    ("read", "schema"),
    [
        (read_manifest, "mammo-monai/manifest/1"),
        (read_detections, "mammo-monai/detections/1"),
        (read_metrics, "mammo-monai/metrics/1"),
    ],
)


@readers
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"schema": ', "expected JSON of schema {schema}, but it cannot be read: .*line 1"),
        (b"", "expected JSON of schema {schema}"),
        (b"\xff\xfe\x00", "expected JSON of schema {schema}.*decode"),
        (b"[" * 100_000, "expected JSON of schema {schema}.*nested deeper"),
        (b"9" * 5000, "expected JSON of schema {schema}.*digits"),
        (b"[]", "expected schema '{schema}', found 'list'. Is this the right file"),
        (b"{}", "expected schema '{schema}', found None"),
        (b'{"schema": "mammo-monai/other/9"}', "expected schema '{schema}', found 'mammo-monai/other/9'"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, read: Callable[[Path], object], schema: str, content: bytes, message: str
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=f"{path}: {message.format(schema=schema)}"):
        read(path)


@readers
def test_a_missing_file_or_a_folder_is_named(
    tmp_path: Path, read: Callable[[Path], object], schema: str
) -> None:
    with pytest.raises(ManifestError, match=f"{tmp_path}/none.json: no such file; expected .*{schema}"):
        read(tmp_path / "none.json")
    with pytest.raises(ManifestError, match=f"{tmp_path}: a folder; expected JSON of schema"):
        read(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ManifestError, match=f"{tmp_path}/file/a.json: cannot be read: Not a directory"):
        read(tmp_path / "file" / "a.json")
