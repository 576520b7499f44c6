"""Mass-free parts: the largest rectangle of breast that touches no lesion, as a view and as a set on disk."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mammo_monai.cli import main as command
from mammo_monai.data import (
    load_samples,
    mass_free_rectangle,
    mass_free_view,
    prepare_manifest,
    write_mass_free_set,
)
from mammo_monai.errors import ManifestError
from mammo_monai.records import Lesion, Split
from mammo_monai.schema import Manifest, read_manifest, write_manifest
from mammo_monai.transforms import evaluation_transforms, image_recipe, training_transforms
from tests.transforms.films import INSIDE, LESION, assert_same_sample, copy_of, film_sample


@settings(max_examples=75, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    corners=st.lists(st.tuples(*[st.integers(-1, 8)] * 4), max_size=3),
)
def test_the_rectangle_is_the_best_of_all(seed: int, corners: list[tuple[int, int, int, int]]) -> None:
    breast = np.random.default_rng(seed).random((7, 5)) < 0.7
    boxes = np.array(
        [(min(a, c), min(b, d), max(a, c) + 0.5, max(b, d) + 0.5) for a, b, c, d in corners], dtype=float
    ).reshape(-1, 4)

    def is_free(x_min: int, y_min: int, x_max: int, y_max: int) -> bool:
        return not any(l < x_max and r > x_min and t < y_max and b > y_min for l, t, r, b in boxes)  # noqa: E741

    slow = max(
        (
            int(breast[y_min:y_max, x_min:x_max].sum())
            for y_min in range(7)
            for y_max in range(y_min + 1, 8)
            for x_min in range(5)
            for x_max in range(x_min + 1, 6)
            if is_free(x_min, y_min, x_max, y_max)
        ),
        default=0,
    )
    x_min, y_min, x_max, y_max = mass_free_rectangle(breast, boxes, margin=0)
    assert int(breast[y_min:y_max, x_min:x_max].sum()) == slow
    assert is_free(x_min, y_min, x_max, y_max) or slow == 0


def test_lesions_are_given_a_margin() -> None:
    breast = np.ones((10, 100), dtype=bool)
    assert mass_free_rectangle(breast, np.array([[40.0, 0, 60, 10]])) == (0, 0, 38, 10)


def test_a_lesion_over_everything_leaves_nothing() -> None:
    breast = np.ones((10, 6), dtype=bool)
    assert mass_free_rectangle(breast, np.array([[0.0, 0, 6, 10]])) == (0, 0, 0, 0)
    sample = film_sample([(0, 0, 120, 200)])
    assert not mass_free_view(sample)["image"].any()


def test_a_view_keeps_the_part_in_place_and_blackens_the_lesion() -> None:
    sample = film_sample([INSIDE])
    before = copy_of(sample)
    view = mass_free_view(sample)
    assert view["image"].max() < LESION
    is_kept = view["image"] > 0
    assert torch.equal(view["image"][is_kept], sample["image"][is_kept])
    assert is_kept.sum() > 0.3 * (sample["image"] > 0).sum()
    assert (len(view["box"]), len(view["label"])) == (0, 0)
    assert view["frame"] == sample["frame"]
    assert_same_sample(sample, before)


def test_lesions_that_are_no_targets_are_avoided_too(manifest: Path) -> None:
    sample = load_samples(manifest, "training", labels=[1], limit=1)[0]
    prepared = evaluation_transforms(preset="fixed_portrait", size_px=160)(sample)
    assert len(prepared["box"]) == 0
    assert prepared["image"].max() > 0.6
    assert mass_free_view(prepared)["image"].max() < 0.5
    assert mass_free_view({**prepared, "frame": None})["image"].max() > 0.6  # nothing says where they are


def test_an_image_without_lesions_is_kept_whole() -> None:
    sample = film_sample([])
    assert torch.equal(mass_free_view(sample)["image"], sample["image"])


@pytest.fixture
def prepared(manifest: Path, tmp_path: Path) -> Path:
    """The films of `manifest`, prepared to 80 × 160 px."""
    recipe = image_recipe(preset="fixed_portrait", size_px=160)
    return prepare_manifest(read_manifest(manifest), tmp_path / "prepared", recipe).path


def test_a_set_holds_every_film_with_lesions_once_without_them(prepared: Path, tmp_path: Path) -> None:
    done = write_mass_free_set(read_manifest(prepared), tmp_path / "out", min_fraction=0.3)
    source, made = read_manifest(prepared), read_manifest(done.path)
    assert [len(made.images(split)) for split in Split] == [2, 0, 1]
    assert (done.made, done.left_out, len(done.fractions)) == (3, (), 3)
    assert min(done.fractions) >= 0.3
    by_id = {record.record_id: record for record in source.images()}
    assert by_id.keys().isdisjoint(record.record_id for record in made.images())
    for record in made.images():
        film = by_id[record.source.split()[1].rstrip(",")]
        assert record.is_normal
        assert (record.patient_id, record.laterality) == (film.patient_id, film.laterality)
        assert (record.width, record.height) == (film.width, film.height)
        pixels, original = (np.asarray(Image.open(each.image)) for each in (record, film))
        assert pixels.dtype == np.uint16
        assert pixels.max() < 0.5 * original.max()  # the lesion is the brightest
        assert (pixels == original)[pixels > 0].all()
        assert (pixels > 0).sum() >= 0.3 * (original > 0).sum()
    assert made.about["mass_free"]["min_fraction"] == 0.3


def test_one_list_alone_can_be_taken(prepared: Path, tmp_path: Path) -> None:
    done = write_mass_free_set(read_manifest(prepared), tmp_path / "out", split="test", min_fraction=0.3)
    assert [len(read_manifest(done.path).images(split)) for split in Split] == [0, 0, 1]


def test_a_part_reaches_the_network_at_the_size_and_place_it_has_in_its_film(
    prepared: Path, tmp_path: Path
) -> None:
    done = write_mass_free_set(read_manifest(prepared), tmp_path / "out", min_fraction=0.3)
    transform = evaluation_transforms(preset="fixed_portrait", size_px=160)
    films = [film for film in load_samples(prepared) if len(film["label"])]
    for film, part in zip(films, load_samples(done.path), strict=True):
        view, item = mass_free_view(transform(film)), transform(part)
        # Stretched grey values differ, as the lesion is gone; the part's outline and way back do not.
        assert torch.equal(item["image"] > 0, view["image"] > 0)
        assert item["frame"] == view["frame"]
        assert len(item["box"]) == len(item["label"]) == 0


def test_a_set_is_written_again_the_same(prepared: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    contents = []
    for _ in range(2):
        done = write_mass_free_set(
            read_manifest(prepared),
            tmp_path / "out",
            min_fraction=0.3,
            on_progress=lambda n, all_: seen.append((n, all_)),
        )
        contents.append({path.name: path.read_bytes() for path in done.path.parent.rglob("*.*")})
    assert seen == [(1, 3), (2, 3), (3, 3)] * 2
    assert contents[0] == contents[1]
    assert len(contents[0]) == 4


def test_films_with_too_little_left_are_left_out(prepared: Path, tmp_path: Path) -> None:
    source = read_manifest(prepared)
    covered = replace(source.training[1], lesions=(Lesion(box=(0.0, 0.0, 120.0, 200.0)),))
    mixed = replace(source, training=(source.training[0], covered), test=())
    done = write_mass_free_set(mixed, tmp_path / "out", min_fraction=0.3)
    assert (done.made, done.left_out) == (1, (covered.record_id,))
    with pytest.raises(
        ManifestError, match=r"none of 1 image with lesions has 0\.3 of its breast free of them"
    ):
        write_mass_free_set(replace(mixed, training=(covered,)), tmp_path / "none", min_fraction=0.3)


@pytest.mark.parametrize("min_fraction", [0.0, 1.1])
def test_a_fraction_that_is_none_is_refused(prepared: Path, tmp_path: Path, min_fraction: float) -> None:
    with pytest.raises(ValueError, match=r"min_fraction must be above 0 and at most 1"):
        write_mass_free_set(read_manifest(prepared), tmp_path / "out", min_fraction=min_fraction)


def test_originals_and_foreign_folders_are_refused(manifest: Path, prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"original images\. Prepare them first \(mammo-monai prepare"):
        write_mass_free_set(read_manifest(manifest), tmp_path / "out")
    with pytest.raises(ManifestError, match=r"would be overwritten\. Choose another folder"):
        write_mass_free_set(read_manifest(prepared), prepared.parent)


def test_the_verb_says_what_is_there(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    level = logging.getLogger("mammo_monai").level
    words = ["normals", str(prepared), "--out", str(tmp_path / "out"), "--min-fraction"]
    assert command.main([*words, "0.3"]) == 0
    assert "manifest.json: 3 images without lesions, on the mean" in capsys.readouterr().out
    most = max(write_mass_free_set(read_manifest(prepared), tmp_path / "x", min_fraction=0.3).fractions)
    assert command.main([*words, str(most)]) == 0
    assert "1 film left out: less than" in capsys.readouterr().out
    logging.getLogger("mammo_monai").setLevel(level)


def test_normals_of_another_manifest_follow_the_samples(prepared: Path, tmp_path: Path) -> None:
    done = write_mass_free_set(read_manifest(prepared), tmp_path / "out", min_fraction=0.3)
    own, extra = load_samples(prepared, "training"), load_samples(done.path, "training")
    for more in (done.path, [str(done.path)]):
        joined = load_samples(prepared, "training", normals_from=more)
        assert [each["record_id"] for each in joined] == [each["record_id"] for each in [*own, *extra]]
    other = tmp_path / "other.json"
    renamed = [replace(r, record_id=f"{n:016x}") for n, r in enumerate(read_manifest(prepared).training, 99)]
    write_manifest(other, Manifest(training=tuple(renamed)))
    joined = load_samples(prepared, "training", normals_from=other)  # its films with lesions stay out
    assert [len(each["label"]) for each in joined] == [2, 1, 0, 0, 0, 0]
    with pytest.raises(ManifestError, match=r"normals_from holds 2 images of the list too, the first 0{15}2"):
        load_samples(prepared, "training", normals_from=prepared)


def test_a_training_recipe_takes_both_at_once(prepared: Path, tmp_path: Path) -> None:
    done = write_mass_free_set(read_manifest(prepared), tmp_path / "out", min_fraction=0.3)
    transform = training_transforms(preset="fixed_portrait", size_px=160, augment="strong")
    for sample in load_samples(prepared, "training", normals_from=done.path):
        assert transform(sample)["image"].shape == (1, 160, 80)
