"""Reads and writes the project's files: manifest, detections, metrics, operating points, folds, audit.

Boxes are as in `records`: `(x_min, y_min, x_max, y_max)`, original pixels. Every error names the file, the
row and the field. Writes are atomic.
"""

from mammo_monai.schema.audit import AUDIT_COLUMNS, Action, Finding, read_audit, write_audit
from mammo_monai.schema.class_scores import (
    CLASS_SCORES_SCHEMA,
    ClassScore,
    ClassScoresFile,
    read_class_scores,
    write_class_scores,
)
from mammo_monai.schema.detection_rows import DETECTIONS_SCHEMA, DetectionsFormat, detections_format
from mammo_monai.schema.detection_streams import finish_shards, iter_detections, read_model, write_shard
from mammo_monai.schema.detections import DetectionsFile, read_detections, write_detections
from mammo_monai.schema.detections_check import check_detections
from mammo_monai.schema.manifest import (
    MANIFEST_SCHEMA,
    Manifest,
    Quarantined,
    read_manifest,
    write_manifest,
)
from mammo_monai.schema.metrics import METRICS_SCHEMA, read_metrics, write_metrics
from mammo_monai.schema.operating_points import (
    OPERATING_POINTS_SCHEMA,
    Calibration,
    IsotonicCurve,
    OperatingPoint,
    OperatingPoints,
    PlattCurve,
    ReliabilityBin,
    TemperatureCurve,
    read_operating_points,
    write_operating_points,
)

__all__ = [
    "AUDIT_COLUMNS",
    "CLASS_SCORES_SCHEMA",
    "DETECTIONS_SCHEMA",
    "MANIFEST_SCHEMA",
    "METRICS_SCHEMA",
    "OPERATING_POINTS_SCHEMA",
    "Action",
    "Calibration",
    "ClassScore",
    "ClassScoresFile",
    "DetectionsFile",
    "DetectionsFormat",
    "Finding",
    "IsotonicCurve",
    "Manifest",
    "OperatingPoint",
    "OperatingPoints",
    "PlattCurve",
    "Quarantined",
    "ReliabilityBin",
    "TemperatureCurve",
    "check_detections",
    "detections_format",
    "finish_shards",
    "iter_detections",
    "read_audit",
    "read_class_scores",
    "read_detections",
    "read_manifest",
    "read_metrics",
    "read_model",
    "read_operating_points",
    "write_audit",
    "write_class_scores",
    "write_detections",
    "write_manifest",
    "write_metrics",
    "write_operating_points",
    "write_shard",
]
