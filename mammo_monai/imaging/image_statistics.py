"""What an image looks like to a network, as two dozen figures: where the breast lies, how grey, how sharp."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROWS, COLUMNS = 384, 192
_EDGE_SHARE = 0.05
_QUANTILES = {"grey_05": 0.05, "grey_25": 0.25, "grey_50": 0.5, "grey_75": 0.75, "grey_95": 0.95}
_LARGEST_LOG = 12.0


def image_statistics(
    image: NDArray[np.float32],
    *,
    crop_shares: tuple[float, float],
    area_mm2: float | None = None,
) -> dict[str, float]:
    """Figures of an image as a network gets it: cropped to the breast, chest wall to the left.

    All are taken from a copy of 384 × 192 pixels (rows × columns), so that they hardly depend on the image's
    size, and none on lengths in pixels. What is as dark as the darkest pixel counts as background.

    Args:
        image: shape (H, W), any range.
        crop_shares: the crop's width and height in shares of the original image's.
        area_mm2: of the whole crop; None where the spacing is unknown.

    Returns:
        Finite numbers by name: `crop_*`; `breast_*`, shares of the crop, its edges and its centre; `grey_*`,
        quantiles in the breast and how it falls off to the skin; `detail_*`, steps between neighbours.
    """
    copy = _reduced(np.asarray(image, dtype=np.float32))
    breast = copy > copy.min()
    found = {"crop_width": crop_shares[0], "crop_height": crop_shares[1], **_places(breast)}
    if area_mm2 is not None:
        found["breast_area_mm2"] = area_mm2 * float(breast.mean())
    if not breast.any():  # a constant image: there is nothing to take quantiles of
        breast = np.ones_like(breast)
    found |= _greys(copy, breast) | _details(copy, breast)
    return {name: float(value) for name, value in found.items()}


def _reduced(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over equal parts; larger images are thinned first, which costs less and shows the same."""
    rows, columns = image.shape
    thinned = image[:: max(1, rows // (4 * ROWS)), :: max(1, columns // (4 * COLUMNS))]
    if thinned.shape == (2 * ROWS, 2 * COLUMNS):
        halves = thinned[::2] + thinned[1::2]
        return np.asarray((halves[:, ::2] + halves[:, 1::2]) / 4, dtype=np.float32)
    picture = Image.fromarray(np.ascontiguousarray(thinned))
    return np.asarray(picture.resize((COLUMNS, ROWS), Image.Resampling.BOX), dtype=np.float32)


def _places(breast: NDArray[np.bool_]) -> dict[str, float]:
    rows, columns = breast.mean(axis=1), breast.mean(axis=0)
    wide, high = max(1, int(_EDGE_SHARE * COLUMNS)), max(1, int(_EDGE_SHARE * ROWS))
    total = max(float(rows.sum()), 1e-9)
    return {
        "breast_share": float(breast.mean()),
        "breast_at_left": float(columns[:wide].mean()),
        "breast_at_right": float(columns[-wide:].mean()),
        "breast_at_top": float(rows[:high].mean()),
        "breast_at_bottom": float(rows[-high:].mean()),
        "breast_centre_x": float(columns @ np.arange(COLUMNS)) / max(float(columns.sum()), 1e-9) / COLUMNS,
        "breast_centre_y": float(rows @ np.arange(ROWS)) / total / ROWS,
    }


def _greys(copy: NDArray[np.float32], breast: NDArray[np.bool_]) -> dict[str, float]:
    low, high = float(copy.min()), float(copy.max())
    values = (copy[breast] - low) / max(high - low, 1e-9)
    quantiles = np.quantile(values, list(_QUANTILES.values()))
    skin = _skin(breast)
    rim = (copy[skin] - low) / max(high - low, 1e-9) if skin.any() else values
    x = np.nonzero(breast)[1].astype(np.float32)
    spread = float(x.std()) * float(values.std())
    slope = float(((x - x.mean()) * (values - values.mean())).mean()) / spread if spread > 1e-6 else 0.0
    return {
        **dict(zip(_QUANTILES, quantiles.tolist(), strict=True)),
        "grey_saturated": float((values > 1 - 1 / 256).mean()),
        "grey_at_skin": float(rim.mean()) - float(quantiles[2]),
        "grey_to_the_right": slope,
    }


def _skin(breast: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The last four breast pixels of each row that has background to their right."""
    last = COLUMNS - 1 - np.argmax(breast[:, ::-1], axis=1)
    has_skin = breast.any(axis=1) & (last < COLUMNS - 1)
    offset = last[:, None] - np.arange(COLUMNS)[None, :]
    return np.asarray(breast & has_skin[:, None] & (offset >= 0) & (offset < 4))


def _details(copy: NDArray[np.float32], breast: NDArray[np.bool_]) -> dict[str, float]:
    """Logarithms of mean steps over one and four pixels, and of their ratio along the two axes."""
    spread = max(float(copy[breast].std()), 1e-6)
    across = _step(copy, breast, 1, 1) / spread
    down = _step(copy, breast, 0, 1) / spread
    far = (_step(copy, breast, 1, 4) + _step(copy, breast, 0, 4)) / spread
    return {
        "detail_fine": _log(across + down),
        "detail_coarse": _log(far) - _log(across + down),
        "detail_across_to_down": _log(across) - _log(down),
        "detail_spread": _log(spread / max(float(copy.max() - copy.min()), 1e-6)),
    }


def _step(copy: NDArray[np.float32], breast: NDArray[np.bool_], axis: int, lag: int) -> float:
    """Mean absolute difference over `lag` pixels where both lie in the breast; 0 where none do."""
    first = (slice(None, -lag), slice(None)) if axis == 0 else (slice(None), slice(None, -lag))
    second = (slice(lag, None), slice(None)) if axis == 0 else (slice(None), slice(lag, None))
    both = breast[first] & breast[second]
    n = int(np.count_nonzero(both))
    return float((np.abs(copy[second] - copy[first]) * both).sum()) / n if n else 0.0


def _log(value: float) -> float:
    return float(np.log(max(value, np.exp(-_LARGEST_LOG))))


def named_values(statistics: Mapping[str, float], names: tuple[str, ...]) -> NDArray[np.float64]:
    """The values in the order of the names, nan where one is missing."""
    return np.array([statistics.get(name, np.nan) for name in names], dtype=np.float64)
