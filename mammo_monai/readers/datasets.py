"""Makes whole manifests: a data set read in its own layout, hashed, split, written with its audit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from mammo_monai import __version__
from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm import read_cbis_ddsm
from mammo_monai.readers.checking import note_repeated_bytes
from mammo_monai.readers.coco import read_coco
from mammo_monai.readers.file_hashes import with_file_hashes
from mammo_monai.readers.folder import read_folder
from mammo_monai.readers.inbreast import read_inbreast
from mammo_monai.readers.lesion_copies import note_copied_lesions
from mammo_monai.readers.lesion_frames import with_boxes_in_pixels
from mammo_monai.readers.merging import merge_overlapping_lesions
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.readers.salt import dataset_salt, holds_phantoms
from mammo_monai.readers.sampled_pictures import note_sampled_pictures
from mammo_monai.readers.splits import (
    DEFAULT_VALIDATION_FRACTION,
    SplitScheme,
    apply_folds,
    check_patient_disjoint,
    split_data_set,
)
from mammo_monai.readers.vindr import read_vindr
from mammo_monai.records import Split
from mammo_monai.schema import Action, Finding, Manifest, read_manifest, write_audit, write_manifest
from mammo_monai.schema.folds import read_folds
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

AUDIT_NAME = "audit.csv"
# P3 (Agarwal et al., 2019): a fifth of the cases for testing, where the data set has no official split.
TEST_FRACTION = 0.2


READERS: Mapping[str, Callable[..., DataSet]] = MappingProxyType(
    {
        "cbis-ddsm": read_cbis_ddsm,
        "inbreast": read_inbreast,
        "vindr": read_vindr,
        "folder": read_folder,
        "coco": read_coco,
    }
)
"""`read(root, reading, options)` by layout; `root` is a folder, or a file where annotations are one."""


# The other two hold every film with a mass against its picture.
_READ_BY_HEADERS = ("vindr", "folder", "coco")


@dataclass(frozen=True)
class FoldChoice:
    """One fold of a folds file, and a stage of it; the last stage if None."""

    path: Path
    fold: str
    stage: str | None = None


@dataclass(frozen=True)
class ManifestPlan:
    """What a manifest is made of.

    Attributes:
        layout: a key of `READERS`. options: of its reader; its defaults if None.
        lists: a scheme, a list that takes all images, or a fold of a folds file. None: the data set's own
            split where it has one, with `validation_fraction` of its training patients for validation; else
            a fifth of all patients for test (P3) and `validation_fraction` of all for validation.
        merge_min_iou: see `merge_overlapping_lesions`; None keeps lesions as annotated.
        has_hashes: whether each file's SHA-256 goes into the manifest, which reads every byte of it.
    """

    layout: str
    root: Path
    options: object | None = None
    lists: SplitScheme | Split | FoldChoice | None = None
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION
    seed: int = 0
    merge_min_iou: float | None = None
    has_hashes: bool = True

    def __post_init__(self) -> None:
        if self.layout not in READERS:
            raise ManifestError(f"layout must be {' or '.join(READERS)}, got {self.layout!r}.")
        if self.seed < 0:
            raise ManifestError(f"seed must be at least 0, got {self.seed}.")


def read_dataset(plan: ManifestPlan, reading: Reading) -> Manifest:
    """The manifest of a plan, with what was left out and how it was made.

    Raises:
        ManifestError: the data set is not there, no image of it can be used, it cannot be split as asked, or
            the reading is strict and an image has a fault.
    """
    read = READERS[plan.layout]
    options = () if plan.options is None else (plan.options,)
    data_set = read(plan.root, reading, *options)
    records = with_boxes_in_pixels(data_set.records, reading.audit)
    note_copied_lesions(records, reading.audit)
    if plan.layout in _READ_BY_HEADERS:
        note_sampled_pictures(records, reading.audit)
    records = with_file_hashes(records, reading, is_size_only=not plan.has_hashes)
    if not records:
        reading.audit.finish()
        raise ManifestError(_no_image(plan.root, reading.audit))
    manifest = _with_origin(_split(replace(data_set, records=tuple(records)), plan), data_set, plan, reading)
    note_repeated_bytes(manifest, reading.audit)
    reading.audit.finish()
    if plan.merge_min_iou is not None:
        return merge_overlapping_lesions(manifest, min_iou=plan.merge_min_iou, audit=reading.audit)
    return manifest


def make_manifest(
    plan: ManifestPlan, path: Path, *, audit: Audit | None = None, workers: int = 1
) -> Manifest:
    """Reads a data set and writes its manifest, with salt and audit.csv beside it; returns the manifest.

    The command's own steps in one call, for scripts and notebooks: without its page, and for one process.

    Args:
        path: of the manifest to write.
        audit: collects what is repaired, left out or doubtful; `Audit(strict=True)` refuses every fault.
        workers: threads that read images.

    Raises:
        ManifestError: as `read_dataset` and `save_manifest`.
    """
    reading = Reading(dataset_salt(plan.root, path), audit or Audit(), workers)
    save_manifest(path, read_dataset(plan, reading), reading.audit)
    return read_manifest(path)


def save_manifest(path: Path, manifest: Manifest, audit: Audit) -> None:
    """Writes audit.csv and beside it manifest.json, if no patient stands in two lists.

    Raises:
        ManifestError: no image at all, or a patient in two lists; audit.csv is written all the same.
    """
    save_audit(path, audit)
    if not manifest.images():
        raise ManifestError(_no_image(path, audit))
    check_patient_disjoint(manifest)
    write_manifest(path, manifest)  # last: where it stands, its audit stands too
    images, findings = counted(len(manifest.images()), "image"), counted(len(audit.findings), "finding")
    logger.info("wrote %s with %s and %s", path, images, findings)


def save_audit(path: Path, audit: Audit) -> None:
    """Writes the findings into audit.csv beside the manifest at `path`, whether that is written or not."""
    write_audit(path.with_name(AUDIT_NAME), path.name, audit.findings)


def needs_attention(findings: Sequence[Finding]) -> bool:
    """Whether anything was left out or is doubtful; what was repaired needs nobody."""
    return any(finding.action is not Action.REPAIRED for finding in findings)


def _split(data_set: DataSet, plan: ManifestPlan) -> Manifest:
    if isinstance(plan.lists, Split):
        return Manifest(**{plan.lists.value: data_set.records}, about={"split": plan.lists.value})  # type: ignore[arg-type]  # the names are the fields
    if isinstance(plan.lists, FoldChoice):
        folds = read_folds(plan.lists.path)
        everything = Manifest(test=data_set.records)
        return apply_folds(folds, [everything], fold=plan.lists.fold, stage=plan.lists.stage)
    return split_data_set(data_set, plan.lists or _default_scheme(data_set, plan), seed=plan.seed)


def _default_scheme(data_set: DataSet, plan: ManifestPlan) -> SplitScheme:
    share = plan.validation_fraction
    if data_set.official:
        return SplitScheme("official", validation_fraction=share)
    return SplitScheme("fractions", fractions=(1 - TEST_FRACTION - share, share, TEST_FRACTION))


def _with_origin(manifest: Manifest, data_set: DataSet, plan: ManifestPlan, reading: Reading) -> Manifest:
    about: dict[str, object] = {"layout": plan.layout, "version": __version__, **manifest.about}
    if holds_phantoms(plan.root):
        about["is_phantom"] = True
    elif data_set.published:
        published = data_set.published
        about["published"] = {"source": published.source, "counts": dict(published.counts)}
    return replace(manifest, quarantined=tuple(reading.audit.quarantined), about=about)


def _no_image(where: Path, audit: Audit) -> str:
    left_out = [finding for finding in audit.findings if finding.action is Action.QUARANTINED]
    why = f" {len(left_out)} were left out, the first because {left_out[0].found}." if left_out else ""
    return f"{where}: no image can be used, so there is no manifest to write.{why}"
