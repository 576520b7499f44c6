"""Results as DICOM objects: reports, overlays, captures and segmentations of what was marked, and back."""

from mammo_monai.dicom.results.build import RESULT_KINDS, build_result
from mammo_monai.dicom.results.identity import ModelIdentity, model_identity, result_uid
from mammo_monai.dicom.results.marked_image import MarkedImage
from mammo_monai.dicom.results.read_marks import ReadMarks, read_marks

__all__ = [
    "RESULT_KINDS",
    "MarkedImage",
    "ModelIdentity",
    "ReadMarks",
    "build_result",
    "model_identity",
    "read_marks",
    "result_uid",
]
