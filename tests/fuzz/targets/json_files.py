"""Fuzz targets: the JSON files of this package, from the manifest to the node's configuration."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mammo_monai.experiments.definition import read_experiment
from mammo_monai.experiments.head import Head, HeadRun, read_head, write_head
from mammo_monai.experiments.sweeps.definition import read_sweep
from mammo_monai.inference.runtimes.exported import ExportRecord, read_record
from mammo_monai.readers.salt import PHANTOMS_FILE, dataset_salt
from mammo_monai.records import Detections, ImageRecord, Laterality, Lesion, ViewPosition
from mammo_monai.reports.runs import read_run
from mammo_monai.schema import (
    Manifest,
    Quarantined,
    read_class_scores,
    read_detections,
    read_manifest,
    read_metrics,
    read_operating_points,
    write_class_scores,
    write_detections,
    write_manifest,
    write_metrics,
    write_operating_points,
)
from mammo_monai.schema.class_scores import ClassScore, ClassScoresFile
from mammo_monai.schema.fields import load_json
from mammo_monai.schema.folds import Fold, Folds, FoldScheme, FoldSource, FoldStage, read_folds, write_folds
from mammo_monai.schema.operating_points import Calibration, OperatingPoint, OperatingPoints, PlattCurve
from mammo_monai.service.node.settings import read_settings
from mammo_monai.service.review.marks import fresh_review, review_from_json, review_json
from mammo_monai.service.review.store import IMAGE_SCHEMA
from tests.fuzz.harness import Target
from tests.fuzz.targets.json_words import JSON_WORDS, with_new_value

_FOUND = Detections(
    "a" * 16,
    np.array([[10.0, 20, 31, 45], [1, 2, 30, 40]]),
    np.array([0.9, 0.25]),
    np.array([0, 1]),
    Path("a.png"),
    np.array([0.8, 0.1]),
    0.9,
)
_HASH = "ab" * 32


def written(name: str, write: Callable[[Path], object]) -> bytes:
    """The bytes that a writer leaves in a file of this name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def _manifest() -> list[bytes]:
    lesion = Lesion((10, 20, 31, 45), "1", "mass", 0, 12.5, ((10, 20), (31, 20), (31, 45)), "MALIGNANT", 5, 4)
    image = ImageRecord(
        Path("/a.png"),
        "a" * 16,
        "p1",
        60,
        90,
        (lesion,),
        Laterality.RIGHT,
        ViewPosition.MLO,
        (0.07, 0.08),
        3,
        5,
        file_size=5,
        sha256=_HASH,
    )
    normal = ImageRecord(Path("/b.png"), "b" * 16, "p2", 60, 90)
    manifest = Manifest(
        training=(image,),
        test=(normal,),
        quarantined=(Quarantined("c" * 16, "mask-missing", Path("/c.png"), "table row 3"),),
        about={"seed": 0},
    )
    return [written("m.json", lambda path: write_manifest(path, manifest))]


def _detections() -> list[bytes]:
    return [
        written("d.json", lambda path: write_detections(path, [_FOUND, Detections("b")], {"name": "m"})),
        b'{"schema": "mammo-monai/detections/1", "model": {}, "detections": []}',
    ]


def _folds() -> list[bytes]:
    stage = FoldStage("only", ("a" * 16,), ("b" * 16,), ("c" * 16,))
    folds = Folds(FoldScheme(n_folds=2), 0, (FoldSource("m.json", 3, _HASH),), (Fold("0", (stage,)),))
    return [written("f.json", lambda path: write_folds(path, folds))]


def _points() -> list[bytes]:
    points = OperatingPoints(
        points=(OperatingPoint(0.25, 0.61, 0.7, 0.6, 0.8), OperatingPoint(2.0, 0.1, 0.9, 0.85, 0.95, 1.5)),
        calibration=Calibration(PlattCurve(1.5, -0.25), 0.08, 0.02, (), 0.1),
        rule={"min_iou": 0.2, "label": 0},
        n_images=40,
        n_lesions=30,
        n_patients=20,
        manifest_sha256=_HASH,
        weights_sha256=(_HASH, None),
        inference={"inferer": "FullImageInferer"},
    )
    return [written("o.json", lambda path: write_operating_points(path, points))]


def _class_scores() -> list[bytes]:
    scores = (
        ClassScore("a" * 16, 0, 1, (0.25, 0.75), (3.0, 4.5)),
        ClassScore("b" * 16, 1, 0, (0.5, 0.5)),
    )
    content = ClassScoresFile(scores, ("background", "mass"), {"name": "m"})
    return [written("c.json", lambda path: write_class_scores(path, content))]


def _metrics() -> list[bytes]:
    content: Mapping[str, object] = {
        "n_images": 2,
        "n_lesions": 3,
        "mean_sensitivity": {"value": 0.5},
        "froc": {
            "fppi": [0.0, 1.0],
            "sensitivity": [0.0, 0.5],
            "points": [{"fppi": 1.0, "sensitivity": 0.5, "interval": [0.25, 0.75], "score": 0.5}],
        },
        "rule": {"min_iou": 0.2},
    }
    return [written("metrics.json", lambda path: write_metrics(path, content))]


def _experiment(**more: object) -> bytes:
    content = {
        "schema": "mammo-monai/experiment/1",
        "name": "x",
        "folds": {"scheme": "kfold", "n_folds": 2, "validation_fraction": 0.2, "seed": 0},
        "evaluate": {"n_bootstrap": 10},
        "manifest": ["a.json", "phantoms:inbreast:4"],
        "runs": [
            {"name": "one", "bundle": "b", "manifest": "A", "folds": "once", "test_split": "validation"},
            {"name": "two", "bundle": "b", "overrides": {"init": "run:one", "lr": 1e-5}, "table": "P0-VII"},
        ],
        **more,
    }
    return json.dumps(content).encode()


def _sweep() -> list[bytes]:
    sweep = {
        "parameters": {
            "lr": {"type": "float", "low": 1e-6, "high": 1e-3, "log": True},
            "freeze": {"type": "categorical", "choices": ["all", "heads"]},
        },
        "objective": {"metric": "mean_sensitivity"},
        "sampler": "random",
        "trials": 3,
    }
    runs = [{"name": "one", "bundle": "b"}]
    return [_experiment(sweep=sweep, runs=runs, manifest=["a.json"])]


def _head() -> list[bytes]:
    head = Head("x", "y", (HeadRun("one", folds=("0",)),), ("0", "1"))
    with tempfile.TemporaryDirectory() as folder:
        write_head(Path(folder), head)
        return [(Path(folder) / "experiment.json").read_bytes()]


def _read_head(path: Path) -> object:
    return read_head(path.parent)


def _read_salt(path: Path) -> object:
    path.rename(path.with_name(PHANTOMS_FILE))
    return dataset_salt(path.parent, path.with_name("manifest.json"))


def _review() -> list[bytes]:
    content = {
        "schema": IMAGE_SCHEMA,
        "record_id": _FOUND.record_id,
        **review_json(fresh_review(_FOUND, 0.5)),
    }
    return [json.dumps(content).encode()]


def _read_review(path: Path) -> object:
    content = load_json(path, IMAGE_SCHEMA)
    return review_from_json(str(path), content, fresh=fresh_review(_FOUND, 0.5), size=(60, 90))


def _settings() -> list[bytes]:
    content = {
        "folder": "node",
        "kinds": ["sr"],
        "marking": {"bundle": "b", "settle_s": 0.2, "overrides": {"device": "cpu"}},
        "receiving": {"ae_title": "NODE", "port": 0, "calling_ae_titles": ["PACS"]},
        "http": {"port": 0},
        "sending": {"retry_first_s": 0.2, "retry_most_s": 0.5},
        "destinations": [{"name": "pacs", "peer": "PACS@127.0.0.1:104"}],
    }
    return [json.dumps(content).encode()]


def _export_record() -> list[bytes]:
    record = ExportRecord("onnx", "fp32", _HASH, {"model.onnx": _HASH}, _HASH, {"torch": "2"}, {"n": 1})
    return [written("model.onnx.json", record.save)]


def _target(name: str, read: Callable[[Path], object], seeds: Callable[[], list[bytes]]) -> Target:
    return Target(name, ".json", read, seeds, dictionary=JSON_WORDS, mutators=(with_new_value,))


TARGETS = (
    _target("manifest", read_manifest, _manifest),
    _target("detections", read_detections, _detections),
    _target("folds", read_folds, _folds),
    _target("metrics", read_metrics, _metrics),
    _target("scored_run", read_run, _metrics),
    _target("operating_points", read_operating_points, _points),
    _target("class_scores", read_class_scores, _class_scores),
    _target("experiment", read_experiment, lambda: [_experiment(), _experiment(epochs=3)]),
    _target("sweep", read_sweep, _sweep),
    _target("review", _read_review, _review),
    _target("node_settings", read_settings, _settings),
    _target("export_record", read_record, _export_record),
)
