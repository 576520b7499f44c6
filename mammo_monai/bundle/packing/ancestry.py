"""The chain of weights that a bundle's weights were started from, each with its hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.published import METADATA, json_object
from mammo_monai.errors import BundleError

_OWN = ("init", "manifest_sha256", "trained_weights_sha256", "epoch", "seed", "freeze", "learning_rate")
_LONGEST = 16


def own_origin(name: str, metadata: Mapping[str, Any]) -> dict[str, object]:
    """What a bundle's metadata say of its weights' origin; hashes that are not known are None."""
    lineage = metadata.get("lineage")
    lineage = lineage if isinstance(lineage, Mapping) else {}
    return {
        "bundle": name,
        "version": metadata.get("version"),
        "weights_sha256": metadata.get("weights_sha256"),
        "parent": lineage.get("parent"),
        "parent_weights_sha256": lineage.get("parent_weights_sha256"),
        **{key: lineage[key] for key in _OWN if key in lineage},
    }


def ancestry(root: Path) -> tuple[dict[str, object], ...]:
    """The origin of the bundle in `root`, of its parent, and so on to the first that started from none.

    A parent is looked for beside the bundle, then by its name. It is described only where its weights are
    those that the child was started from (or the child has none yet); else its name and hash stand alone.

    Raises:
        BundleError: a bundle that is its own ancestor, or metadata that are not JSON.
    """
    chain = [own_origin(root.name, json_object(root / METADATA))]
    here = root
    while parent := chain[-1]["parent"]:
        if parent in [each["bundle"] for each in chain] or len(chain) == _LONGEST:
            raise BundleError(
                f"{root.name}: {parent} is among its own ancestors (lineage in {METADATA}). Name the bundle "
                "that the weights were started from."
            )
        started_from = chain[-1]["parent_weights_sha256"]
        found = _find(str(parent), here)
        known = own_origin(str(parent), json_object(found / METADATA)) if found is not None else None
        if found is None or known is None or started_from not in (None, known["weights_sha256"]):
            chain.append({"bundle": parent, "weights_sha256": started_from, "parent": None})
            break
        chain.append(known)
        here = found
    return tuple(chain)


def lineage_text(chain: tuple[Mapping[str, object], ...]) -> str:
    """The chain in a line, the bundle itself first.

    >>> lineage_text(({"bundle": "b", "weights_sha256": "ab" * 32}, {"bundle": "a", "weights_sha256": None}))
    'b (weights abababababab…) from a (weights unknown)'
    """
    named = []
    for each in chain:
        weights = each.get("weights_sha256")
        named.append(f"{each.get('bundle')} (weights {f'{str(weights)[:12]}…' if weights else 'unknown'})")
    start = chain[-1].get("init") if chain else None
    return " from ".join([*named, str(start)] if start else named)


def _find(name: str, child: Path) -> Path | None:
    beside = child.parent / name
    if (beside / METADATA).is_file():
        return beside
    try:
        found = find_bundle(name)
    except BundleError:
        return None
    return found if (found / METADATA).is_file() else None
