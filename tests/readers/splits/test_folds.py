from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.readers.splits.fold_checks import check_folds, source_of
from mammo_monai.readers.splits.folds import make_folds, save_folds
from mammo_monai.readers.splits.transfer_setups import TRANSFER_SETUPS, fold_scheme, setup_of
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest
from mammo_monai.schema.folds import (
    FOLD_SCHEMES,
    Fold,
    Folds,
    FoldScheme,
    FoldSchemeName,
    FoldStage,
    read_folds,
)
from tests.readers.splits.fold_sets import image, manifest_of, patients, two_views
from tests.reference import folds_reference as slow

A = manifest_of("a", two_views(10, 10))
B = manifest_of("b", two_views(15, 0))
FILM = manifest_of("c", two_views(6, 0))
FILM = replace(FILM, training=FILM.training[:8], validation=FILM.training[8:10], test=FILM.training[10:])
TWO = [name for name in FOLD_SCHEMES if name.startswith("s")]


def ids(manifest: Manifest) -> set[str]:
    return {record.record_id for record in manifest.images()}


def made(name: FoldSchemeName, *manifests: Manifest, fraction: float | None = None, seed: int = 0) -> Folds:
    return make_folds(manifests, fold_scheme(name, 5, fraction), seed=seed)


def last_tests(folds: Folds) -> list[tuple[str, ...]]:
    return [fold.stages[-1].test for fold in folds.folds]


@settings(max_examples=50)
@given(
    name=st.sampled_from(FOLD_SCHEMES),
    one=patients(min_patients=3, max_patients=15),
    other=patients(min_patients=3, max_patients=15),
    n_folds=st.integers(2, 5),
    fraction=st.sampled_from([0, 0.2, 0.25]),
    seed=st.integers(0, 5),
)
def test_no_patient_is_on_two_sides_and_what_is_tested_is_tested_once(
    name: FoldSchemeName,
    one: list[list[bool]],
    other: list[list[bool]],
    n_folds: int,
    fraction: float,
    seed: int,
) -> None:
    # Both sets call their patients "0", "1", …: that must be no leak, and must hide none.
    assume(n_folds <= min(len(one), len(other)))
    manifests = {"A": manifest_of("a", one), "B": manifest_of("b", other)}
    folds = make_folds([*manifests.values()], fold_scheme(name, n_folds, fraction), seed=seed)
    assert not slow.has_leak(folds, manifests)
    for fold in folds.folds:
        for stage in fold.stages:
            assert max(Counter(stage.record_ids()).values()) == 1
            assert [*stage.training] == sorted(stage.training)
    tested = Counter(each for test in last_tests(folds) for each in test)
    letters = setup_of(folds.scheme, 2).tested
    if name != "half":
        assert set(tested) == set().union(*(ids(manifests[letter]) for letter in letters))
    assert set(tested.values()) == {1}


@settings(max_examples=30)
@given(
    name=st.sampled_from(FOLD_SCHEMES),
    one=patients(min_patients=5, max_patients=9),
    other=patients(min_patients=5, max_patients=9),
    order=st.randoms(use_true_random=False),
)
def test_neither_the_order_of_the_images_nor_their_lists_matter(
    name: FoldSchemeName, one: list[list[bool]], other: list[list[bool]], order: random.Random
) -> None:
    manifests = [manifest_of("a", one), manifest_of("b", other)]
    first = make_folds(manifests, fold_scheme(name), seed=3)
    mixed = []
    for manifest in manifests:
        records = [*manifest.training]
        order.shuffle(records)
        mixed.append(replace(manifest, training=tuple(records[:2]), test=tuple(records[2:])))
    assert make_folds(mixed, fold_scheme(name), seed=3) == first


class TestTransferSetups:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize("names", [("s1", "s3", "s6"), ("s2", "s4", "s7")])
    def test_setups_with_the_same_test_set_test_the_same_images(
        self, names: tuple[FoldSchemeName, ...], seed: int
    ) -> None:
        tested = [last_tests(made(name, A, B, seed=seed)) for name in names]
        assert tested[0] == tested[1] == tested[2]

    def test_the_same_holds_beside_another_second_set_or_none(self) -> None:
        alone = last_tests(made("s1", A))
        assert alone == last_tests(made("s3", A, FILM)) == last_tests(made("s6", A, B, FILM))

    def test_s5_tests_what_s1_and_s2_test(self) -> None:
        both = zip(last_tests(made("s1", A, B)), last_tests(made("s2", A, B)), strict=True)
        assert last_tests(made("s5", A, B)) == [tuple(sorted(a + b)) for a, b in both]

    @pytest.mark.parametrize(
        ("name", "trained", "tested"),
        [
            ("s1", "A", "A"),
            ("s2", "B", "B"),
            ("s3", "AB", "A"),
            ("s4", "AB", "B"),
            ("s5", "AB", "AB"),
            ("s6", "A", "A"),
            ("s7", "B", "B"),
        ],
    )
    def test_the_last_stage_trains_on_all_of_its_sets_but_the_test_fold(
        self, name: FoldSchemeName, trained: str, tested: str
    ) -> None:
        sets = {"A": ids(A), "B": ids(B)}
        for fold in made(name, A, B).folds:
            last = fold.stages[-1]
            assert last.name == "training"
            assert set(last.record_ids()) == set().union(*(sets[letter] for letter in trained))
            assert set(last.test) <= set().union(*(sets[letter] for letter in tested))
            assert {letter for letter in "AB" if sets[letter] & set(last.test)} == set(tested)
            assert last.validation == ()

    def test_a_fifth_is_tested(self) -> None:
        for fold in made("s3", A, B).folds:
            assert (len(fold.stages[-1].training), len(fold.stages[-1].test)) == (32 + 30, 8)

    def test_validation_comes_from_what_is_tested(self) -> None:
        for fold in made("s3", A, B, fraction=0.2).folds:
            last = fold.stages[-1]
            assert set(last.validation) < ids(A)
            assert (len(last.training), len(last.validation), len(last.test)) == (24 + 30, 8, 8)

    @pytest.mark.parametrize(
        ("name", "stage", "source"),
        [("s6", "pretraining-b", B), ("s7", "pretraining-a", A)],
    )
    def test_pre_training_is_a_stage_of_its_own_on_the_whole_other_set(
        self, name: FoldSchemeName, stage: str, source: Manifest
    ) -> None:
        folds = made(name, A, B)
        assert {tuple(each.name for each in fold.stages) for fold in folds.folds} == {(stage, "training")}
        for fold in folds.folds:
            assert fold.stages[0] == FoldStage(stage, training=tuple(sorted(ids(source))))

    def test_pre_training_carves_its_validation_by_the_fraction(self) -> None:
        stages = [fold.stages[0] for fold in made("s6", A, B, fraction=0.2).folds]
        assert (len(stages[0].training), len(stages[0].validation), stages[0].test) == (24, 6, ())
        assert stages == [stages[0]] * 5

    @pytest.mark.parametrize("name", TWO)
    def test_a_third_set_trains_first_by_its_own_lists(self, name: FoldSchemeName) -> None:
        for fold, without in zip(made(name, A, B, FILM).folds, made(name, A, B).folds, strict=True):
            assert fold.stages[1:] == without.stages
            first = fold.stages[0]
            assert first.name == "pretraining-c"
            lists = (first.training, first.validation, first.test)
            expected = (FILM.training, FILM.validation, FILM.test)
            assert lists == tuple(tuple(r.record_id for r in records) for records in expected)

    def test_a_third_set_without_a_training_list_is_an_error(self) -> None:
        film = Manifest(test=FILM.images(), path=Path("/data/c.json"))
        with pytest.raises(ManifestError, match=r"^/data/c\.json: expected images in the training list"):
            made("s6", A, B, film)

    def test_a_leak_between_the_lists_of_a_third_set_is_found(self) -> None:
        film = replace(FILM, training=FILM.training[:7], validation=(FILM.training[7], *FILM.validation))
        with pytest.raises(ManifestError, match=r"in training of stage pretraining-c and record .* in val"):
            made("s6", A, B, film)

    def test_papers_validation_fractions_are_the_default(self) -> None:
        fractions = {name: fold_scheme(name).validation_fraction for name in FOLD_SCHEMES}
        assert fractions == {"kfold": 0.2, "half": 0.2, **dict.fromkeys(TRANSFER_SETUPS, 0.0)}
        assert fold_scheme("s1", 4, 0.25).validation_fraction == 0.25

    @pytest.mark.parametrize(
        ("name", "count", "message"),
        [
            ("s2", 1, "scheme s2 takes 2 to 3 manifests, got 1: first A, then B, then C"),
            ("s1", 4, "scheme s1 takes 1 to 3 manifests, got 4"),
            ("s1", 0, "scheme s1 takes 1 to 3 manifests, got 0"),
            ("kfold", 0, "expected 1 to 26 manifests, got 0"),
            ("half", 27, "expected 1 to 26 manifests, got 27"),
        ],
    )
    def test_another_number_of_manifests_is_an_error(
        self, name: FoldSchemeName, count: int, message: str
    ) -> None:
        with pytest.raises(ManifestError, match=message):
            setup_of(fold_scheme(name), count)


class TestKfoldAndHalf:
    def test_kfold_gives_60_20_20(self) -> None:
        for fold in made("kfold", A).folds:
            (stage,) = fold.stages
            assert [len(each) for each in (stage.training, stage.validation, stage.test)] == [24, 8, 8]

    def test_kfold_without_validation_gives_80_20(self) -> None:
        for fold in made("kfold", A, fraction=0).folds:
            (stage,) = fold.stages
            assert [len(each) for each in (stage.training, stage.validation, stage.test)] == [32, 0, 8]

    def test_kfold_of_two_manifests_deals_each_apart(self) -> None:
        assert last_tests(made("kfold", A, B)) == last_tests(made("s5", A, B))

    def test_half_is_one_fold_with_validation_out_of_the_training_half(self) -> None:
        (fold,) = made("half", A).folds
        (stage,) = fold.stages
        assert [len(each) for each in (stage.training, stage.validation, stage.test)] == [16, 4, 20]
        (fold,) = made("half", A, fraction=0).folds
        assert fold.stages[0].test == stage.test
        assert len(fold.stages[0].training) == 20

    def test_too_few_patients_are_an_error_that_names_the_manifest(self) -> None:
        few = manifest_of("b", two_views(4, 0))
        with pytest.raises(
            ManifestError, match=r"^/data/b\.json: expected at least 2 folds and a patient for each"
        ):
            made("s5", A, few)
        with pytest.raises(ManifestError, match=r"^/data/b\.json: expected at least 2 patients to part"):
            made("half", A, manifest_of("b", two_views(1, 0)))
        with pytest.raises(ManifestError, match=r"^/data/b\.json: expected patients left to train on"):
            made("s6", A, manifest_of("b", two_views(1, 0)), fraction=0.6)

    def test_folds_are_named_by_number(self) -> None:
        assert [fold.name for fold in made("kfold", A).folds] == ["1", "2", "3", "4", "5"]

    def test_another_seed_makes_other_folds_and_the_same_seed_the_same(self) -> None:
        assert made("kfold", A, seed=1) == made("kfold", A, seed=1)
        assert made("kfold", A, seed=1).sha256 == made("kfold", A, seed=1).sha256
        assert last_tests(made("kfold", A, seed=1)) != last_tests(made("kfold", A, seed=2))

    def test_a_fold_that_tests_no_mass_is_warned_of(self, caplog: pytest.LogCaptureFixture) -> None:
        made("kfold", manifest_of("a", two_views(3, 7)))
        assert "no image with a mass is tested in fold 4, 5: no sensitivity can be measured" in caplog.text
        caplog.clear()
        made("kfold", A)
        assert caplog.text == ""

    def test_an_official_test_list_among_those_dealt_is_warned_of(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        listed = replace(A, training=A.training[:30], test=A.training[30:])
        made("kfold", replace(listed, about={"split": "fractions"}))
        assert caplog.text == ""
        official = replace(listed, about={"split": "official"})
        made("kfold", official)
        assert "the 10 images of its official test list are dealt with the others" in caplog.text
        caplog.clear()
        made("kfold", replace(official, training=official.images(), test=()))
        assert caplog.text == ""

    @pytest.mark.parametrize("scheme", ["kfold", "half", "s3", "s6"])
    def test_a_test_list_that_is_kept_is_in_no_fold(
        self, scheme: FoldSchemeName, caplog: pytest.LogCaptureFixture
    ) -> None:
        listed = replace(A, training=A.training[:30], test=A.training[30:], about={"split": "official"})
        manifests = [listed, B] if scheme.startswith("s") else [listed]
        folds = make_folds(manifests, FoldScheme(scheme, 3, 0.0, keeps_test=True))
        dealt = {r for fold in folds.folds for stage in fold.stages for r in stage.record_ids()}
        assert dealt == {r.record_id for m in manifests for r in m.images()} - {
            r.record_id for r in listed.test
        }
        assert folds.sources[0] == source_of(listed)  # so the whole manifest is given to `apply`
        assert folds.command.endswith("--keep-test -o folds.json")
        assert "official test list" not in caplog.text

    def test_a_test_list_to_keep_must_be_there_and_apart(self) -> None:
        scheme = FoldScheme("kfold", 3, 0.0, keeps_test=True)
        with pytest.raises(ManifestError, match="expected a test list to keep out of the folds"):
            make_folds([A], scheme)
        leaking = replace(A, training=A.training[:31], test=A.training[31:])
        with pytest.raises(ManifestError, match="expected each patient in one list only"):
            make_folds([leaking], scheme)


class TestSources:
    def test_are_named_by_file_and_counted(self) -> None:
        assert [(each.manifest, each.n_images) for each in made("s6", A, B).sources] == [
            ("a.json", 40),
            ("b.json", 30),
        ]
        assert source_of(replace(A, path=None)).manifest == "manifest.json"

    def test_are_the_same_whatever_patients_are_called(self) -> None:
        renamed = tuple(replace(r, patient_id=f"x{r.patient_id}") for r in A.training)
        assert source_of(replace(A, training=renamed)) == source_of(A)

    @pytest.mark.parametrize("change", ["fewer", "regrouped", "other ids"])
    def test_differ_where_images_or_patients_do(self, change: str) -> None:
        first, *others = A.training
        images: dict[str, tuple[ImageRecord, ...]] = {
            "fewer": tuple(others),
            "regrouped": (replace(first, patient_id="7"), *others),
            "other ids": (replace(first, record_id="f" * 16), *others),
        }
        assert source_of(replace(A, training=images[change])).sha256 != source_of(A).sha256

    def test_grouping_is_not_confused_by_ids_that_run_together(self) -> None:
        one = Manifest((image(1, "a"), image(2, "a"), image(3, "b")))
        other = Manifest((image(1, "a"), image(2, "b"), image(3, "b")))
        assert source_of(one).sha256 != source_of(other).sha256


class TestSharedImages:
    def test_a_manifest_given_twice_is_an_error(self) -> None:
        message = (
            r"record a0{15} of manifest A \(/data/a\.json\) and record a0{15} of manifest B \(/data/a\.json\)"
        )
        with pytest.raises(ManifestError, match=message):
            made("s5", A, A)

    def test_the_same_file_under_two_record_ids_is_an_error(self) -> None:
        digest = "0" * 64
        one = replace(A, training=(replace(A.training[0], sha256=digest), *A.training[1:]))
        other = replace(B, training=(*B.training[:-1], replace(B.training[-1], sha256=digest)))
        with pytest.raises(ManifestError, match=r"the same image: record a0{15} .* and record b0{13}1d"):
            made("s5", one, other)

    def test_the_same_path_under_two_record_ids_is_an_error(self) -> None:
        other = replace(B, training=(replace(B.training[0], image=A.training[3].image), *B.training[1:]))
        with pytest.raises(ManifestError, match=r"the same image: record a0{14}3"):
            made("s5", A, other)

    def test_the_same_file_under_two_patients_of_one_manifest_is_a_leak_where_they_are_on_two_sides(
        self,
    ) -> None:
        twins = {f"a{0:015x}", f"a{39:015x}"}
        records = (replace(r, sha256="0" * 64) if r.record_id in twins else r for r in A.training)
        manifest = replace(A, training=tuple(records))
        errors = []
        for seed in range(12):
            try:
                made("kfold", manifest, seed=seed)
            except ManifestError as error:
                errors.append(str(error))
        assert errors
        assert all("record a000000000000000" in each and "a000000000000027" in each for each in errors)


class TestChecks:
    def leaking(self, *, pretrain: str = "") -> Folds:
        """Folds whose first patient stands on two sides."""
        first, second, *others = (record.record_id for record in A.training)
        last = FoldStage("training", training=(first, *others[4:]), test=(second, *others[:4]))
        if pretrain:
            before = FoldStage("pretraining-a", **{pretrain: (first,)})
            last = FoldStage("training", training=tuple(others), test=(second,))
        stages = (before, last) if pretrain else (last,)
        return replace(made("kfold", A), folds=(Fold("1", stages),))

    def test_a_patient_in_two_lists_is_an_error_that_names_records_fold_and_remedy(self) -> None:
        expected = (
            "fold 1: expected each patient on one side only, but one stands on two: record a000000000000000 "
            "in training of stage training and record a000000000000001 in test of stage training. Make the "
            "folds again: mammo-monai folds make a.json --scheme kfold --folds 5 --validation-fraction 0.2"
        )
        with pytest.raises(ManifestError, match=re.escape(expected)):
            check_folds(self.leaking(), [A])

    @pytest.mark.parametrize("learnt", ["training", "validation"])
    def test_a_patient_learnt_from_in_an_early_stage_and_tested_in_the_last_is_an_error(
        self, learnt: str
    ) -> None:
        message = r"in test of stage training and record .* in training or validation of stage pretraining-a"
        with pytest.raises(ManifestError, match=message):
            check_folds(self.leaking(pretrain=learnt), [A])

    def test_nothing_is_written_then(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="one stands on two"):
            save_folds(tmp_path / "folds.json", self.leaking(), [A])
        assert [*tmp_path.iterdir()] == []

    def test_folds_of_other_manifests_are_not_written(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="not made of this manifest"):
            save_folds(tmp_path / "folds.json", made("kfold", A), [B])

    def test_what_is_written_is_read_again(self, tmp_path: Path) -> None:
        folds = made("s6", A, B, FILM)
        save_folds(tmp_path / "folds.json", folds, [A, B, FILM])
        assert read_folds(tmp_path / "folds.json") == folds

    def test_neither_patient_nor_folder_is_written(self, tmp_path: Path) -> None:
        records = tuple(replace(r, patient_id=f"P_{r.patient_id}_X") for r in A.training)
        manifest = replace(A, training=records)
        save_folds(tmp_path / "folds.json", made("kfold", manifest), [manifest])
        text = (tmp_path / "folds.json").read_text()
        assert "P_" not in text
        assert "/data" not in text
        assert ".dcm" not in text
