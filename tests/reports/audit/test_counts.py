"""Counts of a manifest, and their comparison with what the authors published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.records import Lesion
from mammo_monai.reports.audit.counts import Counts, counts_of, list_table, published_table
from mammo_monai.schema import Manifest
from tests.reports.audit_scene import MASS, audited, record


def published(manifest: Manifest, counts: dict, **about) -> list[tuple[str, ...]]:
    about = {"published": {"source": "Authors 2012", "counts": counts}, **about}
    return list(published_table(replace(manifest, about=about)).rows)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return audited(tmp_path)


def test_masses_other_lesions_normals_and_patients_are_counted(manifest: Manifest) -> None:
    counts = counts_of(manifest.images())
    assert (counts.images, counts.patients, counts.masses, counts.other_lesions, counts.normals) == (
        3,
        2,
        2,
        1,
        1,
    )
    assert counts_of(()) == Counts(0, 0, 0, 0, 0)


def test_a_patient_of_two_lists_counts_once_in_all(manifest: Manifest) -> None:
    rows = {row[0]: row[1:] for row in list_table(manifest).rows}
    assert rows == {
        "training": ("2", "2", "1", "1", "1"),
        "test": ("1", "1", "1", "0", "0"),
        "all lists": ("3", "2", "2", "1", "1"),
        "left out": ("2", "–", "–", "–", "–"),
    }


def test_one_list_alone_is_not_repeated_and_none_is_a_row_of_zeros(manifest: Manifest) -> None:
    assert [row[0] for row in list_table(Manifest(test=manifest.test)).rows] == ["test"]
    assert list_table(Manifest()).rows == (("all lists", "0", "0", "0", "0", "0"),)


@pytest.mark.parametrize(
    ("name", "number", "found", "said"),
    [
        ("images", 5, "3", "2 missing"),
        ("Images", 3, "3", "as published"),
        ("masses", 1, "2", "1 more"),
        ("test images", 1, "1", "as published"),
        ("training masses", 1, "1", "as published"),
        ("images with masses", 2, "2", "as published"),
        ("normal images", 1, "1", "as published"),
        ("patients", 2, "2", "as published"),
        ("cases", 2, "2", "as published"),
        ("calcifications", 1, "1", "as published"),
        ("asymmetries", 0, "0", "as published"),
        ("distortions", 0, "0", "as published"),
        ("lesions", 3, "3", "as published"),
        ("other lesions", 1, "1", "as published"),
        ("wonders", 4, "–", "not counted here"),
    ],
)
def test_published_counts_stand_beside_those_found(
    manifest, name: str, number: int, found: str, said: str
) -> None:
    assert published(manifest, {name: number}) == [(name, str(number), found, said)]


def test_a_validation_list_taken_from_the_training_images_counts_as_training(
    manifest: Manifest, tmp_path
) -> None:
    split = replace(manifest, validation=(record(tmp_path, 5, lesions=(Lesion(MASS),)),))
    assert published(split, {"training images": 3})[0][3] == "as published"
    assert published(split, {"training images": 2, "validation images": 1})[0][3] == "as published"


def test_lists_of_another_split_are_not_compared(manifest: Manifest) -> None:
    rows = published(manifest, {"training images": 9, "images": 3}, split="5 folds")
    assert [row[3] for row in rows] == ["another split", "as published"]
    assert (
        published(manifest, {"training images": 2}, split="official, validation 0.2")[0][3] == "as published"
    )


@pytest.mark.parametrize("published_as", [None, 3, {}, {"counts": {}}, {"counts": [1]}, {"counts": 3}])
def test_without_published_counts_there_is_no_table(manifest: Manifest, published_as: object) -> None:
    assert published_table(manifest) is None
    assert published_table(replace(manifest, about={"published": published_as})) is None


def test_a_count_that_is_no_number_is_shown_and_not_compared(manifest: Manifest) -> None:
    rows = published(manifest, {"images": "many", "masses": True})
    assert [row[3] for row in rows] == ["not a number"] * 2
    about = {"published": {"counts": {"images": 3}}}
    assert "source not stated" in published_table(replace(manifest, about=about)).caption


def test_large_numbers_are_grouped(manifest: Manifest) -> None:
    assert published(manifest, {"images": 20_003})[0][1:] == ("20\u202f003", "3", "20\u202f000 missing")
