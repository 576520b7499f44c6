from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.transforms import RandContrastd, RandNoised
from mammo_monai.transforms.augment_intensity import breast_mean
from tests.transforms.films import assert_same_sample, copy_of, film_sample

KINDS = {"contrast": RandContrastd, "noise": RandNoised}
kinds = st.sampled_from(sorted(KINDS))
seeds = st.integers(0, 2**31)


@given(kind=kinds, seed=seeds)
def test_prob_0_is_identity(kind: str, seed: int) -> None:
    assert_same_sample(KINDS[kind](0.0).set_random_state(seed)(film_sample()), film_sample())


@given(kind=kinds, seed=seeds)
def test_only_the_breast_changes_and_stays_in_0_to_1(kind: str, seed: int) -> None:
    sample = film_sample()
    before = copy_of(sample)
    changed = KINDS[kind](1.0).set_random_state(seed)(sample)
    outside = sample["image"] == 0
    assert float(changed["image"][outside].abs().max()) == 0
    assert float(changed["image"].min()) >= 0
    assert float(changed["image"].max()) <= 1
    assert not torch.equal(changed["image"], sample["image"])
    assert_same_sample(changed | {"image": sample["image"]}, sample)
    assert_same_sample(sample, before)


@given(kind=kinds, seed=seeds)
def test_same_seed_gives_the_same_image(kind: str, seed: int) -> None:
    first, second = (KINDS[kind](0.5).set_random_state(seed)(film_sample()) for _ in range(2))
    assert_same_sample(first, second)


def fixed(transform: Any, drawn: tuple[float, ...]) -> Any:
    transform.randomize()
    transform._drawn = drawn
    return transform


def test_brightness_shifts_contrast_keeps_the_mean_gamma_bends() -> None:
    image = torch.tensor([[[0.0, 0.25, 0.49]]])
    brighter = fixed(RandContrastd(1.0), (0.1, 1.0, 1.0)).apply({"image": image})["image"]
    torch.testing.assert_close(brighter, torch.tensor([[[0.0, 0.35, 0.59]]]))
    steeper = fixed(RandContrastd(1.0), (0.0, 2.0, 1.0)).apply({"image": image})["image"]
    torch.testing.assert_close(steeper, torch.tensor([[[0.0, 0.13, 0.61]]]))
    bent = fixed(RandContrastd(1.0), (0.0, 1.0, 0.5)).apply({"image": image})["image"]
    torch.testing.assert_close(bent, torch.tensor([[[0.0, 0.5, 0.7]]]))


def test_noise_has_the_drawn_standard_deviation() -> None:
    image = torch.full((1, 400, 300), 0.5)
    noisy = fixed(RandNoised(1.0), (0.02, 7)).apply({"image": image})["image"]
    assert float(noisy.std()) == pytest.approx(0.02, rel=0.02)
    assert float(noisy.mean()) == pytest.approx(0.5, abs=1e-3)


def test_drawn_values_lie_in_their_ranges() -> None:
    transform = RandContrastd(1.0, brightness=0.1, contrast=0.2, gamma=0.25)
    drawn = []
    for seed in range(200):
        transform.set_random_state(seed).randomize()
        drawn.append(transform._drawn)
    low, high = np.min(drawn, axis=0), np.max(drawn, axis=0)
    assert np.all(low >= (-0.1, 0.8, 0.8))
    assert np.all(high <= (0.1, 1.2, 1.25))
    assert np.all(high - low > (0.19, 0.38, 0.42))


def test_mean_counts_the_breast_alone() -> None:
    assert breast_mean(torch.tensor([[[0.0, 0.2, 0.4]]])) == pytest.approx(0.3)
    assert breast_mean(torch.zeros(1, 2, 3)) == 0


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="expected brightness >= 0"):
        RandContrastd(contrast=1.0)
    with pytest.raises(ValueError, match="max_sd must not be negative"):
        RandNoised(max_sd=-1)
