"""experiment.json names the runs in the file's order, or is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments.definition import ExperimentError
from mammo_monai.experiments.head import HEAD_NAME, Head, HeadRun, read_head, write_head

RUNS = (
    HeadRun("small", "512", table="P0-VI", row="0.00001"),
    HeadRun("large", folds=("once",), scored_on="validation list of A", scored_sha256="ab"),
)
HEAD = Head("sizes", "two sizes", RUNS, ("1", "2"), is_phantom=True)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_head(tmp_path, HEAD)
    assert read_head(tmp_path) == HEAD


def test_a_run_without_folds_of_its_own_has_those_of_the_head() -> None:
    assert [HEAD.folds_of(each) for each in RUNS] == [("1", "2"), ("once",)]


def test_a_head_of_an_older_version_is_one_group_without_tables(tmp_path: Path) -> None:
    write_head(tmp_path, HEAD)
    path = tmp_path / HEAD_NAME
    runs = [{"name": "small", "description": "512"}, {"name": "large", "description": ""}]
    path.write_text(json.dumps({**json.loads(path.read_text()), "runs": runs}))
    assert read_head(tmp_path).runs == (HeadRun("small", "512"), HeadRun("large"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "x"}, "expected schema"),
        ({"name": None}, "name"),
        ({"runs": "small"}, "runs"),
        ({"runs": [{"description": "x"}]}, "name"),
        ({"folds": [1]}, ""),
        ({"runs": [{"name": "x", "folds": "1"}]}, "folds"),
    ],
)
def test_another_content_is_refused_with_what_to_give(tmp_path: Path, changes: Any, message: str) -> None:
    write_head(tmp_path, HEAD)
    path = tmp_path / HEAD_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ExperimentError, match=rf"{message}.*Give the folder that `mammo-monai"):
        read_head(tmp_path)


def test_a_folder_without_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"experiment\.json.*--out"):
        read_head(tmp_path)
