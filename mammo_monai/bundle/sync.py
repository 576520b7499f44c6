"""Keeps the wiring of a family of bundles equal: they differ in declared values only.

A family is one network and one way of training it, passed from data set to data set; `family` in
metadata.json names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.published import METADATA, json_object
from mammo_monai.errors import BundleError
from mammo_monai.files import write_text_atomic

# What a stage decides for itself; every other id of its configurations is wiring. `output_dir`: a bundle that
# ships weights trains beside them, not over them.
DECLARED_VALUES = frozenset(
    {"dataset_dir", "init", "freeze", "learning_rate", "epochs", "size_px", "augment", "region"}
    | {"frozen_norm", "output_dir"}
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


def synchronise_named(names: Sequence[str]) -> list[Path]:
    """Gives all bundles but the first one named the wiring of the first; returns the files changed.

    Raises:
        BundleError: fewer than two names, an unknown one, or bundles of two families.
    """
    if len(names) < 2:
        raise BundleError(
            "sync needs at least two bundles, FIRST OTHER…: the others are rewritten after the first; "
            f"got {' '.join(names) or 'none'}."
        )
    first, *others = [find_bundle(name) for name in names]
    for other in others:
        if family_of(other) != family_of(first):
            raise BundleError(
                f"sync keeps one family of bundles equal; {first.name} is of {family_of(first)}, "
                f"{other.name} of {family_of(other)} ('family' in {METADATA}). Name bundles of one family."
            )
    return synchronise(first, others)


def family_of(root: Path) -> str | None:
    """The family that a bundle's metadata names; None where there is none."""
    path = root / METADATA
    family = json_object(path).get("family") if path.is_file() else None
    return None if family is None else str(family)


def format_config(config: Mapping[str, Any]) -> str:
    """JSON text that fills its lines: plain values side by side, a component on a line where it fits.

    A component that does not fit has its `_target_` on the first line, its arguments below.

    >>> print(format_config({"a": 1, "b": 2, "c": {"_target_": "d"}}), end="")
    {
      "a": 1, "b": 2,
      "c": {"_target_": "d"}
    }
    """
    return _format(config, 0, is_top=True) + "\n"


def _format(value: Any, indent: int, *, key: str = "", is_top: bool = False) -> str:
    flat = key + json.dumps(value, ensure_ascii=False)
    fits = not is_top and indent + len(flat) < _WIDTH  # a comma may follow
    if not isinstance(value, dict | list) or not value or fits:
        return flat
    inner = indent + 2
    opening, closing = "[]" if isinstance(value, list) else "{}"
    if isinstance(value, list):
        parts = [_format(each, inner) for each in value]
    else:
        parts = [_format(each, inner, key=f"{json.dumps(name)}: ") for name, each in value.items()]
    first = f"{parts.pop(0)}," if isinstance(value, dict) and next(iter(value)) == "_target_" else ""
    rows = _filled(parts, _WIDTH - inner - 1)
    indented = ",\n".join(" " * inner + row for row in rows)
    return f"{key}{opening}{first}\n{indented}\n{' ' * indent}{closing}"


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
