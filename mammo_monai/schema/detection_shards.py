"""Detections as a folder of Parquet files: shards of some thousand images each, and model.json, written last.

A folder without model.json is not finished. model.json names every shard with the number of its images, so
that a lost or exchanged shard is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mammo_monai.errors import MammoError, ManifestError
from mammo_monai.files import atomic_path, write_json_atomic
from mammo_monai.records import Detections
from mammo_monai.schema.detection_rows import DETECTIONS_SCHEMA, detections_of, model_of, row_of
from mammo_monai.schema.fields import Json, list_, load_json, mapping, read_field, whole_number
from mammo_monai.words import counted

MODEL_FILE = "model.json"
SHARD_ROWS = 1000
_READ_ROWS = 256
_SHARD_NAME = re.compile(r"part-\d{6,}\.parquet")


def write_shard(folder: Path, index: int, rows: Sequence[Detections]) -> Path:
    """Writes `part-<index>.parquet`, one row per image, whole or not at all; one of this index is replaced.

    Columns: `record_id`, `image`, `boxes` list<list<double>> `(x_min, y_min, x_max, y_max)`, `scores`,
    `labels`, `probabilities`, `image_score`, `warnings` list<string>, `typicality`; the last four and `image`
    are null where an image has none.

    Args:
        index: from 0.

    Returns:
        The shard's path.

    Raises:
        MammoError: pyarrow is not installed.
        ManifestError: an image's score is not a number from 0 to 1.
        ValueError: `index` is negative, or a number is NaN or infinite.
        OSError: it cannot be written; what was there stays.
    """
    if index < 0:
        raise ValueError(f"a shard's index must be at least 0, got {index}.")
    path = folder / f"part-{index:06d}.parquet"
    arrow, parquet = _pyarrow()
    table = arrow.Table.from_pylist(
        [row_of(path, _finite(path, each)) for each in rows], schema=_columns(arrow)
    )
    with atomic_path(path) as part:
        parquet.write_table(table, part, compression="zstd")
    return path


def finish_shards(folder: Path, model: Json) -> None:
    """Writes model.json: the folder's shards are all that there are, and may be read.

    Raises:
        MammoError: pyarrow is not installed.
        ManifestError: a shard is damaged.
        OSError: it cannot be written.
    """
    _, parquet = _pyarrow()
    shards = []
    for path in shard_paths(folder):
        with _explained(path):
            shards.append({"name": path.name, "images": int(parquet.read_metadata(path).num_rows)})
    write_json_atomic(
        folder / MODEL_FILE, {"schema": DETECTIONS_SCHEMA, "model": dict(model), "shards": shards}
    )


def write_shards(
    folder: Path, detections: Iterable[Detections], model: Json, *, shard_rows: int = SHARD_ROWS
) -> None:
    """Writes a whole folder as the detections come, holding one shard in memory; an older one is replaced.

    Raises:
        MammoError, ManifestError, OSError: see `write_shard`; the folder is unfinished then.
    """
    (folder / MODEL_FILE).unlink(missing_ok=True)
    for path in shard_paths(folder):
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    images, index = iter(detections), 0
    while rows := list(islice(images, shard_rows)):
        write_shard(folder, index, rows)
        index += 1
    finish_shards(folder, model)


def shard_paths(folder: Path) -> list[Path]:
    """The shards in a folder, by index; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if _SHARD_NAME.fullmatch(path.name)),
        key=shard_index,
    )


def _shard_name(value: object) -> str:
    """A name such as part-000000.parquet; none outside the folder."""
    if not isinstance(value, str) or not _SHARD_NAME.fullmatch(value):
        raise ValueError(value)
    return value


def shard_index(path: Path) -> int:
    """The index in a shard's name.

    >>> shard_index(Path("part-000012.parquet"))
    12
    """
    return int(path.stem.removeprefix("part-"))


def iter_shards(folder: Path) -> Iterator[Detections]:
    """The images of a finished folder, shard by shard.

    Raises:
        MammoError: pyarrow is not installed.
        ManifestError: the folder is not finished, or a shard is lost, damaged, exchanged or breaks the
            format; shard and row are named.
    """
    content = _index(folder)
    for each in read_field(str(folder / MODEL_FILE), content, "shards", list_):
        where = f"{folder / MODEL_FILE}, shards"
        item = read_field(where, {"shard": each}, "shard", mapping)
        path = folder / read_field(where, item, "name", _shard_name)
        yield from iter_shard(path, n_images=read_field(where, item, "images", whole_number))


def iter_shard(path: Path, *, n_images: int | None = None) -> Iterator[Detections]:
    """The images of one shard.

    Args:
        n_images: that it must hold; None takes any number.

    Raises:
        MammoError: pyarrow is not installed.
        ManifestError: as `iter_shards`.
    """
    _, parquet = _pyarrow()
    with _explained(path):
        shard = parquet.ParquetFile(path)
    with shard:
        found = shard.metadata.num_rows
        if n_images not in (None, found):
            raise ManifestError(
                f"{path}: {counted(found, 'image')}, {path.with_name(MODEL_FILE)} names {n_images}: the "
                "shard was exchanged after the run. Copy the whole folder again, or predict again."
            )
        for row, item in enumerate(_items(path, shard)):
            yield detections_of(f"{path}, row {row}", item)


@dataclass(frozen=True)
class ShardSummary:
    """What a shard holds: its images' record ids, boxes in all, and images with a score of their own."""

    record_ids: tuple[str, ...]
    n_marks: int
    n_scored: int


def summary_of_shard(path: Path) -> ShardSummary:
    """What a shard holds; the whole file is read, so a damaged one is found.

    Raises:
        MammoError: pyarrow is not installed.
        ManifestError: no such shard, or it is damaged.
    """
    _, parquet = _pyarrow()
    with _explained(path):
        table = parquet.ParquetFile(path).read()
        return ShardSummary(
            tuple(table["record_id"].to_pylist()),
            sum(len(each) for each in table["scores"].to_pylist()),
            len(table) - int(table["image_score"].null_count),
        )


def shards_model(folder: Path) -> Json:
    """The model's description of a finished folder.

    Raises:
        ManifestError: the folder is not finished, or of another schema.
    """
    return model_of(_index(folder))


def _items(path: Path, shard: Any) -> Iterator[Json]:
    batches = shard.iter_batches(batch_size=_READ_ROWS)
    while True:
        with _explained(path):
            batch = next(batches, None)
            items = [] if batch is None else batch.to_pylist()
        if batch is None:
            return
        yield from items


def _index(folder: Path) -> Json:
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; expected one of Parquet shards and {MODEL_FILE}.")
    path = folder / MODEL_FILE
    if not path.is_file():
        shards = counted(len(shard_paths(folder)), "shard")
        raise ManifestError(
            f"{folder}: {shards} but no {MODEL_FILE}, which is written last: the run is not finished. The "
            "command that wrote it goes on where it stopped."
        )
    return load_json(path, DETECTIONS_SCHEMA)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns pyarrow's errors about a shard into a ManifestError that names it."""
    try:
        yield
    except FileNotFoundError:
        raise ManifestError(
            f"{path}: no such shard, though {path.with_name(MODEL_FILE)} names it. Copy the whole folder "
            "again, or predict again."
        ) from None
    except (ValueError, OSError, LookupError, TypeError, NotImplementedError) as error:
        # pyarrow's own are of these; a column that is missing, or null where numbers belong
        raise ManifestError(
            f"{path}: damaged, it cannot be read as Parquet: {error}. Copy it again, or predict again."
        ) from error


def _finite(path: Path, detections: Detections) -> Detections:
    """The detections, if a reader will take them.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    for values in (detections.boxes, detections.scores, detections.probabilities):
        if values is not None and not np.isfinite(values).all():
            raise ValueError(
                f"could not write {path}, record {detections.record_id}: a box, score or probability is NaN "
                "or infinite."
            )
    return detections


def _columns(arrow: Any) -> Any:
    return arrow.schema(
        {
            "record_id": arrow.string(),
            "image": arrow.string(),
            "boxes": arrow.list_(arrow.list_(arrow.float64())),
            "scores": arrow.list_(arrow.float64()),
            "labels": arrow.list_(arrow.int64()),
            "probabilities": arrow.list_(arrow.float64()),
            "image_score": arrow.float64(),
            "warnings": arrow.list_(arrow.string()),
            "typicality": arrow.float64(),
        },
        metadata={"schema": DETECTIONS_SCHEMA},
    )


def check_parquet() -> None:
    """Refuses, before anything is computed, to write Parquet without the package for it.

    Raises:
        MammoError: pyarrow is not installed; the message names what to install.
    """
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # noqa: PLC0415  # an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise MammoError(
            "Parquet needs the package pyarrow, which is not installed: pip install 'mammo-monai[parquet]', "
            "or name a file that ends in .jsonl."
        ) from error
    return pyarrow, parquet
