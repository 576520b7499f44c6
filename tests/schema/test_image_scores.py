"""`image_score` of detections.json: optional, from 0 to 1, faults named with their row."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import DetectionsFile, check_detections, read_detections, write_detections


def entry(n: int, score: float | None) -> Detections:
    return Detections(f"{n:016x}", image_score=score)


@given(scores=st.lists(st.none() | st.floats(0, 1), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_scores_come_back_as_they_were_written(tmp_path: Path, scores: list[float | None]) -> None:
    path = tmp_path / "d.json"
    write_detections(path, [entry(n, each) for n, each in enumerate(scores)], {})
    assert [each.image_score for each in read_detections(path).detections] == scores
    rows = json.loads(path.read_text())["detections"]
    assert [("image_score" in row) for row in rows] == [each is not None for each in scores]


@pytest.mark.parametrize("value", [-0.1, 1.5, "0.5", True, [0.5], math.nan])
def test_a_score_that_is_none_is_refused_with_its_row(tmp_path: Path, value: object) -> None:
    path = tmp_path / "d.json"
    rows = [{"record_id": name, "boxes": [], "scores": []} for name in ("a", "b")]
    rows[1]["image_score"] = value
    path.write_text(json.dumps({"schema": "mammo-monai/detections/1", "detections": rows}))
    with pytest.raises(
        ManifestError,
        match=r"d\.json, detections row 1 \(b\): image_score must be a number from 0 to 1, got",
    ):
        read_detections(path)


@pytest.mark.parametrize("value", [math.nan, 1.0001])
def test_a_score_that_is_none_is_not_written(tmp_path: Path, value: float) -> None:
    path = tmp_path / "d.json"
    with pytest.raises(ManifestError, match=rf"record {1:016x}: image_score must be a number from 0 to 1"):
        write_detections(path, [entry(0, 0.5), entry(1, value)], {})
    assert not path.exists()


def test_a_numpy_score_is_a_number(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.json", [Detections("a", image_score=np.float32(0.25))], {})
    assert read_detections(tmp_path / "d.json").detections[0].image_score == 0.25


@pytest.mark.parametrize(
    ("scores", "is_warned"), [((0.1, 0.2), False), ((None, None), False), ((0.1, None), True)]
)
def test_scores_of_some_images_alone_are_warned_of(
    scores: tuple[float | None, ...], is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    records = [ImageRecord(Path("a.png"), f"{n:016x}", "p", 60, 90) for n in range(2)]
    content = DetectionsFile(tuple(entry(n, each) for n, each in enumerate(scores)))
    with caplog.at_level(logging.WARNING):
        check_detections(Path("d.json"), content, records, manifest=Path("m.json"))
    said = "1 of 2 images have no image_score, the first in detections row 1" in caplog.text
    assert said == is_warned
