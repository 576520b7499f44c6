"""A set of images without lesions made of films with some: all but the lesion-free part is blackened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai import __version__
from mammo_monai.data.mass_free import MARGIN, mass_free_rectangle
from mammo_monai.errors import ManifestError
from mammo_monai.files import atomic_path
from mammo_monai.imaging import breast_region, with_margin
from mammo_monai.records import ImageRecord, Laterality, Split, ViewPosition, record_id_of
from mammo_monai.schema import Manifest, read_manifest, write_manifest
from mammo_monai.transforms.breast import RegionMethod
from mammo_monai.transforms.load import load_image

logger = logging.getLogger(__name__)

SALT = "mass-free"
MANIFEST_NAME = "manifest.json"
IMAGES = "images"
FOG_MARGIN = 0.02  # of the longer side, around the breast region: its dim rim is no background
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MassFreeSet:
    """What `write_mass_free_set` left in its folder.

    Attributes:
        path: the manifest. made: its images.
        left_out: record ids of films of which too little is free of lesions, or without a breast region.
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
    region: RegionMethod = "otsu",
    min_fraction: float = 0.4,
    on_progress: Progress | None = None,
) -> MassFreeSet:
    """Writes the lesion-free part of every film with lesions as a 16-bit PNG, and a manifest without lesions.

    So that false positives per image without a mass can be measured (predict, then evaluate) where a data set
    has no normal images. An image keeps its size, and the part its place; the rest takes the film's own
    background, so that the breast is found and stretched as in any film, though a part may come out larger
    than in its film. Lists, patients, laterality, view and spacing stay; ids are new. Images without lesions
    are left to their own manifest.

    Args:
        manifest: of original images. region: how the breast is found, see `breast_region`.
        min_fraction: of the breast region that a part must hold, in (0, 1].
        on_progress: called with (films finished, films).

    Raises:
        ManifestError: a prepared manifest, an `out` that holds another manifest, an image that cannot be
            read, or no film with enough of its breast free of lesions.
        OSError: `out` cannot be written.
    """
    if not 0 < min_fraction <= 1:
        raise ValueError(f"min_fraction must be above 0 and at most 1, got {min_fraction}.")
    out = Path(out).absolute()
    _check(manifest, out)
    films = [(split, record) for split in Split for record in manifest.images(split) if not record.is_normal]
    lists: dict[Split, list[ImageRecord]] = {split: [] for split in Split}
    left_out: list[str] = []
    fractions: list[float] = []
    for number, (split, record) in enumerate(films, start=1):
        made, fraction = _written(record, out / IMAGES, region, min_fraction)
        if made is None:
            left_out.append(record.record_id)
        else:
            lists[split].append(made)
            fractions.append(fraction)
        if on_progress is not None:
            on_progress(number, len(films))
    if not fractions:
        raise ManifestError(
            f"{manifest.path}: none of {len(films)} images with lesions has {min_fraction:g} of its breast "
            "free of them. Lower min_fraction, or give a manifest with lesions."
        )
    how = {"region": region, "min_fraction": min_fraction, "margin": MARGIN}
    about = {**manifest.about, "mass_free": {**how, "software": f"mammo-monai {__version__}"}}
    training, validation, test = (tuple(lists[split]) for split in Split)
    write_manifest(out / MANIFEST_NAME, Manifest(training, validation, test, about=about))
    logger.info("%s: %d images, %d films left out", out / MANIFEST_NAME, len(fractions), len(left_out))
    return MassFreeSet(out / MANIFEST_NAME, len(fractions), tuple(left_out), tuple(fractions))


def _written(
    record: ImageRecord, folder: Path, region: RegionMethod, min_fraction: float
) -> tuple[ImageRecord | None, float]:
    """The record of a film's part once written, None where it is too small; and its share of the breast."""
    loaded = load_image(record.image)
    pixels = loaded.pixels
    if pixels.shape != (record.height, record.width):
        raise ManifestError(
            f"{record.image} (record {record.record_id}): the manifest says {record.width} × {record.height} "
            f"px (width × height), the file has {pixels.shape[1]} × {pixels.shape[0]}. Make the manifest "
            "again from the files in use."
        )
    breast = breast_region(pixels, region)
    x_min, y_min, x_max, y_max = mass_free_rectangle(breast, record.boxes)
    part = (slice(y_min, y_max), slice(x_min, x_max))
    fraction = float(breast[part].sum() / max(1, breast.sum()))
    if fraction < min_fraction:
        logger.debug("record %s: %.2f of the breast is free of lesions", record.record_id, fraction)
        return None, fraction
    kept = np.full_like(pixels, _background(pixels, breast))
    kept[part] = pixels[part]
    path = folder / f"{record_id_of(record.record_id, SALT)}.png"
    with atomic_path(path) as place:
        Image.fromarray(kept).save(place)
    made = replace(
        record,
        image=path,
        record_id=path.stem,
        lesions=(),
        laterality=record.laterality or (Laterality(loaded.laterality) if loaded.laterality else None),
        view_position=record.view_position
        or (ViewPosition(loaded.view_position) if loaded.view_position else None),
        pixel_spacing_mm=record.pixel_spacing_mm or loaded.pixel_spacing_mm,
        source=f"record {record.record_id}, x {x_min} to {x_max}, y {y_min} to {y_max} px",
        file_size=path.stat().st_size,
        sha256=None,
    )
    return made, fraction


def _check(manifest: Manifest, out: Path) -> None:
    if any(record.prepared is not None for record in manifest.images()):
        raise ManifestError(
            f"{manifest.path}: these images are prepared already. Give the manifest they were prepared from."
        )
    path = out / MANIFEST_NAME
    if path.exists() and "mass_free" not in read_manifest(path).about:
        raise ManifestError(
            f"{path}: this is no manifest of mass-free parts and would be overwritten. Choose another folder."
        )


def _background(pixels: NDArray[np.uint16], breast: NDArray[np.bool_]) -> int:
    """The film's own background grey; its darkest where the breast fills it."""
    outside = pixels[~with_margin(breast, FOG_MARGIN)]
    return int(np.median(outside)) if len(outside) else int(pixels.min())
