"""Members of an ensemble as `predict --bundle A --bundle B=weights` names them, checked before they run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.bundle import find_bundle, parse_overrides
from mammo_monai.bundle.faults import check_ids
from mammo_monai.errors import BundleError
from mammo_monai.inference.fusion_files import told_apart
from mammo_monai.inference.operating_point import OPERATING_POINTS

_COMMON = ("mode", "engine", "split", "on_error")


@dataclass(frozen=True)
class Member:
    """One bundle of an ensemble.

    Attributes:
        weights: instead of its own; None for its own. overrides: ids of its inference.json and values.
        points: its operating points, which hold its calibration; None where there are none.
    """

    name: str
    bundle: Path
    weights: Path | None
    overrides: Mapping[str, object]
    points: Path | None


def members_of(args: argparse.Namespace) -> list[Member]:
    """The members in the order of `--bundle`, each with the overrides for all and its own (`--NAME:id`).

    Raises:
        BundleError: no such bundle, weights file, id or member; or, unless `--uncalibrated`, no calibration.
    """
    named = [_bundle_and_weights(each) for each in args.bundle]
    names = told_apart([bundle.name for bundle, _ in named])
    given = parse_overrides(args.overrides)
    common = {name: getattr(args, name) for name in _COMMON if getattr(args, name) is not None}
    found = []
    for name, (bundle, weights) in zip(names, named, strict=True):
        config = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
        default = {"on_error": "skip"} if "on_error" in config else {}
        overrides = default | common | _overrides_for(name, names, given)
        check_ids(overrides, config, f"{name} (inference.json)")
        points = bundle / OPERATING_POINTS if (bundle / OPERATING_POINTS).is_file() else None
        if points is None and not args.uncalibrated and not _is_classifier(config):
            raise BundleError(
                f"{bundle / OPERATING_POINTS}: no such file, so the scores of {name} have no calibration, "
                "and scores of different models do not compare. Calibrate it on validation images with "
                "`mammo-monai calibrate`, or fuse the raw scores on purpose with --uncalibrated."
            )
        found.append(Member(name, bundle, weights, overrides, points))
    return found


def _bundle_and_weights(text: str) -> tuple[Path, Path | None]:
    """The folder of `NAME` or of `NAME=FILE`, and the file."""
    name, found, weights = text.partition("=")
    if not found or (Path(text) / "configs").is_dir():
        return find_bundle(text), None
    bundle = find_bundle(name)
    if not Path(weights).is_file():
        raise BundleError(
            f"--bundle {text}: no weights file at {weights!r}. Name one after '=', or leave both out for the "
            "bundle's own."
        )
    return bundle, Path(weights).absolute()


def _overrides_for(name: str, names: Sequence[str], given: Mapping[str, object]) -> dict[str, object]:
    """Overrides for all members, replaced by those for this one; MONAI's own `a::b` belongs to all."""
    common, own = dict[str, object](), dict[str, object]()
    for key, value in given.items():
        member, colon, rest = key.partition(":")
        if not colon or rest.startswith(":"):
            common[key] = value
        elif member == name:
            own[rest] = value
        elif member not in names:
            raise BundleError(f"--{key}: no member {member}: they are {', '.join(names)}.")
    return common | own


def _is_classifier(config: Mapping[str, object]) -> bool:
    """Whether the bundle gives image scores alone, which need no calibration of boxes."""
    inferer = config.get("inferer")
    target = inferer.get("_target_") if isinstance(inferer, Mapping) else None
    return str(target).endswith(".whole_image_inferer")
