"""`mammo-monai train`: runs the training of a bundle, with MONAI's own overrides passed through."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.trust_option import add_trust_option


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "train",
        help="train a bundle on a manifest",
        description="Takes the training and validation lists of a manifest; writes model.safetensors, "
        "checkpoints and curves into DIR. The same as `python -m monai.bundle run training --bundle_root B "
        "--config_file B/configs/train.json`. Any other `--id value` overrides that id of the configuration, "
        "e.g. --learning_rate 1e-4 --train#dataloader#batch_size 4. A run that was stopped goes on where it "
        "was.",
    )
    parser.add_argument("--bundle", required=True, metavar="NAME|DIR", help="a bundle's folder or name")
    parser.add_argument(
        "--manifest",
        metavar="MANIFEST",
        help="manifest.json, or phantoms:LAYOUT; the bundle's default otherwise",
    )
    parser.add_argument(
        "--output-dir",
        metavar="DIR",
        help="where weights and checkpoints go (models/ of the bundle; an installed one needs it)",
    )
    parser.add_argument(
        "--init", metavar="START", help="coco, imagenet, none, a weights file, or the parent bundle's name"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="times every image is seen (the bundle's)")
    parser.add_argument(
        "--config", action="append", default=[], metavar="FILE", help="an overlay, e.g. multi_gpu_train.json"
    )
    add_trust_option(parser)
    parser.set_defaults(run=run, overrides=[])


def run(args: argparse.Namespace) -> int:
    """Trains; prints where the weights are."""
    from mammo_monai.bundle import (
        parse_overrides,
        path_value,
        refuse_to_write_into_installed,
        run_bundle,
    )

    manifest, init = args.manifest, args.init
    if manifest is not None and not manifest.startswith("phantoms:"):
        manifest = path_value(manifest)
    if init is not None and Path(init).exists():
        init = path_value(init)
    named = {
        "manifest": manifest,
        "output_dir": path_value(args.output_dir) if args.output_dir else None,
        "init": init,
        "epochs": args.epochs,
    }
    overrides = {key: value for key, value in named.items() if value is not None}
    overrides |= parse_overrides(args.overrides)
    if "output_dir" not in overrides and not any(map(_says_where, args.config)):
        refuse_to_write_into_installed(args.bundle, f"--output-dir runs/{Path(args.bundle).name}")
    how = {"overlays": args.config, "is_trusted": args.trust}
    workflow = run_bundle(args.bundle, "train", "training", overrides, **how)
    print(f"weights: {workflow.parser.get_parsed_content('output_dir')}/model.safetensors")
    return 0


def _says_where(overlay: str) -> bool:
    """Whether a file of the user's own sets the folder."""
    path = Path(overlay)
    return path.is_file() and "output_dir" in path.read_text(encoding="utf-8", errors="replace")
