"""DICOM mammograms: pixels as shown, attributes as meant, refusals with a remedy."""

from mammo_monai.dicom.attributes import MammogramAttributes, read_attributes
from mammo_monai.dicom.pixels import Mammogram, read_mammogram

__all__ = ["Mammogram", "MammogramAttributes", "read_attributes", "read_mammogram"]
