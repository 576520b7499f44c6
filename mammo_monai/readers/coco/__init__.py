"""Reads a COCO JSON of boxes and its images."""

from mammo_monai.readers.coco.reader import CocoOptions, read_coco

__all__ = ["CocoOptions", "read_coco"]
