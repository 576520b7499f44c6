"""COCO JSON: images, annotations with `bbox` x, y, width, height, and categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target, note_scores
from mammo_monai.readers.annotations.boxes import check_stated_size
from mammo_monai.readers.annotations.identity import grades_of
from mammo_monai.readers.annotations.splits import split_word
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.coco.boxes import lesion_of
from mammo_monai.readers.coco.file import CocoAnnotation, CocoFile, read_coco_file
from mammo_monai.records import Lesion
from mammo_monai.schema import Action

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "patient": ("patient_id", "patient"),
    "laterality": ("laterality",),
    "view": ("view_position", "view"),
    "split": ("split",),
    "birads": ("birads",),
    "density": ("breast_density", "acr"),
    "pathology": ("pathology",),
}


def read_coco_json(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per image of the JSON files; an image without annotations is normal.

    `file_name` is relative to the JSON's own folder, or to any. A JSON called after a split, or in a folder
    called so (`instances_train.json`, `valid/…json`), gives its images that split.

    Raises:
        ManifestError: no COCO JSON.
    """
    found: list[AnnotatedImage] = []
    for path in files:
        coco = read_coco_file(path, audit)
        folder = path.parent.relative_to(base).as_posix() if path.parent.is_relative_to(base) else ""
        split = split_word(path.stem) or split_word(path.parent.name)
        found += [annotated_image(coco, row, folder, split) for row in range(len(coco.images))]
    return found


def annotated_image(coco: CocoFile, row: int, folder: str = "", split: str = "") -> AnnotatedImage:
    """The annotation of one image.

    Args:
        row: in the list of images. folder: of the JSON, put before `file_name`.
        split: of the JSON, where the image itself says none.
    """
    item = coco.images[row]
    name = str(item.get("file_name") or "")
    where, place = f"{coco.path}, images row {row} ({name or 'no file_name'})", f"COCO images row {row}"
    names = (f"{folder}/{name}", name) if folder and folder != "." else (name,)
    fields = _fields(item) | ({"split": split} if split and not item.get("split") else {})
    annotations = coco.annotations.get(item["id"], ())
    fault = None
    if annotations and not name:
        found, remedy = "an image with boxes has no file_name", "Export the JSON again, with all its names."
        fault = InvalidRecordError("annotation-unreadable", where, found, remedy)
    return AnnotatedImage(
        names=names if name else (),
        where=where,
        lesions=partial(_lesions, item, annotations, where, place),
        fields=fields,
        place=place,
        fault=fault,
    )


def _fields(item: Mapping[str, Any]) -> dict[str, str]:
    return {
        meaning: str(value).strip()
        for meaning, names in _FIELDS.items()
        if (value := next((item[name] for name in names if item.get(name) not in (None, "")), None))
        is not None
    }


def _lesions(
    item: Mapping[str, Any], annotations: Sequence[CocoAnnotation], where: str, place: str, target: Target
) -> list[Lesion]:
    check_stated_size((item.get("width"), item.get("height")), target.header, where, "the JSON")
    birads, _ = grades_of(_fields(item), where)
    told = _said_once(annotations, target)
    if not item.get("reviewed_at"):  # of mammo-monai review: a person has accepted or drawn these
        note_scores([each.item.get("score", each.item.get("confidence")) for each in told], target, place)
    found = [lesion_of(each, target, where, image_birads=birads) for each in told]
    return [lesion for lesion in found if lesion is not None]


def _said_once(annotations: Sequence[CocoAnnotation], target: Target) -> list[CocoAnnotation]:
    """Without annotations that say all that another one says, but for their id."""
    first: dict[str, CocoAnnotation] = {}
    for each in annotations:
        said = {name: value for name, value in each.item.items() if name != "id" or each.is_repeated}
        first.setdefault(repr(sorted(said.items())), each)
    if len(first) < len(annotations):
        found = f"{len(annotations) - len(first)} of {len(annotations)} boxes repeat another one"
        target.audit.note("lesion-repeated", target.record_id, f"{found}; each counts once", Action.REPAIRED)
    return [*first.values()]
