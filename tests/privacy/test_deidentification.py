"""De-identified copies against the standard's table, read back with pydicom, and our results beside them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from mammo_monai.cli.dicom_deidentify import KEEP as KEEP_WORDS
from mammo_monai.cli.main import main
from mammo_monai.dicom import read_attributes, read_mammogram
from mammo_monai.dicom.deidentification import KEEP, Pseudonyms, deidentified, deidentify_files
from mammo_monai.dicom.deidentification.cleaning import is_kept_text
from mammo_monai.dicom.deidentification.files import DeidentifyOptions
from mammo_monai.dicom.deidentification.table import ACTIONS
from mammo_monai.dicom.results import build_result, read_marks
from mammo_monai.errors import DicomError
from tests.dicom.results.sources import BOXES, MODEL, digital_mammogram, marked
from tests.dicom_factory import code_item, grey_ramp, write_mammogram
from tests.privacy.planted import plant_file
from tests.privacy.searched import search_file

_CODED = {"CS", "OB", "OW", "OB or OW"}
NAMES = Pseudonyms("a salt of more than sixteen")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, str]]:
    """A file with a marker in every element, its copy, and the markers' elements."""
    folder = tmp_path_factory.mktemp("planted")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = plant_file(folder / "a.dcm", number=1)
        done = deidentify_files([made.path], folder / "out", NAMES)
    return made.path, folder / "out" / done.files[0], made.names


def _elements(dataset: Dataset, action: str) -> Iterator[tuple[int, str]]:
    for tag, code in ACTIONS.items():
        if code == action and tag >> 16 > 7 and dictionary_has_tag(tag):
            yield tag, dictionary_VR(tag)


def test_every_row_of_the_table_is_done_as_its_code_says(planted: tuple[Path, Path, dict[str, str]]) -> None:
    before, after = dcmread(planted[0]), dcmread(planted[1])
    seen = 0
    for action in sorted(set(ACTIONS.values())):
        for tag, vr in _elements(before, action):
            if tag not in before or tag in (0x00100010, 0x00100020, 0x00120063, 0x00120064, 0x00120062):
                continue
            seen += 1
            last = action.split("/")[-1]
            if last == "X":
                assert tag not in after, f"{tag:08X} {action}"
            elif last == "Z":
                assert not after[tag].value, f"{tag:08X} {action}"
            elif vr != "SQ":
                assert after[tag].value not in (None, ""), f"{tag:08X} {action}"
                assert str(after[tag].value) != str(before[tag].value), f"{tag:08X} {action}"
    assert seen > 600


def test_no_name_id_date_uid_or_free_text_is_left_in_any_depth(
    planted: tuple[Path, Path, dict[str, str]],
) -> None:
    _, copy, names = planted
    left = {hit.marker for hit in search_file(copy, "copy")}
    assert not left & {"19471113", "134759"}  # dates and times of day
    assert not {marker for marker in left if marker.startswith("1.2.999")}
    texts = {names[marker] for marker in left if marker in names}
    assert len(texts) < len(names) / 5
    kinds = {name: _vr(name) for name in texts}
    assert set(kinds.values()) <= {*_CODED, "LO", "SH", "LT", "ST", "UC", "UT"}
    free = {name for name, kind in kinds.items() if kind not in _CODED}
    assert all(is_kept_text(name, "") for name in free), sorted(free)


def _vr(name: str) -> str:
    """VR of an element by its keyword; an element inside a sequence, or private, is none that may stay."""
    tag = tag_for_keyword(name)
    if tag is None and re.fullmatch(r"\([0-9A-F]{4},[0-9A-F]{4}\)", name):
        tag = int(name[1:5] + name[6:10], 16)
    return name if tag is None else str(dictionary_VR(tag))


def test_the_picture_and_what_marking_needs_stay(planted: tuple[Path, Path, dict[str, str]]) -> None:
    source, copy = dcmread(planted[0]), dcmread(planted[1])
    assert copy.PixelData == source.PixelData
    np.testing.assert_array_equal(read_mammogram(planted[1]).pixels, read_mammogram(planted[0]).pixels)
    before, after = read_attributes(planted[0]), read_attributes(planted[1])
    for name in ("laterality", "view_position", "pixel_spacing_mm", "presentation_intent", "bits_stored"):
        assert getattr(after, name) == getattr(before, name)


def test_the_copy_says_how_it_was_made_and_has_a_header_of_its_own(
    planted: tuple[Path, Path, dict[str, str]],
) -> None:
    copy = dcmread(planted[1])
    assert copy.PatientIdentityRemoved == "YES"
    assert copy.LongitudinalTemporalInformationModified == "REMOVED"
    assert "113100" in [item.CodeValue for item in copy.DeidentificationMethodCodeSequence]
    assert copy.PatientID == copy.PatientName
    assert copy.preamble == b"\0" * 128
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID
    assert "SourceApplicationEntityTitle" not in copy.file_meta
    assert "PrivateInformation" not in copy.file_meta


def test_compressed_pixels_are_the_same_bytes() -> None:
    source = digital_mammogram()
    source.compress(RLELossless)
    made = deidentified(source, NAMES)
    assert made.PixelData == source.PixelData
    assert made.file_meta.TransferSyntaxUID == RLELossless


def test_dates_may_move_together_and_the_birth_date_never_stays() -> None:
    source = digital_mammogram(StudyDate="20200301", AcquisitionDateTime="20200302101500.5")
    made = deidentified(source, NAMES, keep=("longitudinal-dates",))
    assert made.StudyDate < "20200301"
    days = [datetime.strptime(text[:8], "%Y%m%d") for text in (made.StudyDate, made.AcquisitionDateTime)]
    assert (days[1] - days[0]).days == 1
    assert made.StudyTime == source.StudyTime
    assert not made.PatientBirthDate
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    other = deidentified(digital_mammogram(PatientID="another"), NAMES, keep=("longitudinal-dates",))
    assert other.StudyDate != deidentified(digital_mammogram(), NAMES, keep=("longitudinal-dates",)).StudyDate


@pytest.mark.parametrize("kind", ["sr", "cad", "seg"])
def test_marks_of_a_deidentified_report_belong_to_the_deidentified_image(kind: str) -> None:
    source = digital_mammogram(PatientName="Doe^Jane", AccessionNumber="ACC-4711")
    report = build_result(kind, [marked(source)], MODEL)
    image, copy = deidentified(source, NAMES), deidentified(report, NAMES)
    (marks,) = read_marks(copy)
    assert marks.source_uid == image.SOPInstanceUID != source.SOPInstanceUID
    np.testing.assert_allclose(marks.boxes, BOXES, rtol=1e-7)
    assert copy.StudyInstanceUID == image.StudyInstanceUID
    assert copy.PatientID == image.PatientID
    assert "Doe" not in str(copy)
    assert "4711" not in str(copy)


def test_a_deidentified_presentation_state_draws_on_the_deidentified_image() -> None:
    source = digital_mammogram()
    image = deidentified(source, NAMES)
    copy = deidentified(build_result("gsps", [marked(source)], MODEL), NAMES)
    (series,) = copy.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    assert series.ReferencedImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    (annotation,) = copy.GraphicAnnotationSequence
    assert len(annotation.GraphicObjectSequence) == len(BOXES)
    assert {item.UnformattedTextValue for item in annotation.TextObjectSequence} == {"REMOVED"}
    assert {"113100", "113103"} <= {item.CodeValue for item in copy.DeidentificationMethodCodeSequence}


def test_free_text_of_a_report_goes_and_the_algorithm_stays() -> None:
    source = digital_mammogram()
    report = build_result("sr", [marked(source)], MODEL, reviewed=True, observer="Doe^Jane")
    copy = deidentified(report, NAMES)
    assert "Doe" not in str(copy)
    assert MODEL.name in str(copy)


class TestBatches:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Path:
        folder = tmp_path / "site" / "DOE^JANE"
        folder.mkdir(parents=True)
        for number in range(2):
            film = digital_mammogram(uid=f"1.2.3.{number}")
            film.save_as(folder / f"{number}.dcm", enforce_file_format=True)
        return folder

    def test_a_second_run_with_the_same_salt_gives_the_same_bytes(
        self, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        assert main(["dicom", "deidentify", str(site.parent), "-o", str(out)]) == 0
        first = {path: path.read_bytes() for path in out.rglob("*.dcm")}
        assert main(["dicom", "deidentify", str(site.parent), "-o", str(out)]) == 0
        assert first == {path: path.read_bytes() for path in out.rglob("*.dcm")}
        assert len(first) == 2
        assert not [path for path in first if "DOE" in str(path.relative_to(out))]
        assert (tmp_path / "out.salt").stat().st_mode & 0o777 == 0o600
        assert capsys.readouterr().out.splitlines()[0] == f"{out}: 2 files, 0 refused"

    def test_a_bad_file_is_named_and_the_others_are_copied(
        self, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        whole = (site / "0.dcm").read_bytes()
        (site / "bad.dcm").write_bytes(whole[: len(whole) // 3])
        (site / "notes.txt").write_text("no image")
        code = main(["dicom", "deidentify", str(site), "-o", str(tmp_path / "out")])
        said = capsys.readouterr()
        assert (code, said.out) == (1, f"{tmp_path / 'out'}: 2 files, 1 refused\n")
        assert str(site / "bad.dcm") in said.err

    def test_text_in_the_picture_is_refused_unless_somebody_has_looked(
        self, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        film = digital_mammogram(uid="1.2.3.9", BurnedInAnnotation="YES")
        film.save_as(site / "marked.dcm", enforce_file_format=True)
        words = ["dicom", "deidentify", str(site / "marked.dcm"), "-o", str(tmp_path / "out")]
        assert main(words) == 1
        assert "Burned In Annotation (0028,0301) YES" in capsys.readouterr().err
        assert main([*words, "--allow-burned-in"]) == 0

    def test_the_output_may_not_lie_in_what_is_read(self, site: Path) -> None:
        with pytest.raises(DicomError, match="Write the copies elsewhere"):
            deidentify_files([site], site / "out", NAMES)

    def test_two_files_of_one_uid_are_not_both_copied(self, site: Path, tmp_path: Path) -> None:
        (site / "again.dcm").write_bytes((site / "0.dcm").read_bytes())
        done = deidentify_files([site], tmp_path / "out", NAMES, DeidentifyOptions())
        assert (len(done.files), len(done.refused)) == (2, 1)


def test_the_command_offers_what_the_profile_can_keep() -> None:
    assert KEEP_WORDS == KEEP


def test_a_view_code_survives(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a.dcm", grey_ramp(), tags={"ViewCodeSequence": code_item("399162004")})
    copy = deidentified(dcmread(path), NAMES)
    assert copy.ViewCodeSequence[0].CodeValue == "399162004"


def test_another_salt_gives_other_names() -> None:
    one, two = NAMES, Pseudonyms("another salt of some length")
    assert one.uid("1.2.3") != two.uid("1.2.3")
    assert one.patient("7") != two.patient("7")
    with pytest.raises(ValueError, match="at least 16 characters"):
        Pseudonyms("short")
