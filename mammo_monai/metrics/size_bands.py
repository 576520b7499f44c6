"""Which lesions are small and which large: by the longest side of the box, and by the annotated area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mammo_monai.geometry.contours import contour_area_px
from mammo_monai.records import Box, ImageRecord, Lesion

SizeBand = Literal["<2cm", ">=2cm", "unknown"]
SIZE_BANDS: tuple[SizeBand, ...] = ("<2cm", ">=2cm", "unknown")
AreaBand = Literal["<1cm2", "1-4cm2", ">4cm2", "unknown"]
AREA_BANDS: tuple[AreaBand, ...] = ("<1cm2", "1-4cm2", ">4cm2", "unknown")
_LIMIT_MM = 20.0
_SMALL_MM2, _LARGE_MM2 = 100.0, 400.0


def size_band(box: Box, pixel_spacing_mm: Sequence[float] | None) -> SizeBand:
    """Band of a box by its longest side in mm; "unknown" without spacing, never guessed.

    Args:
        box: as annotated, never enlarged, original pixels.
        pixel_spacing_mm: `(row, column)`: distance between rows (y), then between columns (x).

    Source: protocol §5, after P0 (< 2 cm and >= 2 cm).

    >>> size_band((0.0, 0.0, 100.0, 150.0), (0.1, 0.2)), size_band((0.0, 0.0, 9.0, 9.0), None)
    ('>=2cm', 'unknown')
    """
    if pixel_spacing_mm is None:
        return "unknown"
    row_mm, column_mm = pixel_spacing_mm
    longest_mm = max((box[2] - box[0]) * column_mm, (box[3] - box[1]) * row_mm)
    return "<2cm" if longest_mm < _LIMIT_MM else ">=2cm"


def size_bands_of(records: Sequence[ImageRecord]) -> tuple[tuple[SizeBand, ...], ...]:
    """Band of every lesion of every record, in their order."""
    return tuple(
        tuple(size_band(lesion.box, record.pixel_spacing_mm) for lesion in record.lesions)
        for record in records
    )


def area_band(lesion: Lesion, pixel_spacing_mm: Sequence[float] | None) -> AreaBand:
    """Band of a lesion by its annotated area; "unknown" without spacing, never guessed.

    Exactly 1 and exactly 4 cm² belong to "1-4cm2".

    Args:
        pixel_spacing_mm: `(row, column)`: distance between rows (y), then between columns (x).

    Source: protocol §5, after P3 (< 1, 1–4, > 4 cm²).

    >>> area_band(Lesion(box=(0.0, 0.0, 100.0, 150.0)), (0.1, 0.2))
    '1-4cm2'
    """
    if pixel_spacing_mm is None:
        return "unknown"
    area_mm2 = lesion_area_mm2(lesion, pixel_spacing_mm)
    if area_mm2 < _SMALL_MM2:
        return "<1cm2"
    return "1-4cm2" if area_mm2 <= _LARGE_MM2 else ">4cm2"


def lesion_area_mm2(lesion: Lesion, pixel_spacing_mm: Sequence[float]) -> float:
    """Area inside the contour, else of the mask, else of the box; a box holds more than its lesion.

    The contour of a dot or a line has no area: the next of them counts. `Lesion.area_mm2` is the mask's where
    there is no contour.

    >>> triangle = ((0.0, 0.0), (10.0, 0.0), (0.0, 10.0))
    >>> lesion_area_mm2(Lesion(box=(0.0, 0.0, 10.0, 10.0), contour=triangle), (1.0, 1.0))
    50.0
    """
    row_mm, column_mm = pixel_spacing_mm
    x_min, y_min, x_max, y_max = lesion.box
    of_contour = contour_area_px(lesion.contour) * row_mm * column_mm if lesion.contour else 0.0
    of_box = (x_max - x_min) * (y_max - y_min) * row_mm * column_mm
    return of_contour or lesion.area_mm2 or of_box


def area_bands_of(records: Sequence[ImageRecord]) -> tuple[tuple[AreaBand, ...], ...]:
    """Area band of every lesion of every record, in their order."""
    return tuple(
        tuple(area_band(lesion, record.pixel_spacing_mm) for lesion in record.lesions) for record in records
    )
