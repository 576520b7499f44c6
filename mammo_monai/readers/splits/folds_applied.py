"""Applies folds: fills the lists of a manifest with the images of one stage of one fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.readers.splits.fold_checks import check_folds, match_sources
from mammo_monai.readers.splits.schemes import check_patient_disjoint
from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import Manifest
from mammo_monai.schema.folds import SOURCE_LETTERS, Folds, FoldStage


def apply_folds(
    folds: Folds, manifests: Sequence[Manifest], *, fold: str, stage: str | None = None
) -> Manifest:
    """The lists of one stage of one fold, filled with the records of the manifests.

    Where a stage joins several manifests, patient ids get the manifest's letter before them, "A:1", so that
    two people stay two. `about` tells folds, fold and stage.

    Args:
        manifests: those whose images the stage holds, at least; in any order.
        fold: its name. stage: its name; the last one if None.

    Raises:
        ManifestError: a manifest the folds were not made of, one that is missing, a fold or stage that is not
            there, or a patient on two sides.
    """
    chosen = _chosen(folds, fold, stage)
    by_letter = match_sources(folds, manifests)
    check_folds(folds, manifests)
    wanted = set(chosen.record_ids())
    used = {
        letter: manifest
        for letter, manifest in by_letter.items()
        if any(record.record_id in wanted for record in manifest.images())
    }
    records = {r.record_id: r for letter in used for r in _records(letter, used)}
    _reject_missing(folds, chosen, records, by_letter)
    training, validation, test = (
        tuple(records[record_id] for record_id in chosen.record_ids(split)) for split in Split
    )
    manifest = Manifest(
        training,
        validation,
        test,
        quarantined=tuple(image for each in used.values() for image in each.quarantined),
        about=_about(folds, fold, chosen, used),
    )
    check_patient_disjoint(manifest)
    return manifest


def _chosen(folds: Folds, fold: str, stage: str | None) -> FoldStage:
    by_name = {each.name: each for each in folds.folds}
    if fold not in by_name:
        raise ManifestError(f"fold must be {_any_of(by_name)}, got {fold!r}.")
    stages = {each.name: each for each in by_name[fold].stages}
    if stage is not None and stage not in stages:
        raise ManifestError(f"stage of fold {fold} must be {_any_of(stages)}, got {stage!r}.")
    return by_name[fold].stages[-1] if stage is None else stages[stage]


def _any_of(names: Mapping[str, object]) -> str:
    return " or ".join(names)


def _records(letter: str, used: Mapping[str, Manifest]) -> list[ImageRecord]:
    images = used[letter].images()
    if len(used) == 1:
        return [*images]
    return [replace(record, patient_id=f"{letter}:{record.patient_id}") for record in images]


def _reject_missing(
    folds: Folds, chosen: FoldStage, records: Mapping[str, ImageRecord], given: Mapping[str, Manifest]
) -> None:
    missing = [record_id for record_id in chosen.record_ids() if record_id not in records]
    if missing:
        sources = zip(SOURCE_LETTERS, folds.sources, strict=False)
        others = [f"{letter} ({each.manifest})" for letter, each in sources if letter not in given]
        raise ManifestError(
            f"stage {chosen.name} needs {len(missing)} images that are in no manifest given, "
            f"record {missing[0]} first. Give manifest {' or '.join(others)} too."
            if others
            else f"stage {chosen.name} names {len(missing)} images that are in no manifest of the folds, "
            f"record {missing[0]} first. Make the folds again: {folds.command}"
        )


def _about(folds: Folds, fold: str, chosen: FoldStage, used: Mapping[str, Manifest]) -> dict[str, Any]:
    """How the manifest was made: what is known of the one it came from, or of each, and the folds."""
    came_from = {letter: dict(manifest.about) for letter, manifest in used.items()}
    known = dict(*came_from.values()) if len(came_from) == 1 else {"manifests": came_from}
    known.pop("split_options", None)
    return known | {
        "split": "folds",
        "seed": folds.seed,
        "folds": {
            "sha256": folds.sha256,
            "scheme": folds.scheme.name,
            "fold": fold,
            "stage": chosen.name,
            "manifests": {letter: manifest.path.name for letter, manifest in used.items() if manifest.path},
        },
    }
