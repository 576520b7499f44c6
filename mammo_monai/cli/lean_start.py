"""Starts the command without packages that MONAI loads for training and notebooks: 4 of 16 s of imports.

`import monai` imports all of MONAI, and each part tries the optional packages it could use. Hidden while
MONAI is imported, they count as not installed for MONAI in this process, and only there: so this is for a
process that predicts and does nothing else. Our own code and other packages import them afterwards as ever.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

UNUSED_IN_PREDICTION = ("matplotlib.pyplot", "mlflow", "optuna", "pandas", "tensorboard")
"""Experiment tracking, hyperparameter search, tables and plots; measured with `python -X importtime`."""


def import_for_prediction() -> None:
    """Imports the bundles' code, and MONAI with it, as prediction needs it."""
    with hidden(UNUSED_IN_PREDICTION):
        importlib.import_module("mammo_monai.bundle")


@contextmanager
def hidden(packages: Sequence[str]) -> Iterator[None]:
    """While this lasts, packages that are not loaded yet cannot be imported.

    >>> with hidden(["wave"]):
    ...     import wave
    Traceback (most recent call last):
    ModuleNotFoundError: import of wave halted; None in sys.modules
    """
    names = [name for name in packages if name not in sys.modules]
    # None in sys.modules makes an import fail: docs.python.org, "The import system", the module cache.
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # the types know no None there
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
