"""Resizing with boxes: to a short side, to a pixel spacing, or to a fixed size.

All are bilinear and antialiased, append one `Scale` to the frame, and invert.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai.transforms import InvertibleTransform, MapTransform

from mammo_monai.errors import ManifestError
from mammo_monai.geometry import Scale
from mammo_monai.transforms.sample import Sample, after_step, image_of, resize_image, size_of, undo_step


class ResizeShortSided(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Resizes the short side to `short_px` at constant ratio; samples cut as sections keep their resolution.

    Args:
        short_px: length of the short side afterwards.
        max_long_px: a long side that would exceed this is resized to it instead; None: no limit.
        resize_sections: whether samples with a `section` (see `CutSectiond`) are resized too.

    Raises:
        ValueError: a side below 1 px, or `max_long_px` below `short_px`.

    Source: P2 (Jung et al., 2018): short side 600 px, constant ratio, no limit named.
    """

    def __init__(
        self, short_px: int = 600, max_long_px: int | None = None, *, resize_sections: bool = False
    ) -> None:
        super().__init__(keys=("image", "box"))
        if short_px < 1 or (max_long_px is not None and max_long_px < short_px):
            raise ValueError(
                f"expected 1 <= short_px <= max_long_px, got short_px={short_px}, max_long_px={max_long_px}."
            )
        self.short_px = short_px
        self.max_long_px = max_long_px
        self.resize_sections = resize_sections

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The resized sample."""
        size = size_of(image_of(data))
        if data.get("section") is not None and not self.resize_sections:
            return _resized(data, size)
        factor = self.short_px / min(size)
        if self.max_long_px is not None:
            factor = min(factor, self.max_long_px / max(size))
        return _resized(data, (round(size[0] * factor), round(size[1] * factor)))

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample at the size it had."""
        return undo_step(data, (Scale,))


class ResizeToSpacingd(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Resizes to square pixels of `spacing_mm`; needs `pixel_spacing_mm` `(row, column)` of the original.

    Give it before any other resizing: the spacing is that of the original pixels.

    Raises:
        ManifestError: the sample has no pixel spacing; it is never guessed.
        ValueError: `spacing_mm` is not above 0.
    """

    def __init__(self, spacing_mm: float) -> None:
        super().__init__(keys=("image", "box"))
        if not spacing_mm > 0:
            raise ValueError(f"spacing_mm must be above 0, got {spacing_mm}.")
        self.spacing_mm = spacing_mm

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The resized sample."""
        spacing = data.get("pixel_spacing_mm")
        if spacing is None:
            raise ManifestError(
                f"{data.get('image_path', 'record')} ({data.get('record_id')}): pixel_spacing_mm is unknown, "
                f"but a fixed spacing of {self.spacing_mm:g} mm was asked for. Add it to the manifest, or "
                "resize by the short side."
            )
        width, height = size_of(image_of(data))
        row_mm, column_mm = spacing
        size = (round(width * column_mm / self.spacing_mm), round(height * row_mm / self.spacing_mm))
        return _resized(data, size)

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample at the size it had."""
        return undo_step(data, (Scale,))


class StretchToSized(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Stretches to `width_px` × `height_px`, whatever the ratio; public releases of films come that way.

    Raises:
        ValueError: a side below 1 px.
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        super().__init__(keys=("image", "box"))
        if min(width_px, height_px) < 1:
            raise ValueError(f"a size must be at least 1 × 1 px, got {width_px} × {height_px}.")
        self.size = (width_px, height_px)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The stretched sample."""
        return _resized(data, self.size)

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample at the size it had."""
        return undo_step(data, (Scale,))


def _resized(data: Mapping[str, Any], size: tuple[int, int]) -> Sample:
    image = image_of(data)
    size = (max(1, size[0]), max(1, size[1]))
    return after_step(data, resize_image(image, size), Scale(*size_of(image), *size))
