"""The Basic Application Level Confidentiality Profile, applied to one data set.

Where the table leaves a choice (X/Z, X/D, Z/D …) the last is taken: it keeps every object conformant,
whatever its IOD asks for. Beyond the table, what no dictionary knows goes; names, dates and UIDs that it does
not list are treated as those it lists; texts it does not list become dummies unless `cleaning` knows them.

Source: DICOM PS3.15 E.2 and E.3, Table E.1-1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from mammo_monai import __version__
from mammo_monai.dicom.bounded import PIXEL_DATA
from mammo_monai.dicom.deidentification.cleaning import (
    clean_content_item,
    clean_contribution,
    clean_segment,
    is_kept_text,
)
from mammo_monai.dicom.deidentification.pseudonyms import Pseudonyms, shifted
from mammo_monai.dicom.deidentification.table import ACTIONS, EDITION
from mammo_monai.dicom.deidentification.values import dummied, emptied, mapped

LONGITUDINAL_DATES = "longitudinal-dates"
KEEP = (LONGITUDINAL_DATES,)
"""Options of the profile that can be asked for."""

IMPLEMENTATION_UID = "2.25.254466011418541842716263396871538412345"
_CONTENT, _GRAPHICS = Tag("ContentSequence"), Tag("GraphicAnnotationSequence")
_CLEANED: Mapping[BaseTag, Callable[[Dataset], None]] = {
    _CONTENT: clean_content_item,
    Tag("SegmentSequence"): clean_segment,
    Tag("ContributingEquipmentSequence"): clean_contribution,
}
# Born is born: dates of the person, not of an examination, tell who somebody is, whatever else moves.
_PERSON = 0x0010
_TEXTS = {"AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"}
_METHODS = {
    "113100": "Basic Application Confidentiality Profile",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}


@dataclass(frozen=True)
class _Patient:
    """What goes into a patient's data sets. Attributes: shift_days: of dates; 0 takes them out."""

    names: Pseudonyms
    pseudonym: str
    shift_days: int = 0


def deidentified(dataset: Dataset, names: Pseudonyms, *, keep: tuple[str, ...] = ()) -> Dataset:
    """A copy with a file meta information of its own; pixel data are the same bytes, in the same encoding.

    Laterality, view, spacing, presentation intent and LUTs stay: the table does not list them.

    Args:
        keep: of `KEEP`. `longitudinal-dates`: dates move back by a number of days that is the patient's own.

    Raises:
        ValueError: another option.
    """
    if unknown := set(keep) - set(KEEP):
        raise ValueError(f"keep must be among {', '.join(KEEP)}, got {', '.join(sorted(unknown))}.")
    patient_id, issuer = str(dataset.get("PatientID") or ""), str(dataset.get("IssuerOfPatientID") or "")
    shift = names.shift_days(patient_id, issuer) if LONGITUDINAL_DATES in keep else 0
    patient = _Patient(names, names.patient(patient_id, issuer), shift)
    made = _walked(dataset, patient)
    made.PatientID = made.PatientName = patient.pseudonym
    _say_how(made, keep)
    made.file_meta = _file_meta(dataset, made)
    made.preamble = b"\0" * 128
    is_implicit, is_little = dataset.original_encoding
    made.set_original_encoding(is_implicit, is_little, dataset.original_character_set)
    return made


def _walked(dataset: Dataset, patient: _Patient, inside: str = "") -> Dataset:
    """Every element as it may leave; `inside` is the keyword of the sequence this is an item of."""
    made = Dataset()
    for tag in list(dataset.keys()):
        if tag == PIXEL_DATA:
            made[tag] = dataset.get_item(tag)  # raw as read: never decoded, never encoded again
        elif _is_known(tag):
            changed = _changed(dataset[tag], patient, inside)
            if changed is not None:
                made.add(changed)
    return made


def _is_known(tag: BaseTag) -> bool:
    """Whether the dictionary lists it; overlays, curves and other repeating groups go, and group lengths."""
    if tag.is_private or tag.element == 0:
        return False
    return tag.group > 7 and dictionary_has_tag(tag)


def _changed(element: DataElement, patient: _Patient, inside: str) -> DataElement | None:
    """The element as it may leave; None where it may not."""
    if element.VR == "UN":
        return None
    if element.tag in (_CONTENT, _GRAPHICS):
        return _items(element, patient)
    if (moved := _moved(element, patient)) is not None:
        return moved
    action = ACTIONS.get(int(element.tag))
    return _unlisted(element, patient, inside) if action is None else _listed(element, patient, action)


def _listed(element: DataElement, patient: _Patient, action: str) -> DataElement | None:
    """Source: PS3.15 E.3, Table E.1-1a (codes of actions)."""
    last = action.rsplit("/", maxsplit=1)[-1]
    if last == "X":
        return None
    if last == "Z":
        return emptied(element)
    if last == "U*":
        return _items(element, patient)
    return dummied(element, patient.names)  # D, and U: a UID's dummy is the one that stands for it


def _moved(element: DataElement, patient: _Patient) -> DataElement | None:
    """A date as many days earlier as all of the patient's, a time of day as it is; None of anything else."""
    if not patient.shift_days or element.tag.group == _PERSON:
        return None
    if element.VR == "TM":
        return element
    text = shifted(str(element.value or ""), patient.shift_days) if element.VR in ("DA", "DT") else None
    return None if text is None else DataElement(element.tag, element.VR, text)


def _unlisted(element: DataElement, patient: _Patient, inside: str) -> DataElement:
    if element.VR == "SQ":
        return _items(element, patient)
    if element.VR == "UI":
        return mapped(element, patient.names)
    if element.VR in ("PN", "DA", "DT", "TM"):
        return emptied(element)
    if element.VR in _TEXTS and not element.is_empty and not is_kept_text(element.keyword, inside):
        return dummied(element, patient.names)
    return element


def _items(element: DataElement, patient: _Patient) -> DataElement:
    items = [_walked(item, patient, element.keyword) for item in element.value or ()]
    if (clean := _CLEANED.get(element.tag)) is not None:
        for item in items:
            clean(item)
    return DataElement(element.tag, "SQ", Sequence(items))


def _say_how(made: Dataset, keep: tuple[str, ...]) -> None:
    codes = ["113100"]
    codes += ["113103"] if _GRAPHICS in made else []
    codes += ["113104"] if _CONTENT in made else []
    codes += ["113107"] if LONGITUDINAL_DATES in keep else []
    made.PatientIdentityRemoved = "YES"
    made.LongitudinalTemporalInformationModified = "MODIFIED" if LONGITUDINAL_DATES in keep else "REMOVED"
    made.DeidentificationMethod = f"mammo-monai {__version__}: PS3.15 {EDITION} Basic Profile"
    made.DeidentificationMethodCodeSequence = Sequence([_code(value) for value in codes])


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", _METHODS[value]
    return item


def _file_meta(source: Dataset, made: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = source.file_meta.TransferSyntaxUID
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "MAMMO_MONAI"
    return meta
