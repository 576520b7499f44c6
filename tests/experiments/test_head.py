"""experiment.json names the runs in the file's order, or is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments.definition import ExperimentError
from mammo_monai.experiments.head import HEAD_NAME, Head, read_head, write_head

HEAD = Head("sizes", "two sizes", {"small": "512", "large": ""}, ("1", "2"), is_phantom=True)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_head(tmp_path, HEAD)
    head = read_head(tmp_path)
    assert head == HEAD
    assert list(head.runs) == ["small", "large"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "x"}, "expected schema"),
        ({"name": None}, "name"),
        ({"runs": "small"}, "runs"),
        ({"runs": [{"description": "x"}]}, "name"),
        ({"folds": [1]}, ""),
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
