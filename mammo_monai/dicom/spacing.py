"""Pixel spacing in millimetres by the rules of the standard, or None: it is never guessed."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from mammo_monai.dicom.reading import first_text

Spacing = tuple[float, float]
# Writers round the same spacing to other digits; a calibration that changes less is not worth telling apart.
_ROUNDING = 0.005


def pixel_spacing_of(dataset: Dataset) -> tuple[Spacing | None, str | None]:
    """Distance between rows and between columns in mm, and the attribute that told.

    1. Pixel Spacing, when calibrated: it differs from Imager Pixel Spacing by more than 0.5 %, or names a
       calibration type, or stands alone. When both are equal it is the detector's spacing under another name.
    2. Imager Pixel Spacing, measured at the detector, divided by the Estimated Radiographic Magnification
       Factor where that is given: the spacing in the breast.
    3. Nominal Scanned Pixel Spacing: of the film, by the digitiser.

    A value that is not two positive numbers counts as absent.

    Source: DICOM PS3.3 10.7.1.3 (calibration), C.8.11.7 (magnification), C.8.6.2 (scanned film).
    """
    pixel, imager = _pair(dataset, "PixelSpacing"), _pair(dataset, "ImagerPixelSpacing")
    is_calibrated = not _is_same(pixel, imager) or bool(first_text(dataset, "PixelSpacingCalibrationType"))
    if pixel is not None and is_calibrated:
        return pixel, "PixelSpacing"
    if imager is not None:
        factor = _positive(first_text(dataset, "EstimatedRadiographicMagnificationFactor")) or 1.0
        return (imager[0] / factor, imager[1] / factor), "ImagerPixelSpacing"
    scanned = _pair(dataset, "NominalScannedPixelSpacing")
    return scanned, None if scanned is None else "NominalScannedPixelSpacing"


def _is_same(pixel: Spacing | None, imager: Spacing | None) -> bool:
    if pixel is None or imager is None:
        return pixel is imager
    return all(
        math.isclose(each, other, rel_tol=_ROUNDING) for each, other in zip(pixel, imager, strict=True)
    )


def _pair(dataset: Dataset, keyword: str) -> Spacing | None:
    value = dataset.get(keyword)
    if value is None or isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or len(value) != 2:
        return None
    row, column = _positive(str(value[0])), _positive(str(value[1]))
    return None if row is None or column is None else (row, column)


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
