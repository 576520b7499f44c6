"""The list of parts (CycloneDX) of the environment that a wheel was installed into, by scripts/audit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from packaging.utils import canonicalize_name

sys.path.append(str(Path(__file__).resolve().parents[1] / "audit"))

from sbom import SbomError, cut_to, environment_bill, validate, weight_components, with_weights


class BillError(RuntimeError):
    """The list of parts could not be made."""


def write_bill(python: Path, root: Path, version: str, out: Path) -> int:
    """Writes the list of parts of `python`'s environment; returns the number of components.

    Raises:
        BillError: cyclonedx-py is missing or failed, or the list does not fit its schema.
    """
    tools = Path(sys.executable).parent
    try:
        bill = environment_bill(tools, root / "pyproject.toml", interpreter=str(python))
        # The package itself is the root of the list, and no part of itself.
        names = {canonicalize_name(each["name"]) for each in bill["components"]} - {"mammo-monai"}
        bill = with_weights(cut_to(bill, names), weight_components(root / "bundles", version))
        validate(bill, tools)
    except SbomError as error:
        raise BillError(f"{error} Install the extra audit, or leave the list out with --no-parts.") from error
    out.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    return len(bill["components"])
