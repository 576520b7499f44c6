"""The words data sets use for laterality, view, BI-RADS, density and lesion types, as the package's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mammo_monai.records import LESION_LABELS, Laterality, ViewPosition

LATERALITIES = {
    "L": Laterality.LEFT,
    "LEFT": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "RIGHT": Laterality.RIGHT,
}
VIEWS = {view.value: view for view in ViewPosition}
_BIRADS = re.compile(r"(?:BI-?RADS[ :]*)?([0-6])(?:\.0|[abc])?", re.IGNORECASE)
_DENSITY = re.compile(r"(?:DENSITY[ :]*)?([1-4](?:\.0)?|[a-d])", re.IGNORECASE)
_DENSITIES = {"1": 1, "2": 2, "3": 3, "4": 4, "a": 1, "b": 2, "c": 3, "d": 4}


def birads_category(text: str) -> int | None:
    """BI-RADS assessment 0–6, with or without the word; 4a, 4b and 4c are 4; None for an empty text.

    Raises:
        ValueError: anything else.

    >>> birads_category("4c"), birads_category("BI-RADS 5"), birads_category(" ")
    (4, 5, None)
    """
    if not text.strip():
        return None
    match = _BIRADS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"BI-RADS must be 0 to 6, 4a, 4b or 4c, got {text!r}")
    return int(match[1])


def density_category(text: str) -> int | None:
    """BI-RADS breast density 1–4, also written a–d, with or without the word; None for an empty text.

    Raises:
        ValueError: anything else.

    >>> density_category("b"), density_category("4"), density_category("DENSITY C")
    (2, 4, 3)
    """
    if not text.strip():
        return None
    match = _DENSITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"breast density must be 1 to 4 or a to d, got {text!r}")
    return _DENSITIES[match[1][0].lower()]


def joined_type(types: Iterable[str]) -> str:
    """One lesion type of several: words of `LESION_LABELS` first, in its order, then the data set's own.

    >>> joined_type(["other+skin retraction", "mass", "mass"])
    'mass+other+skin retraction'
    """
    words = list(dict.fromkeys(word for each in types for word in each.split("+")))
    known = [word for word in LESION_LABELS if word in words]
    return "+".join(known + [word for word in words if word not in LESION_LABELS])


@dataclass(frozen=True)
class LesionTypeOptions:
    """What to keep of a data set with lesions of several types.

    Attributes:
        types: words of `LESION_LABELS`; lesions of other types are left out, their images stay. None: all.

    Raises:
        ValueError: no type, or an unknown one.
    """

    types: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.types is not None and (not self.types or not set(self.types) <= set(LESION_LABELS)):
            known = ", ".join(LESION_LABELS)
            raise ValueError(f"types must be among {known}, or None for all, got {self.types!r}.")


def is_wanted(lesion_type: str, types: Sequence[str] | None) -> bool:
    """Whether one of a lesion's types is asked for; None asks for all.

    >>> is_wanted("mass+calcification", ("calcification",)), is_wanted("asymmetry", ("mass",))
    (True, False)
    """
    return types is None or not set(types).isdisjoint(lesion_type.split("+"))
