from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.readers import carve_validation, check_patient_disjoint, split_records
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Manifest
from tests.reference import splits_reference as slow

LISTS = ("training", "validation", "test")


def image(number: int, patient: str, *, abnormal: bool = False) -> ImageRecord:
    lesions = (Lesion(box=(1, 2, 3, 4)),) if abnormal else ()
    return ImageRecord(Path(f"/data/{number}.dcm"), f"{number:016x}", patient, 60, 90, lesions)


@st.composite
def data_sets(draw: st.DrawFn) -> list[ImageRecord]:
    patients = draw(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), max_size=40))
    found = [(f"p{n}", abnormal) for n, images in enumerate(patients) for abnormal in images]
    return [image(number, *row[:1], abnormal=row[1]) for number, row in enumerate(found)]


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    parts = draw(st.lists(st.integers(0, 10), min_size=3, max_size=3).filter(any))
    return {name: part / sum(parts) for name, part in zip(LISTS, parts, strict=True)}


@settings(max_examples=150, deadline=None)
@given(records=data_sets(), fractions=shares(), seed=st.integers(0, 5))
def test_every_image_is_in_one_list_and_every_patient_too(
    records: list[ImageRecord], fractions: dict[str, float], seed: int
) -> None:
    manifest = split_records(records, fractions=fractions, seed=seed)
    assert sorted(r.record_id for r in manifest.images()) == sorted(r.record_id for r in records)
    assert slow.leaking_pairs(manifest) == []
    check_patient_disjoint(manifest)


@settings(max_examples=150, deadline=None)
@given(records=data_sets(), fractions=shares(), seed=st.integers(0, 5))
def test_each_stratum_is_dealt_by_the_fractions(
    records: list[ImageRecord], fractions: dict[str, float], seed: int
) -> None:
    manifest = split_records(records, fractions=fractions, seed=seed)
    whole = slow.patients_with_and_without(tuple(records))
    parts = {name: slow.patients_with_and_without(manifest.images(name)) for name in LISTS}
    for name, share in fractions.items():
        # Less than one patient for rounding, and one for each of the two lists it may have helped to fill.
        for stratum in (0, 1):
            assert abs(parts[name][stratum] - share * whole[stratum]) < 3
        assert share > 0 or parts[name] == (0, 0)
        assert share == 0 or sum(parts[name]) > 0 or sum(whole) < 3


@settings(max_examples=60, deadline=None)
@given(records=data_sets(), order=st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(records: list[ImageRecord], order: random.Random) -> None:
    shuffled = list(records)
    order.shuffle(shuffled)
    assert split_records(shuffled, seed=3) == split_records(records, seed=3)


@settings(max_examples=100, deadline=None)
@given(records=data_sets(), cuts=st.tuples(st.integers(0, 160), st.integers(0, 160)))
def test_a_leak_is_found_where_the_slow_search_finds_one(
    records: list[ImageRecord], cuts: tuple[int, int]
) -> None:
    low, high = sorted(cuts)
    manifest = Manifest(tuple(records[:low]), tuple(records[low:high]), tuple(records[high:]))
    if not slow.leaking_pairs(manifest):
        check_patient_disjoint(manifest)
        return
    with pytest.raises(ManifestError, match="in one list only"):
        check_patient_disjoint(manifest)


def test_counts_of_a_hundred_patients_are_exact() -> None:
    records = [image(n, f"p{n}", abnormal=n < 70) for n in range(100)]
    manifest = split_records(records, fractions={"training": 0.6, "validation": 0.2, "test": 0.2}, seed=1)
    counts = [slow.patients_with_and_without(manifest.images(name)) for name in LISTS]
    assert counts == [(42, 18), (14, 6), (14, 6)]


def test_another_seed_deals_anew() -> None:
    records = [image(n, f"p{n}") for n in range(50)]
    assert split_records(records, seed=1).test != split_records(records, seed=2).test


def test_follow_ups_of_a_patient_stay_together() -> None:
    records = [image(n, f"p{n % 5}", abnormal=n < 5) for n in range(50)]
    manifest = split_records(records, seed=0)
    assert {len(manifest.images(name)) % 10 for name in LISTS} == {0}


def test_three_patients_fill_three_lists() -> None:
    manifest = split_records([image(n, f"p{n}", abnormal=True) for n in range(3)], seed=0)
    assert [len(manifest.images(name)) for name in LISTS] == [1, 1, 1]


@pytest.mark.parametrize(
    "fractions",
    [
        {"training": 0.5},
        {"training": 1.2, "test": -0.2},
        {"training": 0.5, "train": 0.5},
        {"test": float("nan")},
    ],
)
def test_fractions_that_are_none_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ManifestError, match="fractions of training, validation, test must be from 0 to 1"):
        split_records([image(1, "p")], fractions=fractions)


class TestOfficialSplit:
    def test_keeps_the_test_list_and_takes_validation_from_training_by_patient(self) -> None:
        training = [image(n, f"p{n % 10}", abnormal=True) for n in range(30)]
        test = [image(100 + n, f"t{n}", abnormal=True) for n in range(4)]
        manifest = carve_validation(training, test, validation_fraction=0.2, seed=0)
        assert manifest.test == tuple(test)
        assert len({record.patient_id for record in manifest.validation}) == 2
        assert len(manifest.training) == 24
        assert slow.leaking_pairs(manifest) == []

    def test_may_go_without_validation(self) -> None:
        manifest = carve_validation([image(1, "a"), image(2, "b")], [], validation_fraction=0)
        assert len(manifest.training) == 2

    def test_that_leaks_is_an_error_that_names_records_not_patients(self) -> None:
        with pytest.raises(ManifestError) as error:
            carve_validation([image(1, "P_00001")], [image(2, "P_00001")], validation_fraction=0)
        assert f"record {1:016x} in training and record {2:016x} in test" in str(error.value)
        assert "P_00001" not in str(error.value)

    @pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
    def test_refuses_a_fraction_that_is_none(self, fraction: float) -> None:
        with pytest.raises(ManifestError, match="validation_fraction must be at least 0 and below 1"):
            carve_validation([image(1, "a")], [], validation_fraction=fraction)


def test_a_leak_names_the_manifest_file() -> None:
    manifest = Manifest((image(1, "a"), image(3, "b")), (image(2, "a"), image(4, "b")), path=Path("/m.json"))
    with pytest.raises(ManifestError, match=r"^/m\.json: .*2 patients stand in two"):
        check_patient_disjoint(manifest)
