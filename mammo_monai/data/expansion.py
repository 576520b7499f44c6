"""How images become training samples: whole, cut at each lesion, cut at background, without their lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mammo_monai.transforms.sections import BACKGROUND

Views = Literal["full_image", "sections", "full_and_sections", "full_and_mass_free"]
VIEWS: tuple[Views, ...] = get_args(Views)
MASS_FREE = "mass_free"


@dataclass(frozen=True)
class TrainingView:
    """One training sample: the image's row, and its `section` (see `CutSectiond`), or "mass_free".

    Attributes:
        has_lesion: what a loader's `lesion_fraction` balances; of whole samples with a `class_index`, whether
            that is not 0.
    """

    image_index: int
    section: int | str | None
    has_lesion: bool


def training_views(samples: Sequence[Mapping[str, Any]], views: Views = "full_image") -> list[TrainingView]:
    """The training samples of a list of images, image by image.

    Args:
        views: "full_image": each image once. "sections": one section per lesion and one of
            background per image, so an image without lesions gives that alone. "full_and_sections": both.
            "full_and_mass_free": each image once, and each image with lesions once more without them (see
            `mass_free_view`): an epoch is longer by as many. A loader's `lesion_fraction` sets their share.

    Raises:
        ValueError: another word for `views`.

    Source: P2 (Jung et al., 2018) trains on full images and sections at lesions; backgrounds and mass-free
    parts: no source known.

    >>> [view.section for view in training_views([{"label": [0, 0]}, {"label": []}], "full_and_sections")]
    [None, 0, 1, 'background', None, 'background']
    """
    if views not in VIEWS:
        raise ValueError(f"views must be {', '.join(VIEWS[:-1])} or {VIEWS[-1]}, got {views!r}.")
    found: list[TrainingView] = []
    for index, sample in enumerate(samples):
        lesions = len(sample["label"])
        if views != "sections":
            is_positive = bool(sample["class_index"]) if "class_index" in sample else lesions > 0
            found.append(TrainingView(index, None, is_positive))
        if views == "full_and_mass_free":
            found += [TrainingView(index, MASS_FREE, has_lesion=False)] * (lesions > 0)
        elif views != "full_image":
            found += [TrainingView(index, row, has_lesion=True) for row in range(lesions)]
            found.append(TrainingView(index, BACKGROUND, has_lesion=False))
    return found
