"""Makes folds over one or more manifests, by scheme and seed, and writes them if nothing leaks."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.reading import DataSet
from mammo_monai.readers.splits.cross_validation import cross_validation
from mammo_monai.readers.splits.fold_checks import check_folds, reject_shared_images, source_of
from mammo_monai.readers.splits.schemes import (
    SplitScheme,
    carve_validation,
    check_patient_disjoint,
    split_data_set,
)
from mammo_monai.readers.splits.transfer_setups import setup_of
from mammo_monai.records import Split
from mammo_monai.schema import Manifest
from mammo_monai.schema.folds import SOURCE_LETTERS, Fold, Folds, FoldScheme, FoldStage, write_folds

logger = logging.getLogger(__name__)

LAST_STAGE = "training"


def make_folds(manifests: Sequence[Manifest], scheme: FoldScheme, *, seed: int = 0) -> Folds:
    """Folds by a scheme over manifests A, B, C; the lists they come with count for C alone.

    A scheme that keeps test lists leaves those of A and B out of every fold: what is chosen by the folds has
    not seen them. Each fold tests in turn what is left.

    Each manifest is dealt apart, by its own patients and the seed, so the test folds of "s1", "s3" and "s6"
    are the same images, as are those of "s2", "s4" and "s7"; those of "s5" are both together. The last stage
    is called "training". One before it is called after its manifest, "pretraining-b", and is the same in all
    folds: A or B whole with a validation list carved by fraction, C by its own three lists.

    Raises:
        ManifestError: the wrong number of manifests, an image in two of them, too few patients, or a patient
            on two sides; a scheme that keeps test lists, and none is there.
    """
    setup = setup_of(scheme, len(manifests))
    by_letter = dict(zip(SOURCE_LETTERS, manifests, strict=False))
    reject_shared_images(by_letter)
    if scheme.keeps_test:
        by_letter = _without_tests(by_letter, setup.tested + setup.added)
    dealt = []
    for letter in setup.tested:
        with _naming(by_letter[letter]):
            dealt.append(_dealt(by_letter[letter], scheme, seed))
    added = [Manifest(training=by_letter[letter].images()) for letter in setup.added]
    before = [
        _stage(f"pretraining-{letter.lower()}", [_pretraining(letter, by_letter[letter], scheme, seed)])
        for letter in setup.pretraining
    ]
    folds = Folds(
        scheme=scheme,
        seed=seed,
        sources=tuple(source_of(manifest) for manifest in manifests),
        folds=tuple(
            Fold(str(number), (*before, _stage(LAST_STAGE, [*tested, *added])))
            for number, tested in enumerate(zip(*dealt, strict=True), start=1)
        ),
    )
    check_folds(folds, manifests)
    _warn_of_tests_without_mass(folds, manifests)
    _warn_of_official_tests(by_letter, setup.tested)
    return folds


def _without_tests(manifests: Mapping[str, Manifest], letters: Collection[str]) -> dict[str, Manifest]:
    """The manifests, those of these letters without their test lists.

    Raises:
        ManifestError: none of them has one, or a patient stands in it and in another list.
    """
    if not any(manifests[letter].test for letter in letters):
        raise ManifestError(
            "expected a test list to keep out of the folds, but no manifest has one. Leave out --keep-test, "
            "or make the manifest with a split that has a test list."
        )
    for letter in letters:
        check_patient_disjoint(manifests[letter])
    return {
        letter: replace(manifest, test=()) if letter in letters else manifest
        for letter, manifest in manifests.items()
    }


def save_folds(path: Path, folds: Folds, manifests: Sequence[Manifest]) -> None:
    """Writes folds.json, if it is of these manifests and no patient stands on two sides.

    Raises:
        ManifestError: a leak, or manifests the folds were not made of; nothing is written then.
    """
    check_folds(folds, manifests)
    write_folds(path, folds)
    logger.info("wrote %s: %d folds, SHA-256 %s", path, len(folds.folds), folds.sha256)


def _dealt(manifest: Manifest, scheme: FoldScheme, seed: int) -> list[Manifest]:
    fraction = scheme.validation_fraction
    if scheme.name == "half":
        half = SplitScheme("half", validation_fraction=fraction)
        return [split_data_set(DataSet(manifest.images()), half, seed=seed)]
    return cross_validation(
        manifest.images(), n_folds=scheme.n_folds, validation_fraction=fraction, seed=seed
    )


def _pretraining(letter: str, manifest: Manifest, scheme: FoldScheme, seed: int) -> Manifest:
    if letter != "C":
        with _naming(manifest):
            return carve_validation(
                manifest.images(), (), validation_fraction=scheme.validation_fraction, seed=seed
            )
    if not manifest.training:
        raise ManifestError(
            f"{manifest.path or 'manifest C'}: expected images in the training list, got none: a third "
            "manifest trains first, by its own lists. Make it again with a split that has a training list."
        )
    return manifest


@contextmanager
def _naming(manifest: Manifest) -> Iterator[None]:
    """Puts the manifest's path before an error: it knows patients, but not where they came from."""
    try:
        yield
    except ManifestError as error:
        raise ManifestError(f"{manifest.path or 'manifest'}: {error}") from None


def _stage(name: str, parts: Sequence[Manifest]) -> FoldStage:
    training, validation, test = (
        tuple(sorted(record.record_id for part in parts for record in part.images(split))) for split in Split
    )
    return FoldStage(name, training, validation, test)


def _warn_of_official_tests(manifests: Mapping[str, Manifest], dealt: Sequence[str]) -> None:
    """A data set's own test list is dealt with the rest: what is then chosen by the folds has seen it."""
    for letter in dealt:
        manifest = manifests[letter]
        if manifest.test and manifest.about.get("split") == "official":
            logger.warning(
                "%s: the %d images of its official test list are dealt with the others: none is left for a "
                "last word. --keep-test leaves them out of all folds",
                manifest.path or f"manifest {letter}",
                len(manifest.test),
            )


def _warn_of_tests_without_mass(folds: Folds, manifests: Sequence[Manifest]) -> None:
    masses = {r.record_id for manifest in manifests for r in manifest.images() if r.has_mass}
    without = [fold.name for fold in folds.folds if masses.isdisjoint(fold.stages[-1].test)]
    if without:
        logger.warning(
            "no image with a mass is tested in fold %s: no sensitivity can be measured; ask for fewer folds",
            ", ".join(without),
        )
