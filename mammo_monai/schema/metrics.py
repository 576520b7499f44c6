"""metrics.json: figures with their rule, as plain JSON content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mammo_monai.files import write_json_atomic
from mammo_monai.schema.fields import Json, load_json

METRICS_SCHEMA = "mammo-monai/metrics/1"


def read_metrics(path: Path) -> dict[str, Any]:
    """The metrics at `path`, as plain JSON content.

    Raises:
        ManifestError: not JSON, or another schema.
    """
    return dict(load_json(Path(path), METRICS_SCHEMA))


def write_metrics(path: Path, metrics: Json) -> None:
    """Writes metrics under their schema name; NaN is refused, undefined is null."""
    write_json_atomic(
        Path(path), {"schema": METRICS_SCHEMA, **{k: v for k, v in metrics.items() if k != "schema"}}
    )
