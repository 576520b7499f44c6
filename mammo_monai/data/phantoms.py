"""Generated phantoms as a data set: made on first use, kept in a cache folder, read like any other."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.phantoms import LAYOUTS, write_phantoms
from mammo_monai.readers import Audit, ManifestPlan, Reading, dataset_salt, read_dataset, save_manifest
from mammo_monai.schema.manifest import MANIFEST_NAME

logger = logging.getLogger(__name__)

PHANTOMS_PREFIX = "phantoms:"
CACHE_VARIABLE = "MAMMO_MONAI_CACHE"
DEFAULT_PATIENTS = 20
SEED = 0
PIXEL_SPACING_MM = 0.28  # films of about 640 × 850 px: small enough to train on without a GPU


def cache_folder() -> Path:
    """Where generated data are kept: the folder in MAMMO_MONAI_CACHE, else `~/.cache/mammo-monai`."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "mammo-monai"


def phantom_manifest(request: str) -> Path:
    """The manifest of small phantoms, generated unless the cache has it.

    Args:
        request: `LAYOUT` or `LAYOUT:PATIENTS`.

    Raises:
        ManifestError: an unknown layout, or a number of patients below 1.
    """
    layout, patients = _parsed(request)
    root = cache_folder() / "phantoms" / f"{layout}-{patients}-seed{SEED}-{PIXEL_SPACING_MM}mm"
    path = root / MANIFEST_NAME
    if not path.is_file():
        logger.info("generating %d phantom patients (%s) in %s", patients, layout, root)
        images = root / "images"
        write_phantoms(images, layout=layout, patients=patients, seed=SEED, pixel_spacing_mm=PIXEL_SPACING_MM)
        reading = Reading(dataset_salt(images, path), Audit(strict=True))
        manifest = read_dataset(ManifestPlan(layout, images), reading)
        save_manifest(
            path, manifest, reading.audit
        )  # last: a killed run leaves no manifest and goes on next time
    logger.warning("%s%s are synthetic: figures on them are not clinical figures", PHANTOMS_PREFIX, request)
    return path


def _parsed(request: str) -> tuple[str, int]:
    layout, _, number = request.partition(":")
    if layout not in LAYOUTS or not (number or "1").isdecimal() or number == "0":
        raise ManifestError(
            f"{PHANTOMS_PREFIX}{request}: expected {PHANTOMS_PREFIX}LAYOUT or "
            f"{PHANTOMS_PREFIX}LAYOUT:PATIENTS with LAYOUT {' or '.join(LAYOUTS)} and at least 1 patient."
        )
    return layout, int(number) if number else DEFAULT_PATIENTS
