"""Weights files: tensors and metadata to disk and back, without ever running code from them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mammo_monai.errors import WeightsError
from mammo_monai.files import atomic_path, sha256_of
from mammo_monai.networks.architectures import settings_from, settings_text

NETWORK_KEY = "network"  # metadata entry that holds the network's settings as JSON
_PICKLE_ADVICE = (
    "Pickles can run code when opened and are refused; Detectron2 publishes such files. Where you trust one, "
    "write its tensors with torch.save({name: torch.as_tensor(array)}) as .pth, and convert that."
)


@dataclass(frozen=True)
class WeightsFile:
    """A weights file read from disk; `sha256` is that of its bytes."""

    path: Path
    sha256: str
    metadata: Mapping[str, str]
    tensors: Mapping[str, object]

    @property
    def settings(self) -> Any | None:
        """The settings of the network the file was written for, where it says so.

        Raises:
            WeightsError: it says so in words of another version.
        """
        text = self.metadata.get(NETWORK_KEY)
        try:
            return None if text is None else settings_from(text)
        except (TypeError, ValueError) as error:
            raise WeightsError(
                f"{self.path}: metadata {NETWORK_KEY!r} is not a network of this version ({error}). "
                "Convert the original file again with `mammo-monai weights convert`."
            ) from error


def read_weights(path: Path, *, sha256: str | None = None) -> WeightsFile:
    """Tensors and metadata of a file, on the CPU; never runs code from it.

    Raises:
        WeightsError: the file is missing, damaged, a pickle, or its hash is another.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file. Give an existing .safetensors, .pt or .pth file.")
    found = sha256_of(path)
    if sha256 is not None and found != sha256.lower():
        raise WeightsError(f"{path}: expected SHA-256 {sha256}, got {found}. Fetch the file again.")
    if path.suffix == ".safetensors":
        return WeightsFile(path, found, *_read_safetensors(path))
    if path.suffix in (".pt", ".pth"):
        return WeightsFile(path, found, {}, _read_torch(path))
    raise WeightsError(
        f"{path}: weights must be .safetensors, .pt or .pth, got {path.suffix!r}. {_PICKLE_ADVICE}"
    )


def save_state(
    state: Mapping[str, Tensor],
    settings: object,
    path: Path,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes tensors for a network of these settings; see `save_weights`."""
    content = serialised_state(state, settings, metadata)
    with atomic_path(Path(path)) as part:
        # Not save_file: on a full disk it raises an error of its own that does not say which file.
        part.write_bytes(content)


def serialised_state(
    state: Mapping[str, Tensor], settings: object, metadata: Mapping[str, str] | None = None
) -> bytes:
    """The content of a .safetensors file: the same bytes for the same tensors and metadata.

    Raises:
        TypeError: metadata that is not text.
    """
    texts = {**(metadata or {}), NETWORK_KEY: settings_text(settings)}
    bad = [key for key, value in texts.items() if not isinstance(key, str) or not isinstance(value, str)]
    if bad:
        raise TypeError(f"metadata must map str to str, got another type at {bad[0]!r}.")
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    return _ordered(save(tensors, metadata={**texts, "format": "pt"}))


def _ordered(content: bytes) -> bytes:
    """A .safetensors file with its header sorted: the library writes metadata in another order every time.

    Source: the safetensors format: 8 bytes that tell the header's length, the header (JSON, filled with
    spaces to a multiple of 8 bytes), the tensors; offsets count from the end of the header.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]


def _read_safetensors(path: Path) -> tuple[Mapping[str, str], Mapping[str, object]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        return metadata, load_file(path)
    except SafetensorError as error:
        raise WeightsError(
            f"{path}: damaged .safetensors file ({error}). Fetch or write it again."
        ) from error


def _read_torch(path: Path) -> Mapping[str, object]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path}: holds more than tensors ({reason}). {_PICKLE_ADVICE}") from error
    except (
        Exception
    ) as error:  # torch's unpickler raises whatever bytes that break its expectations bring about
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise WeightsError(
            f"{path}: damaged weights file ({reason:.300}). Fetch or write it again."
        ) from error
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path}: expected a dict of tensors, got {type(content).__name__}. Save a state dict."
        )
    return content
