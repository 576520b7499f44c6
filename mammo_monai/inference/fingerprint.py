"""One hash over everything that decides a run's result: settings, transforms, weights, images."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import is_dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType

import numpy as np
import torch
from torch import nn

MAX_DEPTH = 16


def fingerprint(content: object) -> str:
    """SHA-256 of a description that is equal for equal settings, in another process too.

    Objects count by class and attributes, networks by their modules' settings and every weight, so that an
    override in a config, an edited transform or further training changes the hash. What has no attributes
    (a random state) counts by class alone.

    >>> fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": (2,), "a": 1})
    True
    >>> fingerprint({"a": 1}) == fingerprint({"a": 2})
    False
    """
    return hashlib.sha256(json.dumps(describe(content), sort_keys=True).encode()).hexdigest()


def describe(value: object, _parents: tuple[int, ...] = ()) -> object:
    """A value as plain JSON content, without addresses in memory."""
    if _is_plain(value):
        return value
    leaf = _leaf(value)
    if leaf is None and (id(value) in _parents or len(_parents) > MAX_DEPTH):
        leaf = _class_name(value)
    return _parts(value, (*_parents, id(value))) if leaf is None else leaf


def _leaf(value: object) -> str | None:
    """Text for what has no parts of interest; None for other objects."""
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Path | enum.Enum | torch.device | torch.dtype):
        return str(value)
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return _bytes_of(value)
    return None


def _parts(value: object, parents: tuple[int, ...]) -> object:
    if isinstance(value, Mapping):
        return {str(key): describe(each, parents) for key, each in value.items()}
    if isinstance(value, Set):
        return sorted(json.dumps(describe(each, parents), sort_keys=True) for each in value)
    if isinstance(value, Sequence):
        return [describe(each, parents) for each in value]
    attributes = _module(value) if isinstance(value, nn.Module) else getattr(value, "__dict__", {})
    described = {name: describe(each, parents) for name, each in attributes.items()}
    return {"class": _class_name(value), **described}


def _module(module: nn.Module) -> dict[str, object]:
    """Settings of every sub-module and all weights; not what use changes: training mode, caches."""
    settings = {
        name: {
            "class": _class_name(each),
            **{key: value for key, value in vars(each).items() if _is_setting(key, value)},
        }
        for name, each in module.named_modules()
    }
    return {"modules": settings, "weights": dict(module.state_dict())}


def _is_setting(name: str, value: object) -> bool:
    if name == "training" or name.startswith("_"):
        return False
    if isinstance(value, tuple | list):
        return bool(value) and all(_is_plain(each) for each in value)
    return value is not None and (_is_plain(value) or is_dataclass(value))


def _is_plain(value: object) -> bool:
    return value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, enum.Enum))


def _bytes_of(array: np.ndarray | np.generic | torch.Tensor) -> str:
    if isinstance(array, torch.Tensor):
        # As bytes: numpy has no bfloat16.
        flat = array.detach().cpu().contiguous().reshape(-1)
        shape, kind, raw = tuple(array.shape), str(array.dtype), flat.view(torch.uint8).numpy()
    else:
        shape, kind, raw = np.shape(array), str(array.dtype), np.ascontiguousarray(array)
    return f"{kind} {shape} {hashlib.sha256(raw.data).hexdigest()}"


def _class_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
