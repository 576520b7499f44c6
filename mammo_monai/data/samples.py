"""Sample dicts from a manifest, from image files or from generated phantoms: where transforms start."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mammo_monai.data.files import image_files
from mammo_monai.data.phantoms import PHANTOMS_PREFIX, phantom_manifest
from mammo_monai.errors import ManifestError
from mammo_monai.records import ImageRecord, Laterality, Split, ViewPosition, record_id_of
from mammo_monai.schema import Manifest, read_manifest
from mammo_monai.schema.manifest import MANIFEST_NAME
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
Sample = dict[str, Any]
Only = Literal["lesions", "normals"]
MISSING_NAMED = 3
FILES_SALT = "files"


def load_samples(
    path: str | Path | Sequence[str | Path],
    split: Split | str | None = None,
    *,
    view_position: ViewPosition | str | None = None,
    laterality: Laterality | str | None = None,
    only: Only | None = None,
    limit: int | None = None,
    labels: Sequence[int] | None = None,
    normals_from: str | Path | Sequence[str | Path] | None = None,
) -> list[Sample]:
    """The images of a list as dicts for `LoadMammogramd`, in the manifest's order.

    Args:
        path: a manifest (`.json`) or the folder of a `manifest.json`; an image, a folder of images or a list
            of these (no boxes are known then, nothing can be split); or `phantoms:LAYOUT[:PATIENTS]`,
            generated once and kept in a cache.
        split: "training", "validation" or "test"; None takes all three lists.
        view_position, laterality: keep only this view, this breast.
        only: "lesions" keeps images with a lesion of `labels` (of any class where None), "normals" those
            without one.
        limit: keep the first images, after all filters.
        labels: keep only lesions of these classes as targets, in `box` and `label`; labels are not
            renumbered, and the truth, `box_original` and `label_original`, keeps all. `[0]` trains a detector
            of masses alone. None keeps all.
        normals_from: a manifest, folder or `phantoms:LAYOUT[:PATIENTS]`, or several, whose images without a
            lesion of `labels`, of the same split, view and breast, follow those of `path`.

    Returns:
        Per image: `image`, `image_path` (absolute), `record_id`, `patient_id`, `laterality`, `view_position`,
        `pixel_spacing_mm` `(row, column)`, `width`, `height` (None where unknown); `prepared`, how the image
        was prepared (None for an original); `box` float32 (N, 4),
        `box_original` float64 (N, 4), both `(x_min, y_min, x_max, y_max)` in original pixels; `label` and
        `label_original` int64 (N,).

    Raises:
        ManifestError: no such file, a manifest that breaks its format, an unknown split, view, breast
            or `only`, labels that are no classes, a limit below 1, a split of images without a manifest, no
            image left, or image files that are missing (one of training and validation, or all); or images of
            `path` stand in `normals_from` too.
    """
    _check_labels(labels)
    manifest = _manifest(path)
    if manifest.path is None and split is not None:
        raise ManifestError(
            f"{path}: images without a manifest are in no list, yet split={getattr(split, 'value', split)} "
            "was asked for. Give a manifest.json (made by `mammo-monai manifest`) or its folder, or no split."
        )
    records = _with_targets_or_without(manifest.images(split), only, labels)
    chosen = _filtered(records, _choice(ViewPosition, view_position), _choice(Laterality, laterality))
    if limit is not None:
        if limit < 1:
            raise ManifestError(f"limit must be at least 1 or null, got {limit}.")
        chosen = chosen[:limit]
    if not chosen:
        asked = {"view_position": view_position, "laterality": laterality, "only": only}
        raise ManifestError(_nothing_left(path, manifest, split, asked))
    _check_files(chosen, path, split)
    n_lesions = sum(int(_is_target(record, labels).sum()) for record in chosen)
    logger.info(
        "%s: %s, %s (%s)",
        path,
        counted(len(chosen), "image"),
        counted(n_lesions, "lesion"),
        split or "all lists",
    )
    if split == Split.TRAINING and not n_lesions and only != "normals":
        logger.warning(
            "%s: no image of the training list has a lesion: nothing can be learnt from it. Look at the "
            "boxes in the manifest, or make it again.",
            path,
        )
    samples = [sample_of(record, labels=labels) for record in chosen]
    for each in _each(normals_from):
        more = {"view_position": view_position, "laterality": laterality, "labels": labels}
        samples += load_samples(each, split, only="normals", **more)  # type: ignore[arg-type]  # as given
    _reject_twice(samples, path)
    return samples


def sample_of_file(file: Path, record_id: str | None = None) -> Sample:
    """The sample dict of one image file of which nothing else is known; see `load_samples`.

    Whatever its name, without a picture's suffix it is read as DICOM; what it is shows when it is loaded.

    Args:
        record_id: what the image is called; None derives it from the file's name.

    Raises:
        ManifestError: no such file, or a folder.
    """
    path = Path(file).absolute()
    if not path.is_file():
        there = "a folder: name its images one by one" if path.is_dir() else "nothing there"
        raise ManifestError(f"{file}: expected an image file, got {there}.")
    sample = sample_of(_record_of(path, path.name))
    return sample if record_id is None else {**sample, "record_id": record_id, "patient_id": record_id}


def records_of(
    path: str | Path | Sequence[str | Path], split: Split | str | None = None
) -> dict[str, ImageRecord]:
    """The records behind the samples of `load_samples`, by record id: contours, pathology, BI-RADS.

    Args:
        path, split: as in `load_samples`.

    Raises:
        ManifestError: no such file, a manifest that breaks its format, or an unknown split.
    """
    return {record.record_id: record for record in _manifest(path).images(split)}


def sample_of(record: ImageRecord, *, labels: Sequence[int] | None = None) -> Sample:
    """One record as a sample dict; see `load_samples`. Size 0 × 0 in the record means unknown: None."""
    is_target = _is_target(record, labels)
    return {
        "image": str(record.image),
        "image_path": str(record.image),
        "record_id": record.record_id,
        "patient_id": record.patient_id,
        "laterality": record.laterality.value if record.laterality else None,
        "view_position": record.view_position.value if record.view_position else None,
        "pixel_spacing_mm": record.pixel_spacing_mm,
        "width": record.width or None,
        "height": record.height or None,
        "box": record.boxes[is_target].astype(np.float32),
        "label": record.labels[is_target],
        "prepared": record.prepared,
        "box_original": record.boxes,
        "label_original": record.labels,
    }


def _manifest(path: str | Path | Sequence[str | Path]) -> Manifest:
    if isinstance(path, str) and path.startswith(PHANTOMS_PREFIX):
        return read_manifest(phantom_manifest(path.removeprefix(PHANTOMS_PREFIX)))
    if isinstance(path, str | Path):
        file = Path(path) / MANIFEST_NAME if (Path(path) / MANIFEST_NAME).is_file() else Path(path)
        if file.suffix.lower() == ".json":
            return read_manifest(file)
    paths = [path] if isinstance(path, str | Path) else path
    return Manifest(test=tuple(_record_of(*each) for each in image_files([Path(each) for each in paths])))


def _record_of(file: Path, identity: str) -> ImageRecord:
    record_id = record_id_of(identity, FILES_SALT)
    return ImageRecord(file, record_id, patient_id=record_id, width=0, height=0, source="file")


def _filtered(
    records: Iterable[ImageRecord], view_position: ViewPosition | None, laterality: Laterality | None
) -> list[ImageRecord]:
    return [
        record
        for record in records
        if view_position in (None, record.view_position) and laterality in (None, record.laterality)
    ]


def _with_targets_or_without(
    records: Sequence[ImageRecord], only: Only | None, labels: Sequence[int] | None
) -> Sequence[ImageRecord]:
    if only is None:
        return records
    if only not in ("lesions", "normals"):
        raise ManifestError(f"only must be lesions, normals or null, got {only!r}.")
    return [record for record in records if _is_target(record, labels).any() == (only == "lesions")]


def _is_target(record: ImageRecord, labels: Sequence[int] | None) -> NDArray[np.bool_]:
    if labels is None:
        return np.ones(len(record.lesions), dtype=np.bool_)
    return np.isin(record.labels, labels)


def _check_labels(labels: Sequence[int] | None) -> None:
    is_list = isinstance(labels, Sequence) and not isinstance(labels, str)
    if labels is not None and not (
        is_list and labels and all(type(each) is int and each >= 0 for each in labels)
    ):
        raise ManifestError(f"labels must be a list of classes, such as [0], or null, got {labels!r}.")


def _choice(kind: type[Any], value: object) -> Any:
    try:
        return None if value is None else kind(value)
    except ValueError:
        names = ", ".join(each.value for each in kind)
        raise ManifestError(f"{kind.__name__} must be one of {names} or null, got {value!r}.") from None


def _nothing_left(path: object, manifest: Manifest, split: object, asked: Mapping[str, object]) -> str:
    counts = ", ".join(f"{each.value} {len(manifest.images(each))}" for each in Split)
    filters = ", ".join(f"{name}={value}" for name, value in asked.items() if value is not None)
    return (
        f"{path}: no image in {getattr(split, 'value', split) or 'any list'}"
        f"{f' with {filters}' if filters else ''}. The lists hold: {counts}. "
        "Choose another split or filter, or make the manifest again."
    )


def _each(normals_from: str | Path | Sequence[str | Path] | None) -> Sequence[str | Path]:
    return [normals_from] if isinstance(normals_from, str | Path) else normals_from or ()


def _reject_twice(samples: Sequence[Sample], path: object) -> None:
    counts = Counter(sample["record_id"] for sample in samples)
    twice = [record_id for record_id, count in counts.items() if count > 1]
    if twice:
        raise ManifestError(
            f"{path}: normals_from holds {counted(len(twice), 'image')} of the list too, the first "
            f"{twice[0]}: its normal images are in the list already. Leave out normals_from, or give another "
            "manifest."
        )


def _check_files(records: Sequence[ImageRecord], path: object, split: Split | str | None) -> None:
    """Refuses missing files of a training, or where all are gone; else each fails for itself."""
    missing = [record for record in records if not record.image.is_file()]
    if not missing:
        return
    named = ", ".join(str(record.image) for record in missing[:MISSING_NAMED])
    text = (
        f"{path}: {len(missing)} of {counted(len(records), 'image file')} are missing: {named}"
        f"{' …' if len(missing) > MISSING_NAMED else ''}. "
        "Paths in a manifest are relative to its folder: move both together, or make it again."
    )
    if split in (Split.TRAINING, Split.VALIDATION) or len(missing) == len(records):
        raise ManifestError(text)
    logger.warning("%s", text)
