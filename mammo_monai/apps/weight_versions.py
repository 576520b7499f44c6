"""Weights that a site trained itself, by version: v0001, v0002 …; none is ever overwritten."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai.errors import WeightsError
from mammo_monai.files import write_json_atomic

SHIPPED = "shipped"
LATEST = "latest"
WEIGHTS_NAME = "model.safetensors"
ABOUT_NAME = "training.json"
_VERSION = re.compile(r"v\d{4,}")


@dataclass(frozen=True)
class WeightVersions:
    """The versions of one bundle's weights below a folder; the bundle's own are called `shipped`."""

    folder: Path

    def names(self) -> list[str]:
        """The versions there are, oldest first; without `shipped`.

        A folder without weights, as a stopped training leaves it, is none.
        """
        if not self.folder.is_dir():
            return []
        found = [
            path.name
            for path in self.folder.iterdir()
            if _VERSION.fullmatch(path.name) and (path / WEIGHTS_NAME).is_file()
        ]
        return sorted(found, key=_number)

    def path(self, name: str) -> Path | None:
        """The weights file of a version; None for `shipped`, or `latest` before anything was trained.

        Raises:
            WeightsError: no such version; the message lists those there are.
        """
        names = self.names()
        if name == LATEST:
            name = names[-1] if names else SHIPPED
        if name == SHIPPED:
            return None
        if name not in names:
            raise WeightsError(
                f"weights {name!r} not found: expected {', '.join([SHIPPED, LATEST, *names])}. A training "
                "makes a new version."
            )
        return self.folder / name / WEIGHTS_NAME

    def about(self, name: str) -> dict[str, Any]:
        """What was noted of a version's training; empty where nothing was."""
        path = self.folder / name / ABOUT_NAME
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    @contextmanager
    def new(self, about: Mapping[str, object]) -> Iterator[tuple[str, Path]]:
        """Yields the next version's name and a folder to train into; at the end it becomes that version.

        On an error the folder stays as `.training` for whoever looks for the reason, until the next training.

        Args:
            about: noted beside the weights.

        Raises:
            WeightsError: the block wrote no weights.
        """
        working = self.folder / ".training"
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir(parents=True)
        name = f"v{_number(([*self._taken()] or ['v0000'])[-1]) + 1:04d}"
        yield name, working
        if not (working / WEIGHTS_NAME).is_file():
            raise WeightsError(f"the training of {name} ended without {WEIGHTS_NAME}; no version was made.")
        write_json_atomic(working / ABOUT_NAME, {"version": name, **about})
        working.rename(self.folder / name)

    def _taken(self) -> list[str]:
        """All names in use, weights or not: a number is never given twice."""
        return sorted(
            (path.name for path in self.folder.iterdir() if _VERSION.fullmatch(path.name)), key=_number
        )


def _number(name: str) -> int:
    return int(name[1:])
