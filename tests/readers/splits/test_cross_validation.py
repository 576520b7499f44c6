from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.readers.splits.cross_validation import cross_validation
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest
from tests.readers.splits.fold_sets import image, manifest_of, patients, two_views
from tests.reference import folds_reference as slow
from tests.reference.splits_reference import leaking_pairs


def ids(records: tuple[ImageRecord, ...]) -> list[str]:
    return [record.record_id for record in records]


def counts(manifest: Manifest) -> list[tuple[int, int]]:
    return [slow.abnormal_and_normal(manifest.images(name)) for name in ("training", "validation", "test")]


@settings(max_examples=75)
@given(
    found=patients(min_patients=2),
    n_folds=st.integers(2, 8),
    fraction=st.sampled_from([0, 0.1, 0.2, 0.25]),
    seed=st.integers(0, 5),
)
def test_test_lists_part_the_set_and_each_fold_parts_it_by_patient(
    found: list[list[bool]], n_folds: int, fraction: float, seed: int
) -> None:
    assume(n_folds <= len(found) and fraction < 1 - 1 / n_folds)
    records = manifest_of("a", found).training
    manifests = cross_validation(records, n_folds=n_folds, validation_fraction=fraction, seed=seed)
    assert len(manifests) == n_folds
    assert sorted(each for fold in manifests for each in ids(fold.test)) == sorted(ids(records))
    for fold in manifests:
        assert sorted(ids(fold.images())) == sorted(ids(records))
        assert leaking_pairs(fold) == []
        assert fold.training
        assert fold.test


@settings(max_examples=50)
@given(found=patients(min_patients=5), n_folds=st.integers(2, 5), seed=st.integers(0, 5))
def test_folds_differ_by_at_most_one_patient_in_each_stratum_and_in_all(
    found: list[list[bool]], n_folds: int, seed: int
) -> None:
    manifests = cross_validation(
        manifest_of("a", found).training, n_folds=n_folds, validation_fraction=0, seed=seed
    )
    tested = [slow.abnormal_and_normal(fold.test) for fold in manifests]
    for numbers in (*zip(*tested, strict=True), [sum(each) for each in tested]):
        assert max(numbers) - min(numbers) <= 1


@settings(max_examples=50)
@given(found=patients(min_patients=5), order=st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(found: list[list[bool]], order: random.Random) -> None:
    records = [*manifest_of("a", found).training]
    first = cross_validation(records, seed=4)
    order.shuffle(records)
    assert cross_validation(records, seed=4) == first


def test_the_counts_are_those_p3_prints() -> None:
    # P3, Table 1: 30 + 35, 10 + 11, 10 + 12 cases with and without a mass, of 50 + 58.
    folds = cross_validation(manifest_of("a", two_views(50, 58)).training, n_folds=5, validation_fraction=0.2)
    assert sorted({tuple(counts(fold)[2]) for fold in folds}, reverse=True) == [(10, 12), (10, 11)]
    assert [(30, 35), (10, 11), (10, 12)] in [counts(fold) for fold in folds]


def test_the_next_fold_validates() -> None:
    folds = cross_validation(manifest_of("a", two_views(8, 7)).training, n_folds=5, validation_fraction=0.2)
    for number, fold in enumerate(folds):
        assert fold.validation == folds[(number + 1) % 5].test


def test_a_fraction_of_two_folds_lets_two_validate() -> None:
    folds = cross_validation(manifest_of("a", two_views(8, 7)).training, n_folds=5, validation_fraction=0.4)
    both = sorted(ids(folds[1].test + folds[2].test))
    assert ids(folds[0].validation) == both
    assert len(folds[0].training) == 12


def test_without_validation_four_fifths_train() -> None:
    folds = cross_validation(manifest_of("a", two_views(50, 50)).training, n_folds=5, validation_fraction=0)
    assert [counts(fold) for fold in folds] == [[(40, 40), (0, 0), (10, 10)]] * 5


def test_a_fraction_of_half_a_fold_is_carved_out_of_training_in_both_strata() -> None:
    folds = cross_validation(manifest_of("a", two_views(50, 50)).training, n_folds=5, validation_fraction=0.1)
    assert [counts(fold) for fold in folds] == [[(35, 35), (5, 5), (10, 10)]] * 5


def test_another_seed_deals_anew_and_the_same_seed_does_not() -> None:
    records = manifest_of("a", two_views(10, 10)).training
    assert cross_validation(records, seed=1) == cross_validation(records, seed=1)
    assert cross_validation(records, seed=1)[0].test != cross_validation(records, seed=2)[0].test


def test_a_set_without_a_mass_is_dealt_too() -> None:
    folds = cross_validation(manifest_of("a", two_views(0, 10)).training, n_folds=5)
    assert [len(fold.test) for fold in folds] == [4] * 5


@pytest.mark.parametrize(("n_patients", "n_folds"), [(1, 5), (4, 5), (0, 2), (5, 1), (5, 0)])
def test_more_folds_than_patients_or_fewer_than_two_are_an_error(n_patients: int, n_folds: int) -> None:
    records = [image(n, f"p{n}") for n in range(n_patients)]
    message = f"got {n_folds} folds and {n_patients} patients. Ask for fewer folds, or check how"
    with pytest.raises(ManifestError, match=message):
        cross_validation(records, n_folds=n_folds)


@pytest.mark.parametrize(
    ("n_folds", "fraction"), [(2, 0.5), (3, 2 / 3), (5, 0.8), (5, 0.9), (5, -0.1), (5, float("nan"))]
)
def test_a_fraction_that_leaves_nobody_to_train_on_is_an_error(n_folds: int, fraction: float) -> None:
    records = [image(n, f"p{n}") for n in range(10)]
    with pytest.raises(
        ManifestError, match=f"below {1 - 1 / n_folds:g} with {n_folds} folds, got {fraction}"
    ):
        cross_validation(records, n_folds=n_folds, validation_fraction=fraction)


def test_a_fraction_that_takes_the_only_training_patient_is_an_error() -> None:
    with pytest.raises(ManifestError, match=r"a validation_fraction of 0\.8 takes all 1 of them"):
        cross_validation([image(1, "a"), image(2, "b")], n_folds=2, validation_fraction=0.4)
