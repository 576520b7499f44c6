"""Queries: how they are read, at which level each key is asked, and what an archive answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pynetdicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

from mammo_monai.dicom.network import NetworkError, Query, find
from mammo_monai.dicom.network.queries import Level, identifier_of, values_of
from tests.dicom.network.archive_scp import ArchiveScp, image

HELD = [image(patient, number) for patient in (1, 2) for number in range(3)]


@pytest.fixture
def archive() -> Iterator[ArchiveScp]:
    with ArchiveScp(held=HELD) as running:
        yield running


def test_keys_may_be_keywords_tags_or_wishes_for_a_value() -> None:
    words = ["PatientID=7", "(0008,0060)=MG", "0020000D=1.2", "Rows", "StudyDescription= a=b "]
    assert Query.parse("series", words).keys == {
        "PatientID": "7",
        "Modality": "MG",
        "StudyInstanceUID": "1.2",
        "Rows": "",
        "StudyDescription": "a=b",
    }


def test_studies_are_asked_for_by_the_modalities_in_them() -> None:
    assert Query.parse("study", ["Modality=MG"]).keys == {"ModalitiesInStudy": "MG"}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("PatientId=7", "'PatientId': expected a DICOM keyword .* Did you mean PatientID"),
        ("xyzzyxyzzy=7", r"PS3.6 lists the keywords"),
        ("(0009,0001)=7", "expected a DICOM keyword"),
        ("ViewCodeSequence=x", "expected a key with a value, it is a sequence"),
    ],
)
def test_what_is_no_key_is_refused_with_a_hint(word: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        Query.parse("study", [word])


def test_a_number_must_be_one() -> None:
    assert identifier_of("image", {"Rows": "3328"}).Rows == 3328
    assert identifier_of("image", {"Rows": ""}).Rows is None
    with pytest.raises(NetworkError, match="Rows: expected a number"):
        identifier_of("image", {"Rows": "many"})


def test_a_request_names_its_character_set_where_it_needs_one() -> None:
    assert identifier_of("study", {"PatientName": "Müller*"}).SpecificCharacterSet == "ISO_IR 192"
    assert "SpecificCharacterSet" not in identifier_of("study", {"PatientName": "Mueller*"})


@pytest.mark.parametrize(
    ("level", "words", "first"),
    [
        ("study", [], "study"),
        ("image", [], "image"),
        ("image", ["Modality=MG"], "series"),
        ("image", ["Modality=MG", "PatientID=7"], "study"),
        ("series", ["PatientID"], "series"),
        ("study", ["SeriesDescription=x"], "study"),
        ("image", ["SOPInstanceUID=1.2"], "image"),
    ],
)
def test_a_search_begins_at_the_highest_level_with_a_value(
    level: Level, words: list[str], first: str
) -> None:
    query = Query.parse(level, words)
    assert query.first_level() == first
    assert query.is_open() == (not any("=" in each for each in words))


def test_images_of_a_patient_are_found_level_by_level(archive: ArchiveScp) -> None:
    found = find(archive.peer, Query.parse("image", ["PatientID=patient-2", "Rows"]))
    assert [each.SOPInstanceUID for each in found] == [each.SOPInstanceUID for each in HELD[3:]]
    assert [level for level, _ in archive.requests] == ["STUDY", "SERIES", "IMAGE", "IMAGE"]
    assert values_of(found[0]) == {
        "PatientID": "patient-2",
        "PatientName": "Müller^2",
        "StudyDate": "20240102",
        "StudyInstanceUID": "1.2.3.2",
        "SeriesInstanceUID": "1.2.3.2.1",
        "Modality": "MG",
        "InstanceNumber": "0",
        "SOPClassUID": HELD[0].SOPClassUID,
        "SOPInstanceUID": "1.2.3.2.1.1",
        "Rows": "40",
    }


def test_names_with_umlauts_are_matched(archive: ArchiveScp) -> None:
    assert len(find(archive.peer, Query.parse("study", ["PatientName=Müller*"]))) == 2
    assert find(archive.peer, Query.parse("study", ["PatientName=Möller*"])) == []


def test_enough_matches_cancel_the_rest(archive: ArchiveScp) -> None:
    assert len(find(archive.peer, Query("study", {}), limit=1)) == 1
    assert len(find(archive.peer, Query.parse("image", ["PatientID=*"]), limit=3)) == 3
    # The second patient was not asked for: three images were there.
    assert [level for level, _ in archive.requests].count("SERIES") == 1


def test_a_cancelled_query_ends_without_an_error() -> None:
    def many(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        match = Dataset()
        match.QueryRetrieveLevel, match.StudyInstanceUID = "STUDY", "1.2"
        while not event.is_cancelled:
            yield 0xFF00, match
            time.sleep(0.01)
        yield 0xFE00, None

    with ArchiveScp(on_find=many) as archive:
        assert len(find(archive.peer, Query("study", {}), limit=2)) == 2


def test_an_archive_that_wants_the_study_says_so(archive: ArchiveScp) -> None:
    with pytest.raises(NetworkError, match=r"at level image, the peer answered .* \(A900\)") as error:
        find(archive.peer, Query.parse("image", ["Rows=40"]))
    assert "it may need StudyInstanceUID and SeriesInstanceUID, or a key of the study" in str(error.value)


def test_a_refused_query_is_told_with_the_archives_words() -> None:
    def refuse(_: evt.Event) -> Iterator[tuple[Dataset, None]]:
        status = Dataset()
        status.Status, status.ErrorComment = 0xC001, "index rebuilding"
        yield status, None

    with (
        ArchiveScp(on_find=refuse) as archive,  # type: ignore[arg-type]  # pynetdicom takes a data set too
        pytest.raises(NetworkError, match=r"level study, .* process \(C001\): index rebuilding\.$"),
    ):
        find(archive.peer, Query("study", {}))


def test_an_archive_that_does_not_answer_is_given_up() -> None:
    def late(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        time.sleep(2.5)
        yield 0x0000, None

    with (
        ArchiveScp(on_find=late) as archive,
        pytest.raises(NetworkError, match=r"answer to C-FIND, none came in time .* Ask for less"),
    ):
        find(archive.peer, Query("study", {}), timeout_s=1.5)


@pytest.mark.parametrize("is_decoded", [False, True])
def test_a_match_that_cannot_be_parsed_is_refused_without_its_values(
    is_decoded: bool, monkeypatch: pytest.MonkeyPatch, archive: ArchiveScp
) -> None:
    def broken(*_: object, **__: object) -> Dataset:
        if not is_decoded:
            raise ValueError("cannot decode Müller")
        return BrokenDataset()

    monkeypatch.setattr(pynetdicom.association, "decode", broken)
    with pytest.raises(NetworkError, match="expected a match, got one that cannot be parsed") as error:
        find(archive.peer, Query("study", {}))
    assert "Müller" not in str(error.value)


class BrokenDataset(Dataset):
    def __bool__(self) -> bool:
        return True

    def decode(self, *_: object) -> None:
        raise ValueError("Müller cannot be decoded")


def test_no_patient_data_are_logged(archive: ArchiveScp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pynetdicom")
    caplog.set_level(logging.DEBUG, logger="mammo_monai")
    assert find(archive.peer, Query.parse("study", ["PatientID=patient-1"]))
    assert "patient-1" not in caplog.text
    assert "ller^" not in caplog.text


def test_values_are_text_and_sequences_are_left_out() -> None:
    match = Dataset()
    match.ModalitiesInStudy = ["MG", "SR"]
    match.StudyDescription = None
    match.ReferencedStudySequence = [Dataset()]
    match.add_new(0x00091001, "LO", "private")
    assert values_of(match) == {"ModalitiesInStudy": "MG\\SR", "StudyDescription": ""}
