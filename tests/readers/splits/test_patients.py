from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_monai.readers.splits.patients import (
    Patients,
    choose_by_images,
    deal_in_turn,
    group_patients,
    shuffled,
)
from tests.readers.splits.fold_sets import CALCIFICATION, image, manifest_of, patients
from tests.reference import folds_reference as slow


def grouped(found: Sequence[Sequence[bool]], seed: int = 0) -> Patients:
    return group_patients(manifest_of("a", found).training, seed=seed)


def test_a_patient_with_a_mass_in_any_image_is_abnormal_and_one_with_calcifications_alone_is_not() -> None:
    records = [image(1, "a"), image(2, "a", abnormal=True), image(3, "b", lesions=[CALCIFICATION])]
    found = group_patients(records, seed=0)
    assert (found.abnormal, found.normal) == (("a",), ("b",))
    assert [each.record_id for each in found.images["a"]] == [f"{n:016x}" for n in (1, 2)]


def test_the_shuffle_is_the_same_on_every_machine() -> None:
    # sha256sum of "7:a" begins 82d9, of "7:b" ec2a, of "7:c" 18ec.
    assert shuffled(["a", "b", "c"], seed=7) == ["c", "a", "b"]


def test_an_id_that_is_no_utf8_is_dealt_too() -> None:
    assert sorted(shuffled(["\udcff", "a"], seed=0)) == ["a", "\udcff"]


@given(found=patients(min_patients=1), n_hands=st.integers(1, 7), order=st.randoms(use_true_random=False))
def test_dealing_in_turn_parts_patients_evenly_in_every_stratum(
    found: list[list[bool]], n_hands: int, order: random.Random
) -> None:
    dealt = deal_in_turn(grouped(found), n_hands)
    assert sorted(each for hand in dealt for each in hand) == sorted(map(str, range(len(found))))
    counts = [(len(hand), sum(any(found[int(patient)]) for patient in hand)) for hand in dealt]
    for numbers in (*zip(*counts, strict=True), [n - abnormal for n, abnormal in counts]):
        assert max(numbers) - min(numbers) <= 1


@settings(max_examples=100)
@given(found=patients(min_patients=2, max_patients=9), n_images=st.integers(1, 30), seed=st.integers(0, 3))
def test_chosen_patients_have_the_number_of_images_that_the_slow_search_finds_nearest(
    found: list[list[bool]], n_images: int, seed: int
) -> None:
    chosen = choose_by_images(grouped(found, seed), n_images)
    sizes = [len(images) for images in found]
    total = sum(sizes[int(patient)] for patient in chosen)
    assert 0 < len(set(chosen)) == len(chosen) < len(found)
    assert abs(total - n_images) == slow.nearest_sum(sizes, n_images)


@settings(max_examples=50)
@given(found=patients(min_patients=8), n_images=st.integers(4, 20))
def test_chosen_images_come_from_both_strata_by_their_shares(found: list[list[bool]], n_images: int) -> None:
    n_abnormal = sum(len(images) for images in found if any(images))
    n_all = sum(map(len, found))
    assume(n_images < n_all)
    chosen = choose_by_images(grouped(found), n_images)
    from_abnormal = sum(len(found[int(each)]) for each in chosen if any(found[int(each)]))
    # Whole patients have up to four images.
    assert abs(from_abnormal - n_images * n_abnormal / n_all) <= 4


def test_one_patient_is_never_chosen_and_nobody_chooses_nobody() -> None:
    assert choose_by_images(grouped([[True, True]]), 2) == []
    assert choose_by_images(grouped([]), 2) == []


def test_the_nearest_choice_is_not_nobody() -> None:
    assert len(choose_by_images(grouped([[False] * 4, [False] * 4]), 1)) == 1


def test_of_two_nearest_choices_the_larger_is_taken() -> None:
    assert len(choose_by_images(grouped([[True] * 2] * 4), 3)) == 2


def test_another_seed_chooses_others() -> None:
    found = [[True, True]] * 30
    assert choose_by_images(grouped(found, 1), 12) != choose_by_images(grouped(found, 2), 12)
