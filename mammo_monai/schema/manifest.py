"""manifest.json: the images of a data set in three lists, with all that is known of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.geometry.boxes import check_boxes
from mammo_monai.records import MASS_LABEL, ImageRecord, Laterality, Lesion, Split, ViewPosition
from mammo_monai.schema.fields import (
    Json,
    birads_from_0_to_6,
    byte_count,
    class_index,
    contour,
    density_from_1_to_4,
    finite_number,
    list_,
    list_of_boxes_of_numbers,
    load_json,
    mapping,
    pixel_count,
    read_field,
    reject_repeats,
    sha256,
    spacing,
    string,
    string_or_whole_number,
    subtlety_from_1_to_5,
    text_,
)

MANIFEST_SCHEMA = "mammo-monai/manifest/1"
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class Quarantined:
    """An image left out of all lists.

    Attributes:
        code: of the finding in audit.csv. image: absolute path; None where no file was found.
        place: table and row it was asked for in; "" where there is no table.
    """

    record_id: str
    code: str
    image: Path | None = None
    place: str = ""


@dataclass(frozen=True)
class Manifest:
    """The three lists of a data set, and what was left out of them.

    Attributes:
        path: where it was read from, if it was.
        quarantined: images that cannot be used; audit.csv says why.
        about: how it was made, as JSON values: layout, split, seed, published counts, `is_phantom`.
    """

    training: tuple[ImageRecord, ...] = ()
    validation: tuple[ImageRecord, ...] = ()
    test: tuple[ImageRecord, ...] = ()
    path: Path | None = None
    quarantined: tuple[Quarantined, ...] = ()
    about: Json = field(default_factory=dict)

    @property
    def is_phantom(self) -> bool:
        """Whether images are known to be synthetic; of joined manifests, any."""
        joined = self.about.get("manifests")
        origins = [self.about, *(joined.values() if isinstance(joined, dict) else ())]
        return any(isinstance(each, dict) and each.get("is_phantom") is True for each in origins)

    def images(self, split: Split | str | None = None) -> tuple[ImageRecord, ...]:
        """The records of one list, or of all three in the order training, validation, test.

        Raises:
            ManifestError: `split` is not one of the three names.
        """
        if split is None:
            return self.training + self.validation + self.test
        if str(getattr(split, "value", split)) not in [each.value for each in Split]:
            raise ManifestError(f"split must be training, validation or test, got {split!r}.")
        return getattr(self, Split(split).value)  # type: ignore[no-any-return]  # the names are the fields


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`; image paths come out absolute.

    Raises:
        ManifestError: not JSON, another schema, a missing or wrong field, a box outside its image,
            a record id used twice, or no image at all.
    """
    path = Path(path)
    content = load_json(path, MANIFEST_SCHEMA)
    lists: dict[str, tuple[ImageRecord, ...]] = {}
    for split in Split:
        rows = content.get(split.value, [])
        if not isinstance(rows, list):
            raise ManifestError(f"{path}: {split.value} must be a list of images, got {type(rows).__name__}.")
        lists[split.value] = tuple(_record(path, split, row, item) for row, item in enumerate(rows))
    quarantined = tuple(
        _quarantined(path, row, item)
        for row, item in enumerate(read_field(str(path), content, "quarantined", list_, []))
    )
    about = read_field(str(path), content, "about", mapping, {})
    manifest = Manifest(**lists, path=path, quarantined=quarantined, about=about)
    if not manifest.images():
        raise ManifestError(
            f"{path}: the manifest is empty: no image in training, validation or test. "
            "Make it again with `mammo-monai manifest`."
        )
    reject_repeats(
        path,
        [(f"{split} row {row}", each.record_id) for split in lists for row, each in enumerate(lists[split])],
    )
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes a manifest that stock MONAI reads as a datalist; image paths become relative to its folder."""
    path = Path(path)
    content: dict[str, object] = {"schema": MANIFEST_SCHEMA}
    for split in Split:
        content[split.value] = [_item(path.parent, record) for record in manifest.images(split)]
    content["quarantined"] = [_quarantined_item(path.parent, each) for each in manifest.quarantined]
    content["about"] = dict(manifest.about)
    write_json_atomic(path, content)


def _record(path: Path, split: Split, row: int, item: object) -> ImageRecord:
    where = f"{path}, {split.value} row {row}"
    if not isinstance(item, dict):
        raise ManifestError(
            f"{where}: expected an object with image, box, label …, got {type(item).__name__}."
        )
    width, height = (
        read_field(where, item, "width", pixel_count),
        read_field(where, item, "height", pixel_count),
    )
    return ImageRecord(
        image=_absolute(path, read_field(where, item, "image", text_)),
        record_id=read_field(where, item, "record_id", text_),
        patient_id=read_field(where, item, "patient_id", text_),
        width=width,
        height=height,
        lesions=_lesions(where, item, width, height),
        laterality=read_field(where, item, "laterality", Laterality, None),
        view_position=read_field(where, item, "view_position", ViewPosition, None),
        pixel_spacing_mm=read_field(where, item, "pixel_spacing_mm", spacing, None),
        breast_density=read_field(where, item, "breast_density", density_from_1_to_4, None),
        birads=read_field(where, item, "birads", birads_from_0_to_6, None),
        source=read_field(where, item, "source", string, ""),
        file_size=read_field(where, item, "file_size", byte_count, None),
        sha256=read_field(where, item, "sha256", sha256, None),
        prepared=read_field(where, item, "prepared", mapping, None),
    )


def _quarantined(path: Path, row: int, item: object) -> Quarantined:
    where = f"{path}, quarantined row {row}"
    if not isinstance(item, dict):
        raise ManifestError(f"{where}: expected an object with record_id, code, got {type(item).__name__}.")
    image = read_field(where, item, "image", text_, None)
    return Quarantined(
        record_id=read_field(where, item, "record_id", text_),
        code=read_field(where, item, "code", text_),
        image=_absolute(path, image) if image else None,
        place=read_field(where, item, "place", string, ""),
    )


def _absolute(manifest: Path, image: str) -> Path:
    # Text until the end: three Paths for each of 100 000 images were half of the time of reading.
    return Path(os.path.normpath(os.path.join(os.getcwd(), manifest.parent, image)))  # noqa: PTH109, PTH118


def _lesions(where: str, item: Json, width: int, height: int) -> tuple[Lesion, ...]:
    try:
        rows = read_field(where, {"box": item.get("box", [])}, "box", list_of_boxes_of_numbers)
        boxes = check_boxes(rows, width=width, height=height)
    except GeometryError as error:
        raise ManifestError(
            f"{where}: {error} Boxes are x_min, y_min, x_max, y_max in original pixels."
        ) from error
    labels = item.get("label", [MASS_LABEL] * len(boxes))
    details = item.get("lesions", [{}] * len(boxes))
    for name, values in (("label", labels), ("lesions", details)):
        if not isinstance(values, list) or len(values) != len(boxes):
            raise ManifestError(
                f"{where}: {name} must be a list as long as box ({len(boxes)}), got {values!r:.80}."
            )
    return tuple(_lesion(where, boxes[n].tolist(), labels[n], details[n]) for n in range(len(boxes)))


def _lesion(where: str, box: Sequence[float], label: object, details: Json) -> Lesion:
    if not isinstance(details, dict):
        raise ManifestError(
            f"{where}: each entry of lesions must be an object, got {type(details).__name__}."
        )
    return Lesion(
        box=(box[0], box[1], box[2], box[3]),
        label=read_field(where, {"label": label}, "label", class_index),
        id=read_field(where, details, "id", string_or_whole_number, ""),
        type=read_field(where, details, "type", string, "mass"),
        area_mm2=read_field(where, details, "area_mm2", finite_number, None),
        contour=read_field(where, details, "contour", contour, None),
        pathology=read_field(where, details, "pathology", string, None),
        birads=read_field(where, details, "birads", birads_from_0_to_6, None),
        subtlety=read_field(where, details, "subtlety", subtlety_from_1_to_5, None),
    )


def _item(folder: Path, record: ImageRecord) -> dict[str, object]:
    prepared = {"prepared": dict(record.prepared)} if record.prepared is not None else {}
    return {
        "image": _relative(folder, record.image),
        "box": record.boxes.tolist(),
        "label": record.labels.tolist(),
        "record_id": record.record_id,
        "patient_id": record.patient_id,
        "laterality": record.laterality.value if record.laterality else None,
        "view_position": record.view_position.value if record.view_position else None,
        "pixel_spacing_mm": list(record.pixel_spacing_mm) if record.pixel_spacing_mm else None,
        "width": record.width,
        "height": record.height,
        "lesions": [_lesion_item(lesion) for lesion in record.lesions],
        "breast_density": record.breast_density,
        "birads": record.birads,
        "source": record.source,
        "file_size": record.file_size,
        "sha256": record.sha256,
        **prepared,
    }


def _quarantined_item(folder: Path, each: Quarantined) -> dict[str, object]:
    image = _relative(folder, each.image) if each.image else None
    return {"record_id": each.record_id, "code": each.code, "image": image, "place": each.place}


def _relative(folder: Path, image: Path) -> str:
    return Path(os.path.relpath(image, folder)).as_posix()


def _lesion_item(lesion: Lesion) -> dict[str, object]:
    return {
        "id": lesion.id,
        "type": lesion.type,
        "area_mm2": lesion.area_mm2,
        "contour": [list(point) for point in lesion.contour] if lesion.contour is not None else None,
        "pathology": lesion.pathology,
        "birads": lesion.birads,
        "subtlety": lesion.subtlety,
    }
