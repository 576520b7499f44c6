"""Grey values of the breast on one scale, [0, 1]; pixels that are 0 (outside the breast) stay 0."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from monai.transforms import MapTransform
from numpy.typing import NDArray
from torch import Tensor

from mammo_monai.transforms.sample import Sample, image_of

logger = logging.getLogger(__name__)
IntensityMethod = Literal["range", "percentile", "global_contrast"]
SD_PER_RANGE = 8.0
# A film has 13 million pixels; a percentile of a sixtieth of them is off by less than 1/1000 of rank.
COUNTED_PX = 250_000


class NormaliseIntensityd(MapTransform):  # type: ignore[misc]  # monai carries no types
    """Maps grey values linearly; the map is found on the breast (pixels above 0) alone.

    Args:
        method:
            "range": values as loaded, scaled by the file's own range (the papers' 0–255).
            "percentile": the percentiles `low` and `high` become 0 and 1; what lies beyond is cut.
            "global_contrast": zero mean and unit standard deviation, then 1/2 + z/8, so that ±4 standard
            deviations fill [0, 1] (cut beyond): the network's own input normalisation expects that range.
        low, high: percentiles.

    Percentiles, mean and standard deviation come from a grid of about 250 000 pixels. A breast of one grey
    value cannot be scaled: it is left as it is (WARNING).

    Raises:
        ValueError: another method, or percentiles out of order.

    Source: P3 (Agarwal et al., 2019) finds global contrast normalisation better than 0–255; the factor 8 and
    the percentiles: no source known.
    """

    def __init__(self, method: IntensityMethod = "range", *, low: float = 0.5, high: float = 99.5) -> None:
        super().__init__(keys="image")
        if method not in ("range", "percentile", "global_contrast"):
            raise ValueError(f"method must be range, percentile or global_contrast, got {method!r}.")
        if not 0 <= low < high <= 100:
            raise ValueError(f"expected 0 <= low < high <= 100, got low={low}, high={high}.")
        self.method: IntensityMethod = method
        self.low = low
        self.high = high

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with normalised grey values."""
        image = image_of(data)
        if self.method == "range":
            return {**data, "image": image}
        offset, width = self._window(breast_values(image))
        if not width > 0:
            logger.warning(
                "record %s: the breast has a single grey value; its intensity is left as it is. "
                "Look at the image.",
                data.get("record_id"),
            )
            return {**data, "image": image}
        scaled = ((image - offset) / width).clamp(0, 1)
        return {**data, "image": torch.where(image > 0, scaled, torch.zeros(()))}

    def _window(self, values: NDArray[np.float32]) -> tuple[float, float]:
        """The value that becomes 0, and the width of the window that becomes [0, 1]."""
        if not len(values):
            return 0.0, 0.0
        if self.method == "percentile":
            low, high = np.percentile(values, (self.low, self.high))
            return float(low), float(high - low)
        sd = float(values.std(dtype=np.float64))
        return float(values.mean(dtype=np.float64)) - sd * SD_PER_RANGE / 2, sd * SD_PER_RANGE


def breast_values(image: Tensor) -> NDArray[np.float32]:
    """Values above 0 of an image (1, H, W), from a grid of about 250 000 pixels; by numpy, one thread."""
    step = max(1, int(np.sqrt(image.numel() / COUNTED_PX)))
    values = image[0, ::step, ::step].numpy()
    return np.asarray(values[values > 0])
