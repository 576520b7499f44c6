from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.schema import ClassScore, ClassScoresFile, read_class_scores, write_class_scores

NAMES = ("background", "mass")
ROW: dict[str, Any] = {
    "record_id": "ab",
    "patient": 0,
    "site": [3.5, 8],
    "class_index": 1,
    "probabilities": [0.25, 0.75],
}


def written(path: Path, *rows: object, **fields: object) -> Path:
    content = {"schema": "mammo-monai/class-scores/1", "class_names": list(NAMES), "scores": list(rows)}
    path.write_text(json.dumps({**content, **fields}))
    return path


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.floats(-9, 6000), st.integers(0, 1), st.floats(0, 1)),
        unique_by=lambda row: row[:2],
        max_size=6,
    )
)
def test_what_is_written_is_read_again(
    rows: list[tuple[int, float, int, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    scores = tuple(ClassScore(f"r{image}", image, truth, (1 - p, p), (x, 2.0)) for image, x, truth, p in rows)
    content = ClassScoresFile((*scores, ClassScore("whole", 9, 0, (1.0, 0.0))), NAMES, {"bundle": "b"})
    path = tmp_path_factory.mktemp("scores") / "class_scores.json"
    write_class_scores(path, content)
    assert read_class_scores(path) == content


def test_a_file_without_scores_or_model_is_read(tmp_path: Path) -> None:
    assert read_class_scores(written(tmp_path / "s.json")) == ClassScoresFile((), NAMES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record_id": ""}, "scores row 1: record_id must be"),
        ({"class_index": -1}, r"scores row 1 \(ab\): class_index must be a class index, got -1"),
        (
            {"class_index": 2},
            r"scores row 1 \(ab\): .* class_index below 2, got 2 probabilities and class_index 2",
        ),
        ({"probabilities": [1.0]}, "expected 2 probabilities, one per name in class_names"),
        ({"probabilities": [0.4, 1.6]}, "probabilities must be a list of numbers from 0 to 1"),
        ({"probabilities": [0.4, 0.4]}, r"row 1 \(ab\): probabilities must add up to 1, got 0.8000"),
        ({"patient": None}, "patient must be a whole number"),
        ({"patient": 1}, "patient 1, but 0 in a row above: one image is of one patient"),
        ({"site": [1]}, "site must be a pair of numbers"),
        ({"site": [3.5, 8.0]}, r"site \(3.5, 8.0\) stands already in row 0"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = written(tmp_path / "s.json", ROW, {**ROW, "site": [1, 2], **change})
    with pytest.raises(ManifestError, match=message) as caught:
        read_class_scores(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema": "mammo-monai/detections/1"}, "expected schema 'mammo-monai/class-scores/1'"),
        ({"scores": {}}, "scores must be a list, got dict"),
        ({"scores": [3]}, "scores row 0: expected an object .* got int"),
        ({"class_names": ["background"]}, "class_names must name at least 2 classes, got 1"),
        (
            {"class_names": ["background", "background"]},
            "class_names must differ, got background, background",
        ),
        ({"class_names": [1, 2]}, "class_names must be a list of texts"),
        ({"model": "resnet"}, "model must be a mapping"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_class_scores(written(tmp_path / "s.json", **{"scores": [ROW], **fields}))
