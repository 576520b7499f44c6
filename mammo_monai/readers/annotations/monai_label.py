"""MONAI Label's local datastore: what people saved in `labels/final`, never what a model proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target, bare_name, fault_of
from mammo_monai.readers.annotations.boxes import box_inside
from mammo_monai.readers.annotations.nifti import is_nifti, read_nifti
from mammo_monai.readers.annotations.png import SUFFIXES, read_png
from mammo_monai.readers.annotations.slicer import is_slicer, markup_lesions, markups_in, read_slicer
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.records import Lesion, label_of
from mammo_monai.schema.json_text import json_value

DATASTORE = "datastore_v2.json"


def is_monai_label(path: Path) -> bool:
    """Whether a file lies in the folder of final labels, or is the datastore's own list."""
    return path.name == DATASTORE or (path.parent.name == "final" and path.parent.parent.name == "labels")


def read_monai_label(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per final label, for the image whose file name is its id.

    Boxes: JSON with `box`, a list of `[x_min, y_min, x_max, y_max]` in pixels, and `label`, a class name or
    number for each; or 3D Slicer's markups. Masks: NIfTI or pictures. Labels under `labels/original` are
    a model's proposals and no truth.
    """
    finals = [path for path in files if path.parent.name == "final" and not path.name.startswith(".")]
    found: list[AnnotatedImage] = []
    for path in finals:
        if is_nifti(path):
            found += read_nifti([path], path.parent, audit)
        elif is_slicer(path):
            found += read_slicer([path], path.parent, audit)
        elif path.suffix.lower() in SUFFIXES:
            found += read_png([path], path.parent, audit)
        elif path.suffix.lower() == ".json":
            found.append(_read_json(path))
        else:
            said = f"a final label of a kind that is not read ({path.suffix or 'without a suffix'})"
            fault = InvalidRecordError("annotation-unreadable", str(path), said, "Save it as JSON or NIfTI.")
            found.append(fault_of((bare_name(path.name),), fault, str(path)))
    return found


def _read_json(path: Path) -> AnnotatedImage:
    where, names = str(path), (bare_name(path.name),)
    try:
        content = json_value(path.read_bytes())
        if isinstance(content, dict) and "markups" in content:
            return AnnotatedImage(
                names, where, partial(markup_lesions, markups_in(content), where), is_part=True
            )
        boxes, labels = content["box"], content["label"]
        if not (isinstance(boxes, list) and isinstance(labels, list) and len(boxes) == len(labels)):
            raise TypeError("box and label must be lists of the same length")
    except (OSError, ValueError, LookupError, TypeError) as error:
        found = "the label cannot be read as JSON with box and label"
        fault = InvalidRecordError("annotation-unreadable", where, found, f"{error}. Save it again.")
        return fault_of(names, fault, where)
    return AnnotatedImage(names, where, partial(_lesions, content, where), is_part=True)


def _lesions(content: Mapping[str, Any], where: str, target: Target) -> list[Lesion]:
    lesions = []
    for number, (box, name) in enumerate(zip(content["box"], content["label"], strict=True), start=1):
        what = f"box {number}"
        if not isinstance(box, list) or len(box) != 4:
            found = f"{what}: expected 4 numbers in pixels; 6 numbers are a box in a volume, in millimetres"
            raise InvalidRecordError(
                "box-invalid", where, found, "Save 2-D boxes as x_min, y_min, x_max, y_max."
            )
        if name is None or not str(name).strip():
            found = f"{what}: expected a class name or number as its label, got {name!r}"
            raise InvalidRecordError("class-unknown", where, found, "Save the label with its class.")
        is_number = isinstance(name, int) and not isinstance(name, bool)
        kind = target.types.type_of_number(name) if is_number else target.types.type_of(str(name))
        if kind is not None:
            corners = box_inside(box, target.header, where, what, clip=target.clip)
            lesions.append(Lesion(corners, str(number), kind, label_of(kind)))
    return lesions
