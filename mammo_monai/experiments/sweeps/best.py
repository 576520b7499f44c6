"""best.json: the experiment of a sweep with the best trial's values in, ready to be run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mammo_monai.experiments.data_request import PHANTOMS_PREFIX
from mammo_monai.experiments.definition import EXPERIMENT_SCHEMA
from mammo_monai.experiments.sweeps.definition import Sweep
from mammo_monai.experiments.sweeps.study import Trial
from mammo_monai.files import write_json_atomic

BEST_FILE = "best.json"
BEST_RUN = "best"


def best_trial(sweep: Sweep, trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the best objective, the first of equals; None where none is complete."""
    complete = [each for each in trials if each.value is not None]
    sign = -1 if sweep.objective.is_maximised else 1
    return min(complete, key=lambda each: (sign * float(each.value or 0.0), each.number), default=None)


def optimism_text(sweep: Sweep, trials: Sequence[Trial]) -> str:
    """The warning that stands wherever the best trial's figure does."""
    n = sum(each.value is not None for each in trials)
    return (
        f"The best of {n} trials is optimistic: it was chosen by the validation images its figure is of, "
        "and some of its lead over the others is chance. Report no figure of a sweep; train "
        "best.json and score a test list that no trial has seen, once."
    )


def write_best(out: Path, sweep: Sweep, trials: Sequence[Trial], *, names: Sequence[str] = ()) -> Path | None:
    """Writes best.json with absolute paths; returns it, None where no trial is complete.

    Args:
        names: of the manifests, where others than the file's were given.

    Raises:
        OSError: it cannot be written.
    """
    best = best_trial(sweep, trials)
    if best is None:
        return None
    spec = sweep.experiment({BEST_RUN: best.values}).runs
    rows = []
    for row in sweep.content["runs"]:
        name = BEST_RUN if row["name"] == sweep.base else row["name"]
        made = next(each for each in spec if each.name == name)
        # Those of the file and of the row together, with paths that no longer depend on the file's folder.
        overrides = {
            each: value for each, value in made.overrides.items() if each != "epochs" or _has_own(row)
        }
        rows.append({**row, "name": name, "bundle": made.bundle, "overrides": overrides})
    content: dict[str, Any] = {
        name: each for name, each in sweep.content.items() if name not in ("bundle", "overrides")
    }
    told = f"{best.name} of sweep {sweep.name}. {optimism_text(sweep, trials)}"
    content |= {"schema": EXPERIMENT_SCHEMA, "name": f"{sweep.name}_best", "description": told, "runs": rows}
    if manifests := tuple(names) or sweep.manifests:
        absolute = [
            each if each.startswith(PHANTOMS_PREFIX) else str(Path(each).absolute()) for each in manifests
        ]
        content["manifest"] = absolute
    write_json_atomic(out / BEST_FILE, content)
    return out / BEST_FILE


def _has_own(row: Any) -> bool:
    """Whether a row sets its epochs itself, and not the whole experiment."""
    return "epochs" in row.get("overrides", {})


def is_synthetic(sweep: Sweep, names: Sequence[str]) -> bool:
    """Whether a manifest is of phantoms."""
    return any(each.startswith(PHANTOMS_PREFIX) for each in names or sweep.manifests)
