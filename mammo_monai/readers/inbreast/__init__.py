"""Reads INbreast: its table as CSV or XLS, its DICOM files, and the contours drawn in OsiriX."""

from mammo_monai.readers.inbreast.reader import InbreastOptions, read_inbreast

__all__ = ["InbreastOptions", "read_inbreast"]
