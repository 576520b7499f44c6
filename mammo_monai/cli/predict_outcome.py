"""What `mammo-monai predict` says at its end, and the overlays it draws, without holding all detections."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.cli.fusion_options import fused_text
from mammo_monai.words import counted

if TYPE_CHECKING:
    from mammo_monai.inference import Written


def show_outcome(args: argparse.Namespace, images: list[str], written: Written | None) -> int:
    """Draws the overlays that were asked for, prints what was marked; 1 if images failed, 2 if all did.

    Args:
        written: of the run; None counts in the output.
    """
    from mammo_monai.inference.written import written_before
    from mammo_monai.schema import DetectionsFile, iter_detections, read_manifest
    from mammo_monai.schema.model_line import model_line

    written = written or written_before(args.output)
    if args.overlays:
        from mammo_monai.inference.overlays import save_overlays

        records = read_manifest(Path(images[0])).images() if images[0].endswith(".json") else ()
        save_overlays(iter_detections(args.output), args.overlays, records=records, model=written.model)
    fused = f", {fused_text(DetectionsFile((), written.model))}" if len(args.bundle) > 1 else ""
    print(
        f"{args.output}: {counted(written.n_images, 'image')}, {counted(written.n_marks, 'mark')}, "
        f"{counted(written.n_failed, 'image')} failed{fused}"
    )
    if "weights_sha256" in written.model:
        print(f"made by {model_line(written.model)}")
    if written.n_failed:
        return 1 if written.n_images else 2
    return 0
