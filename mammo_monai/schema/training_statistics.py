"""training_statistics.json: what the images a model was trained on look like, in figures of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.schema.fields import (
    count_of_at_least_1,
    list_,
    list_of_finite_numbers,
    list_of_texts,
    load_json,
    mapping,
    number_from_0_to_1,
    read_field,
    sha256,
)

TRAINING_STATISTICS_SCHEMA = "mammo-monai/training-statistics/1"


@dataclass(frozen=True)
class TrainingStatistics:
    """How the statistics of training images are distributed, and how far from them an image is untypical.

    Attributes:
        names: of the statistics, N of them.
        median: of each, shape (N,).
        scale_below, scale_above: what counts as 1 below and above it, shape (N,): figures lean to a side.
        low, high: 1st and 99th percentile, shape (N,), for messages.
        precision: inverse covariance of the values less median in scales, shape (N, N).
        distances: quantiles at equal steps from 0 to 1 of the distances of training images, each from the
            others without its patient; ascending.
        limit: the distance that `false_alarm_rate` of images like the training's exceed.
        n_images, n_patients: that all this is of.
        recipe: how the images were prepared; see `Recipe.as_json`, and the intensity.
        weights_sha256: of the weights trained on these images; None holds for any.
        manifest_sha256: of the manifest they stand in.
    """

    names: tuple[str, ...]
    median: tuple[float, ...]
    scale_below: tuple[float, ...]
    scale_above: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    distances: tuple[float, ...]
    limit: float
    false_alarm_rate: float
    n_images: int
    n_patients: int
    recipe: Mapping[str, Any]
    weights_sha256: str | None = None
    manifest_sha256: str | None = None
    software: str = ""


def write_training_statistics(path: Path, statistics: TrainingStatistics) -> None:
    """Writes the file atomically.

    Raises:
        OSError: it cannot be written.
    """
    write_json_atomic(Path(path), {"schema": TRAINING_STATISTICS_SCHEMA, **asdict(statistics)})


def read_training_statistics(path: Path) -> TrainingStatistics:
    """The statistics at `path`.

    Raises:
        ManifestError: no such file, another schema, or fields missing, wrong or of different lengths.
    """
    path = Path(path)
    content, where = load_json(path, TRAINING_STATISTICS_SCHEMA), str(path)
    names = tuple(read_field(where, content, "names", list_of_texts))
    lists = {
        name: tuple(read_field(where, content, name, list_of_finite_numbers))
        for name in ("median", "scale_below", "scale_above", "low", "high", "distances")
    }
    rows = read_field(where, content, "precision", list_)
    precision = tuple(
        tuple(read_field(where, {"precision": row}, "precision", list_of_finite_numbers)) for row in rows
    )
    limit, *_ = read_field(where, {"limit": [content.get("limit")]}, "limit", list_of_finite_numbers)
    found = TrainingStatistics(
        names,
        lists["median"],
        lists["scale_below"],
        lists["scale_above"],
        lists["low"],
        lists["high"],
        precision,
        lists["distances"],
        limit,
        read_field(where, content, "false_alarm_rate", number_from_0_to_1),
        read_field(where, content, "n_images", count_of_at_least_1),
        read_field(where, content, "n_patients", count_of_at_least_1),
        read_field(where, content, "recipe", mapping, {}),
        read_field(where, content, "weights_sha256", sha256, None),
        read_field(where, content, "manifest_sha256", sha256, None),
        read_field(where, content, "software", str, ""),
    )
    _check(path, found)
    return found


def _check(path: Path, found: TrainingStatistics) -> None:
    n = len(found.names)
    scales = (*found.scale_below, *found.scale_above)
    of_each = (found.median, found.scale_below, found.scale_above, found.low, found.high, found.precision)
    lengths = {len(each) for each in of_each}
    is_square = lengths == {n} and all(len(row) == n for row in found.precision)
    is_sound = min(scales, default=0) > 0 and len(found.distances) > 1
    if n and is_square and is_sound and list(found.distances) == sorted(found.distances):
        return
    raise ManifestError(
        f"{path}: expected one median, low, high and two scales for each of {n} names, a square precision, "
        "positive scales and ascending distances, got others. Make the file again with `mammo-monai bundle "
        "statistics`."
    )
