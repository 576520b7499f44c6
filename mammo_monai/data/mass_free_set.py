"""A set of images without lesions made of prepared films with some: all but the lesion-free part is black."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mammo_monai import __version__
from mammo_monai.data.mass_free import MARGIN, mass_free_rectangle
from mammo_monai.data.prepared_folder import IMAGES
from mammo_monai.data.prepared_image import prepared_path
from mammo_monai.errors import ManifestError
from mammo_monai.records import ImageRecord, Split, record_id_of
from mammo_monai.schema import Manifest, read_manifest, write_manifest
from mammo_monai.schema.manifest import MANIFEST_NAME
from mammo_monai.transforms.prepared_file import read_prepared, write_prepared
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

SALT = "mass-free"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MassFreeSet:
    """What `write_mass_free_set` left in its folder.

    Attributes:
        path: the manifest. made: its images.
        left_out: record ids of films of which too little is free of lesions.
        fractions: share of the breast in each image made, in the manifest's order.
    """

    path: Path
    made: int
    left_out: tuple[str, ...]
    fractions: tuple[float, ...]


def write_mass_free_set(
    manifest: Manifest,
    out: Path,
    *,
    split: Split | str | None = None,
    min_fraction: float = 0.4,
    on_progress: Progress | None = None,
) -> MassFreeSet:
    """Writes the lesion-free part of every prepared film with lesions, and a manifest without lesions.

    So that false positives per image without a mass can be measured (predict, then evaluate) where a data set
    has no normal images. Each is a prepared image of its film's recipe with the part in its place, the rest
    0: see `mass_free_rectangle`. Lists, patients, laterality, view and spacing stay; ids are new. Images
    without lesions are left to their own manifest.

    Films are taken prepared so that each part has the size, ratio and place that the model sees in the whole
    film, and marks of both can be compared. Blackening raises the scores of what is left, so the count is
    too high rather than too low: measured in docs/how-to/normals.md.

    Args:
        manifest: of prepared images. split: one list; None takes all.
        min_fraction: of the breast (pixels above 0) that a part must hold, in (0, 1].
        on_progress: called with (films finished, films).

    Raises:
        ManifestError: a manifest of originals, an `out` that holds another manifest, an image that cannot be
            read, or no film with enough of its breast free of lesions.
        OSError: `out` cannot be written. ValueError: `min_fraction` outside (0, 1].
    """
    if not 0 < min_fraction <= 1:
        raise ValueError(f"min_fraction must be above 0 and at most 1, got {min_fraction}.")
    out = Path(out).absolute()
    asked = [Split(split)] if split is not None else list(Split)
    films = [(each, record) for each in asked for record in manifest.images(each) if not record.is_normal]
    _check(manifest, [record for _, record in films], out)
    lists: dict[Split, list[ImageRecord]] = {each: [] for each in Split}
    left_out: list[str] = []
    fractions: list[float] = []
    for number, (each, record) in enumerate(films, start=1):
        made, fraction = _written(record, out / IMAGES, min_fraction)
        if made is None:
            left_out.append(record.record_id)
        else:
            lists[each].append(made)
            fractions.append(fraction)
        if on_progress is not None:
            on_progress(number, len(films))
    if not fractions:
        raise ManifestError(
            f"{manifest.path}: none of {counted(len(films), 'image')} with lesions has "
            f"{min_fraction:g} of its breast free of them. Lower min_fraction, or give a manifest, or a list "
            "of it, with lesions."
        )
    how = {"min_fraction": min_fraction, "margin": MARGIN, "software": f"mammo-monai {__version__}"}
    training, validation, test = (tuple(lists[each]) for each in Split)
    about = {**manifest.about, "mass_free": how}
    write_manifest(out / MANIFEST_NAME, Manifest(training, validation, test, about=about))
    images, without = counted(len(fractions), "image"), counted(len(left_out), "film")
    logger.info("%s: %s, %s left out", out / MANIFEST_NAME, images, without)
    return MassFreeSet(out / MANIFEST_NAME, len(fractions), tuple(left_out), tuple(fractions))


def _written(record: ImageRecord, folder: Path, min_fraction: float) -> tuple[ImageRecord | None, float]:
    """The record of a film's part once written, None where it is too small; and its share of the breast."""
    pixels, about = read_prepared(record.image)
    breast = pixels > 0
    x_min, y_min, x_max, y_max = mass_free_rectangle(breast, about.frame.to_model(record.boxes))
    part = (slice(y_min, y_max), slice(x_min, x_max))
    fraction = float(breast[part].sum() / max(1, breast.sum()))
    if fraction < min_fraction:
        logger.debug("record %s: %.2f of the breast is free of lesions", record.record_id, fraction)
        return None, fraction
    kept = np.zeros_like(pixels)
    kept[part] = pixels[part]
    record_id = record_id_of(record.record_id, SALT)
    key = hashlib.sha256(f"{about.key} {SALT} {x_min} {y_min} {x_max} {y_max}".encode()).hexdigest()
    path = prepared_path(folder, record_id, key)
    n_bytes = write_prepared(path, kept, replace(about, key=key, record_id=record_id))
    made = replace(
        record,
        image=path,
        record_id=record_id,
        lesions=(),
        prepared={"recipe": dict(about.recipe), "key": key},
        source=f"record {record.record_id}, x {x_min} to {x_max}, y {y_min} to {y_max} px as prepared",
        file_size=n_bytes,
        sha256=None,
    )
    return made, fraction


def _check(manifest: Manifest, films: list[ImageRecord], out: Path) -> None:
    if any(record.prepared is None for record in films):
        raise ManifestError(
            f"{manifest.path}: these are original images. Prepare them first (mammo-monai prepare, with the "
            "preset and size of the model), and give the manifest that it writes: then the parts keep the "
            "size and ratio that the model sees of their films."
        )
    path = out / MANIFEST_NAME
    if path.exists() and "mass_free" not in read_manifest(path).about:
        raise ManifestError(
            f"{path}: this is no manifest of mass-free parts and would be overwritten. Choose another folder."
        )
