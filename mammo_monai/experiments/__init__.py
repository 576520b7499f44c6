"""Experiments: bundles × folds × overrides, each run a folder, resumable, compared in one table."""

from mammo_monai.experiments.definition import Experiment, ExperimentError, RunSpec, read_experiment
from mammo_monai.experiments.page import write_table
from mammo_monai.experiments.plan import Choice, Plan, PlannedRun, fold_selection, make_plan
from mammo_monai.experiments.results import Results, RunResult, read_results
from mammo_monai.experiments.runner import Finished, Runner
from mammo_monai.experiments.table import missing_table, runs_table
from mammo_monai.experiments.trial import build_parts

__all__ = [
    "Choice",
    "Experiment",
    "ExperimentError",
    "Finished",
    "Plan",
    "PlannedRun",
    "Results",
    "RunResult",
    "RunSpec",
    "Runner",
    "build_parts",
    "fold_selection",
    "make_plan",
    "missing_table",
    "read_experiment",
    "read_results",
    "runs_table",
    "write_table",
]
