"""Software bills of materials: CycloneDX of an environment, cut down to what somebody gets, with weights."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

SPEC_VERSION = "1.6"
_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(f"{fault!r:.2000}" if fault else 0)
"""


class SbomError(RuntimeError):
    """A bill could not be made, or is none."""


def environment_bill(tools: Path, pyproject: Path, *, interpreter: str = sys.executable) -> dict[str, Any]:
    """The bill of an environment, by cyclonedx-py; licences as the packages' metadata say them.

    Raises:
        SbomError: cyclonedx-py is missing or failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bill.json"
        command = [str(tools / "cyclonedx-py"), "environment", "--pyproject", str(pyproject)]
        command += ["--mc-type", "library", "--output-reproducible", "--spec-version", SPEC_VERSION]
        try:
            done = subprocess.run(
                [*command, "--output-file", str(out), interpreter],
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise SbomError(f"{command[0]}: expected cyclonedx-py, got {error.strerror}.") from error
        if done.returncode:
            raise SbomError(f"cyclonedx-py failed: {done.stderr[-500:]}")
        bill: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return bill


def cut_to(bill: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The bill with the components of these canonical names only, and the dependencies among them.

    Raises:
        SbomError: a name has no component.
    """
    cut = copy.deepcopy(dict(bill))
    cut["components"] = [each for each in bill["components"] if canonicalize_name(each["name"]) in names]
    missing = set(names) - {canonicalize_name(each["name"]) for each in cut["components"]}
    if missing:
        raise SbomError(f"expected components for all packages, missing {', '.join(sorted(missing))}.")
    kept = {each["bom-ref"] for each in cut["components"]}
    root = cut["metadata"]["component"]["bom-ref"]
    cut["dependencies"] = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", ()) if ref in kept]}
        for each in bill.get("dependencies", ())
        if each["ref"] in kept or each["ref"] == root
    ]
    return cut


def weight_components(bundles: Path, version: str) -> list[dict[str, Any]]:
    """A component for each file of weights that lies in the box, with its SHA-256.

    Raises:
        SbomError: the file is not the one that SHA256SUMS beside it names.
    """
    found = []
    for path in sorted(bundles.glob("*/models/*.safetensors")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        sums = path.with_name("SHA256SUMS")
        if (
            not sums.is_file()
            or f"{digest}  {path.name}" not in sums.read_text(encoding="utf-8").splitlines()
        ):
            raise SbomError(f"{path}: expected the SHA-256 that SHA256SUMS names, got {digest}.")
        bundle = path.parents[1].name
        found.append(
            {
                "type": "machine-learning-model",
                "bom-ref": f"weights:{bundle}",
                "name": f"{bundle}/models/{path.name}",
                "version": version,
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        )
    return found


def with_weights(bill: Mapping[str, Any], weights: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The bill with the weights as parts of the package."""
    made = copy.deepcopy(dict(bill))
    made["components"] = [*made["components"], *weights]
    return made


def validate(bill: Mapping[str, Any], tools: Path) -> None:
    """Holds the bill against CycloneDX's own schema.

    Raises:
        SbomError: it does not fit.
    """
    done = subprocess.run(
        [str(tools / "python"), "-c", _VALIDATE],
        input=json.dumps(bill),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SbomError(f"not CycloneDX {SPEC_VERSION}: {done.stderr[-2000:]}")
