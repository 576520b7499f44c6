"""Makes whole manifests: a data set read in its own layout, split, counted, written with its audit."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit, write_audit
from mammo_monai.readers.cbis_ddsm import read_cbis_ddsm
from mammo_monai.readers.inbreast import read_inbreast
from mammo_monai.readers.splits import carve_validation, check_patient_disjoint, split_records
from mammo_monai.records import Split
from mammo_monai.schema import Manifest, write_manifest

logger = logging.getLogger(__name__)

# P3 (Agarwal et al., 2019): a fifth of the cases for testing, where the data set has no official split.
TEST_FRACTION = 0.2


class DatasetReader(Protocol):
    """Reads a data set below `root` and splits it: its official test list, where it has one, is kept."""

    def __call__(
        self,
        root: Path,
        *,
        salt: str,
        validation_fraction: float = 0.2,
        seed: int = 0,
        audit: Audit | None = None,
    ) -> Manifest:
        """The manifest of the data set."""
        ...


@dataclass(frozen=True)
class ListCounts:
    """What one list of a manifest holds; `normals` are images without a lesion."""

    name: str
    images: int
    normals: int
    lesions: int
    patients: int


def read_cbis_ddsm_manifest(
    root: Path, *, salt: str, validation_fraction: float = 0.2, seed: int = 0, audit: Audit | None = None
) -> Manifest:
    """CBIS-DDSM by its official split; validation is a fraction of the training patients."""
    audit = audit or Audit()
    training, test = (
        read_cbis_ddsm(root, salt=salt, split=split, audit=audit) for split in (Split.TRAINING, Split.TEST)
    )
    return carve_validation(training, test, validation_fraction=validation_fraction, seed=seed)


def read_inbreast_manifest(
    root: Path, *, salt: str, validation_fraction: float = 0.2, seed: int = 0, audit: Audit | None = None
) -> Manifest:
    """INbreast, without an official split: fractions of all patients for test (a fifth) and validation."""
    fractions = {
        "training": 1 - TEST_FRACTION - validation_fraction,
        "validation": validation_fraction,
        "test": TEST_FRACTION,
    }
    return split_records(read_inbreast(root, salt=salt, audit=audit), fractions=fractions, seed=seed)


READERS: dict[str, DatasetReader] = {
    "cbis-ddsm": read_cbis_ddsm_manifest,
    "inbreast": read_inbreast_manifest,
}


def read_dataset(
    layout: str,
    root: Path,
    *,
    salt: str,
    validation_fraction: float = 0.2,
    seed: int = 0,
    audit: Audit | None = None,
) -> Manifest:
    """The manifest of the data set below `root`, split by patient.

    Args:
        layout: a key of `READERS`.
        validation_fraction: of the training patients where the test list is official, else of all patients.
        seed: of the split.

    Raises:
        ManifestError: an unknown layout, a fault in the data set, or no image that can be used.
    """
    if layout not in READERS:
        raise ManifestError(f"layout must be {' or '.join(READERS)}, got {layout!r}.")
    reader = READERS[layout]
    manifest = reader(Path(root), salt=salt, validation_fraction=validation_fraction, seed=seed, audit=audit)
    _reject_empty(manifest, str(root))
    return manifest


def save_manifest(path: Path, manifest: Manifest, audit: Audit) -> None:
    """Writes manifest.json and audit.csv beside it, if no patient stands in two lists.

    Raises:
        ManifestError: no image at all, or a patient in two lists; nothing is written then.
    """
    _reject_empty(manifest, str(path))
    check_patient_disjoint(manifest)
    write_audit(path.with_name("audit.csv"), path.name, audit.findings)
    write_manifest(path, manifest)  # last: where it stands, its audit stands too
    logger.info("wrote %s with %d images and %d findings", path, len(manifest.images()), len(audit.findings))


def count_lists(manifest: Manifest) -> list[ListCounts]:
    """The counts of the three lists, then of all."""
    lists = [(split.value, manifest.images(split)) for split in Split]
    return [
        ListCounts(
            name=name,
            images=len(images),
            normals=sum(record.is_normal for record in images),
            lesions=sum(len(record.lesions) for record in images),
            patients=len({record.patient_id for record in images}),
        )
        for name, images in [*lists, ("all", manifest.images())]
    ]


def _reject_empty(manifest: Manifest, where: str) -> None:
    if not manifest.images():
        raise ManifestError(f"{where}: no image can be used, so there is no manifest to write.")
