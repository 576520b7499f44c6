import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mammo_monai.errors import MammoError, ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.records import Detections
from mammo_monai.schema import (
    detections_format,
    finish_shards,
    iter_detections,
    read_detections,
    read_model,
    write_detections,
    write_shard,
)
from mammo_monai.schema.detection_lines import line_of
from mammo_monai.schema.detection_rows import row_of
from mammo_monai.schema.detection_shards import iter_shard, shard_paths, summary_of_shard, write_shards

MODEL = {"name": "fake", "failed": []}
NAMES = ("d.json", "d.jsonl", "d.parquet")
LEFT = Detections(
    "left",
    np.array([[1.5, 2, 30, 41], [0.1, 0.2, 0.3, 0.4]]),
    np.array([0.75, 1 / 3]),
    np.array([0, 2]),
    Path("bilder/ö.dcm"),
    np.array([0.5, 0.25]),
)
NORMAL = Detections("normal", image_score=0.125)


def _same(one: Sequence[Detections], other: Sequence[Detections]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.record_id, a.image, a.image_score) == (b.record_id, b.image, b.image_score)
        for name in ("boxes", "scores", "labels", "probabilities"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@st.composite
def some_detections(draw: st.DrawFn) -> list[Detections]:
    unit = st.floats(0, 1, width=64)
    found = []
    for n in range(draw(st.integers(0, 5))):
        count = draw(st.integers(0, 3))
        corner = draw(hnp.arrays(np.float64, (count, 2), elements=st.floats(-100, 4000)))
        sides = draw(hnp.arrays(np.float64, (count, 2), elements=st.floats(0, 500)))
        found.append(
            Detections(
                f"r{n}",
                np.concatenate([corner, corner + sides], axis=1),
                draw(hnp.arrays(np.float64, count, elements=unit)),
                draw(hnp.arrays(np.int64, count, elements=st.integers(0, 4))),
                draw(st.sampled_from([None, Path("a b/ü.png")])),
                draw(st.none() | hnp.arrays(np.float64, count, elements=unit)),
                draw(st.none() | unit),
            )
        )
    return found


@settings(max_examples=30, deadline=None)
@given(found=some_detections())
def test_every_format_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, found: list[Detections]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    for name in NAMES:
        write_detections(folder / name, iter(found), MODEL)
        read = read_detections(folder / name)
        _same(read.detections, found)
        _same(list(iter_detections(folder / name)), found)
        assert read.model == read_model(folder / name) == MODEL


@pytest.mark.parametrize("found", [[], [NORMAL], [LEFT, NORMAL]])
def test_a_document_written_row_by_row_is_the_document_of_the_whole(
    tmp_path: Path, found: list[Detections]
) -> None:
    rows = [row_of(Path("d.json"), each) for each in found]
    write_json_atomic(
        tmp_path / "whole.json", {"schema": "mammo-monai/detections/1", "model": MODEL, "detections": rows}
    )
    write_detections(tmp_path / "d.json", iter(found), MODEL)
    assert (tmp_path / "d.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_lines_have_the_fields_of_a_row_of_the_document(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.json", [LEFT, NORMAL], MODEL)
    write_detections(tmp_path / "d.jsonl", [LEFT, NORMAL], MODEL)
    head, *rows = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert head == {"schema": "mammo-monai/detections/1", "model": MODEL}
    assert rows == json.loads((tmp_path / "d.json").read_text())["detections"]


def test_a_shard_has_one_row_an_image_that_other_tools_read(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "d.parquet", 12, [LEFT, NORMAL])
    assert path.name == "part-000012.parquet"
    table = pq.read_table(path)
    assert table.schema.field("boxes").type == pa.list_(pa.list_(pa.float64()))
    left, normal = table.to_pylist()
    assert left["boxes"][0] == [1.5, 2, 30, 41]
    assert (left["image_score"], normal["image"], normal["probabilities"]) == (None, None, None)
    summary = summary_of_shard(path)
    assert (summary.record_ids, summary.n_marks, summary.n_scored) == (("left", "normal"), 2, 1)


def test_shards_are_read_in_order_of_their_index_and_written_in_pieces(tmp_path: Path) -> None:
    folder = tmp_path / "d.parquet"
    found = [Detections(f"r{n}") for n in range(7)]
    write_shards(folder, iter(found), MODEL, shard_rows=3)
    assert [each.name for each in shard_paths(folder)] == [f"part-00000{n}.parquet" for n in range(3)]
    assert [each.record_id for each in iter_detections(folder)] == [f"r{n}" for n in range(7)]
    write_shards(folder, iter(found[:2]), MODEL, shard_rows=3)
    assert len(shard_paths(folder)) == 1
    write_shard(folder, 1_000_000, [NORMAL])
    assert shard_paths(folder)[-1].name == "part-1000000.parquet"


def test_other_names_are_json() -> None:
    assert [detections_format(Path(name)) for name in ("a.JSONL", "b.parquet/", "c", "d.txt")] == [
        "jsonl",
        "parquet",
        "json",
        "json",
    ]


def _lines(path: Path, *lines: bytes) -> Path:
    path.write_bytes(line_of({"schema": "mammo-monai/detections/1", "model": "m"}) + b"".join(lines))
    return path


def test_a_model_that_is_no_object_becomes_its_name(tmp_path: Path) -> None:
    assert read_model(_lines(tmp_path / "d.jsonl")) == {"name": "m"}
    folder = tmp_path / "d.parquet"
    write_shards(folder, [], {})
    head = {"schema": "mammo-monai/detections/1", "model": "m"}
    write_json_atomic(folder / "model.json", {**head, "shards": []})
    assert read_model(folder) == {"name": "m"}
    assert not read_detections(folder).detections
    write_json_atomic(folder / "model.json", head)
    with pytest.raises(ManifestError, match=r"model\.json: shards must be a list, got None"):
        read_detections(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{broken\n", "d.jsonl, line 2: expected JSON, but it cannot be read: Expecting"),
        (b'{"record_id": "a", "boxes": [[1, 2', "d.jsonl, line 2: cut short: a line ends with"),
        (b"3\n", "d.jsonl, line 2: expected an object with record_id, boxes, scores, got int"),
        (
            b'{"record_id": "a", "boxes": [], "scores": [0.5]}\n',
            r"line 2 \(a\): expected one score and one label",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_detections(_lines(tmp_path / "d.jsonl", line))


def test_lines_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    with pytest.raises(ManifestError, match="no such file; expected JSON Lines of schema mammo-monai/det"):
        read_model(path)
    path.write_bytes(b'{"schema": "other"}\n')
    with pytest.raises(ManifestError, match=r"line 1: expected schema 'mammo-monai/det.*found 'other'"):
        read_model(path)
    path.write_bytes(b"[1]\n")
    with pytest.raises(ManifestError, match="found 'list'"):
        read_model(path)
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(ManifestError, match=r"folder.jsonl: cannot be read: Is a directory"):
        read_model(tmp_path / "folder.jsonl")


@pytest.mark.parametrize("name", ["d.jsonl", "d.parquet"])
def test_an_image_twice_is_refused_by_who_reads_all(tmp_path: Path, name: str) -> None:
    write_detections(tmp_path / name, [NORMAL, NORMAL], MODEL)
    with pytest.raises(ManifestError, match="record_id normal stands already in detections row 0"):
        read_detections(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_is_none_is_not_written(tmp_path: Path, name: str) -> None:
    bad = Detections("bad", np.array([[0, 0, 1, 2.0]]), np.array([np.nan]), np.array([0]))
    with pytest.raises(ValueError, match=r"could not write .*(Undefined figures|record bad: a box, score)"):
        write_detections(tmp_path / name, [NORMAL, bad], MODEL)
    assert not (tmp_path / name).is_file()
    with pytest.raises(ManifestError):
        read_detections(tmp_path / name)


def test_an_unfinished_folder_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "d.parquet"
    with pytest.raises(ManifestError, match=r"no such folder; expected one of Parquet shards and model.json"):
        read_detections(folder)
    write_shard(folder, 0, [LEFT])
    with pytest.raises(ManifestError, match=r"1 shard but no model.json, which is written last"):
        read_detections(folder)
    finish_shards(folder, MODEL)
    _same(read_detections(folder).detections, [LEFT])


def test_a_lost_damaged_or_exchanged_shard_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "d.parquet"
    write_shards(folder, [LEFT, NORMAL], MODEL, shard_rows=1)
    second = folder / "part-000001.parquet"
    whole = second.read_bytes()
    second.write_bytes(whole[:-20])
    with pytest.raises(ManifestError, match=r"part-000001.parquet: damaged, it cannot be read as Parquet"):
        read_detections(folder)
    with pytest.raises(ManifestError, match="damaged"):
        finish_shards(folder, MODEL)
    second.unlink()
    with pytest.raises(ManifestError, match=r"part-000001.parquet: no such shard, though .*model.json"):
        read_detections(folder)
    write_shard(folder, 1, [LEFT, NORMAL])
    with pytest.raises(ManifestError, match=r"part-000001.parquet: 2 images, .*model.json names 1"):
        read_detections(folder)
    pq.write_table(pa.table({"record_id": ["a"], "boxes": [[[1.0, 2.0, 3.0]]], "scores": [[0.5]]}), second)
    with pytest.raises(ManifestError, match=r"part-000001.parquet, row 0 \(a\): boxes: boxes must"):
        list(iter_shard(second))
    with pytest.raises(ManifestError, match=r"part-000001.parquet: damaged, .*image_score"):
        summary_of_shard(second)


def test_a_shard_lies_in_its_folder(tmp_path: Path) -> None:
    write_shards(tmp_path / "a.parquet", [LEFT], MODEL)
    write_shards(tmp_path / "b.parquet", [NORMAL], MODEL)
    index = tmp_path / "a.parquet" / "model.json"
    index.write_text(index.read_text().replace("part-000000", "../b.parquet/part-000000"))
    with pytest.raises(ManifestError, match=r"shards: name must be a shard name, got '\.\./b"):
        read_detections(tmp_path / "a.parquet")


def test_an_index_below_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a shard's index must be at least 0, got -1"):
        write_shard(tmp_path, -1, [])


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MammoError, match=r"pip install 'mammo-monai\[parquet\]', or name a file"):
        write_shard(tmp_path / "d.parquet", 0, [NORMAL])
