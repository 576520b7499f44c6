"""Detections of any format, one image at a time: JSON, JSON Lines, or a folder of Parquet shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mammo_monai.records import Detections
from mammo_monai.schema.detection_lines import iter_lines, lines_model
from mammo_monai.schema.detection_rows import detections_format
from mammo_monai.schema.detection_shards import finish_shards, iter_shards, shards_model, write_shard
from mammo_monai.schema.detections import read_detections
from mammo_monai.schema.fields import Json

__all__ = ["finish_shards", "iter_detections", "read_model", "write_shard"]


def iter_detections(path: Path) -> Iterator[Detections]:
    """The images of a file in its order. Of .jsonl and .parquet one image or shard is in memory at a time.

    Whether a record id stands twice is not looked at in these two: `read_detections` does, and keeps all.

    Raises:
        ManifestError: as `read_detections`.
    """
    path = Path(path)
    kind = detections_format(path)
    if kind == "jsonl":
        return iter_lines(path)
    return iter_shards(path) if kind == "parquet" else iter(read_detections(path).detections)


def read_model(path: Path) -> Json:
    """The model's description. Of .jsonl and .parquet no image is read.

    Raises:
        ManifestError: as `read_detections`.
    """
    path = Path(path)
    kind = detections_format(path)
    if kind == "jsonl":
        return lines_model(path)
    return shards_model(path) if kind == "parquet" else read_detections(path).model
