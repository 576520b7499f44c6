"""DICOM mammograms: pixels as shown, attributes as meant, refusals with a remedy."""

from mammo_monai.dicom.attributes import MammogramAttributes, read_attributes
from mammo_monai.dicom.pixels import Mammogram, read_mammogram
from mammo_monai.dicom.unquoted import silence_values

silence_values()

__all__ = ["Mammogram", "MammogramAttributes", "read_attributes", "read_mammogram"]
