"""Fuzz targets: detections in lines and in Parquet, and the journals from which a killed run goes on."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from mammo_monai.inference.journal import Journal, journal_path
from mammo_monai.inference.shard_journal import ShardJournal, partial_folder
from mammo_monai.records import Detections
from mammo_monai.schema import read_detections, write_detections
from mammo_monai.schema.detection_streams import iter_detections
from tests.fuzz.harness import Target
from tests.fuzz.targets.json_files import written
from tests.fuzz.targets.json_words import JSON_WORDS, with_new_value

_FOUND = Detections(
    "a1", np.array([[10.0, 20, 31, 45]]), np.array([0.9]), np.array([0]), Path("a.png"), np.array([0.8]), 0.9
)
_ALL = (_FOUND, Detections("b2"))
_NUMBERS = {"a1": 0, "b2": 1}
_LINE_WORDS = (*JSON_WORDS, b"\n", b'{"failed": 1}\n', b'{"record_id": "b2"}\n', b'"probabilities"', b"\r\n")


def _lines() -> list[bytes]:
    return [written("d.jsonl", lambda path: write_detections(path, _ALL, {"name": "m"}))]


def _read_lines(path: Path) -> object:
    return list(iter_detections(path)), read_detections(path)


def _shard() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.parquet"
        write_detections(path, _ALL, {"name": "m"})
        return [next(path.glob("part-*.parquet")).read_bytes()]


def _read_shard(path: Path) -> object:
    """The bytes as the only shard of a folder of this name, whose index is right."""
    content = path.read_bytes()
    folder = path.with_name("fuzzed")
    write_detections(folder / "d.parquet", _ALL, {})
    shards = folder / "d.parquet"
    path.unlink()
    shards.rename(path)
    next(path.glob("part-*.parquet")).write_bytes(content)
    return read_detections(path)


def _read_index(path: Path) -> object:
    """The bytes as model.json of a folder with one shard."""
    content = path.read_bytes()
    path.unlink()
    write_detections(path, _ALL, {})
    (path / "model.json").write_bytes(content)
    return read_detections(path)


def _index() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.parquet"
        write_detections(path, _ALL, {"name": "m"})
        return [(path / "model.json").read_bytes()]


def _journal() -> list[bytes]:
    def write(path: Path) -> None:
        with Journal(path, "f", _NUMBERS) as journal:
            journal.add(0, _FOUND)
        journal_path(path).rename(path)

    return [written("d.json", write)]


def _read_journal(path: Path) -> object:
    """The run goes on from it: whatever it holds, the output is whole at the end."""
    output = path.with_name("d.json")
    path.rename(journal_path(output))
    with Journal(output, "f", _NUMBERS) as journal:
        for each in _ALL:
            if not journal.is_done[_NUMBERS[each.record_id]]:
                journal.add(_NUMBERS[each.record_id], each)
        journal.write({}, None)
    found = read_detections(output)
    if [each.record_id for each in found.detections] != [*_NUMBERS]:
        raise AssertionError(f"the output holds {[each.record_id for each in found.detections]}")
    return found


def _read_shard_journal(path: Path) -> object:
    output = path.with_name("d.parquet")
    with ShardJournal(output, "f", _NUMBERS) as journal:
        journal.add(0, _FOUND)
    (rows,) = partial_folder(output).glob("rows-*.jsonl")
    rows.write_bytes(path.read_bytes())
    with ShardJournal(output, "f", _NUMBERS) as journal:
        for each in _ALL:
            if not journal.is_done[_NUMBERS[each.record_id]]:
                journal.add(_NUMBERS[each.record_id], each)
        journal.write({})
    found = read_detections(output)
    if {each.record_id for each in found.detections} != {*_NUMBERS}:
        raise AssertionError(f"the output holds {[each.record_id for each in found.detections]}")
    return found


def _shard_rows() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "d.parquet"
        with ShardJournal(output, "f", _NUMBERS) as journal:
            journal.add(0, _FOUND)
        return [next(partial_folder(output).glob("rows-*.jsonl")).read_bytes()]


TARGETS = (
    Target("detection_lines", ".jsonl", _read_lines, _lines, dictionary=_LINE_WORDS),
    Target(
        "detection_shard",
        ".parquet",
        _read_shard,
        _shard,
        dictionary=(
            b"PAR1",
            b"\x15",
            b"\xff\xff\xff\x7f",
            b"\x15\xfe\xff\xff\xff\x0f",
            b"record_id",
            b"\x1c",
            b"\x19",
        ),
    ),
    Target(
        "detection_index",
        ".parquet",
        _read_index,
        _index,
        dictionary=JSON_WORDS,
        mutators=(with_new_value,),
    ),
    Target("predict_journal", ".jsonl", _read_journal, _journal, dictionary=_LINE_WORDS),
    Target("shard_journal", ".jsonl", _read_shard_journal, _shard_rows, dictionary=_LINE_WORDS),
)
