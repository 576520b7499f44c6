"""One patient under two names: what annotations call her, and what a header or a folder calls her.

Tables often list images with lesions alone, by the site's own numbers. An image they do not list has the
PatientID of its header, which is another word for the same woman: she would stand on two sides of a split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mammo_monai.readers.annotations.identity import plain_id
from mammo_monai.readers.audit import Audit
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Action

_SOURCES = ("annotations", "name", "header", "folder")
# A word that stands for more patients than this, or the only one there is, is one that de-identification
# wrote for all: it contradicts nobody. No source known.
_MAX_PARTS = 3
_WORDS = {"name": "file name", "header": "DICOM header"}
Told = tuple[tuple[str, str], ...]
"""Who says the patient of an image, and which: the surest first; empty where nobody does."""


def told_by(fields: Mapping[str, str], groups: Mapping[str, str], header: str, folder: str) -> Told:
    """The patient by annotations, file name, DICOM header and folder, without those that say none.

    >>> told_by({"patient": "17"}, {}, "A 3", " ")
    (('annotations', '17'), ('header', 'A 3'))
    """
    words = (fields.get("patient", ""), groups.get("patient", ""), header, folder)
    said = zip(_SOURCES, words, strict=True)
    return tuple((source, word.strip()) for source, word in said if word.strip())


def joined_patients(
    records: Sequence[ImageRecord], told: Mapping[Path, Told], audit: Audit
) -> list[ImageRecord]:
    """The records, with one id for a patient whom some images have by a surer word than others.

    An image whose patient a header (or name, or folder) alone tells gets the id that annotations give the
    other images of that header. Where they give several, nobody can say which: a finding says so.

    Args:
        told: by image file.
    """
    found = list(records)
    n_joined = n_unclear = 0
    for source in _SOURCES[1:]:  # the surest first: who is joined by a header names the others of her folder
        known_as: dict[tuple[str, str], set[str]] = defaultdict(set)
        for record in found:
            for said in told.get(record.image, ())[1:]:
                known_as[said].add(record.patient_id)
        for row, record in enumerate(found):
            said = next(iter(told.get(record.image, ())), ("", ""))
            named = known_as[said] - {record.patient_id} if said[0] == source else set()
            n_unclear += len(named) > 1
            if len(named) == 1:
                found[row] = replace(record, patient_id=named.pop())
                n_joined += 1
    _note(n_joined, n_unclear, audit)
    if not n_unclear:
        _note_parted(found, told, audit)
    return found


def _note(n_joined: int, n_unclear: int, audit: Audit) -> None:
    if n_joined:
        said = f"{n_joined} images got the patient that annotations name for others of their header or folder"
        audit.note("patient-joined", "", said, Action.REPAIRED)
    if n_unclear:
        said = (
            f"header or folder alone tell the patients of {n_unclear} images, and annotations give the same "
            "header or folder several: a split may put one patient on two sides. Say patient_id for every "
            "image, or --name-pattern"
        )
        audit.note("patient-mixed", "", said)


def _note_parted(records: Sequence[ImageRecord], told: Mapping[Path, Told], audit: Audit) -> None:
    """Notes patients of a file name or header whom annotations part: rows shifted in a table, ids of exams.

    Folders are not asked: they hold many patients, or part of one.
    """
    for source in _SOURCES[1:3]:
        known_as: dict[str, set[str]] = defaultdict(set)
        for record in records:
            for row, (who, word) in enumerate(told.get(record.image, ())):
                if who == source:
                    known_as[word] |= {plain_id(record.patient_id)} if row else set()
        parted = sum(1 < len(patients) <= _MAX_PARTS for patients in known_as.values())
        if parted and len(known_as) > 1:
            said = (
                f"{parted} patients whom the {_WORDS[source]} tells as one have several names in the "
                "annotations: are rows of the table shifted, or are these exams? A split may put one patient "
                "on two sides"
            )
            audit.note("patient-mixed", "", said)
