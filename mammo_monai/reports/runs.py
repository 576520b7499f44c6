"""A scored run as a report reads it: metrics.json, with the detections beside it where there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.files import content_sha256, sha256_of
from mammo_monai.records import Detections
from mammo_monai.reports.optional_parts import part_faults
from mammo_monai.schema import Manifest, read_detections, read_metrics
from mammo_monai.schema.model_line import model_line, names_model

Json = Mapping[str, Any]
SYNTHETIC = "Synthetic images (phantoms): these figures show that the machinery works, nothing clinical."
_MOST_FAULTS = 3  # of the optional parts, in one message
NOT_COMPARABLE = (
    "These runs were scored on different images or by different rules: do not compare them with each other."
)


@dataclass(frozen=True)
class SourceFile:
    """A file the report was made from: its bare name, never its folder, and its SHA-256."""

    name: str
    sha256: str


@dataclass(frozen=True)
class EpochPoint:
    """One epoch of a training: its mean loss; `figure` is the validation's, None where there was none."""

    epoch: int
    loss: float
    figure: float | None = None


@dataclass(frozen=True)
class Run:
    """One set of detections and its figures.

    Attributes:
        metrics: content of metrics.json.
        detections: by record id; empty where no detections.json lies beside the metrics.
        model: the description the detections carry.
        folds: the same run on each fold alone, under the same name; empty where it is not joined from folds.
        histories: epochs of its trainings by fold, oldest first.
        table: the published table it reproduces, such as "P0-II"; "" for none.
        row: the row of that table, such as "0.00001".
        is_synthetic: whether its images are known to be phantoms.
    """

    name: str
    metrics: Json
    detections: Mapping[str, Detections] = field(default_factory=dict)
    model: Json = field(default_factory=dict)
    files: tuple[SourceFile, ...] = ()
    folds: tuple[Run, ...] = ()
    histories: Mapping[str, Sequence[EpochPoint]] = field(default_factory=dict)
    table: str = ""
    row: str = ""
    is_synthetic: bool = False

    @property
    def points(self) -> Sequence[Json]:
        """The operating points: fppi, sensitivity, low, high (None if not given); maybe interval, score."""
        return [{"low": None, "high": None, **point} for point in self.metrics["froc"]["points"]]

    def point_at(self, fppi: float) -> Json | None:
        """The operating point at `fppi`, None where the run lists none."""
        return next((point for point in self.points if point["fppi"] == fppi), None)

    @property
    def told(self) -> str:
        """Bundle, version, weights, software and operating point of what marked; "" where no file says it."""
        models = (self.metrics.get("model") or {}, self.model)
        return next((model_line(model) for model in models if names_model(model)), "")

    @property
    def inputs(self) -> Json:
        """SHA-256 of manifest and detections, and the split, as far as the metrics record them."""
        return dict(self.metrics.get("inputs") or {})


def read_run(path: Path, *, name: str | None = None) -> Run:
    """The run at `path`: a metrics.json, or the folder that holds one.

    Detections are taken from detections.json beside it. The name is the model's, else the folder's.

    Raises:
        ManifestError: no metrics, fields missing, or a detections.json that is not the one scored.
    """
    path = Path(path)
    metrics_path = path / "metrics.json" if path.is_dir() else path
    metrics = read_metrics(metrics_path)
    _check_fields(metrics_path, metrics)
    files = [SourceFile(metrics_path.name, sha256_of(metrics_path))]
    detections_path = metrics_path.parent / "detections.json"
    inputs = metrics.get("inputs") or {}
    is_synthetic = inputs.get("is_phantom") is True
    if not detections_path.is_file():
        return Run(name or _name_of(metrics_path, {}), metrics, files=tuple(files), is_synthetic=is_synthetic)
    files.append(SourceFile(detections_path.name, content_sha256(detections_path)))
    scored = inputs.get("detections_sha256")
    if scored not in (None, files[-1].sha256):
        raise ManifestError(
            f"{detections_path}: not the file that {metrics_path.name} was made from (SHA-256 "
            f"{files[-1].sha256[:12]}…, scored was {scored[:12]}…). Run evaluate again, or keep them apart."
        )
    content = read_detections(detections_path)
    return Run(
        name=name or _name_of(metrics_path, content.model),
        metrics=metrics,
        detections={each.record_id: each for each in content.detections},
        model=content.model,
        files=tuple(files),
        is_synthetic=is_synthetic,
    )


def with_truth(runs: Sequence[Run], manifest: Manifest | None) -> tuple[Run, ...]:
    """The runs; of synthetic images where the manifest they are shown with says so."""
    if manifest is None or not manifest.is_phantom:
        return tuple(runs)
    return tuple(replace(run, is_synthetic=True) for run in runs)


def warnings_of(runs: Sequence[Run]) -> list[str]:
    """What every report on these runs says on top."""
    warnings = [SYNTHETIC] if any(run.is_synthetic for run in runs) else []
    return warnings + ([] if are_comparable(runs) else [NOT_COMPARABLE])


def are_comparable(runs: Sequence[Run]) -> bool:
    """Whether all runs were scored on the same images by the same rule."""
    keys = [
        (
            dict(run.metrics["rule"]) | {"seed": 0, "n_bootstrap": 0},
            run.metrics["n_images"],
            run.metrics["n_lesions"],
            run.inputs.get("manifest_sha256"),
            run.inputs.get("split"),
        )
        for run in runs
    ]
    return all(key == keys[0] for key in keys)


def _name_of(metrics_path: Path, model: Json) -> str:
    named = model.get("name")
    return str(named) if named else metrics_path.absolute().parent.name or metrics_path.stem


def _check_fields(path: Path, metrics: Json) -> None:
    """Refuses metrics without the fields that reports read; other tools write them too."""
    rule, froc = metrics.get("rule"), metrics.get("froc")
    froc = froc if isinstance(froc, dict) else {}
    points = froc.get("points")
    curve = [froc.get("fppi"), froc.get("sensitivity")]
    wrong = {
        "rule (an object)": not isinstance(rule, dict),
        "rule.confidence (a number)": isinstance(rule, dict)
        and not isinstance(rule.get("confidence", 0.95), (int, float)),
        "n_images (a number)": not isinstance(metrics.get("n_images"), int),
        "n_lesions (a number)": not isinstance(metrics.get("n_lesions"), int),
        "froc.fppi and froc.sensitivity (lists of numbers, of equal length)": not all(
            isinstance(each, list) and len(each) == len(curve[0] or ()) and all(map(_is_number, each))
            for each in curve
        ),
        "froc.points (a list of objects with fppi and sensitivity, numbers)": not isinstance(points, list)
        or not all(map(_is_point, points)),
    }
    missing = [*(name for name, is_wrong in wrong.items() if is_wrong), *part_faults(metrics)[:_MOST_FAULTS]]
    if missing:
        raise ManifestError(
            f"{path}: missing or not as expected: {'; '.join(missing)}. Write it with `mammo-monai evaluate`."
        )


def _is_point(value: object) -> bool:
    if not isinstance(value, dict) or not {"fppi", "sensitivity"} <= value.keys() or value["fppi"] is None:
        return False
    return all(_is_number(value.get(name)) for name in ("fppi", "sensitivity", "low", "high", "score"))


def _is_number(value: object) -> bool:
    """Whether it is a number, or null for what is undefined."""
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
