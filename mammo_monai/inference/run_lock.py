"""One run at a time for one output: a second one would mix its results with the first one's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from mammo_monai.locks import only_writer


def only_run(output: Path) -> AbstractContextManager[None]:
    """Holds `.<output>.lock` while the block runs. The lock of a killed process is free at once.

    Raises:
        OSError: another process is writing this output, or the folder cannot be written.
    """
    return only_writer(output, doing="predicting into it")
