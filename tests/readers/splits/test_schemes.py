from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.readers.reading import DataSet
from mammo_monai.readers.splits.schemes import (
    SplitName,
    SplitScheme,
    carve_validation,
    check_patient_disjoint,
    split_data_set,
    split_records,
)
from mammo_monai.records import ImageRecord, Lesion, Split
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


@settings(max_examples=75, deadline=None)
@given(records=data_sets(), fractions=shares(), seed=st.integers(0, 5))
def test_every_image_is_in_one_list_and_every_patient_too(
    records: list[ImageRecord], fractions: dict[str, float], seed: int
) -> None:
    manifest = split_records(records, fractions=fractions, seed=seed)
    assert sorted(r.record_id for r in manifest.images()) == sorted(r.record_id for r in records)
    assert slow.leaking_pairs(manifest) == []
    check_patient_disjoint(manifest)


@settings(max_examples=75, deadline=None)
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


@settings(max_examples=30, deadline=None)
@given(records=data_sets(), order=st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(records: list[ImageRecord], order: random.Random) -> None:
    shuffled = list(records)
    order.shuffle(shuffled)
    assert split_records(shuffled, seed=3) == split_records(records, seed=3)


@settings(max_examples=50, deadline=None)
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


def official_set(n_training: int, n_test: int, *, n_images: int = 2) -> DataSet:
    """Patients in official training and test lists, each with `n_images` images, the last with a mass."""
    splits = [Split.TRAINING] * n_training + [Split.TEST] * n_test
    records = [
        image(number, f"p{number // n_images}", abnormal=number % n_images == n_images - 1)
        for number in range(len(splits) * n_images)
    ]
    official = {record.record_id: splits[number // n_images] for number, record in enumerate(records)}
    return DataSet(tuple(records), official)


def sizes(manifest: Manifest) -> list[int]:
    return [len(manifest.images(name)) for name in LISTS]


SCHEMES = [
    SplitScheme("official"),
    SplitScheme("p3", validation_images=7),
    SplitScheme("half"),
    SplitScheme("half", validation_fraction=0),
    SplitScheme("fractions", fractions=(0.5, 0.3, 0.2)),
]


@settings(max_examples=30)
@given(
    scheme=st.sampled_from(SCHEMES),
    n_training=st.integers(5, 30),
    n_test=st.integers(0, 10),
    seed=st.integers(0, 9),
    order=st.randoms(use_true_random=False),
)
def test_every_scheme_parts_all_images_by_patient_whatever_their_order(
    scheme: SplitScheme, n_training: int, n_test: int, seed: int, order: random.Random
) -> None:
    data_set = official_set(n_training, n_test)
    manifest = split_data_set(data_set, scheme, seed=seed)
    assert sorted(r.record_id for r in manifest.images()) == sorted(r.record_id for r in data_set.records)
    assert slow.leaking_pairs(manifest) == []
    records = [*data_set.records]
    order.shuffle(records)
    assert split_data_set(replace(data_set, records=tuple(records)), scheme, seed=seed) == manifest


class TestOfficialScheme:
    def test_keeps_the_test_list_and_carves_a_fifth_of_the_training_patients(self) -> None:
        data_set = official_set(20, 5)
        manifest = split_data_set(data_set, SplitScheme("official"), seed=1)
        assert sizes(manifest) == [32, 8, 10]
        assert {data_set.official[r.record_id] for r in manifest.test} == {Split.TEST}
        assert manifest.about == {
            "split": "official",
            "seed": 1,
            "split_options": {"validation_fraction": 0.2},
        }

    def test_with_a_validation_list_of_its_own_is_taken_as_it_is(self) -> None:
        data_set = official_set(3, 1)
        first = data_set.records[0].patient_id
        own = {r.record_id for r in data_set.records if r.patient_id == first}
        official = {each: Split.VALIDATION if each in own else s for each, s in data_set.official.items()}
        manifest = split_data_set(replace(data_set, official=official), SplitScheme("official"))
        assert {r.record_id for r in manifest.validation} == own
        assert sizes(manifest) == [4, 2, 2]
        assert manifest.about == {"split": "official", "seed": 0}

    @pytest.mark.parametrize("name", ["official", "p3"])
    def test_is_an_error_where_there_is_none(self, name: SplitName) -> None:
        with pytest.raises(ManifestError, match=r"no official split\. Use --split half, --split fractions"):
            split_data_set(DataSet((image(1, "a"),)), SplitScheme(name))

    def test_that_lacks_an_image_is_an_error(self) -> None:
        data_set = official_set(3, 1)
        with pytest.raises(ManifestError, match=f"record {99:016x} stands in no list of the official split"):
            split_data_set(replace(data_set, records=(*data_set.records, image(99, "x"))), SplitScheme())

    def test_may_name_images_that_were_left_out(self) -> None:
        data_set = official_set(3, 1)
        manifest = split_data_set(replace(data_set, records=data_set.records[2:]), SplitScheme())
        assert len(manifest.images()) == 6

    def test_that_leaks_is_an_error_with_the_remedy(self) -> None:
        data_set = official_set(3, 1)
        leaking = replace(data_set, records=(*data_set.records, image(99, "p3")))
        leaking = replace(leaking, official={**data_set.official, f"{99:016x}": Split.TRAINING})
        message = (
            "in one list only, but 1 patient stands in two: .* The data set's own split has this leak; --sp"
        )
        for scheme in (SplitScheme("official"), SplitScheme("p3", validation_images=2)):
            with pytest.raises(ManifestError, match=message):
                split_data_set(leaking, scheme)
        assert len(split_data_set(leaking, SplitScheme("half")).images()) == 9


class TestP3Scheme:
    def test_takes_246_of_1231_images_exactly_for_every_seed(self) -> None:
        # 691 patients with 1 to 4 images, 1231 in all, as the official training list has.
        counts = [1] * 225 + [2] * 400 + [3] * 58 + [4] * 8
        patients = [patient for patient, n_images in enumerate(counts) for _ in range(n_images)]
        records = [image(n, str(patient), abnormal=True) for n, patient in enumerate(patients)]
        assert len(records) == 1231
        records += [image(n, f"t{n}", abnormal=True) for n in range(2000, 2361)]
        official = {r.record_id: Split.TEST if r.patient_id[0] == "t" else Split.TRAINING for r in records}
        for seed in range(5):
            manifest = split_data_set(DataSet(tuple(records), official), SplitScheme("p3"), seed=seed)
            assert sizes(manifest) == [985, 246, 361]
            assert slow.leaking_pairs(manifest) == []
        assert manifest.about["split_options"] == {"validation_images": 246}

    def test_takes_the_nearest_number_and_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        manifest = split_data_set(official_set(5, 1, n_images=3), SplitScheme("p3", validation_images=7))
        assert sizes(manifest) == [9, 6, 3]
        assert "validation has 6 images, not the 7 asked for" in caplog.text

    def test_says_nothing_where_the_number_is_met(self, caplog: pytest.LogCaptureFixture) -> None:
        assert sizes(split_data_set(official_set(5, 1), SplitScheme("p3", validation_images=4))) == [6, 4, 2]
        assert caplog.text == ""

    def test_needs_more_images_than_it_takes(self) -> None:
        with pytest.raises(
            ManifestError, match=r"expected more than 246 training images .* got 10\. Ask for a f"
        ):
            split_data_set(official_set(5, 1), SplitScheme("p3"))

    def test_leaves_training_images_even_where_it_asks_for_all(self) -> None:
        with pytest.raises(ManifestError, match=r"expected more than 10 training images .* got 10"):
            split_data_set(official_set(5, 1), SplitScheme("p3", validation_images=10))

    def test_takes_a_validation_list_back_into_training_first(self) -> None:
        data_set = official_set(5, 1)
        moved = dict.fromkeys([r.record_id for r in data_set.records][:2], Split.VALIDATION)
        data_set = replace(data_set, official={**data_set.official, **moved})
        assert sizes(split_data_set(data_set, SplitScheme("p3", validation_images=6))) == [4, 6, 2]


class TestHalfScheme:
    def test_parts_patients_evenly_with_and_without_masses(self) -> None:
        records = tuple(image(n, f"p{n}", abnormal=n < 7) for n in range(20))
        manifest = split_data_set(DataSet(records), SplitScheme("half", validation_fraction=0), seed=3)
        assert sizes(manifest) == [10, 0, 10]
        counts = sorted(
            slow.patients_with_and_without(manifest.images(name)) for name in ("training", "test")
        )
        assert counts == [(3, 7), (4, 6)]

    def test_carves_validation_out_of_the_training_half(self) -> None:
        records = tuple(image(n, f"p{n}", abnormal=True) for n in range(20))
        whole = split_data_set(DataSet(records), SplitScheme("half", validation_fraction=0))
        manifest = split_data_set(DataSet(records), SplitScheme("half", validation_fraction=0.3))
        assert sizes(manifest) == [7, 3, 10]
        assert manifest.test == whole.test

    def test_of_one_patient_is_an_error(self) -> None:
        with pytest.raises(ManifestError, match="expected at least 2 patients to part into halves, got 1"):
            split_data_set(DataSet((image(1, "a"), image(2, "a"))), SplitScheme("half"))


def test_fractions_scheme_deals_all_patients() -> None:
    manifest = split_data_set(
        official_set(10, 10), SplitScheme("fractions", fractions=(0.5, 0.1, 0.4)), seed=2
    )
    assert sizes(manifest) == [20, 4, 16]
    assert manifest.about["split_options"] == {"fractions": [0.5, 0.1, 0.4]}


def test_calcifications_alone_do_not_make_a_patient_abnormal() -> None:
    calcification = Lesion(box=(1, 2, 3, 4), type="calcification", label=1)
    records = [image(n, f"p{n}", abnormal=n < 10) for n in range(20)]
    records = [r if r.lesions else replace(r, lesions=(calcification,)) for r in records]
    manifest = split_records(records, fractions={"training": 0.5, "test": 0.5})
    assert [sum(r.has_mass for r in images) for images in (manifest.training, manifest.test)] == [5, 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "offical"}, "split must be official, p3, half, fractions, got 'offical'"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be at least 0 and below 1, got 1\.0"),
        ({"validation_fraction": float("nan")}, "validation_fraction must be .* got nan"),
        ({"validation_images": 0}, "validation_images must be at least 1, got 0"),
        (
            {"fractions": (0.5, 0.5, 0.5)},
            "fractions of training, validation, test must be from 0 to 1 and sum",
        ),
    ],
)
def test_a_scheme_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        SplitScheme(**options)
