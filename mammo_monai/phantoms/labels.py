"""Burned-in lead letters such as LCC and RMLO, drawn without a font file."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mammo_monai.phantoms.texture import FloatImage

_GLYPHS = {
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "C": "01110 10001 10000 10000 10000 10001 01110",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
}


def lead_letters(text: str, *, height_mm: float, turn_deg: float, spacing_mm: float) -> FloatImage:
    """Opacity in [0, 1] of a turned line of rounded letters, shape as needed.

    Args:
        text: letters among L, R, C, M, O.

    Raises:
        ValueError: a letter without a glyph.
    """
    unknown = sorted(set(text) - set(_GLYPHS))
    if unknown:
        raise ValueError(f"lead letters exist for {''.join(_GLYPHS)}, got {''.join(unknown)!r} in {text!r}.")
    rows = [np.array([[int(dot) for dot in line] for line in _GLYPHS[letter].split()]) for letter in text]
    dots = np.concatenate([np.pad(glyph, ((2, 2), (1, 1))) for glyph in rows], axis=1).astype(np.float32)
    dots = np.pad(dots, ((0, 0), (2, 2)))
    # Enlarged smoothly and cut at half, the dots join into strokes with round ends, like punched lead.
    zoom = max(height_mm / 7 / spacing_mm, 0.4)
    enlarged = ndimage.zoom(ndimage.gaussian_filter(ndimage.zoom(dots, 4, order=1), 1.8), zoom / 4, order=1)
    turned = ndimage.rotate(enlarged, turn_deg, order=1, reshape=True)
    letters: FloatImage = np.clip((turned - 0.17) * 6, 0, 1).astype(np.float32)
    return letters
