"""`mammo-monai weights`: convert other libraries' checkpoints, and show what a weights file holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.words import counted

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb and its two commands."""
    verb = subparsers.add_parser("weights", help="convert or show network weights")
    verb.set_defaults(run=run)
    verbs = verb.add_subparsers(dest="weights_command", metavar="COMMAND", required=True)
    convert = verbs.add_parser("convert", help="torchvision, Detectron2 or ImageNet weights to .safetensors")
    convert.add_argument("file", type=Path, metavar="FILE", help=".safetensors, .pt or .pth")
    convert.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the .safetensors file to write"
    )
    convert.add_argument(
        "--num-classes", type=int, default=1, metavar="N", help="classes of the new head (%(default)s, mass)"
    )
    show = verbs.add_parser("show", help="metadata and hash of a weights file")
    show.add_argument("file", type=Path, metavar="FILE", help=".safetensors, .pt or .pth")


def run(args: argparse.Namespace) -> int:
    """Runs `convert` or `show`."""
    return _convert(args) if args.weights_command == "convert" else _show(args)


def _convert(args: argparse.Namespace) -> int:
    refuse_overwriting(args.output, (args.file,))
    from mammo_monai.networks.weights import convert_file

    converted = convert_file(args.file, args.output, num_classes=args.num_classes)
    print(f"recognised  {converted.layout}")
    for name, fact in converted.facts.items():
        print(f"{name:<11} {fact}")
    print(f"wrote       {args.output} ({counted(len(converted.state), 'tensor')})")
    return 0


def _show(args: argparse.Namespace) -> int:
    from mammo_monai.networks.weight_files import read_weights

    file = read_weights(args.file)
    print(f"sha256      {file.sha256}")
    print(f"tensors     {len(file.tensors)}")
    for name, text in sorted(file.metadata.items()):
        print(f"{name:<11} {text}")
    return 0
