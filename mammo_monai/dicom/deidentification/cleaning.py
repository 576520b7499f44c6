"""What is kept of reports, presentation states and segmentations: codes, numbers, places; never free text.

Without it the profile's dummies would leave a report without a finding. These are its Clean Structured
Content and Clean Graphics options (PS3.15 E.3.4, E.3.3).
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

# Value types whose items hold codes, numbers, coordinates or references alone: PS3.3 C.17.3.2.1.
_KEPT_TYPES = {
    "CONTAINER",
    "CODE",
    "NUM",
    "SCOORD",
    "SCOORD3D",
    "TCOORD",
    "IMAGE",
    "COMPOSITE",
    "WAVEFORM",
    "UIDREF",
}
# Algorithm Name, Parameters and Version say who marked: DCM 111001 to 111003.
_KEPT_TEXTS = {"111001", "111002", "111003"}
_CODES = (
    "CodeValue LongCodeValue CodingSchemeDesignator CodingSchemeVersion CodeMeaning CodingSchemeName "
    "CodingSchemeExternalID CodingSchemeResponsibleOrganization ContextIdentifier TemplateIdentifier"
)
_PICTURE = (
    "Manufacturer ManufacturerModelName SoftwareVersions WindowCenterWidthExplanation LUTExplanation "
    "RescaleType ModalityLUTType PixelSpacingCalibrationDescription DetectorDescription "
    "GraphicLayerDescription SegmentLabel SegmentAlgorithmName AlgorithmName AlgorithmVersion"
)
_KEPT_KEYWORDS = frozenset(f"{_CODES} {_PICTURE}".split())
# Texts that are cleaned below, each in the sequence it is cleaned in.
_KEPT_INSIDE = {
    "TextValue": "ContentSequence",
    "SegmentDescription": "SegmentSequence",
    "ContributionDescription": "ContributingEquipmentSequence",
}
# What our results say of the model, beside numbers: `results.headers`.
_FACTS = "weights_sha256 score_threshold false_positives_per_image software reviewed_by_a_person intended_use"
_FACT = re.compile(rf"({'|'.join(_FACTS.split())}|model_version)=[^=]{{1,200}}")
_NUMBERS = re.compile(r"[a-z_]{1,40}=[-+0-9.,eE]{1,200}")


def is_kept_text(keyword: str, inside: str) -> bool:
    """Whether a text that the table does not list says something of the picture, never of a person.

    Args:
        inside: keyword of the sequence that the text's item is in, "" at the top.
    """
    return keyword in _KEPT_KEYWORDS or (keyword in _KEPT_INSIDE and _KEPT_INSIDE[keyword] == inside)


def clean_content_item(item: Dataset) -> None:
    """Takes the text out of a content item, in place, unless it says which algorithm marked."""
    kind = str(item.get("ValueType", ""))
    if kind in _KEPT_TYPES or not kind:
        return
    concept = next(iter(item.get("ConceptNameCodeSequence") or ()), Dataset())
    if kind == "TEXT" and str(concept.get("CodeValue", "")) in _KEPT_TEXTS:
        return
    if "TextValue" in item:
        item.TextValue = "REMOVED"


def clean_segment(item: Dataset) -> None:
    """Leaves of a segment's description the lines that are a name and numbers, in place.

    >>> segment = Dataset()
    >>> segment.SegmentDescription = "box=1.5,2,3,4\\nseen by Doe"
    >>> clean_segment(segment)
    >>> segment.SegmentDescription
    'box=1.5,2,3,4'
    """
    lines = str(item.get("SegmentDescription") or "").splitlines()
    if lines:
        item.SegmentDescription = "\n".join(each for each in lines if _NUMBERS.fullmatch(each.strip()))


def clean_contribution(item: Dataset) -> None:
    """Leaves of the description of a contributing equipment what our results say of their model, in place."""
    lines = str(item.get("ContributionDescription") or "").splitlines()
    if lines:
        item.ContributionDescription = "\r\n".join(each for each in lines if _FACT.fullmatch(each.strip()))
