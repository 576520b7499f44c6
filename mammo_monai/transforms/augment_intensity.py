"""Random brightness, contrast, gamma and noise in the breast; what is 0 (outside it) stays 0.

Images are in [0, 1] before and after. `randomize()` draws, `apply()` is deterministic, `prob=0` is identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform, RandomizableTransform
from torch import Tensor

from mammo_monai.transforms.sample import Sample, image_of


class RandContrastd(RandomizableTransform, MapTransform):  # type: ignore[misc]  # monai carries no types
    """Changes gamma, then contrast about the mean of the breast, then brightness.

    Args:
        brightness: largest shift, in units of the full range.
        contrast: factors from 1 − `contrast` to 1 + `contrast`.
        gamma: exponents from 1 / (1 + `gamma`) to 1 + `gamma`.

    Raises:
        ValueError: a negative size, or `contrast` of 1 and more.

    Source: P1 names brightness and contrast without sizes; gamma: no source known.
    """

    def __init__(
        self, prob: float = 0.5, *, brightness: float = 0.1, contrast: float = 0.2, gamma: float = 0.2
    ) -> None:
        MapTransform.__init__(self, keys="image")
        RandomizableTransform.__init__(self, prob)
        if not 0 <= contrast < 1 or min(brightness, gamma) < 0:
            raise ValueError(
                "expected brightness >= 0, 0 <= contrast < 1, gamma >= 0, "
                f"got brightness={brightness}, contrast={contrast}, gamma={gamma}."
            )
        self.brightness = brightness
        self.contrast = contrast
        self.gamma = gamma
        self._drawn = (0.0, 1.0, 1.0)

    def randomize(self, data: object = None) -> None:
        """Draws the shift, the factor and the exponent."""
        super().randomize(None)
        shift, factor, exponent = 2 * self.R.random_sample(3) - 1
        self._drawn = (self.brightness * shift, 1 + self.contrast * factor, (1 + self.gamma) ** exponent)

    def apply(self, data: Mapping[str, Any]) -> Sample:
        """The sample with the drawn look."""
        if not self._do_transform:
            return dict(data)
        image = image_of(data)
        shift, factor, exponent = self._drawn
        look = image.clamp(0, 1) ** exponent
        look = look * factor + (breast_mean(look) * (1 - factor) + shift)
        return {**data, "image": _in_breast(look, image)}

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Draws, then applies."""
        self.randomize()
        return self.apply(data)


class RandNoised(RandomizableTransform, MapTransform):  # type: ignore[misc]  # monai carries no types
    """Adds white noise whose standard deviation is drawn from 0 to `max_sd`, in units of the full range.

    Raises:
        ValueError: `max_sd` is negative.
    """

    def __init__(self, prob: float = 0.5, max_sd: float = 0.02) -> None:
        MapTransform.__init__(self, keys="image")
        RandomizableTransform.__init__(self, prob)
        if max_sd < 0:
            raise ValueError(f"max_sd must not be negative, got {max_sd}.")
        self.max_sd = max_sd
        self._drawn = (0.0, 0)

    def randomize(self, data: object = None) -> None:
        """Draws the standard deviation and the seed of the noise."""
        super().randomize(None)
        self._drawn = (self.max_sd * self.R.random_sample(), int(self.R.randint(2**31 - 1)))

    def apply(self, data: Mapping[str, Any]) -> Sample:
        """The sample with the drawn noise."""
        if not self._do_transform:
            return dict(data)
        image = image_of(data)
        sd, seed = self._drawn
        noise = np.random.default_rng(seed).standard_normal(image.shape, dtype=np.float32)
        return {**data, "image": _in_breast(image + torch.from_numpy(noise) * sd, image)}

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Draws, then applies."""
        self.randomize()
        return self.apply(data)


def breast_mean(image: Tensor) -> float:
    """Mean of the pixels above 0; 0 if there is none. By numpy: torch's threads would change the sum."""
    values = image.numpy()
    count = np.count_nonzero(values > 0)
    return float(np.maximum(values, 0).sum(dtype=np.float64) / count) if count else 0.0


def _in_breast(changed: Tensor, image: Tensor) -> Tensor:
    return torch.where(image > 0, changed.clamp(0, 1), image)
