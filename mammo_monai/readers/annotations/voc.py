"""Pascal VOC: one XML per image, corners counted from 1 and inclusive."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from mammo_monai.readers.annotations.annotated import (
    AnnotatedImage,
    Target,
    fault_of,
    name_below,
    without_repeats,
)
from mammo_monai.readers.annotations.boxes import box_inside, check_stated_size
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.records import Lesion, label_of

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def is_voc(path: Path) -> bool:
    """Whether a file is XML by its name."""
    return path.suffix.lower() == ".xml"


def read_voc(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per XML file, for the image of the same name, else of the `filename` in it.

    Corners `(xmin, ymin, xmax, ymax)` are counted from 1 and inclusive, so the half-open box is
    `(xmin − 1, ymin − 1, xmax, ymax)`. A file without objects says that its image is normal.

    Source: Everingham et al., the PASCAL VOC2012 development kit, section on annotation files.
    """
    return [_read(path, base) for path in files]


def _read(path: Path, base: Path) -> AnnotatedImage:
    where, name = str(path), name_below(path, base)
    try:
        root = parse(path, forbid_dtd=True).getroot()
    except (ParseError, DefusedXmlException, OSError, ValueError, LookupError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        found = "the annotation is no XML that can be read; document types and entities are refused"
        fault = InvalidRecordError("annotation-unreadable", where, found, f"{reason}. Export it again.")
        return fault_of((name,), fault, where)
    if root is None or root.tag != "annotation":
        found = f"expected Pascal VOC: <annotation>, got <{'nothing' if root is None else root.tag}>"
        remedy = "Of XML only Pascal VOC is read: export that."
        return fault_of((name,), InvalidRecordError("annotation-unreadable", where, found, remedy), where)
    file_name = (root.findtext("filename") or "").strip()
    names = (name, file_name) if file_name else (name,)
    return AnnotatedImage(names, where, partial(_lesions, root, where), is_agreed=True)


def _lesions(root: Element, where: str, target: Target) -> list[Lesion]:
    size = root.find("size")
    if size is not None:
        stated = (_whole(size.findtext("width")), _whole(size.findtext("height")))
        check_stated_size(stated, target.header, where, "the XML")
    _refuse_boxes_without_object(root, where)
    lesions = []
    for number, item in enumerate(root.iter("object"), start=1):
        name = (item.findtext("name") or "").strip()
        kind = target.types.type_of(name)
        if name and kind is None:
            continue
        corners = [_shifted(corner, item.findtext(f"bndbox/{corner}")) for corner in _CORNERS]
        box = box_inside(corners, target.header, where, f"object {number}", clip=target.clip)
        if kind is None:
            found, remedy = f"object {number} has no name", "Say in <name> what it is."
            raise InvalidRecordError("class-unknown", where, found, remedy)
        lesions.append(Lesion(box, str(number), kind, label_of(kind)))
    return without_repeats(lesions, target)


def _refuse_boxes_without_object(root: Element, where: str) -> None:
    """A box that is no `object`'s own, such as that of an `Object`, would be passed over without a word."""
    n_objects = len([*root.iter("object")])
    in_parts = sum(each.tag.lower() == "bndbox" for part in root.iter("part") for each in part.iter())
    n_boxes = sum(each.tag.lower() == "bndbox" for each in root.iter() if isinstance(each.tag, str))
    if n_boxes - in_parts > n_objects:
        found = f"expected a bndbox in each object, got {n_boxes - in_parts} in {n_objects} objects"
        raise InvalidRecordError("annotation-unreadable", where, found, "Export it again as Pascal VOC.")


def _shifted(corner: str, text: str | None) -> Any:
    """A corner as half-open; what is no number stays as it is, for the message."""
    try:
        return float(text or "") - (1 if corner.endswith("min") else 0)
    except ValueError:
        return text


def _whole(text: str | None) -> Any:
    """Pixels; some exports leave 0 where they do not know."""
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError):
        return text
