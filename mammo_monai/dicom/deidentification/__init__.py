"""De-identification by DICOM PS3.15, Basic Application Level Confidentiality Profile."""

from mammo_monai.dicom.deidentification.files import Deidentified, deidentify_files
from mammo_monai.dicom.deidentification.profile import KEEP, deidentified
from mammo_monai.dicom.deidentification.pseudonyms import Pseudonyms

__all__ = ["KEEP", "Deidentified", "Pseudonyms", "deidentified", "deidentify_files"]
