"""The JSON Schemas: what writers write fits them, and what they refuse readers refuse too."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import MammoError
from mammo_monai.metrics import FrocRule, evaluate_detections
from mammo_monai.records import Detections
from mammo_monai.schema import (
    Calibration,
    IsotonicCurve,
    Manifest,
    OperatingPoint,
    OperatingPoints,
    PlattCurve,
    Quarantined,
    ReliabilityBin,
    TemperatureCurve,
    read_detections,
    read_manifest,
    read_metrics,
    read_operating_points,
    write_detections,
    write_manifest,
    write_metrics,
    write_operating_points,
)
from mammo_monai.schema.folds import Fold, Folds, FoldScheme, FoldSource, FoldStage, read_folds, write_folds
from mammo_monai.schema.json_schemas import SCHEMA_NAMES, json_schema
from mammo_monai.service.node.settings import NodeSettings, read_settings
from tests import strategies
from tests.metrics.scenes import Scene, scenes

MANIFEST = {
    "schema": "mammo-monai/manifest/1",
    "test": [
        {
            "image": "a.dcm",
            "record_id": "a1",
            "patient_id": "p1",
            "width": 600,
            "height": 800,
            "box": [[10, 20, 30, 50.5]],
            "label": [0],
            "lesions": [
                {"id": "1", "type": "mass", "contour": [[10, 20], [30, 20], [30, 50.5]], "birads": 4}
            ],
            "laterality": "R",
            "view_position": "MLO",
            "pixel_spacing_mm": [0.07, 0.08],
            "breast_density": 2,
            "sha256": "0" * 64,
        }
    ],
    "quarantined": [{"record_id": "b2", "code": "file-truncated", "image": None, "place": "t.csv row 2"}],
    "about": {"layout": "folder"},
}
DETECTIONS = {
    "schema": "mammo-monai/detections/1",
    "model": {"name": "ours"},
    "detections": [
        {
            "record_id": "a1",
            "boxes": [[1, 2, 3, 4]],
            "scores": [0.5],
            "labels": [0],
            "probabilities": [0.25],
            "image_score": 0.5,
            "warnings": ["untypical: darker than the training's images"],
            "typicality": 0.01,
        }
    ],
}
POINTS = {
    "schema": "mammo-monai/operating-points/1",
    "points": [{"fppi": 0.5, "threshold": 0.4, "sensitivity": 0.7, "low": 0.6, "high": 0.8}],
    "calibration": {
        "method": "platt",
        "slope": 1.0,
        "intercept": 0.0,
        "brier": 0.1,
        "expected_error": 0.1,
        "bins": [{"low": 0.0, "high": 0.5, "mean_score": 0.25, "hit_rate": 0.2, "n": 3}],
    },
    "rule": {"label": 0},
    "n_images": 4,
    "n_lesions": 3,
    "n_patients": 2,
    "manifest_sha256": "b" * 64,
    "weights_sha256": [None],
}
NODE = {
    "folder": "queue",
    "marking": {"bundle": "cbis_mass_detection", "fppi": 0.5},
    "destinations": [{"name": "pacs", "peer": "PACS@127.0.0.1:104", "commitment": True}],
    "rules": {"institutions": None},
}
FOLDS = Folds(
    FoldScheme("kfold", 2, 0.5),
    0,
    (FoldSource("m.json", 4, "a" * 64),),
    (Fold("1", (FoldStage("training", ("a",), ("b",), ("c", "d")),)),),
)
FROM_DISK = {  # what a schema is given: the file; and the reader beside it
    "manifest": (MANIFEST, read_manifest),
    "detections": (DETECTIONS, read_detections),
    "operating-points": (POINTS, read_operating_points),
    "node": (NODE, read_settings),
}


def faults(name: Any, content: object) -> list[str]:
    return [each.message for each in jsonschema.Draft202012Validator(json_schema(name)).iter_errors(content)]


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_every_schema_is_one_of_the_draft_it_names(name: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(name))


def test_there_are_no_others() -> None:
    folder = Path(__file__).parents[2] / "mammo_monai" / "schema" / "json"
    assert {path.name.removesuffix(".schema.json") for path in folder.iterdir()} == set(SCHEMA_NAMES)
    with pytest.raises(ValueError, match="a schema is one of manifest"):
        json_schema("report")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FROM_DISK)
def test_a_whole_example_is_taken_by_schema_and_reader(name: str, tmp_path: Path) -> None:
    content, read = FROM_DISK[name]
    assert faults(name, content) == []
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content))
    read(path)


def at(*keys: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """A change of one value deep in a file; None as a value takes the key away."""

    def change(content: dict[str, Any]) -> None:
        node: Any = content
        for key in keys[:-1]:
            node = node[key]
        if value is None:
            del node[keys[-1]]
        else:
            node[keys[-1]] = value

    return change


BROKEN = [
    ("manifest", at("schema", value="mammo-monai/manifest/2")),
    ("manifest", at("test", value=[])),
    ("manifest", at("test", value={})),
    ("manifest", at("test", 0, value=7)),
    *(("manifest", at("test", 0, key, value=None)) for key in ("image", "record_id", "patient_id", "width")),
    ("manifest", at("test", 0, "width", value=0)),
    ("manifest", at("test", 0, "height", value="800")),
    ("manifest", at("test", 0, "record_id", value="")),
    ("manifest", at("test", 0, "laterality", value="left")),
    ("manifest", at("test", 0, "view_position", value="AP")),
    ("manifest", at("test", 0, "pixel_spacing_mm", value=[0.07])),
    ("manifest", at("test", 0, "pixel_spacing_mm", value=[0.07, -1])),
    ("manifest", at("test", 0, "box", value=[[1, 2, 3]])),
    ("manifest", at("test", 0, "label", value=[-1])),
    ("manifest", at("test", 0, "label", value=["mass"])),
    ("manifest", at("test", 0, "lesions", 0, value="mass")),
    ("manifest", at("test", 0, "lesions", 0, "contour", value=[[1, 2, 3]])),
    ("manifest", at("test", 0, "sha256", value="abc")),
    ("manifest", at("quarantined", 0, "code", value=None)),
    ("manifest", at("quarantined", 0, "place", value=7)),
    ("manifest", at("test", 0, "box", value=[["1", 2, 3, 4]])),
    ("manifest", at("test", 0, "box", value=[[True, 2, 3, 4]])),
    *(("manifest", at("test", 0, "birads", value=value)) for value in (-1, 7)),
    *(("manifest", at("test", 0, "breast_density", value=value)) for value in (0, 5)),
    ("manifest", at("test", 0, "file_size", value=-1)),
    ("manifest", at("test", 0, "source", value=["a table"])),
    ("manifest", at("test", 0, "lesions", 0, "id", value=7.5)),
    *(("manifest", at("test", 0, "lesions", 0, name, value=7)) for name in ("type", "pathology")),
    ("manifest", at("test", 0, "lesions", 0, "birads", value=7)),
    *(("manifest", at("test", 0, "lesions", 0, "subtlety", value=value)) for value in (0, 6)),
    ("manifest", at("test", 0, "lesions", 0, "contour", value={})),
    ("detections", at("schema", value=None)),
    ("detections", at("detections", value={})),
    ("detections", at("detections", 0, "record_id", value=None)),
    ("detections", at("detections", 0, "boxes", value=None)),
    ("detections", at("detections", 0, "boxes", value=[["1", 2, 3, 4]])),
    ("detections", at("detections", 0, "boxes", value=[[1, 2, 3, True]])),
    ("detections", at("detections", 0, "image", value=7)),
    ("detections", at("detections", 0, "scores", value=["high"])),
    ("detections", at("detections", 0, "labels", value=[-1])),
    ("detections", at("detections", 0, "probabilities", value=[1.5])),
    ("detections", at("detections", 0, "image_score", value=2)),
    ("detections", at("detections", 0, "warnings", value=[7])),
    ("operating-points", at("points", value=[])),
    ("operating-points", at("points", 0, "fppi", value=0)),
    ("operating-points", at("points", 0, "sensitivity", value=1.5)),
    ("operating-points", at("points", 0, "threshold", value=None)),
    ("operating-points", at("calibration", "method", value="spline")),
    ("operating-points", at("calibration", "slope", value=None)),
    ("operating-points", at("calibration", "bins", 0, "n", value=0)),
    ("operating-points", at("rule", value=None)),
    ("operating-points", at("n_images", value=0)),
    ("operating-points", at("manifest_sha256", value="abc")),
    ("operating-points", at("weights_sha256", value=[])),
    ("node", at("folder", value=None)),
    ("node", at("marking", "bundel", value="x")),
    ("node", at("marking", "tries", value=2.5)),
    ("node", at("destinations", 0, "commitment", value="yes")),
    ("node", at("destinations", value={})),
    ("node", at("rules", "modalities", value="MG")),
]


@pytest.mark.parametrize(
    ("name", "change"), BROKEN, ids=[f"{name}-{n}" for n, (name, _) in enumerate(BROKEN)]
)
def test_what_the_schema_refuses_the_reader_refuses(name: str, change: Any, tmp_path: Path) -> None:
    content, read = FROM_DISK[name]
    broken = deepcopy(content)
    change(broken)
    assert faults(name, broken)
    path = tmp_path / "file.json"
    path.write_text(json.dumps(broken))
    with pytest.raises(MammoError):
        read(path)


def fresh(function: Any) -> Any:
    """Few examples: each writes a file."""
    return settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])(function)


@fresh
@given(found=st.lists(strategies.records(), min_size=1, max_size=3, unique_by=lambda each: each.record_id))
def test_written_manifests_fit(found: Any, tmp_path: Path) -> None:
    left_out = (Quarantined("ff", "image-missing"),)
    write_manifest(tmp_path / "m.json", Manifest(test=tuple(found), quarantined=left_out, about={"seed": 0}))
    assert faults("manifest", json.loads((tmp_path / "m.json").read_text())) == []


@fresh
@given(found=strategies.detections())
def test_written_detections_fit(found: Detections, tmp_path: Path) -> None:
    more = dataclasses.replace(
        found, probabilities=found.scores, image_score=0.5, warnings=("untypical: dark",), typicality=0.1
    )
    for each in (found, more):
        write_detections(tmp_path / "d.json", [each], {"name": "ours"})
        assert faults("detections", json.loads((tmp_path / "d.json").read_text())) == []
        write_detections(tmp_path / "d.jsonl", [each], {"name": "ours"})
        head, row = map(json.loads, (tmp_path / "d.jsonl").read_text().splitlines())
        assert faults("detections", {**head, "detections": [row]}) == []


@fresh
@given(scene=scenes())
def test_written_metrics_fit(scene: Scene, tmp_path: Path) -> None:
    metrics = evaluate_detections(scene.records, scene.detections, rule=FrocRule(n_bootstrap=5))
    write_metrics(tmp_path / "metrics.json", metrics)
    assert faults("metrics", dict(read_metrics(tmp_path / "metrics.json"))) == []
    assert metrics.keys() <= json_schema("metrics")["properties"].keys()


def test_metrics_without_their_rule_or_curve_do_not_fit() -> None:
    for missing in ("rule", "froc", "n_lesions"):
        whole = {"schema": "mammo-monai/metrics/1", "rule": {"text": "x"}, "n_images": 1, "n_patients": 1}
        whole |= {"n_lesions": 0, "froc": {"fppi": [], "sensitivity": [], "points": []}}
        assert faults("metrics", whole) == []
        del whole[missing]
        assert faults("metrics", whole)


@pytest.mark.parametrize(
    "curve", [PlattCurve(1.0, 0.0), TemperatureCurve(2.0), IsotonicCurve((0.1, 0.9), (0.0, 1.0)), None]
)
def test_written_operating_points_fit(curve: Any, tmp_path: Path) -> None:
    bins = (ReliabilityBin(0.0, 0.5, 0.25, 0.2, 3),)
    points = OperatingPoints(
        points=(OperatingPoint(0.5, 0.4, 0.7, 0.6, 0.8), OperatingPoint(2.0, 0.1, 0.8, 0.7, 0.9, 1.5)),
        calibration=None if curve is None else Calibration(curve, 0.1, 0.05, bins),
        rule={"label": 0},
        n_images=4,
        n_lesions=3,
        n_patients=2,
        manifest_sha256="b" * 64,
        weights_sha256=("c" * 64, None),
    )
    write_operating_points(tmp_path / "p.json", points)
    assert faults("operating-points", json.loads((tmp_path / "p.json").read_text())) == []


def test_written_folds_fit_and_a_broken_file_does_not(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    write_folds(path, FOLDS)
    written = json.loads(path.read_text())
    assert faults("folds", written) == []
    for change in (
        at("scheme", "name", value="tenfold"),
        at("scheme", "n_folds", value=1),
        at("folds", value=[]),
        at("folds", 0, "stages", 0, "test", value=None),
        at("sources", 0, "sha256", value="abc"),
        at("sha256", value=None),
    ):
        broken = deepcopy(written)
        change(broken)
        assert faults("folds", broken)
        path.write_text(json.dumps(broken))
        with pytest.raises(MammoError):
            read_folds(path)


def test_the_nodes_schema_is_that_of_its_settings() -> None:
    own = {key: value for key, value in json_schema("node").items() if key not in ("$schema", "$id", "title")}
    assert own == schema_of(NodeSettings)


WORDS = {str: "string", bool: "boolean", int: "integer", float: "number", Path: "string"}


def schema_of(kind: Any) -> dict[str, Any]:
    """What the fields of a dataclass of settings say, as a schema: its keys and no others."""
    hints, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
    missing = dataclasses.MISSING
    needed = [each.name for each in fields if each.default is missing and each.default_factory is missing]
    properties = {}
    for each in fields:
        properties[each.name] = _of_hint(hints[each.name])
        if each.default is not missing:
            value = list(each.default) if isinstance(each.default, tuple) else each.default
            properties[each.name]["default"] = value
    required = {"required": needed} if needed else {}
    return {"type": "object", **required, "additionalProperties": False, "properties": properties}


def _of_hint(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (_of_hint(each) for each in arguments if each is not type(None))
        if inner["type"] == "object":
            return {"oneOf": [inner, {"type": "null"}]}
        return {**inner, "type": [inner["type"], "null"]}
    if origin is tuple:
        return {"type": "array", "items": _of_hint(arguments[0])}
    if dataclasses.is_dataclass(hint):
        return schema_of(hint)
    return {"type": "object"} if origin is not None else {"type": WORDS[hint]}
