"""Samples of whole images: their class, who is left out, subsets of patients, and balance by class."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.data import MammogramDataset, chosen_patients, data_loader, load_image_samples
from mammo_monai.errors import ManifestError
from mammo_monai.schema import Manifest, read_manifest, write_manifest
from mammo_monai.transforms import training_transforms


@pytest.fixture
def graded(manifest: Path) -> Path:
    """The six films of `manifest` in training: BI-RADS 5, 1, 3, none, 4, 2; lesions without pathology."""
    records = read_manifest(manifest).images()
    grades = [5, 1, 3, None, 4, 2]
    films = tuple(replace(each, birads=grade) for each, grade in zip(records, grades, strict=True))
    write_manifest(manifest, Manifest(training=films))
    return manifest


def classes(samples: list[dict]) -> dict[str, int]:
    assert all(each["class_index"].dtype == torch.int64 and not each["class_index"].ndim for each in samples)
    return {each["record_id"][-1]: int(each["class_index"]) for each in samples}


def test_an_image_with_a_lesion_is_positive(graded: Path) -> None:
    assert classes(load_image_samples(graded)) == {"0": 1, "1": 1, "2": 0, "3": 0, "4": 1, "5": 0}
    assert set(classes(load_image_samples(graded, label=1)).values()) == {0}


def test_malignant_images_are_positive_and_unknown_ones_left_out_with_a_count(
    graded: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        found = load_image_samples(graded, "training", positive="malignant")
    assert classes(found) == {"0": 1, "1": 0, "4": 1, "5": 0}
    assert "4 images of known class, 2 positive (malignant); 2 of unknown class left out" in caplog.text


def test_without_a_known_class_there_is_nothing_to_learn(manifest: Path) -> None:
    with pytest.raises(ManifestError, match="none of 2 images says whether it is malignant"):
        load_image_samples(manifest, "test", positive="malignant")


def test_boxes_come_along_or_stay_behind(graded: Path) -> None:
    assert [len(each["box"]) for each in load_image_samples(graded)] == [2, 1, 0, 0, 1, 0]
    without = load_image_samples(graded, keep_boxes=False)
    for name in ("box", "label", "box_original", "label_original"):
        assert [len(each[name]) for each in without] == [0] * 6
    assert classes(without) == classes(load_image_samples(graded))


def test_the_class_survives_the_transforms_and_balances_batches(graded: Path) -> None:
    transform = training_transforms(preset="fixed_portrait", size_px=32, augment="light")
    samples = load_image_samples(graded, positive="malignant", keep_boxes=False)
    one_positive = [each for each in samples if each["record_id"][-1] != "4"]
    loader = data_loader(MammogramDataset(one_positive, transform), batch_size=2, lesion_fraction=0.5)
    batches = list(loader)
    assert [tuple(each["image"].shape) for batch in batches for each in batch] == [(1, 32, 16)] * 3
    assert sum(int(each["class_index"]) for each in batches[0]) == 1


def test_patients_are_limited(graded: Path) -> None:
    one = load_image_samples(graded, max_patients=1)
    assert len({each["patient_id"] for each in one}) == 1
    assert len(one) == 2
    for wrong in (0, 1.5, "one", True):
        with pytest.raises(ManifestError, match=f"max_patients must be a whole number.*got {wrong!r}"):
            load_image_samples(graded, max_patients=wrong)  # type: ignore[arg-type]  # as --max_patients gives it


truths = st.lists(
    st.tuples(st.sampled_from([f"p{n}" for n in range(9)]), st.booleans()), min_size=1, max_size=20
)


@given(images=truths, seed=st.integers(0, 5))
def test_a_larger_choice_holds_the_smaller_one(images: list[tuple[str, bool]], seed: int) -> None:
    everybody = {patient for patient, _ in images}
    positive = {patient for patient, known in images if known}
    before: frozenset[str] = frozenset()
    for n in range(1, len(everybody) + 1):
        chosen = chosen_patients(images, n, seed=seed)
        assert len(chosen) == n
        assert before < chosen
        # Within one of the share among all.
        assert abs(len(chosen & positive) - n * len(positive) / len(everybody)) <= 1
        before = chosen
    assert before == everybody


def test_the_seed_chooses_and_more_than_there_are_is_all(caplog: pytest.LogCaptureFixture) -> None:
    images = [(f"p{n:02d}", n % 3 == 0) for n in range(30)]
    assert len({chosen_patients(images, 4, seed=seed) for seed in range(8)}) > 1
    with caplog.at_level(logging.WARNING):
        assert len(chosen_patients(images, 31)) == 30
    assert "max_patients is 31, the list has 30 patients: all are taken" in caplog.text
