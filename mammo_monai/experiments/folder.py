"""The folder of one run on one fold: its files, its lock, and how far it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.experiments.configuration import changes_between, config_hash
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.plan import RUN_SCHEMA
from mammo_monai.files import write_json_atomic
from mammo_monai.locks import LockHeldError, file_lock
from mammo_monai.parts import is_part_name, remove_leftovers
from mammo_monai.schema.fields import load_json
from mammo_monai.schema.manifest import MANIFEST_NAME

DONE_SCHEMA = "mammo-monai/experiment-done/1"
LOCK = ".lock"
PATIENCE_S = 5.0


class State(Enum):
    """How far a folder is with a planned run."""

    NEW = "new"
    BEGUN = "begun"
    DONE = "done"
    CHANGED = "changed"


class BusyError(ExperimentError):
    """Another process works in the folder."""


@dataclass(frozen=True)
class RunFolder:
    """`OUT/NAME/fold-K`, `fold-once` for a run that is not done per fold; every path in it."""

    path: Path

    @property
    def config(self) -> Path:
        """What decides the result; written first."""
        return self.path / "config.json"

    @property
    def manifest(self) -> Path:
        """The lists of the fold."""
        return self.path / MANIFEST_NAME

    @property
    def weights_folder(self) -> Path:
        """The training's output: weights, checkpoint, event files."""
        return self.path / "weights"

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.weights_folder / "model.safetensors"

    @property
    def checkpoint(self) -> Path:
        """What an unfinished training goes on from."""
        return self.weights_folder / "checkpoint_last.pt"

    @property
    def environment(self) -> Path:
        """What each step ran on."""
        return self.path / "environment.json"

    @property
    def detections(self) -> Path:
        """Of the fold's test list."""
        return self.path / "detections.json"

    @property
    def metrics(self) -> Path:
        """Of these detections by the experiment's rule."""
        return self.path / "metrics.json"

    @property
    def attempts(self) -> Path:
        """Each start of a step with its length; see `attempts`."""
        return self.path / "attempts.json"

    @property
    def done(self) -> Path:
        """Written last: the run is finished."""
        return self.path / "done.json"

    @property
    def failed(self) -> Path:
        """Why the last attempt failed."""
        return self.path / "failed.json"

    def log(self, step: str) -> Path:
        """What a step wrote to stdout and stderr, all attempts."""
        return self.path / f"{step}.log"

    def report(self, step: str) -> Path:
        """What a step measured of itself."""
        return self.path / f"{step}.json"

    def state(self, config: Mapping[str, Any]) -> State:
        """How far the folder is with the run of `config`.

        Raises:
            ExperimentError: the folder holds something else, or its files cannot be read.
        """
        present = self.stored_config()
        if present is None:
            return State.NEW
        if config_hash(present) != config_hash(config):
            return State.CHANGED
        if not self.done.is_file():
            return State.BEGUN
        return State.DONE if self.read_done().get("config_sha256") == config_hash(config) else State.CHANGED

    def stored_config(self) -> dict[str, Any] | None:
        """The configuration of the run that the folder holds; None where there is none.

        Raises:
            ExperimentError: as `state`.
        """
        if not self.config.is_file():
            foreign = [each.name for each in self.path.glob("*") if each.name != LOCK]
            if foreign and not all(map(is_part_name, foreign)):
                raise ExperimentError(
                    f"{self.path}: expected a run with its config.json or an empty folder, found "
                    f"{min(foreign)} without one. Choose another --out, or move it away."
                )
            return None
        return _read(self.config, RUN_SCHEMA)

    def read_done(self) -> dict[str, Any]:
        """What a finished run tells of itself: hashes and lengths."""
        return _read(self.done, DONE_SCHEMA)

    def changes(self, config: Mapping[str, Any]) -> list[str]:
        """What differs between the run in the folder and that of `config`, one line per value."""
        return changes_between(self.stored_config() or {}, json.loads(json.dumps(config)))

    def begin(self, config: Mapping[str, Any]) -> None:
        """Writes the configuration into a folder that has none."""
        write_json_atomic(self.config, config)

    def clear(self) -> None:
        """Removes a run: a kill meanwhile leaves no half that counts as begun, whatever it was begun as."""
        write_json_atomic(self.config, {"schema": RUN_SCHEMA, "cleared": True})  # no run's configuration
        self.done.unlink(missing_ok=True)
        for each in self.path.iterdir():
            if each.name in (LOCK, self.config.name):
                continue
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
        self.config.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Deletes half-written files of killed processes."""
        for folder in (self.path, self.weights_folder):
            remove_leftovers(folder)

    @contextmanager
    def locked(self, *, patience_s: float | None = None) -> Iterator[int]:
        """Makes the folder and keeps other processes out; yields the lock's file descriptor.

        The system frees the lock when all processes that hold the descriptor are gone, killed ones too; a
        step inherits it, so a training that outlives its runner keeps the next one out.

        Args:
            patience_s: how long to wait for a lock, `PATIENCE_S` if None: the step of a killed runner takes
                a moment to end.

        Raises:
            BusyError: another process works there. OSError: the folder cannot be made.
        """
        patience_s = PATIENCE_S if patience_s is None else patience_s
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(file_lock(self.path / LOCK, patience_s=patience_s))
            except LockHeldError as error:
                raise BusyError(
                    f"{self.path}: another process works there (started by {error.holder})."
                ) from None
            yield descriptor


def _read(path: Path, schema: str) -> dict[str, Any]:
    try:
        return dict(load_json(path, schema))
    except ManifestError as error:
        raise ExperimentError(f"{error} Move the folder away, or give another --out.") from error
