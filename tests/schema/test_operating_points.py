"""operating_points.json: what is written reads back, and what cannot be is refused with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.schema import (
    Calibration,
    IsotonicCurve,
    OperatingPoint,
    OperatingPoints,
    PlattCurve,
    ReliabilityBin,
    read_operating_points,
    write_operating_points,
)
from mammo_monai.schema.operating_points import TemperatureCurve

A, B, C = "a" * 64, "b" * 64, "c" * 64
BINS = (ReliabilityBin(0.0, 0.1, 0.05, 0.0, 7), ReliabilityBin(0.5, 0.6, 0.55, 0.75, 4))
POINTS = OperatingPoints(
    points=(OperatingPoint(0.25, 0.61, 0.7, 0.6, 0.8), OperatingPoint(2.0, 0.1, 0.9, 0.85, 0.95, 1.5)),
    calibration=Calibration(PlattCurve(1.5, -0.25), 0.08, 0.02, BINS, 0.1),
    rule={"min_iou": 0.2, "label": 0, "confidence": 0.95},
    n_images=40,
    n_lesions=30,
    n_patients=20,
    manifest_sha256=C,
    weights_sha256=(A, None, B),
    inference={"inferer": "FullImageInferer", "short_side_px": None},
)
shares = st.floats(0, 1)


@pytest.fixture
def file_with(tmp_path: Path) -> Callable[..., Path]:
    """Writes the file with fields replaced (`points.0.fppi=…` as a path of keys); `...` takes one out."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "operating_points.json"
        write_operating_points(path, POINTS)
        content = json.loads(path.read_text())
        for name, value in changes.items():
            *parents, last = name.split("__")
            node = content
            for each in parents:
                node = node[int(each) if each.isdigit() else each]
            if value is ...:
                del node[last]
            else:
                node[int(last) if last.isdigit() else last] = value
        path.write_text(json.dumps(content))
        return path

    return write


@st.composite
def operating_points(draw: st.DrawFn) -> OperatingPoints:
    fppi = sorted(draw(st.sets(st.floats(0.01, 10), min_size=1, max_size=5)))
    thresholds = draw(st.lists(st.floats(-5, 5), min_size=len(fppi), max_size=len(fppi)))
    intervals = [sorted(draw(st.tuples(shares, shares))) for _ in fppi]
    scores = sorted(draw(st.sets(shares, min_size=1, max_size=4)))
    probabilities = sorted(draw(st.lists(shares, min_size=len(scores), max_size=len(scores))))
    curve = draw(
        st.sampled_from(
            [
                PlattCurve(2.0, -1.0),
                TemperatureCurve(1.5),
                IsotonicCurve(tuple(scores), tuple(probabilities)),
            ]
        )
    )
    calibration = Calibration(curve, draw(shares), draw(shares), BINS, draw(shares))
    return OperatingPoints(
        points=tuple(
            OperatingPoint(each, threshold, draw(shares), *interval, draw(st.none() | st.floats(0, 1)))
            for each, threshold, interval in zip(
                fppi, sorted(thresholds, reverse=True), intervals, strict=True
            )
        ),
        calibration=draw(st.none() | st.just(calibration)),
        rule=draw(st.sampled_from([{}, {"label": 3, "text": "…"}])),
        n_images=draw(st.integers(1, 99)),
        n_lesions=draw(st.integers(1, 99)),
        n_patients=draw(st.integers(1, 99)),
        manifest_sha256=C,
        weights_sha256=tuple(draw(st.lists(st.sampled_from([A, B, None]), min_size=1, max_size=3))),
        for_weights_sha256=draw(st.sampled_from([None, A])),
        inference=draw(st.sampled_from([None, {"inferer": "X"}])),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=operating_points())
def test_operating_points_read_back_as_they_were_written(tmp_path: Path, points: OperatingPoints) -> None:
    path = tmp_path / "models" / "operating_points.json"
    write_operating_points(path, points)
    assert read_operating_points(path) == points


def test_the_file_has_the_fields_that_others_read(tmp_path: Path) -> None:
    write_operating_points(tmp_path / "p.json", POINTS)
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["schema"] == "mammo-monai/operating-points/1"
    assert content["points"][0] == {
        "fppi": 0.25,
        "threshold": 0.61,
        "sensitivity": 0.7,
        "low": 0.6,
        "high": 0.8,
    }
    assert content["points"][1]["fppi_reached"] == 1.5
    assert content["weights_sha256"] == [A, None, B]
    assert content["calibration"] == {
        "method": "platt",
        "slope": 1.5,
        "intercept": -0.25,
        "brier": 0.08,
        "expected_error": 0.02,
        "bins": [
            {"low": 0.0, "high": 0.1, "mean_score": 0.05, "hit_rate": 0.0, "n": 7},
            {"low": 0.5, "high": 0.6, "mean_score": 0.55, "hit_rate": 0.75, "n": 4},
        ],
        "min_score": 0.1,
    }


def test_an_isotonic_curve_says_so(tmp_path: Path) -> None:
    calibration = Calibration(IsotonicCurve((0.2, 0.8), (0.1, 0.9)), 0.1, 0.1, ())
    assert calibration.method == "isotonic"
    write_operating_points(tmp_path / "p.json", replace(POINTS, calibration=calibration))
    written = json.loads((tmp_path / "p.json").read_text())["calibration"]
    assert (written["method"], written["scores"], written["probabilities"]) == (
        "isotonic",
        [0.2, 0.8],
        [0.1, 0.9],
    )
    assert "slope" not in written


def test_a_temperature_says_so(tmp_path: Path) -> None:
    calibration = Calibration(TemperatureCurve(1.5), 0.1, 0.1, ())
    assert calibration.method == "temperature"
    write_operating_points(tmp_path / "p.json", replace(POINTS, calibration=calibration))
    written = json.loads((tmp_path / "p.json").read_text())["calibration"]
    assert (written["method"], written["temperature"]) == ("temperature", 1.5)
    assert "slope" not in written
    assert read_operating_points(tmp_path / "p.json").calibration == calibration


@pytest.mark.parametrize(
    ("temperature", "named"),
    [
        (0, "calibration: temperature must be above 0, got 0"),
        (-1.5, "temperature must be above 0, got -1.5"),
        ("hot", "calibration: temperature must be a finite number, got 'hot'"),
        (None, "temperature must be a finite number, got None"),
    ],
)
def test_a_temperature_that_cannot_be_is_refused(
    file_with: Callable[..., Path], temperature: object, named: str
) -> None:
    with pytest.raises(ManifestError, match=named):
        read_operating_points(
            file_with(calibration__method="temperature", calibration__temperature=temperature)
        )


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    write_operating_points(path, POINTS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"p\.json"):
        write_operating_points(path, replace(POINTS, rule={"min_iou": float("nan")}))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["p.json"]


def test_a_file_of_another_tool_needs_only_what_is_required(file_with: Callable[..., Path]) -> None:
    path = file_with(calibration=None, inference=..., for_weights_sha256=..., rule={}, by="another tool")
    points = read_operating_points(path)
    assert (points.calibration, points.inference, points.for_weights_sha256) == (None, None, None)
    assert points.label == 0


def test_the_label_is_the_rules(file_with: Callable[..., Path]) -> None:
    assert read_operating_points(file_with(rule={"label": 2})).label == 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"schema": "x"}, "expected schema 'mammo-monai/operating-points/1', found 'x'"),
        ({"points": []}, "points must be a list of at least one, got none"),
        ({"points": {}}, "points must be a list, got"),
        ({"points__0": 7}, "points row 0: expected an object, got int"),
        ({"points__1__threshold": None}, "points row 1: threshold must be a finite number, got None"),
        ({"points__1__threshold": "0.5"}, "points row 1: threshold must be a finite number"),
        ({"points__0__sensitivity": 1.2}, "points row 0: sensitivity must be a number from 0 to 1, got 1.2"),
        ({"points__0__sensitivity": True}, "sensitivity must be a number from 0 to 1, got True"),
        ({"points__0__low": 0.9}, "points row 0: low must be at most high, got 0.9 and 0.8"),
        ({"points__0__fppi": 0}, r"fppi must be positive and ascending, got \[0.0, 2.0\]"),
        ({"points__0__fppi": 2}, r"fppi must be positive and ascending, got \[2.0, 2.0\]"),
        ({"points__0__fppi": 3}, r"fppi must be positive and ascending, got \[3.0, 2.0\]"),
        ({"points__1__threshold": 0.7}, r"thresholds must not rise .* got \[0.61, 0.7\]"),
        ({"points__1__fppi_reached": "few"}, "fppi_reached must be a finite number"),
        ({"rule": ...}, "rule must be a mapping, got None"),
        ({"rule": {"label": -1}}, "rule: label must be a class index, got -1"),
        ({"n_images": 0}, "n_images must be a count of at least 1, got 0"),
        ({"n_lesions": 2.5}, "n_lesions must be a count of at least 1, got 2.5"),
        ({"n_patients": ...}, "n_patients must be a count of at least 1, got None"),
        ({"manifest_sha256": "abc"}, "manifest_sha256 must be a sha256, got 'abc'"),
        ({"weights_sha256": []}, "weights_sha256 must be a list of hashes, got"),
        ({"weights_sha256": [A, "abc"]}, "weights_sha256 must be a list of hashes"),
        ({"for_weights_sha256": 1}, "for_weights_sha256 must be a sha256, got 1"),
        ({"inference": "full"}, "inference must be a mapping, got 'full'"),
        ({"calibration": 1}, "calibration must be a mapping, got 1"),
        (
            {"calibration__method": "beta"},
            "calibration: method must be platt, temperature, isotonic, got 'beta'",
        ),
        ({"calibration__slope": ...}, "calibration: slope must be a finite number, got None"),
        ({"calibration__brier": 2}, "calibration: brier must be a number from 0 to 1, got 2"),
        ({"calibration__min_score": "low"}, "calibration: min_score must be a finite number"),
        ({"calibration__bins": 3}, "calibration: bins must be a list, got 3"),
        ({"calibration__bins__1": []}, "calibration, bins row 1: expected an object, got list"),
        ({"calibration__bins__1__n": 0}, "bins row 1: n must be a count of at least 1, got 0"),
        ({"calibration__bins__1__low": 0.6}, "bins row 1: low must be below high, got 0.6 and 0.6"),
        ({"calibration__bins__1__low": 0.05}, "calibration: bins must be ascending and apart"),
    ],
)
def test_what_cannot_be_is_named_with_its_place(
    file_with: Callable[..., Path], changes: dict[str, Any], named: str
) -> None:
    path = file_with(**changes)
    with pytest.raises(ManifestError, match=named) as error:
        read_operating_points(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("scores", "probabilities", "named"),
    [
        ([], [], "neither may be empty"),
        ([0.2, 0.2], [0.1, 0.9], "scores must ascend"),
        ([0.2, 0.8], [0.9, 0.1], "probabilities must not fall"),
        ([0.2, 0.8], [0.1], "expected one probability per score, got 1 for 2"),
        ([0.2], [1.1], "probabilities must be a list of numbers from 0 to 1"),
    ],
)
def test_an_isotonic_curve_that_cannot_be_is_refused(
    file_with: Callable[..., Path], scores: list[float], probabilities: list[float], named: str
) -> None:
    path = file_with(
        calibration__method="isotonic", calibration__scores=scores, calibration__probabilities=probabilities
    )
    with pytest.raises(ManifestError, match=named):
        read_operating_points(path)


@pytest.mark.parametrize(
    ("weights", "shipped_with", "asked", "expected"),
    [
        ((A, B), C, C, True),
        ((A, B), C, A, False),
        ((A, A), C, A, False),
        ((A,), None, A, True),
        ((A, A), None, A, True),
        ((A, B), None, A, False),
        ((A, None), None, A, False),
        ((None,), None, None, False),
        ((A,), C, None, False),
    ],
)
def test_points_hold_for_the_weights_they_are_shipped_with_else_for_the_one_model_behind_them(
    weights: tuple[str | None, ...], shipped_with: str | None, asked: str | None, expected: bool
) -> None:
    points = replace(POINTS, weights_sha256=weights, for_weights_sha256=shipped_with)
    assert points.holds_for(asked) is expected
