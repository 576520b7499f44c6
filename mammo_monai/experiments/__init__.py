"""Experiments: bundles × folds × overrides, each run a folder, resumable, compared in one table."""

from mammo_monai.experiments.data_request import DataRequest, FoldsRequest
from mammo_monai.experiments.definition import Experiment, read_experiment, trusted
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.find import experiment_names, find_experiment
from mammo_monai.experiments.head import Head, HeadRun, read_head
from mammo_monai.experiments.mlflow_tracker import MlflowTracker
from mammo_monai.experiments.page import write_table
from mammo_monai.experiments.plan import Choice, Plan, PlannedRun, fold_selection, make_plan
from mammo_monai.experiments.results import Results, RunResult, read_results
from mammo_monai.experiments.run_data import RunData
from mammo_monai.experiments.run_spec import RunSpec
from mammo_monai.experiments.runner import Runner, Tracker
from mammo_monai.experiments.schedule import Finished
from mammo_monai.experiments.table import missing_table, runs_table, runs_tables
from mammo_monai.experiments.trial import build_parts

__all__ = [
    "Choice",
    "DataRequest",
    "Experiment",
    "ExperimentError",
    "Finished",
    "FoldsRequest",
    "Head",
    "HeadRun",
    "MlflowTracker",
    "Plan",
    "PlannedRun",
    "Results",
    "RunData",
    "RunResult",
    "RunSpec",
    "Runner",
    "Tracker",
    "build_parts",
    "experiment_names",
    "find_experiment",
    "fold_selection",
    "make_plan",
    "missing_table",
    "read_experiment",
    "read_head",
    "read_results",
    "runs_table",
    "runs_tables",
    "trusted",
    "write_table",
]
