"""Dummies: a value of the same VR that says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from mammo_monai.dicom.deidentification.pseudonyms import Pseudonyms

_DUMMIES: Mapping[str, object] = MappingProxyType(
    {
        **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"), "REMOVED"),
        "PN": "REMOVED",
        "UR": "http://removed.invalid",
        "AS": "000Y",
        "DA": "19000101",
        "DT": "19000101000000",
        "TM": "000000",
        **dict.fromkeys(("DS", "IS"), "0"),
        **dict.fromkeys(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"), 0),
        **dict.fromkeys(("OB", "OW", "OL", "OF", "OD", "OV", "UN"), b"\0\0\0\0\0\0\0\0"),
        "AT": 0x00000000,
    }
)


def emptied(element: DataElement) -> DataElement:
    """The element without a value."""
    return DataElement(element.tag, element.VR, Sequence() if element.VR == "SQ" else None)


def dummied(element: DataElement, names: Pseudonyms) -> DataElement:
    """The element with a dummy of its VR; UIDs are mapped, items keep their shape with dummies in them."""
    if element.VR == "UI":
        return mapped(element, names)
    if element.VR != "SQ":
        return DataElement(element.tag, element.VR, _DUMMIES.get(element.VR))
    items = []
    for item in element.value or ():
        made = Dataset()
        for each in item:
            if not each.tag.is_private:
                made.add(dummied(each, names))
        items.append(made)
    return DataElement(element.tag, "SQ", Sequence(items))


def mapped(element: DataElement, names: Pseudonyms) -> DataElement:
    """A UID, or several, by those that stand for them."""
    value = element.value
    if isinstance(value, (list, MultiValue)):
        return DataElement(element.tag, "UI", [names.uid(str(each)) for each in value])
    return DataElement(element.tag, "UI", names.uid(str(value or "")))
