"""The words data sets use for laterality, view, BI-RADS and density, as the package's own."""

from __future__ import annotations

import re

from mammo_monai.records import Laterality, ViewPosition

LATERALITIES = {
    "L": Laterality.LEFT,
    "LEFT": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "RIGHT": Laterality.RIGHT,
}
VIEWS = {view.value: view for view in ViewPosition}
_BIRADS = re.compile(r"([0-6])(?:\.0|[abc])?", re.IGNORECASE)
_DENSITIES = {"1": 1, "2": 2, "3": 3, "4": 4, "A": 1, "B": 2, "C": 3, "D": 4}


def birads_category(text: str) -> int | None:
    """BI-RADS assessment 0–6; 4a, 4b and 4c are 4; None for an empty text.

    Raises:
        ValueError: anything else.

    >>> birads_category("4c"), birads_category(" ")
    (4, None)
    """
    if not text.strip():
        return None
    match = _BIRADS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"BI-RADS must be 0 to 6, 4a, 4b or 4c, got {text!r}")
    return int(match[1])


def density_category(text: str) -> int | None:
    """BI-RADS breast density 1–4, also written a–d; None for an empty text.

    Raises:
        ValueError: anything else.

    >>> density_category("b"), density_category("4")
    (2, 4)
    """
    if not text.strip():
        return None
    try:
        return _DENSITIES[text.strip().removesuffix(".0").upper()]
    except KeyError:
        raise ValueError(f"breast density must be 1 to 4 or a to d, got {text!r}") from None
