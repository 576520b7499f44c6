"""Annotations as sites keep them, one file per format, each giving lesions by image."""

from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target
from mammo_monai.readers.annotations.formats import FORMATS, FormatName, Place, find_annotations
from mammo_monai.readers.annotations.lesion_types import IGNORED, LesionTypes

__all__ = [
    "FORMATS",
    "IGNORED",
    "AnnotatedImage",
    "FormatName",
    "LesionTypes",
    "Place",
    "Target",
    "find_annotations",
]
