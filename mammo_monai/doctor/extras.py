"""Optional features: which are installed, what each is for, and how the others are had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mammo_monai.doctor import versions
from mammo_monai.doctor.findings import Finding, Level
from mammo_monai.doctor.versions import Requirement

KIND = "extras"
FEATURES = {
    "decoders": "films in JPEG 2000, JPEG-LS and lossless JPEG",
    "demo": "eight real films to try: make demo",
    "hub": "bundle push and pull of hf://OWNER/NAME",
    "imagenet": "training the small detector from ImageNet",
    "mlflow": "experiment run --mlflow",
    "onnx": "predict --engine onnx, bundle export",
    "openvino": "predict --engine openvino, in 8 bits too",
    "optuna": "experiment sweep",
    "parquet": "predict -o FOUND.parquet",
    "pdf": "report -o REPORT.pdf",
    "ray": "predict --cluster",
}


def findings(_: Mapping[str, Any]) -> Iterator[Finding]:
    """All of this kind."""
    yield from extra_findings(versions.requirements() or [])


def extra_findings(asked: Sequence[Requirement]) -> Iterator[Finding]:
    """One finding per feature; one that is not installed is no fault, one that is too old is."""
    for name, feature in FEATURES.items():
        needed = [each for each in asked if each.extra == name]
        fix = f"python -m pip install 'mammo-monai[{name}]'"
        old = [f"{each.name} {each.installed}" for each in needed if each.installed and not each.is_met]
        if old:
            wanted = ", ".join(each.wanted for each in needed if each.installed and not each.is_met)
            why = f"Needed: {wanted}. {feature}."
            yield Finding(KIND, name, Level.WARNING, f"too old: {', '.join(old)}", why, fix)
        elif needed and all(each.is_met for each in needed):
            yield Finding(KIND, name, Level.OK, f"installed: {feature}{_but_for(versions.left_out(name))}")
        else:
            yield Finding(KIND, name, Level.OK, f"not installed: {feature}", fix=fix)


def _but_for(packages: Sequence[str]) -> str:
    return f"; but for {', '.join(packages)}: no build for {versions.python()}" if packages else ""
