from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.readers.splits.fold_checks import match_sources, reject_overwriting
from mammo_monai.readers.splits.fold_counts import FoldCounts, count_folds, fold_table
from mammo_monai.readers.splits.folds import make_folds
from mammo_monai.readers.splits.folds_applied import apply_folds
from mammo_monai.readers.splits.schemes import check_patient_disjoint
from mammo_monai.readers.splits.transfer_setups import fold_scheme
from mammo_monai.records import Lesion, Split
from mammo_monai.schema import Manifest, Quarantined
from mammo_monai.schema.folds import FOLD_SCHEMES, Fold, Folds, FoldSchemeName, FoldStage
from tests.readers.splits.fold_sets import CALCIFICATION, manifest_of, patients, two_views
from tests.reference.splits_reference import leaking_pairs

A = replace(manifest_of("a", two_views(5, 5)), about={"layout": "folder", "split": "official", "seed": 9})
B = manifest_of("b", two_views(6, 0))


def made(name: FoldSchemeName, *manifests: Manifest) -> Folds:
    return make_folds(manifests, fold_scheme(name), seed=2)


@settings(max_examples=30)
@given(
    name=st.sampled_from(FOLD_SCHEMES),
    one=patients(min_patients=5, max_patients=9),
    other=patients(min_patients=5, max_patients=9),
    seed=st.integers(0, 3),
)
def test_every_stage_of_every_fold_is_filled_without_a_leak(
    name: FoldSchemeName, one: list[list[bool]], other: list[list[bool]], seed: int
) -> None:
    manifests = [manifest_of("a", one), manifest_of("b", other)]
    folds = make_folds(manifests, fold_scheme(name), seed=seed)
    for fold in folds.folds:
        for stage in fold.stages:
            filled = apply_folds(folds, manifests[::-1], fold=fold.name, stage=stage.name)
            for split in Split:
                assert tuple(r.record_id for r in filled.images(split)) == stage.record_ids(split)
            assert leaking_pairs(filled) == []
            check_patient_disjoint(filled)


def test_records_come_as_they_were_from_whatever_list_they_stood_in() -> None:
    folds = made("kfold", A)
    mixed = replace(A, training=A.training[:7], validation=A.training[7:9], test=A.training[9:])
    filled = apply_folds(folds, [mixed], fold="3")
    assert filled == replace(apply_folds(folds, [A], fold="3"))
    assert set(filled.images()) == set(A.images())


def test_the_last_stage_is_the_default() -> None:
    folds = made("s6", A, B)
    assert apply_folds(folds, [A, B], fold="1") == apply_folds(folds, [A, B], fold="1", stage="training")
    assert {r.record_id[0] for r in apply_folds(folds, [A, B], fold="1").images()} == {"a"}
    before = apply_folds(folds, [A, B], fold="1", stage="pretraining-b")
    assert {r.record_id[0] for r in before.images()} == {"b"}


def test_two_patients_with_one_id_stay_two_where_manifests_are_joined() -> None:
    filled = apply_folds(made("s3", A, B), [A, B], fold="1")
    assert {r.patient_id for r in filled.images()} == {f"A:{n}" for n in range(10)} | {
        f"B:{n}" for n in range(6)
    }
    alone = apply_folds(made("s6", A, B), [A, B], fold="1")
    assert {r.patient_id for r in alone.images()} == {str(n) for n in range(10)}


def test_a_stage_needs_its_own_manifests_alone() -> None:
    folds = made("s6", A, B)
    assert apply_folds(folds, [A], fold="1").images() == apply_folds(folds, [A, B], fold="1").images()
    message = (
        r"stage pretraining-b needs 12 images that are in no manifest given, record b0{15} first\. Give manif"
    )
    with pytest.raises(ManifestError, match=message + r"est B \(b\.json\) too"):
        apply_folds(folds, [A], fold="1", stage="pretraining-b")


def test_about_tells_the_folds_and_keeps_how_the_manifest_was_made() -> None:
    folds = made("kfold", A)
    manifest = replace(A, about={**A.about, "split_options": {"validation_fraction": 0.2}})
    assert apply_folds(folds, [manifest], fold="2").about == {
        "layout": "folder",
        "split": "folds",
        "seed": 2,
        "folds": {
            "sha256": folds.sha256,
            "scheme": "kfold",
            "fold": "2",
            "stage": "training",
            "manifests": {"A": "a.json"},
        },
    }


def test_about_of_joined_manifests_keeps_that_of_each() -> None:
    about = apply_folds(made("s5", A, B), [B, A], fold="2").about
    assert about["manifests"] == {"A": dict(A.about), "B": {}}
    assert about["folds"]["manifests"] == {"A": "a.json", "B": "b.json"}


def test_quarantined_images_of_the_manifests_used_are_carried_on() -> None:
    left_out = Quarantined("f" * 16, "mask-missing", Path("/data/f.dcm"))
    folds = made("s6", A, B)
    manifests = [replace(A, quarantined=(left_out,)), B]
    assert apply_folds(folds, manifests, fold="1").quarantined == (left_out,)
    assert apply_folds(folds, manifests, fold="1", stage="pretraining-b").quarantined == ()


class TestRefusals:
    def test_a_fold_that_is_not_there(self) -> None:
        with pytest.raises(ManifestError, match="fold must be 1 or 2 or 3 or 4 or 5, got '6'"):
            apply_folds(made("kfold", A), [A], fold="6")

    def test_a_stage_that_is_not_there(self) -> None:
        with pytest.raises(
            ManifestError, match="stage of fold 2 must be pretraining-b or training, got 'test'"
        ):
            apply_folds(made("s6", A, B), [A, B], fold="2", stage="test")

    def test_a_manifest_of_another_data_set(self) -> None:
        expected = (
            "/data/b.json: the folds were not made of this manifest: they know none of its images: another "
            "data set, or another salt (see --same-ids-as). They were made of a.json (20 images). Give the "
            "manifest they were made of, or make folds of this one: mammo-monai folds make."
        )
        with pytest.raises(ManifestError, match=re.escape(expected)):
            apply_folds(made("kfold", A), [B], fold="1")

    def test_a_manifest_with_an_image_fewer(self) -> None:
        with pytest.raises(
            ManifestError, match=r"they know 19 of its 19 images\. They were made of a\.json \(20"
        ):
            apply_folds(made("kfold", A), [replace(A, training=A.training[1:])], fold="1")

    def test_a_manifest_whose_images_are_of_other_patients(self) -> None:
        first = replace(A.training[0], patient_id="someone")
        with pytest.raises(ManifestError, match="holds the same images, but groups them into other patients"):
            apply_folds(made("kfold", A), [replace(A, training=(first, *A.training[1:]))], fold="1")

    def test_a_manifest_given_twice(self) -> None:
        with pytest.raises(ManifestError, match=r"/data/a\.json: manifest A of the folds is given twice"):
            apply_folds(made("s6", A, B), [A, A], fold="1")

    def test_no_manifest_is_needed_to_see_that_none_fits(self) -> None:
        assert match_sources(made("kfold", A), []) == {}
        with pytest.raises(ManifestError, match=r"Give manifest A \(a\.json\) too"):
            apply_folds(made("kfold", A), [], fold="1")

    def test_folds_that_name_an_image_of_nowhere(self) -> None:
        folds = made("kfold", A)
        stage = replace(folds.folds[0].stages[0], test=("e" * 16,))
        folds = replace(folds, folds=(Fold("1", (stage,)),))
        with pytest.raises(
            ManifestError, match="names 1 images that are in no manifest of the folds, record eeee"
        ):
            apply_folds(folds, [A], fold="1")

    def test_a_leak_in_any_fold_of_the_file(self) -> None:
        folds = made("kfold", A)
        ids = [record.record_id for record in A.training]
        leak = Fold("6", (FoldStage("training", training=(ids[0],), test=(ids[1],)),))
        with pytest.raises(ManifestError, match="fold 6: expected each patient on one side only"):
            apply_folds(replace(folds, folds=(*folds.folds, leak)), [A], fold="1")


def test_a_manifest_that_is_read_is_not_written_over(tmp_path: Path) -> None:
    manifest = replace(A, path=tmp_path / "a.json")
    with pytest.raises(
        ManifestError, match=r"a\.json: would overwrite a manifest that is read\. Give another"
    ):
        reject_overwriting(tmp_path / "x" / ".." / "a.json", [B, manifest])
    reject_overwriting(tmp_path / "b.json", [manifest, replace(A, path=None)])
    with pytest.raises(ManifestError, match=r"f\.json: would overwrite the folds file that is read"):
        reject_overwriting(tmp_path / "x" / ".." / "f.json", [manifest], tmp_path / "f.json")


class TestCounts:
    def test_images_are_known_from_the_file_alone(self) -> None:
        assert count_folds(made("s6", A, B))[:3] == [
            FoldCounts("1", "pretraining-b", "training", 12),
            FoldCounts("1", "training", "training", 16),
            FoldCounts("1", "training", "test", 4),
        ]

    def test_masses_and_patients_are_counted_with_the_manifests(self) -> None:
        two_masses = replace(
            A.training[1], lesions=(Lesion((1, 2, 3, 4)), Lesion((5, 6, 7, 8)), CALCIFICATION)
        )
        manifest = replace(A, training=(A.training[0], two_masses, *A.training[2:]))
        counts = [each for each in count_folds(made("s5", A, B), [manifest, B]) if each.split == "test"]
        assert [each.images for each in counts] == [8, 6, 6, 6, 6]
        assert [each.patients for each in counts] == [4, 3, 3, 3, 3]
        assert [each.with_mass for each in counts] == [3, 2, 2, 2, 2]
        assert sum(each.masses or 0 for each in counts) == 12

    def test_what_a_missing_manifest_would_tell_is_left_open(self) -> None:
        assert fold_table(made("s6", A, B), [A], fold="1").splitlines() == [
            "fold  stage          list         images  with mass  masses  patients",
            "1     pretraining-b  training         12          -       -         -",
            "1     training       training         16          4       4         8",
            "1     training       test              4          1       1         2",
        ]

    def test_one_stage_may_be_shown(self) -> None:
        table = fold_table(made("s6", A, B), stage="pretraining-b")
        assert [line[0] for line in table.splitlines()] == ["f", "1", "2", "3", "4", "5"]
