"""Cross-validation of one data set by patient: every image is tested once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mammo_monai.errors import ManifestError
from mammo_monai.readers.splits.patients import deal_in_turn, group_patients
from mammo_monai.readers.splits.schemes import carve_validation, check_patient_disjoint
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest


def cross_validation(
    records: Sequence[ImageRecord], *, n_folds: int = 5, validation_fraction: float = 0.2, seed: int = 0
) -> list[Manifest]:
    """One manifest per fold: fold k tests, the next ones validate, the others train.

    The test lists part the set; two of them differ by at most one patient, among those with a mass, among
    those without, and in all. With 5 folds a fraction of 0.2 gives 60/20/20 (P3), 0 gives 80/20 (P2). A
    fraction that makes no whole number of folds is carved out of the training patients instead.

    Args:
        validation_fraction: of all patients.
        seed: another seed deals the patients anew.

    Raises:
        ManifestError: fewer patients than folds, or a validation list that leaves nobody to train on.
    """
    patients = group_patients(records, seed=seed)
    if not 2 <= n_folds <= len(patients.images):
        raise ManifestError(
            f"expected at least 2 folds and a patient for each, got {n_folds} folds and "
            f"{len(patients.images)} patients. Ask for fewer folds, or check how patients are told apart."
        )
    if not 0 <= validation_fraction < 1 - 1 / n_folds - 1e-9:
        raise ManifestError(
            f"expected a validation_fraction of at least 0 that leaves patients to train on, below "
            f"{1 - 1 / n_folds:g} with {n_folds} folds, got {validation_fraction}."
        )
    n_validating = validation_fraction * n_folds
    is_whole = math.isclose(n_validating, round(n_validating), abs_tol=1e-6)
    hands = deal_in_turn(patients, n_folds)
    manifests = []
    for fold in range(n_folds):
        test, *others = hands[fold:] + hands[:fold]
        first = round(n_validating) if is_whole else 0
        manifest = Manifest(
            training=patients.records([patient for hand in others[first:] for patient in hand]),
            validation=patients.records([patient for hand in others[:first] for patient in hand]),
            test=patients.records(test),
        )
        if not is_whole:
            share = n_validating / (n_folds - 1)
            manifest = carve_validation(
                manifest.training, manifest.test, validation_fraction=share, seed=seed
            )
        check_patient_disjoint(manifest)
        manifests.append(manifest)
    return manifests
