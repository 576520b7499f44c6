"""Synthetic mammograms as real DICOM in the data sets' own on-disk layouts: same seed, same bytes."""

from mammo_monai.phantoms.data_set import LAYOUTS, SALT, SUMMARY, TRUTH, write_phantoms

__all__ = ["LAYOUTS", "SALT", "SUMMARY", "TRUTH", "write_phantoms"]
