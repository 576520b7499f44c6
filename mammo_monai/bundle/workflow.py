"""MONAI's workflow over configurations in memory: no file is opened twice, no folder made importable."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from logging.config import fileConfig
from pathlib import Path
from typing import Any

from monai.bundle import BundleWorkflow, ConfigParser, ConfigWorkflow

from mammo_monai.bundle.published import METADATA
from mammo_monai.bundle.trust.gate import LOGGING
from mammo_monai.bundle.trust.snapshot import Snapshot
from mammo_monai.errors import BundleError


class SnapshotWorkflow(ConfigWorkflow):  # type: ignore[misc]  # MONAI's classes have no types here
    """Runs a merged configuration as `ConfigWorkflow` runs files.

    MONAI's own opens every file again, after whoever inspected it, and puts the bundle's folder into the
    search for modules, where `scripts/torch.py` would stand in for torch.

    Args:
        content: the merged configuration; it is changed.
        overrides: ids and values that are set in it.
        is_trusted: the bundle's folder is searched for modules, as MONAI does.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        content: dict[str, Any],
        overrides: Mapping[str, object],
        *,
        run_id: str,
        is_trusted: bool = False,
    ) -> None:
        # Past ConfigWorkflow's own, which reads files.
        BundleWorkflow.__init__(self, workflow_type="train")
        self.config_root_path = snapshot.root / "configs"
        self.is_trusted = is_trusted
        if LOGGING in snapshot.contents:
            _apply_logging(snapshot)
        self.parser = ConfigParser()
        self.parser.read_config(content)
        if METADATA in snapshot.contents:
            self.parser.read_meta(_metadata(snapshot))
        self.parser.update(pairs=dict(overrides))
        self.init_id, self.run_id, self.final_id = "initialize", run_id, "finalize"
        self._is_initialized = False

    def run(self) -> Any:
        """Runs the id.

        Raises:
            ValueError: there is none.
        """
        if self.run_id not in self.parser:
            raise ValueError(f"run ID '{self.run_id}' doesn't exist in the config file.")
        if self.is_trusted:
            # A module's compiled copy would be a new file of the bundle, and its hash another.
            sys.dont_write_bytecode = True
            sys.path.insert(1, str(self.config_root_path.parent))
        return self._run_expr(id=self.run_id)


def _apply_logging(snapshot: Snapshot) -> None:
    try:
        fileConfig(io.StringIO(snapshot.text(LOGGING)), disable_existing_loggers=False)
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError, ImportError) as error:
        # What logging makes of a file that is none differs from one version of Python to the next.
        raise BundleError(f"{snapshot.root / LOGGING}: {error}. Mend it, or remove it.") from error


def _metadata(snapshot: Snapshot) -> dict[str, Any]:
    where = Path(snapshot.root / METADATA)
    try:
        content = json.loads(snapshot.text(METADATA))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: not JSON: {error}. Fetch or write it again.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{where}: expected a JSON object, got {type(content).__name__}.")
    return content
