"""Marking, writing and summing up a run of the MONAI Deploy application, without its SDK."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pydicom import dcmread

from mammo_monai.apps import deploy_results
from mammo_monai.apps.deploy_marking import MarkedInstance, mark_instances
from mammo_monai.apps.deploy_results import write_results
from mammo_monai.apps.deploy_selection import Instance, load_instances
from mammo_monai.apps.deploy_summary import RunSummary, reason_without
from mammo_monai.dicom.results import ModelIdentity, read_marks
from mammo_monai.errors import DicomError, MammoError
from mammo_monai.records import Detections
from tests.dicom_factory import grey_ramp, write_mammogram

MODEL = ModelIdentity("mine", "1.0.0", "ab" * 32, "mammo-monai 0.1.0", threshold=0.3, fppi=0.5)
BOXES = np.array([[10.0, 4.0, 30.5, 20.0], [2.0, 5.0, 9.0, 12.25]])
SCORES = np.array([0.9, 0.4])


@pytest.fixture
def instances(tmp_path: Path) -> list[Instance]:
    """Two images of one study, one of another: left, right, right; 40 × 60 px (rows × columns)."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, (study, side) in enumerate((("1.2.1", "L"), ("1.2.1", "R"), ("1.2.2", "R"))):
        tags = {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": f"{study}.1",
            "SOPInstanceUID": f"{study}.1.{number}",
            "ImageLaterality": side,
            "ViewPosition": "CC",
            "ImagerPixelSpacing": [0.1, 0.1],
        }
        write_mammogram(folder / f"Doe^{number}.dcm", grey_ramp((40, 60)), tags=tags)
    return load_instances(folder.iterdir(), folder, RunSummary())


def two_marks(_: Path, *, record_id: str | None = None) -> Detections:
    return Detections(record_id or "", boxes=BOXES, scores=SCORES, labels=np.zeros(2, dtype=np.int64))


def no_marks(_: Path, *, record_id: str | None = None) -> Detections:
    return Detections(record_id or "")


def marked(instances: Sequence[Instance], summary: RunSummary) -> tuple[MarkedInstance, ...]:
    return mark_instances(instances, two_marks, summary)


def test_an_image_that_fails_does_not_stop_the_others(instances: list[Instance]) -> None:
    bad = instances[1]

    def marker(image: Path, *, record_id: str | None = None) -> Detections:
        if image == bad.path:
            try:
                raise DicomError(f"{image}: the file ends after 3 bytes. Copy it again.")
            except DicomError as error:
                raise MammoError(f"record {record_id}: {error} Mend the image.") from error
        return no_marks(image, record_id=record_id)

    summary = RunSummary()
    found = mark_instances(instances, marker, summary)
    assert [each.instance for each in found] == [instances[0], instances[2]]
    assert summary.failed == {bad.record_id: ["the file ends after 3 bytes. Copy it again."]}
    assert not summary.is_complete
    assert summary.headline == "2 images marked (0 marks), 1 failed, 0 files left out"


def test_a_long_run_says_how_long_it_will_take(
    instances: list[Instance], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ticks = iter([0.0, 40.0, 45.0, 120.0])
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    with caplog.at_level(logging.INFO, logger="mammo_monai.apps"):
        mark_instances(instances, no_marks, RunSummary())
    assert [each.getMessage() for each in caplog.records] == [
        "marked 1 of 3 images, 80 s left",
        "marked 3 of 3 images, 0 s left",
    ]


@pytest.mark.parametrize("kind", ["sr", "gsps", "sc", "seg"])
def test_each_image_gets_its_result_in_its_own_study(
    instances: list[Instance], kind: str, tmp_path: Path
) -> None:
    summary = RunSummary()
    write_results(kind, marked(instances, summary), MODEL, tmp_path / "out", summary)
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 3
    assert {dcmread(each).StudyInstanceUID for each in files} == {"1.2.1", "1.2.2"}
    for each in files:
        assert each.name == f"{kind}-{dcmread(each).SOPInstanceUID}.dcm"
    assert sorted(names[kind] for names in summary.results.values()) == [each.name for each in files]


def test_a_report_reads_back_with_the_same_boxes(instances: list[Instance], tmp_path: Path) -> None:
    summary = RunSummary()
    write_results("sr", marked(instances[1:2], summary), MODEL, tmp_path, summary)
    (marks,) = read_marks(next(tmp_path.glob("sr-*.dcm")))
    assert marks.source_uid == "1.2.1.1.1"
    assert_allclose(marks.boxes, BOXES, atol=1e-4)
    assert_allclose(marks.scores, SCORES, atol=1e-6)


def test_a_cad_report_is_one_per_study(instances: list[Instance], tmp_path: Path) -> None:
    summary = RunSummary()
    write_results("cad", marked(instances, summary), MODEL, tmp_path, summary)
    names = [summary.results[each.record_id]["cad"] for each in instances]
    assert names[0] == names[1] != names[2]
    assert len(list(tmp_path.glob("cad-*.dcm"))) == 2
    assert len(read_marks(tmp_path / names[0])) == 2


def test_an_image_without_marks_gets_a_report_too(instances: list[Instance], tmp_path: Path) -> None:
    summary = RunSummary()
    found = mark_instances(instances[:1], no_marks, summary)
    write_results("sr", found, MODEL, tmp_path, summary)
    assert summary.is_complete
    assert len(list(tmp_path.glob("sr-*.dcm"))) == 1


def test_a_second_run_replaces_the_files_of_the_first(instances: list[Instance], tmp_path: Path) -> None:
    for _ in range(2):
        summary = RunSummary()
        write_results("sr", marked(instances, summary), MODEL, tmp_path / "out", summary)
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_result_that_cannot_be_made_is_named_and_the_others_are_written(
    instances: list[Instance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = deploy_results.build_result

    def planted(kind: str, images: Sequence[object], model: ModelIdentity) -> object:
        if images[0].source.SOPInstanceUID == "1.2.1.1.0":  # type: ignore[attr-defined]  # a MarkedImage
            raise DicomError("expected a number of rows, got none.")
        return build(kind, images, model)  # type: ignore[arg-type]

    monkeypatch.setattr(deploy_results, "build_result", planted)
    summary = RunSummary()
    write_results("sr", marked(instances, summary), MODEL, tmp_path / "out", summary)
    assert summary.failed == {instances[0].record_id: ["expected a number of rows, got none."]}
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert not summary.is_complete


def test_a_full_disk_leaves_no_half_file(
    instances: list[Instance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        SOPInstanceUID = "1.2"

        def save_as(self, path: Path, **_: object) -> None:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(deploy_results, "build_result", lambda *_: Full())
    summary = RunSummary()
    with pytest.raises(OSError, match="No space left"):
        write_results("sr", marked(instances, summary), MODEL, tmp_path / "out", summary)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_summary_tells_all_without_patient_data(instances: list[Instance], tmp_path: Path) -> None:
    summary = RunSummary(model={"bundle": "mine"})
    folder = instances[0].path.parent
    (folder / "Doe^Letter.txt").write_text("x")
    load_instances(folder.iterdir(), folder, summary)
    write_results("sr", marked(instances[:2], summary), MODEL, tmp_path, summary)
    summary.fail(instances[2].record_id, DicomError(f"{instances[2].path}: is damaged."), instances[2].path)
    text = summary.write(tmp_path).read_text()
    content = json.loads(text)
    assert content["counts"] == {"marked": 2, "failed": 1, "left_out": 1}
    assert content["complete"] is False
    assert content["model"] == {"bundle": "mine"}
    first = content["images"][0]
    assert (first["record_id"], first["marks"], first["highest_score"]) == (instances[0].record_id, 2, 0.9)
    assert (tmp_path / first["results"]["sr"]).is_file()
    assert content["failed"] == [{"record_id": instances[2].record_id, "reasons": ["is damaged."]}]
    for private in ("Doe", "patient-7", "Nobody", str(tmp_path)):
        assert private not in text


def test_nothing_marked_is_not_complete_and_has_no_highest_score(
    instances: list[Instance], tmp_path: Path
) -> None:
    assert not RunSummary().is_complete
    summary = RunSummary()
    mark_instances(instances[:1], no_marks, summary)
    content = json.loads(summary.write(tmp_path).read_text())
    assert content["images"][0]["highest_score"] is None


def test_a_path_shows_at_debug_alone(instances: list[Instance], caplog: pytest.LogCaptureFixture) -> None:
    path = instances[0].path
    with caplog.at_level(logging.DEBUG, logger="mammo_monai.apps"):
        RunSummary().leave_out("0123", DicomError(f"{path}: is damaged."), path)
    levels = [(each.levelname, path.name in each.getMessage()) for each in caplog.records]
    assert levels == [("WARNING", False), ("DEBUG", True)]


def test_a_ring_of_causes_has_an_end() -> None:
    inner, outer = DicomError("is damaged."), RuntimeError("applying transform")
    outer.__cause__, inner.__cause__ = inner, outer  # what `raise inner from outer` leaves
    named = MammoError("record 1: is damaged. Mend it.")
    named.__cause__ = inner
    assert reason_without(Path("a.dcm"), named) == "is damaged."
    loop = ValueError("itself")
    loop.__cause__ = loop
    assert reason_without(Path("a.dcm"), loop) == "itself"


def test_an_error_without_words_is_named_by_its_kind() -> None:
    assert reason_without(Path("a.dcm"), ValueError()) == "ValueError"
