"""`mammo-monai bundle export`: a bundle's network as a file for an engine, compared with torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mammo_monai.cli.trust_option import add_trust_option


def add_commands(verbs: Any) -> None:
    """Adds the command."""
    text = "write the network for ONNX Runtime or OpenVINO, if it answers as torch does"
    export = verbs.add_parser("export", help=text)
    add = export.add_argument
    add("bundle", metavar="NAME|DIR", help="a bundle with weights")
    add("--engine", choices=("onnx", "openvino"), required=True, help="what will read the file")
    add("--int8", action="store_true", help="in 8-bit integers; engine openvino only")
    add("--calibration", type=Path, metavar="MANIFEST", help="training images to measure ranges on")
    add("--check", type=Path, metavar="MANIFEST", help="images both are compared on (phantoms)")
    add("--split", choices=("training", "validation", "test"), help="one list of --check (all)")
    add("--calibration-split", choices=("training", "validation", "test"), help="of --calibration (all)")
    add("--weights", type=Path, metavar="FILE", help="another weights file than the bundle's own")
    add("-o", "--output", type=Path, metavar="DIR", help="folder to write (models/ of the bundle)")
    add_trust_option(export)
    export.set_defaults(run=run_export)


def run_export(args: argparse.Namespace) -> int:
    """Prints what was written and how it compares; 1 if it was refused."""
    from mammo_monai.bundle import path_value, refuse_to_write_into_installed
    from mammo_monai.bundle.exporting import ExportOptions, ExportRefusedError, export_bundle
    from mammo_monai.cli.bundle_lines import exported_lines

    if args.output is None:
        refuse_to_write_into_installed(args.bundle, "-o exported")
    options = ExportOptions(
        is_int8=args.int8,
        calibration=args.calibration,
        calibration_split=args.calibration_split,
        check=args.check,
        split=args.split,
        output=args.output,
        overrides={"weights": path_value(args.weights)} if args.weights else {},
        is_trusted=args.trust,
    )
    try:
        made = export_bundle(args.bundle, args.engine, options)
    except ExportRefusedError as error:
        print(f"mammo-monai bundle: {error}", file=sys.stderr)
        return 1
    print("\n".join(exported_lines(made)))
    return 0
