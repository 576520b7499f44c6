"""Where an experiment's file is: a path, `./experiments/NAME.json`, or one that came with the package."""

from __future__ import annotations

from pathlib import Path

import mammo_monai
from mammo_monai.experiments.field_checks import ExperimentError

_PACKAGE = Path(mammo_monai.__file__).parent
# The wheel carries the experiments inside the package; a checkout keeps them beside it.
SHIPPED = (_PACKAGE / "_experiments", _PACKAGE.parent / "experiments")


def find_experiment(name: str | Path) -> Path:
    """The file of an experiment.

    Args:
        name: a file, else a name without its ending: in `./experiments`, then among those shipped.

    Raises:
        ExperimentError: nowhere; the message lists the names there are.
    """
    path = Path(name)
    if path.exists() or path.name != str(name):
        return path  # a path that is not there is told of where it is read
    file = path.with_suffix(".json") if path.suffix == ".json" else Path(f"{name}.json")
    for folder in (Path("experiments"), *SHIPPED):
        if (folder / file).is_file():
            return folder / file
    raise ExperimentError(
        f"experiment {str(name)!r} not found: expected a file, or one of {', '.join(experiment_names())}."
    )


def experiment_names() -> list[str]:
    """Names of the experiments in `./experiments` and of those shipped."""
    return sorted({each.stem for home in (Path("experiments"), *SHIPPED) for each in home.glob("*.json")})
