"""Keeps the wiring of sibling bundles equal: they differ in declared values only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mammo_monai.files import write_text_atomic

# What a stage decides for itself; every other id of its configurations is wiring.
DECLARED_VALUES = frozenset(
    {"dataset_dir", "init", "freeze", "learning_rate", "epochs", "size_px", "augment", "region"}
)
CONFIGS = ("train.json", "evaluate.json", "inference.json", "multi_gpu_train.json")
_WIDTH = 120


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
    """JSON text that fills its lines: plain values side by side, a component on a line where it fits.

    >>> print(format_config({"a": 1, "b": 2, "c": {"_target_": "d"}}), end="")
    {
      "a": 1, "b": 2,
      "c": {"_target_": "d"}
    }
    """
    return _format(config, 0, top=True) + "\n"


def _format(value: Any, indent: int, *, top: bool = False) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (not top and len(flat) + indent <= _WIDTH):
        return flat
    inner = indent + 2
    opening, closing = "[]" if isinstance(value, list) else "{}"
    if isinstance(value, list):
        parts = [_format(each, inner) for each in value]
    else:
        parts = [f"{json.dumps(key)}: {_format(each, inner)}" for key, each in value.items()]
    rows = _filled(parts, _WIDTH - inner)
    return opening + "\n" + ",\n".join(" " * inner + row for row in rows) + "\n" + " " * indent + closing


def _filled(parts: Sequence[str], width: int) -> list[str]:
    """Neighbouring one-line parts joined into rows of at most `width` characters."""
    rows: list[str] = []
    for part in parts:
        fits = rows and "\n" not in rows[-1] + part and len(rows[-1]) + len(part) + 2 <= width
        if fits and not rows[-1].endswith("}") and not part.endswith("}"):
            rows[-1] += ", " + part
        else:
            rows.append(part)
    return rows


def _load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
