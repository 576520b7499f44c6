"""The members' own detections files beside an ensemble's: finished ones are not predicted again.

`OUTPUT.parts/NAME.json` is written whole when a member is finished; `NAME.key.json` says beforehand what it
is made from. A kill at any moment leaves a key without detections, or both. For an ensemble in .jsonl or
.parquet it is `NAME.jsonl`, which is fused one image at a time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai import __version__
from mammo_monai.errors import ManifestError
from mammo_monai.files import sha256_of, write_json_atomic
from mammo_monai.inference.journal import journal_path
from mammo_monai.inference.run_lock import only_run
from mammo_monai.inference.training_look import STATISTICS
from mammo_monai.schema import detections_format, read_manifest
from mammo_monai.schema.fields import load_json

logger = logging.getLogger(__name__)
KEY_SCHEMA = "mammo-monai/ensemble-part/1"


@dataclass(frozen=True)
class Part:
    """The detections of one member of an ensemble.

    Attributes:
        output: the ensemble's own detections file. name: of the member.
        key: everything that decides the member's detections, as JSON; see `part_key`.
    """

    output: Path
    name: str
    key: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """Where its detections stand."""
        kind = "json" if detections_format(self.output) == "json" else "jsonl"
        return self.output.with_name(f"{self.output.stem}.parts") / f"{self.name}.{kind}"

    @property
    def key_path(self) -> Path:
        """Where it is said what they are made from."""
        return self.path.with_name(f"{self.name}.key.json")

    def begin(self) -> bool:
        """Whether it is still to be predicted; detections made from something else are removed.

        Raises:
            OSError: the folder cannot be written.
        """
        content = {"schema": KEY_SCHEMA, **json.loads(json.dumps(self.key))}
        if self._written_key() == content:
            if not self.path.is_file():
                return True
            with only_run(self.path):  # a kill between the last two steps of its run leaves its journal
                journal_path(self.path).unlink(missing_ok=True)
            return False
        if self.path.is_file():
            logger.warning(
                "%s was made with other settings, images or weights: it is predicted again.", self.path
            )
            self.path.unlink()
        write_json_atomic(self.key_path, content)
        return True

    def _written_key(self) -> Mapping[str, Any] | None:
        try:
            return load_json(self.key_path, KEY_SCHEMA) if self.key_path.is_file() else None
        except ManifestError:
            return None


def part_key(
    bundle: Path, images: Sequence[str], overrides: Mapping[str, object], *, weights: Path | None = None
) -> dict[str, Any]:
    """What decides the detections of a member: its bundle's files, weights, statistics, images and overrides.

    Files count by size and time of change, configurations and manifests by content.

    Args:
        bundle: its folder. images: as given to the verb: files, folders, one manifest, or phantoms.
        overrides: ids and values of its inference, those that the verb sets by options of its own too.
        weights: instead of the bundle's own.

    Raises:
        OSError, ManifestError: an image or a manifest cannot be read.
    """
    configs = {
        each.name: sha256_of(each) for each in sorted((bundle / "configs").glob("*")) if each.is_file()
    }
    own = sorted((bundle / "models").glob("*.safetensors")) if weights is None else [weights]
    return {
        "bundle": bundle.name,
        "configs": configs,
        "weights": [_stamp(each) for each in own],
        "statistics": _stamp(bundle / STATISTICS),
        "overrides": {name: repr(value) for name, value in sorted(overrides.items())},
        "images": {each: _images(each) for each in images},
        "software": __version__,
    }


def _images(name: str) -> list[Any]:
    path = Path(name)
    if path.is_dir():
        return [_stamp(each) for each in sorted(path.rglob("*")) if each.is_file()]
    if path.suffix.lower() == ".json" and path.is_file():
        records = read_manifest(path).images()
        return [sha256_of(path), *(_stamp(each.image) for each in records)]
    return [_stamp(path)]


def _stamp(path: Path) -> list[Any]:
    """Name, size and time of change: another file under the same name is another one."""
    if not path.exists():
        return [path.name, None, None]
    status = path.stat()
    return [path.name, status.st_size, status.st_mtime_ns]
