"""`mammo-monai show`: a contact sheet of a manifest, to look at the data."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from mammo_monai.cli.manifest_place import manifest_file
from mammo_monai.words import counted

SPLITS = ("training", "validation", "test")
ORDERS = ("manifest", "patient", "lesions", "birads", "density")


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "show",
        help="look at the images of a manifest",
        description="Writes a page with every image, its boxes and its breast region; click to enlarge. "
        "Pictures and further pages lie in a folder beside it. A stopped run goes on where it was.",
    )
    add = parser.add_argument
    add("manifest", type=Path, metavar="MANIFEST", help="manifest.json, or its folder")
    add("-o", "--output", type=Path, metavar="HTML", help="the page (default: show.html beside MANIFEST)")
    add("--split", choices=SPLITS, help="one list (default: all of them, and images left out)")
    add("--only", choices=("lesions", "normals", "quarantined"), help="with lesions, without, or left out")
    add("--findings", metavar="CODE", help="images with this finding in audit.csv")
    add("--limit", type=int, metavar="N", help="the first N images")
    add("--sort", choices=ORDERS, default="manifest", help="order of the images (default %(default)s)")
    add("--per-page", type=int, default=120, metavar="N", help="images on a page (default %(default)s)")
    add("--size", type=int, default=900, metavar="PX", help="longer side of pictures (default %(default)s)")
    add(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes (default %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the pages, prints where the first is; 1 if an image has no picture."""
    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.records import Split
    from mammo_monai.reports.browser.contact_sheet import BrowserOptions, write_data_browser
    from mammo_monai.reports.browser.selection import Selection
    from mammo_monai.schema import read_audit, read_manifest

    place = manifest_file(args.manifest)
    manifest = read_manifest(place)
    findings = read_audit(place.with_name("audit.csv")).get(place.name, [])
    output = args.output or place.with_name("show.html")
    split = Split(args.split) if args.split else None
    selection = Selection(split, args.only, args.findings, args.limit, args.sort)
    layout = manifest.about.get("layout")
    title = f"Images of {place.name} ({layout})" if layout else f"Images of {place.name}"
    options = BrowserOptions(title, per_page=args.per_page, size_px=args.size, workers=args.workers)
    if any(record.prepared is not None for record in manifest.images()):
        from mammo_monai.transforms.prepared_file import read_preparation

        options = replace(options, frame_of=lambda record: read_preparation(record.image).frame)
    with counting_bar("pictures") as bar:
        options = replace(options, on_progress=bar)
        done = write_data_browser(output, manifest, findings, selection=selection, options=options)
    print(f"wrote {output}: {done.n_images} of {counted(done.n_matching, 'image')}, pages: {done.n_pages}")
    return int(done.n_without_picture > 0)
