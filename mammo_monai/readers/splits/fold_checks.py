"""What ties folds to manifests, and that no patient stands on two sides of them.

A patient is known by manifest and patient id: two data sets may both call someone "1". The same file under
two patients is one patient.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import Manifest
from mammo_monai.schema.folds import SOURCE_LETTERS, Fold, Folds, FoldSource


def source_of(manifest: Manifest) -> FoldSource:
    """How folds remember a manifest: file name, number of images, hash of the record ids by patient.

    The hash depends on neither the order of the images, the lists they are in, nor the patients' names.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for record in manifest.images():
        groups[record.patient_id].append(record.record_id)
    text = json.dumps(sorted(sorted(group) for group in groups.values()), separators=(",", ":"))
    name = manifest.path.name if manifest.path else "manifest.json"
    return FoldSource(name, len(manifest.images()), hashlib.sha256(text.encode()).hexdigest())


def match_sources(folds: Folds, manifests: Sequence[Manifest]) -> dict[str, Manifest]:
    """The manifests by their letter in the folds, whatever their order and file name.

    Raises:
        ManifestError: a manifest the folds were not made of, or one given twice.
    """
    letters = {source.sha256: letter for letter, source in zip(SOURCE_LETTERS, folds.sources, strict=False)}
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        source = source_of(manifest)
        if source.sha256 not in letters:
            raise ManifestError(_not_among(folds, manifest, source))
        letter = letters[source.sha256]
        if letter in found:
            raise ManifestError(f"{_place(manifest)}: manifest {letter} of the folds is given twice.")
        found[letter] = manifest
    return found


def reject_shared_images(manifests: Mapping[str, Manifest]) -> None:
    """Refuses manifests that hold the same image: by record id, path, or hash of the file.

    Raises:
        ManifestError: names the image in both by record id.
    """
    first: dict[Hashable, tuple[str, ImageRecord]] = {}
    for letter, manifest in manifests.items():
        for record in manifest.images():
            for key in (record.record_id, record.image, ("file", record.sha256 or record.record_id)):
                other, known = first.setdefault(key, (letter, record))
                if other != letter:
                    raise ManifestError(
                        "expected manifests without an image in common, but these are the same image: record "
                        f"{known.record_id} of manifest {other} ({_place(manifests[other])}) and record "
                        f"{record.record_id} of manifest {letter} ({_place(manifest)}). Give each set once."
                    )


def reject_overwriting(output: Path, manifests: Sequence[Manifest], folds: Path | None = None) -> None:
    """Refuses to write over a manifest or folds file that is read: a fold may hold a part of its images.

    Raises:
        ManifestError: names the file.
    """
    for path in (folds, *(manifest.path for manifest in manifests)):
        if path is not None and output.resolve() == path.resolve():
            what = "the folds file" if path is folds else "a manifest"
            raise ManifestError(f"{output}: would overwrite {what} that is read. Give another output.")


def check_folds(folds: Folds, manifests: Sequence[Manifest]) -> None:
    """Refuses folds with a patient in two lists of a stage, or learnt from and tested in the last stage.

    Args:
        manifests: of the images to look at; those of others are passed over.

    Raises:
        ManifestError: names an image of the patient on each side by record id; the patient is not named.
    """
    keys = _keys(match_sources(folds, manifests))
    for fold in folds.folds:
        leaks = (leak for sides in _apart(fold) if (leak := _leak(sides, keys)))
        if leak := next(leaks, None):
            raise ManifestError(
                f"fold {fold.name}: expected each patient on one side only, but one stands on two: {leak}. "
                f"Make the folds again: {folds.command}"
            )


def _apart(fold: Fold) -> Iterator[dict[str, tuple[str, ...]]]:
    """Lists that may share no patient, by name: those of a stage; the last test and what came before."""
    *before, last = fold.stages
    for stage in fold.stages:
        yield {f"{split.value} of stage {stage.name}": stage.record_ids(split) for split in Split}
    for stage in before:
        learnt = f"training or validation of stage {stage.name}"
        yield {f"test of stage {last.name}": last.test, learnt: stage.training + stage.validation}


def _leak(sides: Mapping[str, Sequence[str]], keys: Mapping[str, Sequence[Hashable]]) -> str | None:
    """The first two images that may not stand on two sides, in words; None if there are none."""
    first: dict[Hashable, tuple[str, str]] = {}
    for side, record_ids in sides.items():
        for record_id in record_ids:
            for key in keys.get(record_id, ()):
                other, known = first.setdefault(key, (side, record_id))
                if other != side:
                    return f"record {known} in {other} and record {record_id} in {side}"
    return None


def _keys(manifests: Mapping[str, Manifest]) -> dict[str, tuple[Hashable, ...]]:
    """By record id, what may stand on one side only: the patient, and the file's hash where it is known."""
    return {
        record.record_id: (
            (letter, record.patient_id),
            *([record.sha256] if record.sha256 is not None else []),
        )
        for letter, manifest in manifests.items()
        for record in manifest.images()
    }


def _not_among(folds: Folds, manifest: Manifest, source: FoldSource) -> str:
    known = {record_id for fold in folds.folds for stage in fold.stages for record_id in stage.record_ids()}
    n_known = sum(record.record_id in known for record in manifest.images())
    if n_known == 0:
        why = "they know none of its images: another data set, or another salt (see --same-ids-as)"
    elif n_known == source.n_images and any(each.n_images == n_known for each in folds.sources):
        why = "it holds the same images, but groups them into other patients"
    else:
        why = f"they know {n_known} of its {source.n_images} images"
    made_of = ", ".join(f"{each.manifest} ({each.n_images} images)" for each in folds.sources)
    return (
        f"{_place(manifest)}: the folds were not made of this manifest: {why}. They were made of {made_of}. "
        "Give the manifest they were made of, or make folds of this one: mammo-monai folds make."
    )


def _place(manifest: Manifest) -> str:
    return str(manifest.path) if manifest.path else "manifest"
