"""What other toolkits marked, as detections of a manifest's images: COCO results, tables, YOLO's files."""

from mammo_monai.readers.foreign_detections.conversion import (
    ForeignDetections,
    ForeignSource,
    FormatName,
    foreign_detections,
)

__all__ = ["ForeignDetections", "ForeignSource", "FormatName", "foreign_detections"]
