"""Sweeps: an experiment's run with many values, searched by Optuna; every trial is an ordinary run."""

from mammo_monai.experiments.sweeps.best import best_trial, optimism_text, write_best
from mammo_monai.experiments.sweeps.check import check_sweep
from mammo_monai.experiments.sweeps.definition import Sweep, is_sweep, read_sweep
from mammo_monai.experiments.sweeps.objective import Objective
from mammo_monai.experiments.sweeps.page import sweep_page, trials_csv, trials_table, write_sweep
from mammo_monai.experiments.sweeps.space import Parameter
from mammo_monai.experiments.sweeps.study import Study, Trial
from mammo_monai.experiments.sweeps.sweeper import Sweeper

__all__ = [
    "Objective",
    "Parameter",
    "Study",
    "Sweep",
    "Sweeper",
    "Trial",
    "best_trial",
    "check_sweep",
    "is_sweep",
    "optimism_text",
    "read_sweep",
    "sweep_page",
    "trials_csv",
    "trials_table",
    "write_best",
    "write_sweep",
]
