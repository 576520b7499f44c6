"""Counts what the lists of folds hold: images from the file alone, masses and patients with the manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mammo_monai.readers.splits.fold_checks import match_sources
from mammo_monai.records import MASS_LABEL, ImageRecord, Split
from mammo_monai.schema import Manifest
from mammo_monai.schema.folds import Folds, FoldStage


@dataclass(frozen=True)
class FoldCounts:
    """What one list of a stage holds.

    Attributes:
        split: "training", "validation" or "test".
        with_mass, masses, patients: images with a mass, masses, patients; None where a manifest is missing.
    """

    fold: str
    stage: str
    split: str
    images: int
    with_mass: int | None = None
    masses: int | None = None
    patients: int | None = None


def count_folds(folds: Folds, manifests: Sequence[Manifest] = ()) -> list[FoldCounts]:
    """The counts of every list that is not empty, in the order of the file.

    Raises:
        ManifestError: a manifest the folds were not made of.
    """
    by_letter = match_sources(folds, manifests)
    known = {
        record.record_id: (letter, record)
        for letter, manifest in by_letter.items()
        for record in manifest.images()
    }
    return [
        _counted(fold.name, stage, split, known)
        for fold in folds.folds
        for stage in fold.stages
        for split in Split
        if stage.record_ids(split)
    ]


def fold_table(
    folds: Folds, manifests: Sequence[Manifest] = (), *, fold: str | None = None, stage: str | None = None
) -> str:
    """The counts as a table of text, of one fold or stage alone if named; "-" where a manifest is missing."""
    rows: list[tuple[str, ...]] = [("fold", "stage", "list", "images", "with mass", "masses", "patients")]
    for each in count_folds(folds, manifests):
        if fold in {None, each.fold} and stage in {None, each.stage}:
            numbers = (each.images, each.with_mass, each.masses, each.patients)
            shown = ("-" if number is None else str(number) for number in numbers)
            rows.append((each.fold, each.stage, each.split, *shown))
    return "\n".join(
        f"{row[0]:<6}{row[1]:<15}{row[2]:<11}{row[3]:>8}{row[4]:>11}{row[5]:>8}{row[6]:>10}" for row in rows
    )


def _counted(
    fold: str, stage: FoldStage, split: Split, known: Mapping[str, tuple[str, ImageRecord]]
) -> FoldCounts:
    record_ids = stage.record_ids(split)
    images = FoldCounts(fold, stage.name, split.value, len(record_ids))
    if not known.keys() >= set(record_ids):
        return images
    found = [known[record_id] for record_id in record_ids]
    return replace(
        images,
        with_mass=sum(record.has_mass for _, record in found),
        masses=sum(int((record.labels == MASS_LABEL).sum()) for _, record in found),
        patients=len({(letter, record.patient_id) for letter, record in found}),
    )
