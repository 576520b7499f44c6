"""`mammo-monai predict` with several bundles: each predicts into a file of its own, then all are fused."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammo_monai.cli.fusion_options import fusion_rule

logger = logging.getLogger(__name__)


def predict_ensemble(args: argparse.Namespace, images: list[str]) -> None:
    """Predicts every member that is not finished, fuses them, writes the output.

    Raises:
        ValueError, MammoError: options that hold for one bundle, an id or a calibration that is not there
            (before anything is predicted), and as prediction and fusion raise them.
    """
    from mammo_monai.bundle import path_value, run_bundle
    from mammo_monai.cli.predict_members import Member, members_of
    from mammo_monai.cli.progress_bar import image_bar
    from mammo_monai.inference import fuse_files, statistics_of_bundle
    from mammo_monai.inference.fusion_parts import Part, part_key

    _refuse_single(args)
    rule = fusion_rule(args)
    members: list[Member] = members_of(args)
    rule.check_models(len(members))
    parts = []
    for number, member in enumerate(members, start=1):
        # Images refused before may be accepted now, and the other way round.
        overrides = {**member.overrides, **({"accept": sorted(args.accept)} if args.accept else {})}
        key = part_key(member.bundle, images, overrides, weights=member.weights)
        part = Part(args.output, member.name, key)
        parts.append(part.path)
        if not part.begin():
            logger.info("%d of %d, %s: predicted before", number, len(members), member.name)
            continue
        logger.info("%d of %d, %s: predicting", number, len(members), member.name)
        statistics = statistics_of_bundle(member.bundle)
        named: Mapping[str, Any] = {
            "input": images[0] if len(images) == 1 else images,
            "output": path_value(part.path),
            "weights": path_value(member.weights) if member.weights else None,
            "device": args.device,
            "evaluator#on_progress": image_bar(),
            "evaluator#workers": args.workers,
            "evaluator#accept": args.accept or None,
            "evaluator#statistics": path_value(statistics) if statistics else None,
        }
        given = {name: value for name, value in named.items() if value is not None}
        run_bundle(member.bundle, "inference", "run", given | dict(member.overrides), is_trusted=args.trust)
    points = [each.points for each in members]
    names = [each.name for each in members]
    is_calibrated = not args.uncalibrated
    fuse_files(parts, Path(args.output), rule, points=points, names=names, is_calibrated=is_calibrated)


def _refuse_single(args: argparse.Namespace) -> None:
    """Options that say nothing, or the wrong thing, of an ensemble."""
    if args.fppi is not None:
        raise ValueError(
            "--fppi: an operating point of one bundle does not hold for fused scores. Leave it out, and "
            "choose points for the fused detections of validation images with `mammo-monai calibrate`."
        )
    if args.maps is not None:
        raise ValueError("--maps draws the maps of one patch classifier: predict with it alone.")
    if args.weights is not None:
        raise ValueError(
            "--weights names one file for several bundles. Give each its own: --bundle NAME=FILE."
        )
