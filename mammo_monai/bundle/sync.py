"""Keeps the wiring of sibling bundles equal: they differ in declared values only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mammo_monai.files import write_text_atomic

# What a stage decides for itself; every other id of its configurations is wiring.
DECLARED_VALUES = frozenset(
    {
        "dataset_dir",
        "init",
        "freeze",
        "learning_rate",
        "epochs",
        "breast_method",
        "size_px",
        "augment",
        "weights",
    }
)
CONFIGS = ("train.json", "evaluate.json", "inference.json", "multi_gpu_train.json")
_WIDTH = 118


def wiring_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without its declared values."""
    return {name: value for name, value in config.items() if name not in DECLARED_VALUES}


def unsynchronised(reference: Path, others: Sequence[Path]) -> list[Path]:
    """Configuration files of `others` whose wiring differs from that of `reference`; all are folders."""
    return [
        other / "configs" / name
        for name in CONFIGS
        for other in others
        if wiring_of(_load(other / "configs" / name)) != wiring_of(_load(reference / "configs" / name))
    ]


def synchronise(reference: Path, others: Sequence[Path]) -> list[Path]:
    """Gives `others` the wiring of `reference`, keeps their declared values; returns the files changed."""
    changed = unsynchronised(reference, others)
    for path in changed:
        own = _load(path)
        model = _load(reference / "configs" / path.name)
        merged = {
            name: own.get(name, value) if name in DECLARED_VALUES else value for name, value in model.items()
        }
        write_text_atomic(path, format_config(merged))
    return changed


def format_config(config: Mapping[str, Any]) -> str:
    """JSON text with one id per line where it fits.

    >>> print(format_config({"a": 1, "b": {"_target_": "c"}}), end="")
    {
      "a": 1,
      "b": {"_target_": "c"}
    }
    """
    return _format(config, 0, top=True) + "\n"


def _format(value: Any, indent: int, *, top: bool = False) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (not top and len(flat) + indent <= _WIDTH):
        return flat
    inner = indent + 2
    if isinstance(value, list):
        rows = [" " * inner + _format(each, inner) for each in value]
        return "[\n" + ",\n".join(rows) + "\n" + " " * indent + "]"
    rows = [f"{' ' * inner}{json.dumps(key)}: {_format(each, inner)}" for key, each in value.items()]
    return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"


def _load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
