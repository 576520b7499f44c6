"""The options that say how detections of several models are fused, the same for predict and fuse."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mammo_monai.words import counted

if TYPE_CHECKING:
    from mammo_monai.inference import FusionRule
    from mammo_monai.schema import DetectionsFile

METHODS = ("wbf", "clustering", "merge", "nms")


def add_fusion_options(parser: Any, *, default: str | None) -> None:
    """Adds them; the method is `default` where it is not given."""
    add = parser.add_argument_group("ensemble of several models").add_argument
    help_ = "wbf: weighted box fusion; clustering: weighted clustering; merge, nms: the best box of a group, "
    help_ += "as large as the group, or as it is (wbf)"
    add("--fuse", choices=METHODS, default=default, help=help_)
    add("--fuse-iou", type=float, metavar="X", help="boxes with a higher IoU are one (the method's own)")
    add(
        "--fuse-weights",
        type=float,
        nargs="+",
        default=[],
        metavar="W",
        help="how much each model counts, one number per model (all alike)",
    )
    add(
        "--fuse-label", type=int, action="append", default=[], metavar="N", help="fuse this class alone (all)"
    )
    add("--uncalibrated", action="store_true", help="fuse raw scores, though they do not compare")


def fusion_rule(args: argparse.Namespace) -> FusionRule:
    """The rule that the options describe."""
    from mammo_monai.inference import FusionRule

    weights, labels = tuple(args.fuse_weights), tuple(args.fuse_label)
    return FusionRule(args.fuse or "wbf", args.fuse_iou, weights, labels)


def fused_text(content: DetectionsFile) -> str:
    """What was fused, for one line."""
    told = content.model["fusion"]
    scores = "calibrated" if told["calibrated"] else "uncalibrated"
    models = counted(len(told["members"]), "model")
    return f"{models} fused by {told['method']} (IoU {told['min_iou']:g}, {scores})"
