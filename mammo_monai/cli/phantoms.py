"""`mammo-monai phantoms`: writes synthetic mammograms in a data set's own layout."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb and its options."""
    parser = subparsers.add_parser(
        "phantoms",
        help="write synthetic mammograms to learn and test with",
        description="Writes synthetic mammograms as DICOM in a data set's own layout. Same seed, same bytes.",
    )
    parser.add_argument(
        "--layout", required=True, choices=("cbis-ddsm", "inbreast"), help="on-disk layout and look"
    )
    parser.add_argument(
        "--patients", type=int, default=20, metavar="N", help="number of patients (default %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="random seed, at least 0 (default %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write; a stopped run goes on there"
    )
    parser.add_argument(
        "--pixel-spacing-mm",
        type=float,
        default=0.07,
        metavar="MM",
        help="size of a pixel in mm (default %(default)s)",
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the phantoms, with a progress bar on stderr; prints the folder on stdout."""
    from tqdm import tqdm

    from mammo_monai.phantoms import write_phantoms

    with ExitStack() as stack:
        bar: tqdm[Any] | None = None

        def on_progress(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                # Drawn late, so that an error is alone on its line. Patients found complete must not count
                # as fast ones.
                bar = stack.enter_context(
                    tqdm(desc=f"{args.layout} phantoms", unit="patient", initial=done, total=total)
                )
            bar.update(done - bar.n)

        root = write_phantoms(
            args.out,
            layout=args.layout,
            patients=args.patients,
            seed=args.seed,
            pixel_spacing_mm=args.pixel_spacing_mm,
            workers=args.workers,
            on_progress=on_progress,
        )
    print(root)
    return 0
