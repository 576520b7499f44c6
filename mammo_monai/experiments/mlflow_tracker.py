"""An MLflow log of an experiment: one run for the whole, one nested in it per run and fold; optional."""

from __future__ import annotations

import logging
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mammo_monai.experiments.configuration import config_hash
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.folder import RunFolder
from mammo_monai.experiments.history import read_history
from mammo_monai.experiments.plan import PlannedRun
from mammo_monai.experiments.step_request import TRAINING
from mammo_monai.schema import read_metrics

logger = logging.getLogger(__name__)

PREFIX = "mammo_monai."
PARENT_TAG = "mlflow.parentRunId"
# A server that is away must not hold the experiment up for minutes; whoever sets these is not overruled.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
# MLflow 3 refuses a folder as its store unless this says that it is meant; it needs no server, no database.
FOLDER_STORE = "MLFLOW_ALLOW_FILE_STORE"
_HASHES = ("config_sha256", "weights_sha256", "detections_sha256", "fold_manifest_sha256", "folds_sha256")
_MEASURED = ("training_s", "prediction_s", "seconds_per_image", "n_parameters", "epochs", "iterations")
_LONGEST_VALUE = 500  # MLflow's limit on a parameter in its oldest stores


class MlflowTracker:
    """Logs finished runs; what fails is a warning, for the results lie in the runs' folders anyway.

    A run that the store holds already is not logged again, so one missed by a failure is made up for by the
    next start of the same experiment. Nothing of it names a patient or a path.

    Args:
        uri: of the store: a folder, `file:…`, `sqlite:///…` (needs MLflow's database extra), or a server.
        name: of the experiment.

    Raises:
        ExperimentError: MLflow is not installed.
    """

    def __init__(self, uri: str, name: str) -> None:
        self.uri = uri
        self.name = name
        for variable, value in {**PATIENCE, FOLDER_STORE: "true"}.items():
            os.environ.setdefault(variable, value)
        try:
            from mlflow import MlflowClient  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise ExperimentError(
                "--mlflow needs the package mlflow-skinny, which is not installed: "
                "pip install 'mammo-monai[mlflow]', or leave --mlflow out."
            ) from error
        self._make_client = MlflowClient
        self._client: Any = None
        self._whole: str | None = None

    def log_run(self, planned: PlannedRun, folder: RunFolder) -> None:
        """Logs a finished run on its fold, unless the store has it."""
        self._try(lambda: self._log_run(planned, folder), planned.label)

    def close(self, out: Path) -> None:
        """Logs the table of all finished runs and ends the log of the experiment."""
        self._try(lambda: self._log_table(out), "the table")

    def _try(self, log: Callable[[], None], what: str) -> None:
        try:
            log()
        except Exception as error:  # whatever a client, a store or a server raises: it must stop no training
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            logger.warning(
                "MLflow: %s is not logged: %s. The results are whole in the runs' folders; the same command "
                "logs what is missing.",
                what,
                reason,
            )

    def _log_run(self, planned: PlannedRun, folder: RunFolder) -> None:
        done = folder.read_done()
        tags = {name: str(done[name]) for name in _HASHES if done.get(name)}
        tags |= {"run": planned.spec.name, "fold": planned.fold}
        # One that was cut off in the middle has not finished there: it is logged afresh.
        if self._found("config_sha256", str(done["config_sha256"]), " and attributes.status = 'FINISHED'"):
            return
        run_id = self._begun(planned.label.removeprefix("run "), tags, {PARENT_TAG: self._whole_run()})
        for name, value in _parameters(planned):
            self._client.log_param(run_id, name, value)
        for epoch in read_history(folder.log(TRAINING)):
            for name, figure in (("loss", epoch.loss), ("validation", epoch.figure)):
                if figure is not None and math.isfinite(figure):
                    self._client.log_metric(run_id, name, figure, step=epoch.epoch)
        for name, number in _figures(read_metrics(folder.metrics), done):
            self._client.log_metric(run_id, name, number)
        self._client.log_artifact(run_id, str(folder.metrics))
        self._client.set_terminated(run_id)

    def _log_table(self, out: Path) -> None:
        from mammo_monai.experiments.page import write_table  # noqa: PLC0415  # draws: only where asked for
        from mammo_monai.experiments.results import read_results  # noqa: PLC0415

        results = read_results(out)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("table.html", "table.csv"):
                write_table(Path(folder) / name, results)
                self._client_now().log_artifact(self._whole_run(), str(Path(folder) / name))
        self._client.set_terminated(self._whole_run())

    def _client_now(self) -> Any:
        if self._client is None:
            self._client = self._make_client(tracking_uri=self.uri)
        return self._client

    def _whole_run(self) -> str:
        """The run that all others are nested in, found again by its tag."""
        if self._whole is None:
            tag = config_hash({"experiment": self.name})
            found = self._found("experiment_sha256", tag)
            self._whole = found or self._begun(self.name, {"experiment_sha256": tag}, {})
        return self._whole

    def _begun(self, name: str, own: Mapping[str, str], theirs: Mapping[str, str]) -> str:
        tags = {**{PREFIX + key: value for key, value in own.items()}, **theirs}
        client = self._client_now()
        return str(client.create_run(self._experiment_id(), tags=tags, run_name=name).info.run_id)

    def _found(self, tag: str, value: str, more: str = "") -> str | None:
        """The run with a tag; None where there is none."""
        filter_ = f"tags.`{PREFIX}{tag}` = '{value}'{more}"
        runs = self._client_now().search_runs([self._experiment_id()], filter_string=filter_, max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _experiment_id(self) -> str:
        client = self._client_now()
        known = client.get_experiment_by_name(self.name)
        return str(known.experiment_id if known else client.create_experiment(self.name))


def _parameters(planned: PlannedRun) -> Iterator[tuple[str, str]]:
    """The overrides as the configuration has them, under names that MLflow allows; no path."""
    config = planned.config
    yield "bundle", str(config["bundle"])
    yield "init", str(config["inputs"]["init"])
    for name, value in planned.spec.overrides.items():
        if name != "init":
            yield name.replace("::", ".").replace("#", "."), logged_value(value)[:_LONGEST_VALUE]


def logged_value(value: object) -> str:
    """A value of an override as text; of every path in it only the last name: folders may name people.

    >>> logged_value(["../a/b.json", 0.5])
    "['b.json', 0.5]"
    """
    return str(_without_folders(value))


def _without_folders(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _without_folders(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return re.split(r"[/\\]", value)[-1] if isinstance(value, str) else value


def _figures(metrics: Mapping[str, Any], done: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    points = {f"sensitivity_{each['fppi']:g}": each["sensitivity"] for each in metrics["froc"]["points"]}
    measured = {name: done.get(name) for name in _MEASURED}
    for name, value in {**points, "mean_sensitivity": done.get("mean_sensitivity"), **measured}.items():
        if value is not None and math.isfinite(value):
            yield name, float(value)
