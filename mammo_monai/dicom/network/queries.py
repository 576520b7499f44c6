"""What is asked of an archive: keys with values, at the level of studies, series or images.

Patient data stand in a query and in its matches, so nothing here is logged.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_dict, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from mammo_monai.dicom.network.errors import NetworkError

Level = Literal["study", "series", "image"]
LEVELS: tuple[Level, ...] = get_args(Level)
UNIQUE_KEYS: Mapping[Level, str] = {
    "study": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "image": "SOPInstanceUID",
}

# Keys that archives match or return, by level: PS3.4 C.6.2.1 and, for patients, C.6.1.1. What is in no list
# is asked at the level of the query itself.
_STUDY_KEYS = [
    "PatientID",
    "PatientName",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "StudyInstanceUID",
]
_SERIES_KEYS = [
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "NumberOfSeriesRelatedInstances",
    "SeriesInstanceUID",
]
_IMAGE_KEYS = ["InstanceNumber", "SOPClassUID", "SOPInstanceUID"]
RETURN_KEYS: Mapping[Level, Sequence[str]] = {
    "study": _STUDY_KEYS,
    "series": _SERIES_KEYS,
    "image": _IMAGE_KEYS,
}
_LEVEL_OF: Mapping[str, Level] = {
    **dict.fromkeys(_STUDY_KEYS, "study"),
    **dict.fromkeys(
        [
            "PatientBirthDate",
            "PatientBirthTime",
            "PatientSex",
            "PatientComments",
            "IssuerOfPatientID",
            "OtherPatientIDs",
            "EthnicGroup",
            "StudyID",
            "ReferringPhysicianName",
            "NameOfPhysiciansReadingStudy",
            "SOPClassesInStudy",
            "AnatomicRegionsInStudyCodeSequence",
        ],
        "study",
    ),
    **dict.fromkeys(_SERIES_KEYS, "series"),
    **dict.fromkeys(
        [
            "SeriesDate",
            "SeriesTime",
            "BodyPartExamined",
            "Laterality",
            "ProtocolName",
            "InstitutionName",
            "StationName",
            "InstitutionalDepartmentName",
            "Manufacturer",
            "ManufacturerModelName",
            "PerformingPhysicianName",
            "OperatorsName",
            "PresentationIntentType",
            "PerformedProcedureStepStartDate",
            "PerformedProcedureStepStartTime",
        ],
        "series",
    ),
}
_NUMBERS = {"US", "SS", "UL", "SL", "UV", "SV"}
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")


@dataclass(frozen=True)
class Query:
    r"""Keys to match, and the level of what is looked for.

    Attributes:
        keys: value by DICOM keyword; * and ? are wild cards, dates may be ranges (20240101-20241231),
            UIDs lists (with \ between them); "" matches anything and asks for the value.

    >>> Query.parse("series", ["PatientID=7", "Modality=MG"]).keys
    {'PatientID': '7', 'Modality': 'MG'}
    """

    level: Level
    keys: Mapping[str, str]

    @classmethod
    def parse(cls, level: Level, words: Iterable[str]) -> Query:
        """A query from KEYWORD=VALUE, or KEYWORD alone for a value to return; a tag may stand for a keyword.

        Raises:
            NetworkError: a keyword DICOM does not have, or one that holds a sequence.
        """
        keys = {}
        for word in words:
            name, _, value = word.partition("=")
            keys[_keyword(name.strip(), level)] = value.strip()
        return cls(level, keys)

    def values_at(self, level: Level) -> dict[str, str]:
        """The keys that belong to a level; those of no level, or below this query's, belong to its own."""
        own = self.level
        return {
            name: value
            for name, value in self.keys.items()
            if _not_below(_LEVEL_OF.get(name, "image" if name in _IMAGE_KEYS else own), own) == level
        }

    def at(self, level: Level) -> Query:
        """The same keys for another level of results."""
        return Query(level, self.keys)

    def first_level(self) -> Level:
        """The highest level that has a value to match: asking above it would list the whole archive."""
        named = (level for level in LEVELS if any(self.values_at(level).values()))
        return next(named, self.level)

    def is_open(self) -> bool:
        """Whether nothing is matched: the whole archive is asked for."""
        return not any(self.keys.values())


def identifier_of(level: Level, keys: Mapping[str, str]) -> Dataset:
    """The data set of a request: level and keys, with a character set where a value needs one.

    Raises:
        NetworkError: a value that its key cannot hold.
    """
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level.upper()
    if not all(value.isascii() for value in keys.values()):
        dataset.SpecificCharacterSet = "ISO_IR 192"
    for name, value in keys.items():
        vr = dictionary_VR(name)
        try:
            held = (int(value) if value else None) if vr in _NUMBERS else value
            # Ranges and wild cards are no values of their VR: PS3.4 C.2.2.2.
            dataset.add(DataElement(tag_for_keyword(name) or 0, vr, held, validation_mode=config.IGNORE))
        except ValueError as error:
            raise NetworkError(f"{name}: expected a number, got another text. Correct the query.") from error
    return dataset


def values_of(match: Dataset) -> dict[str, str]:
    r"""The elements of a match as text by keyword; several values have \ between them."""
    found = {}
    for element in match:
        if element.keyword and element.VR != "SQ" and element.keyword not in _NOT_VALUES:
            several = element.value if element.VM > 1 else [element.value]
            found[element.keyword] = "\\".join("" if each is None else str(each) for each in several)
    return found


_NOT_VALUES = {"QueryRetrieveLevel", "SpecificCharacterSet", "RetrieveAETitle", "InstanceAvailability"}


def _not_below(level: Level, own: Level) -> Level:
    return LEVELS[min(LEVELS.index(level), LEVELS.index(own))]


def _keyword(name: str, level: Level) -> str:
    found = _TAG.fullmatch(name)
    keyword = keyword_for_tag(int(found[1] + found[2], 16)) if found else name
    tag = tag_for_keyword(keyword) if keyword else None
    if tag is None:
        near = difflib.get_close_matches(name, list(keyword_dict), n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "PS3.6 lists the keywords."
        raise NetworkError(f"{name!r}: expected a DICOM keyword such as PatientID, got none. {hint}")
    if dictionary_VR(tag) == "SQ":
        raise NetworkError(f"{name}: expected a key with a value, it is a sequence. Match what is inside it.")
    # People ask for studies with Modality; archives match it at series level only.
    return "ModalitiesInStudy" if keyword == "Modality" and level == "study" else keyword
