"""`mammo-monai prepare`: decodes, crops and resizes every image of a manifest once, for training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.trust_option import add_trust_option


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "prepare",
        help="decode, crop and resize all images once, for training",
        description="Writes one 16-bit PNG per image of MANIFEST into DIR, decoded, cropped to the breast "
        "and resized as training asks for it, and DIR/manifest.json, which then stands for the original. "
        "Boxes found on the copies come back in pixels of the original images. A stopped run goes on. Exit "
        "code 1: images were left out.",
    )
    presets = ("full_image", "sections", "full_and_sections", "fixed_size", "fixed_portrait", "fixed_spacing")
    add = parser.add_argument
    add("manifest", metavar="MANIFEST", help="manifest.json, its folder, or phantoms:LAYOUT[:PATIENTS]")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--workers", type=int, default=1, metavar="N", help="processes, at most one an image (%(default)s)")
    add("--prune", action="store_true", help="delete copies of other recipes from DIR")
    add_trust_option(parser)
    add = parser.add_argument_group("recipe: what is done to each image").add_argument
    add("--bundle", metavar="NAME|DIR", help="take the recipe of its train.json; options change it")
    add("--preset", choices=presets, help="what training asks for (full_image)")
    add("--size-px", type=int, metavar="PX", help="short side, or side of a fixed size, in pixels (600)")
    add("--spacing-mm", type=float, metavar="MM", help="size of a pixel in mm, of preset fixed_spacing")
    add(
        "--region",
        choices=("otsu", "global", "none"),
        help="how the breast is found (otsu: film; global: digital)",
    )
    add("--remove-pectoral", action="store_true", default=None, help="blacken the muscle of oblique views")
    add(
        "--noise",
        choices=("none", "median", "gaussian", "bilateral", "impulse"),
        help="filter against noise (none)",
    )
    add("--noise-px", type=int, choices=(3, 5, 7), help="its window, pixels of the original image (3)")
    add("--suppress-artifacts", action="store_true", default=None, help="fill in markers on the breast")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prepares; prints what is there; 1 if images were left out."""
    from mammo_monai.bundle import admitted, find_bundle
    from mammo_monai.bundle.trust.snapshot import merged
    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.data import manifest_path, prepare_manifest
    from mammo_monai.data.configured_recipe import configured_recipe
    from mammo_monai.schema import read_manifest
    from mammo_monai.transforms.recipe import RecipeOptions, image_recipe, reject_unused
    from mammo_monai.words import bytes_text, counted

    given = {name: value for name, value in vars(args).items() if value is not None}
    changes: Any = {name: given[name] for name in RecipeOptions.__annotations__ if name in given}
    config = find_bundle(args.bundle) / "configs" / "train.json" if args.bundle else None
    if config and config.is_file():
        snapshot, _ = admitted(config.parent.parent, is_trusted=args.trust)
        recipe = configured_recipe(config, changes, merged(snapshot, ["configs/train.json"]))
    else:
        recipe = configured_recipe(config, changes) if config else image_recipe(**changes)
    reject_unused(recipe, changes)
    manifest = read_manifest(Path(manifest_path(args.manifest)))
    with counting_bar("preparing") as bar:
        options = {"workers": args.workers, "prune": args.prune, "on_progress": bar}
        done = prepare_manifest(manifest, args.out, recipe, **options)
    n_images = done.made + done.kept
    print(f"{done.path}: {counted(n_images, 'image')} ({done.kept} kept), {bytes_text(done.n_bytes)}")
    if done.stale or done.pruned:
        hint = " (--prune deletes them)" if done.stale else ""
        print(f"stale copies: {done.pruned} deleted, {done.stale} left{hint}")
    if done.failed:
        print(f"{counted(len(done.failed), 'image')} left out, see audit.csv")
    return int(bool(done.failed))
