"""Which lesions are small and which large: the physical longest side of the box as annotated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mammo_monai.records import Box, ImageRecord

SizeBand = Literal["<2cm", ">=2cm", "unknown"]
SIZE_BANDS: tuple[SizeBand, ...] = ("<2cm", ">=2cm", "unknown")
_LIMIT_MM = 20.0


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
