"""Patient, laterality and view of an image: what annotations, file name and DICOM header say together."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.categories import LATERALITIES, VIEWS, birads_category, density_category
from mammo_monai.readers.image_header import ImageHeader
from mammo_monai.records import ImageRecord, Laterality, ViewPosition, patient_id_of
from mammo_monai.schema import Action

NAME_GROUPS = ("patient", "laterality", "view")
MAX_IMAGES_PER_PATIENT = 40
"""More images of one patient than any follow-up makes: its id stands for many. No source known."""


# What spreadsheets make of ids of more than 11 digits, and of whole numbers beside empty cells.
_ROUNDED = re.compile(r"\d[.,]\d+[eE]\+?\d+", re.ASCII)
_WHOLE = re.compile(r"0*(\d*?)(?:[.,]0)?", re.ASCII)
_LEADING_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)", re.ASCII)


def compiled_pattern(name_pattern: str | None) -> re.Pattern[str] | None:
    """A name pattern, checked.

    Raises:
        ManifestError: no regular expression, or none of the groups `patient`, `laterality`, `view`.
    """
    if name_pattern is None:
        return None
    try:
        pattern = re.compile(name_pattern)
    except re.error as error:
        raise ManifestError(f"name pattern {name_pattern!r} is no regular expression: {error}.") from error
    if not set(pattern.groupindex) & set(NAME_GROUPS):
        raise ManifestError(
            f"name pattern {name_pattern!r} must name at least one group of {', '.join(NAME_GROUPS)}, "
            r"as in (?P<patient>\d+)_(?P<laterality>LEFT|RIGHT)_(?P<view>CC|MLO)."
        )
    return pattern


def groups_in_name(pattern: re.Pattern[str] | None, name: str, where: str) -> Mapping[str, str]:
    """The named parts of an image's relative path without its suffix; empty without a pattern.

    Raises:
        InvalidRecordError: the pattern is not found in the name.
    """
    if pattern is None:
        return {}
    match = pattern.search(name)
    if match is None:
        found = "the file name does not match the name pattern"
        raise InvalidRecordError("name-unmatched", where, found, f"Expected {pattern.pattern!r}.")
    return {group: text for group, text in match.groupdict().items() if text}


def identity_of(fields: Mapping[str, str], groups: Mapping[str, str], header: ImageHeader) -> dict[str, str]:
    """Patient, laterality and view as text: the annotations', else the file name's, else the header's."""
    in_header = {
        "patient": header.patient_id,
        "laterality": header.laterality.value if header.laterality else "",
        "view": header.view_position.value if header.view_position else "",
    }
    known: dict[str, str] = {}
    for source in (in_header, groups, fields):
        known.update({name: text for name in NAME_GROUPS if (text := source.get(name, "").strip())})
    return known


def refuse_other_side(fields: Mapping[str, str], groups: Mapping[str, str], where: str) -> None:
    """Raises where annotations name one side and the name pattern finds the other in the file's name.

    Raises:
        InvalidRecordError: code `identity-differs`.
    """
    sides = {LATERALITIES.get(each.get("laterality", "").strip().upper()) for each in (fields, groups)}
    if len(sides - {None}) > 1:
        found = "the annotations name one side, the file name another"
        raise InvalidRecordError("identity-differs", where, found, "Are they of the same image?")


def laterality_of(known: Mapping[str, str], header: ImageHeader, where: str) -> Laterality | None:
    """The side; None where nobody says it.

    Raises:
        InvalidRecordError: a word that names no side, or another side than the DICOM header says.
    """
    text = known.get("laterality", "")
    if not text:
        return None
    if text.upper() not in LATERALITIES:
        # The word stays out of the finding: a name pattern may have caught a patient's name.
        found = f"laterality must be {', '.join(LATERALITIES)}, got another word"
        raise InvalidRecordError("laterality-unknown", where, found, f"It is {text!r:.40}.")
    side = LATERALITIES[text.upper()]
    if header.laterality not in (None, side):
        found = f"annotations or file name say {side.value}, the DICOM header says {header.laterality.value}"
        raise InvalidRecordError("identity-differs", where, found, "Are they of the same image?")
    return side


def view_of(known: Mapping[str, str], record_id: str, audit: Audit) -> ViewPosition | None:
    """The projection; an unknown word is OTHER and noted."""
    text = known.get("view", "")
    if text and text.upper() not in VIEWS:
        # The word stays out of the finding: a name pattern may have caught a patient's name.
        audit.note("view-unknown", record_id, f"the view is none of {', '.join(VIEWS)}: OTHER")
    return VIEWS.get(text.upper(), ViewPosition.OTHER) if text else None


def grades_of(fields: Mapping[str, str], where: str) -> tuple[int | None, int | None]:
    """BI-RADS assessment and breast density of the image.

    Raises:
        InvalidRecordError: a category that is none.
    """
    try:
        return birads_category(fields.get("birads", "")), density_category(fields.get("density", ""))
    except ValueError as error:
        raise InvalidRecordError("grade-unknown", where, str(error)) from None


def ml_as_mlo(records: Sequence[ImageRecord], audit: Audit) -> list[ImageRecord]:
    """Where ML occurs and MLO does not, ML is read as MLO: some sets name that view so."""
    views = [record.view_position for record in records]
    if ViewPosition.ML not in views or ViewPosition.MLO in views:
        return list(records)
    found = f"{views.count(ViewPosition.ML)} images are called ML and none MLO: read as MLO"
    audit.note("view-ml-for-mlo", "", found, Action.REPAIRED)
    return [
        dataclasses.replace(record, view_position=ViewPosition.MLO)
        if record.view_position is ViewPosition.ML
        else record
        for record in records
    ]


def with_patients(records: Sequence[ImageRecord], audit: Audit, salt: str | None) -> list[ImageRecord]:
    """Every record with a patient; an unknown one is a patient of its own, which is said aloud.

    The hospital's own ids come in, salted hashes go out: a manifest names no patient.

    Args:
        salt: None keeps the ids, which are a public data set's own pseudonyms.
    """
    records = _spelt_alike(records, audit)
    unknown = sum(not record.patient_id for record in records)
    images = Counter(record.patient_id for record in records if record.patient_id)
    remedy = "a split may put one patient on two sides. Say patient_id in the annotations, or --name-pattern"
    if unknown:
        found = f"{unknown} of {len(records)} images have no patient and count as a patient each: {remedy}"
        audit.note("patient-unknown", "", found)
    elif 1 < len(records) == len(images):
        found = f"each of the {len(records)} images has another patient; unless that is so, {remedy}"
        audit.note("patient-per-image", "", found)
    if images and (most := max(images.values())) > MAX_IMAGES_PER_PATIENT:
        found = f"{most} images have one and the same patient: does an id or folder stand for many? "
        audit.note("patient-crowded", "", found + "Say who is who with --name-pattern")
    if rounded := sum(_ROUNDED.fullmatch(record.patient_id) is not None for record in records):
        found = f"{rounded} images have a patient id that a spreadsheet rounded, as 1.2E+11: different "
        found += "patients may share one. Export the table with its ids as text"
        audit.note("patient-rounded", "", found)
    return [dataclasses.replace(record, patient_id=_patient(record, salt)) for record in records]


def _spelt_alike(records: Sequence[ImageRecord], audit: Audit) -> list[ImageRecord]:
    """One spelling for ids that differ in case, blanks, or what spreadsheets do to numbers: 007, 7 and 7.0.

    Two patients taken for one cost nothing in a split; one taken for two stands on two sides of it.
    """
    first: dict[str, str] = {}
    alike = [first.setdefault(plain_id(each.patient_id), each.patient_id) for each in records]
    others = {each.patient_id for each in records} - set(first.values())
    if others:
        found = (
            f"{len(others)} patient ids differ from another one in case, blanks, leading zeros or a final .0 "
            "alone: taken for the same patient"
        )
        audit.note("patient-joined", "", found, Action.REPAIRED)
    return [dataclasses.replace(r, patient_id=one) for r, one in zip(records, alike, strict=True)]


def plain_id(text: str) -> str:
    """An id without what tables and people change.

    >>> plain_id("007"), plain_id("7.0"), plain_id("AB  1"), plain_id("000"), plain_id("P-007")
    ('7', '7', 'ab1', '0', 'p-7')
    """
    plain = "".join(unicodedata.normalize("NFKC", text).casefold().split())
    number = _WHOLE.fullmatch(plain) if plain else None
    return (number[1] or "0") if number else _LEADING_ZEROS.sub("", plain)


def _patient(record: ImageRecord, salt: str | None) -> str:
    if not record.patient_id:
        return f"image-{record.record_id}"
    return record.patient_id if salt is None else patient_id_of(record.patient_id, salt)
