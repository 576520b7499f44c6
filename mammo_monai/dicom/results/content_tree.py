"""Content items of structured reports: each function makes one, with its children."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import format_number_as_ds

from mammo_monai.dicom.results.codes import Code, code_sequence

CONTAINS = "CONTAINS"
HAS_PROPERTIES = "HAS PROPERTIES"
HAS_CONCEPT_MOD = "HAS CONCEPT MOD"
HAS_OBS_CONTEXT = "HAS OBS CONTEXT"
HAS_ACQ_CONTEXT = "HAS ACQ CONTEXT"
INFERRED_FROM = "INFERRED FROM"
SELECTED_FROM = "SELECTED FROM"


def container(
    relation: str | None, name: Code, children: Iterable[Dataset], *, template: str | None = None
) -> Dataset:
    """A CONTAINER; the root has no relation. `template` is the number of the template it follows."""
    item = _item(relation, "CONTAINER", name, children)
    item.ContinuityOfContent = "SEPARATE"
    if template is not None:
        identification = Dataset()
        identification.MappingResource, identification.TemplateIdentifier = "DCMR", template
        item.ContentTemplateSequence = Items([identification])
    return item


def coded(relation: str, name: Code, value: Code, children: Iterable[Dataset] = ()) -> Dataset:
    """A CODE item."""
    item = _item(relation, "CODE", name, children)
    item.ConceptCodeSequence = code_sequence(value)
    return item


def text(relation: str, name: Code, value: str) -> Dataset:
    """A TEXT item."""
    item = _item(relation, "TEXT", name)
    item.TextValue = value
    return item


def person_name(relation: str, name: Code, value: str) -> Dataset:
    """A PNAME item."""
    item = _item(relation, "PNAME", name)
    item.PersonName = value
    return item


def date(relation: str, name: Code, value: str) -> Dataset:
    """A DATE item."""
    item = _item(relation, "DATE", name)
    item.Date = value
    return item


def uid(relation: str, name: Code, value: str) -> Dataset:
    """A UIDREF item."""
    item = _item(relation, "UIDREF", name)
    item.UID = value
    return item


def number(relation: str, name: Code, value: float, unit: Code, children: Iterable[Dataset] = ()) -> Dataset:
    """A NUM item; the 16 characters of Numeric Value are not enough for a float, so it is there twice."""
    measured = Dataset()
    measured.NumericValue = str(value) if isinstance(value, int) else format_number_as_ds(value)
    measured.FloatingPointValue = float(value)
    measured.MeasurementUnitsCodeSequence = code_sequence(unit)
    item = _item(relation, "NUM", name, children)
    item.MeasuredValueSequence = Items([measured])
    return item


def image(
    relation: str, sop_class_uid: str, sop_instance_uid: str, children: Iterable[Dataset] = ()
) -> Dataset:
    """An IMAGE item."""
    item = _item(relation, "IMAGE", None, children)
    item.ReferencedSOPSequence = Items([sop_reference(sop_class_uid, sop_instance_uid)])
    return item


def coordinates(
    relation: str, name: Code, graphic_type: str, points: Sequence[float], selected_from: Dataset
) -> Dataset:
    """A SCOORD item: x, y, x, y … in pixels of the image it is selected from.

    0\\0 is the outer corner of the first pixel and columns\\rows that of the last: the frame of `records`.

    Source: DICOM PS3.3 C.18.6.1.
    """
    item = _item(relation, "SCOORD", name, [selected_from])
    item.GraphicType, item.GraphicData = graphic_type, [float(each) for each in points]
    return item


def reference(relation: str, position: Sequence[int]) -> Dataset:
    """A relation to an item elsewhere in the tree: its position among the children on each level, from 1."""
    item = Dataset()
    item.RelationshipType, item.ReferencedContentItemIdentifier = relation, list(position)
    return item


def sop_reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """An item that refers to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item


def _item(
    relation: str | None, value_type: str, name: Code | None, children: Iterable[Dataset] = ()
) -> Dataset:
    item = Dataset()
    if relation is not None:
        item.RelationshipType = relation
    item.ValueType = value_type
    if name is not None:
        item.ConceptNameCodeSequence = code_sequence(name)
    if children := list(children):
        item.ContentSequence = Items(children)
    return item
