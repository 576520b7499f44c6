"""What the MONAI Deploy application takes from an input folder, and what it names with a reason."""

from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, DigitalMammographyXRayImageStorageForProcessing, generate_uid

from mammo_monai.apps.deploy_selection import Instance, SelectionRules, load_instances, why_left_out
from mammo_monai.apps.deploy_summary import RunSummary
from mammo_monai.records import ViewPosition
from tests.dicom_factory import grey_ramp, mammogram_dataset, write_bare, write_mammogram, write_scanned_film

UIDS = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}


def written(path: Path, **tags: object) -> Path:
    """A mammogram with UIDs of its own; a right breast unless told otherwise."""
    every = {**UIDS, "SOPInstanceUID": generate_uid(), "ImageLaterality": "R", "ViewPosition": "CC", **tags}
    return write_mammogram(path, tags=every)


def loaded(folder: Path) -> tuple[list[Instance], RunSummary]:
    summary = RunSummary()
    return load_instances([each for each in folder.rglob("*") if each.is_file()], folder, summary), summary


def only(path: Path) -> Instance:
    (instance,), summary = loaded(path.parent)
    assert not summary.left_out
    return instance


def test_mammograms_of_several_studies_are_taken_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    written(tmp_path / "b" / "2.dcm", StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1")
    written(tmp_path / "a.dcm")
    instances, summary = loaded(tmp_path)
    assert [each.path.name for each in instances] == ["a.dcm", "2.dcm"]
    assert [(each.study_uid, each.series_uid) for each in instances] == [
        ("1.2.3", "1.2.3.4"),
        ("1.9", "1.9.1"),
    ]
    assert len({each.record_id for each in instances}) == 2
    assert "PixelData" not in instances[0].header
    assert not summary.left_out


def test_a_record_id_stays_when_the_file_moves(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    for folder in ("x", "y"):
        written(tmp_path / folder / f"{folder}.dcm", SOPInstanceUID="1.2.3.4.5")
    assert only(tmp_path / "x" / "x.dcm").record_id == only(tmp_path / "y" / "y.dcm").record_id


def test_what_is_no_mammogram_is_named_with_its_reason_and_without_its_name(tmp_path: Path) -> None:
    written(tmp_path / "good.dcm")
    written(tmp_path / "Doe^Jane_ct.dcm", Modality="CT", SOPClassUID=CTImageStorage)
    written(tmp_path / "Doe^Jane_frames.dcm", NumberOfFrames=7)
    (tmp_path / "Doe^Jane.txt").write_text("a letter")
    (tmp_path / "Doe^Jane_broken.dcm").write_bytes(written(tmp_path / "whole.dcm").read_bytes()[:400])
    instances, summary = loaded(tmp_path)
    assert [each.path.name for each in instances] == ["good.dcm", "whole.dcm"]
    reasons = sorted(summary.left_out.values())
    assert len(reasons) == 4
    for expected in ("Modality (0008,0060) MG, got CT", "expected one frame, got 7", "expected a DICOM file"):
        assert sum(expected in each for each in reasons) == 1, expected
    assert "Doe" not in str(reasons)
    assert str(tmp_path) not in str(reasons)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_without_a_uid_nothing_can_be_filed(tmp_path: Path, keyword: str) -> None:
    dataset = mammogram_dataset(grey_ramp(), tags={**UIDS, keyword: None})
    write_bare(tmp_path / "a.dcm", dataset)
    instances, summary = loaded(tmp_path)
    assert not instances
    (reason,) = summary.left_out.values()
    assert keyword.replace("InstanceUID", " Instance UID") in reason
    assert "no result can be filed" in reason


def test_an_instance_is_marked_once_however_often_its_file_is_there(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm", "c.dcm"):
        written(tmp_path / name, SOPInstanceUID="1.2.3.4.5")
    instances, summary = loaded(tmp_path)
    assert [each.path.name for each in instances] == ["a.dcm"]
    assert len(summary.left_out) == 2
    assert all("stands in a file before" in each for each in summary.left_out.values())


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    instances, summary = loaded(tmp_path)
    assert instances == []
    assert summary.left_out == {}


def test_images_for_processing_are_never_marked(tmp_path: Path) -> None:
    written(tmp_path / "a.dcm", PresentationIntentType="FOR PROCESSING")
    assert "FOR PROCESSING" in str(why_left_out(only(tmp_path / "a.dcm"), SelectionRules()))


def test_the_sop_class_tells_the_intent_where_the_tag_is_missing(tmp_path: Path) -> None:
    raw = {
        "PresentationIntentType": None,
        "SOPClassUID": DigitalMammographyXRayImageStorageForProcessing,
    }
    written(tmp_path / "a.dcm", **raw)
    assert "FOR PROCESSING" in str(why_left_out(only(tmp_path / "a.dcm"), SelectionRules()))


def test_scanned_films_are_taken_unless_the_intent_is_required(tmp_path: Path) -> None:
    film = only(write_scanned_film(tmp_path / "a.dcm", **UIDS))
    assert why_left_out(film, SelectionRules()) is None
    assert "FOR PRESENTATION, got none" in str(why_left_out(film, SelectionRules(intent_required=True)))


def test_a_digital_mammogram_says_its_intent(tmp_path: Path) -> None:
    digital = only(written(tmp_path / "a.dcm"))
    assert why_left_out(digital, SelectionRules(intent_required=True)) is None


def test_views_can_be_chosen(tmp_path: Path) -> None:
    views = SelectionRules(views=frozenset({ViewPosition.CC, ViewPosition.MLO}))
    for name, view in (("cc", "CC"), ("ml", "ML"), ("none", None)):
        (tmp_path / name).mkdir()
        written(tmp_path / name / "a.dcm", ViewPosition=view)
    assert why_left_out(only(tmp_path / "cc" / "a.dcm"), views) is None
    assert "expected view CC, MLO, got ML" in str(why_left_out(only(tmp_path / "ml" / "a.dcm"), views))
    assert "got none" in str(why_left_out(only(tmp_path / "none" / "a.dcm"), views))
    assert why_left_out(only(tmp_path / "none" / "a.dcm"), SelectionRules()) is None
