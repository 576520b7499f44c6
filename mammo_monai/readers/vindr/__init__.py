"""Reads VinDr-Mammo: its table of findings and its DICOM files, or their PNG and JPEG copies."""

from mammo_monai.readers.vindr.reader import VindrOptions, read_vindr

__all__ = ["VindrOptions", "read_vindr"]
