"""Exported models on disk: the file an engine reads, and a record that says whose weights it holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.errors import WeightsError
from mammo_monai.files import sha256_of, write_json_atomic
from mammo_monai.inference.fingerprint import fingerprint
from mammo_monai.schema.json_text import json_value

if TYPE_CHECKING:
    from torch import nn

    from mammo_monai.inference.runtimes.choice import EngineName

logger = logging.getLogger(__name__)
SCHEMA = "mammo-monai/exported-model/1"
_FOLDER = "_exported_models"  # name of the attribute of a network


@dataclass(frozen=True)
class ExportRecord:
    """What the file beside an exported model says.

    Attributes:
        network_sha256: fingerprint of the network's settings and tensors: the same for the same weights,
            whatever file they were read from.
        weights_sha256: of the weights file; None where there was none.
        files: SHA-256 of every exported file by name; the first is the one an engine opens.
        made_with: versions.
        checks: how it was compared with torch; see `bundle export`.
    """

    engine: EngineName
    precision: str
    network_sha256: str
    files: Mapping[str, str]
    weights_sha256: str | None = None
    made_with: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, object] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes it, whole or not at all."""
        write_json_atomic(path, {"schema": SCHEMA, **vars(self)})


def model_files(engine: EngineName, *, int8: bool = False) -> tuple[str, ...]:
    """Names of the files of an exported model; the first is the one an engine opens.

    >>> model_files("openvino", int8=True)
    ('model_int8.xml', 'model_int8.bin')
    """
    stem = "model_int8" if int8 else "model"
    return (f"{stem}.onnx",) if engine == "onnx" else (f"{stem}.xml", f"{stem}.bin")


def record_path(model: Path) -> Path:
    """The record beside an exported model.

    >>> record_path(Path("models/model.onnx")).as_posix()
    'models/model.onnx.json'
    """
    return model.with_name(f"{model.name}.json")


def read_record(path: Path) -> ExportRecord:
    """The record in a file.

    Raises:
        WeightsError: missing, not JSON, or not a record of this version.
    """
    try:
        content = json_value(path.read_bytes())
        if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        record = ExportRecord(**content)
        if not isinstance(record.files, dict) or not record.files:
            raise ValueError("it names no files")
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: not the record of an exported model: {error}. "
            "Export again with `mammo-monai bundle export`."
        ) from error
    return record


def fault_of(model: Path, network_sha256: str) -> str | None:
    """Why an exported model is not of these weights, or not as it was exported; None if it is."""
    try:
        record = read_record(record_path(model))
    except WeightsError as error:
        return str(error)
    if record.network_sha256 != network_sha256:
        return f"{model} was exported from other weights than those loaded."
    if model.name not in record.files:
        return f"{record_path(model)} says nothing of {model.name}, but of {', '.join(record.files)}."
    for name, expected in record.files.items():
        path = model.parent / Path(name).name
        if not path.is_file():
            return f"{path} is missing."
        if sha256_of(path) != expected:
            return f"{path} is not as it was exported: its SHA-256 is another."
    return None


def network_sha256(network: nn.Module) -> str:
    """A hash of a network's settings and tensors."""
    settings = getattr(network, "settings", None)
    return fingerprint({"settings": settings, "weights": dict(network.state_dict())})


def note_exported_models(network: nn.Module, folder: Path) -> None:
    """Tells a network where exported models of its weights may lie: beside the weights file."""
    network.__dict__[_FOLDER] = Path(folder)


def exported_model(network: nn.Module, engine: EngineName, *, int8: bool = False) -> Path | None:
    """The exported model beside the network's weights, if it is of these weights and whole.

    One that is not is left alone, with a WARNING.
    """
    folder = network.__dict__.get(_FOLDER)
    if folder is None:
        return None
    model: Path = folder / model_files(engine, int8=int8)[0]
    if not model.is_file() and not record_path(model).is_file():
        return None
    if fault := fault_of(model, network_sha256(network)):
        logger.warning("%s It is not used. Export again with `mammo-monai bundle export`.", fault)
        return None
    return model
