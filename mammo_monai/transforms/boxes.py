"""Training targets: annotated boxes enlarged, cut at the borders. Pixels stay as they are.

Scoring never sees these: it uses `box_original`, the boxes as annotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai.transforms import MapTransform

from mammo_monai.geometry import clip_boxes, enlarge_boxes
from mammo_monai.transforms.sample import (
    Sample,
    boxes_of,
    clipped,
    image_of,
    size_of,
    with_boxes,
)


class EnlargeBoxesd(MapTransform):  # type: ignore[misc]  # monai carries no types
    """Enlarges boxes by `fraction` of their width and height about their centres, cut at the image's borders.

    Raises:
        ValueError: `fraction` is negative.

    Source: P2 (Jung et al., 2018): 10 %.
    """

    def __init__(self, fraction: float = 0.1) -> None:
        super().__init__(keys="box")
        if fraction < 0:
            raise ValueError(f"fraction must not be negative, got {fraction}.")
        self.fraction = fraction

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with larger boxes."""
        size = size_of(image_of(data))
        return with_boxes(data, clip_boxes(enlarge_boxes(boxes_of(data), self.fraction), *size))


class ClipBoxesd(MapTransform):  # type: ignore[misc]  # monai carries no types
    """Cuts boxes at the image's borders and drops those of which too little remains (DEBUG log).

    Args:
        min_area_fraction: of a box's area that must lie inside.

    Raises:
        ValueError: `min_area_fraction` outside [0, 1].
    """

    def __init__(self, min_area_fraction: float = 0.25) -> None:
        super().__init__(keys=("box", "label"))
        if not 0 <= min_area_fraction <= 1:
            raise ValueError(f"min_area_fraction must be in [0, 1], got {min_area_fraction}.")
        self.min_area_fraction = min_area_fraction

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with boxes inside its image."""
        return clipped(data, min_area_fraction=self.min_area_fraction)
