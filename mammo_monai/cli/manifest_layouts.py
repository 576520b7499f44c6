"""The options of `mammo-monai manifest LAYOUT`: of every layout, and of each."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

LISTS = ("training", "validation", "test")
SPLITS = ("official", "p3", "half", "fractions", *LISTS)
TYPES = ("mass", "calcification", "asymmetry", "distortion", "other")
# Layouts whose one option of their own is --types, with their line of --help.
TYPED_LAYOUTS = {
    "inbreast": "INbreast as downloaded, or phantoms of it",
    "vindr": "VinDr-Mammo",
}
FORMATS = ("auto", "coco", "csv", "voc", "yolo", "nifti", "png", "dicom-seg", "slicer", "monai-label")
SPLIT_HELP = (
    "official: the data set's own; p3: official, with 246 images of training for validation; half: half the "
    "patients each for training and test; fractions: see --fractions; or one list for all images "
    "(default: official where there is one, else fractions)"
)


def add_parsers(commands: Any) -> None:
    """Adds one command per layout."""
    cbis = _add(
        commands, "cbis-ddsm", "CBIS-DDSM as downloaded (TCIA, new or old layout, or JPEG), or phantoms"
    )
    cbis("--csv", type=Path, dest="csv_dir", metavar="DIR", help="where the case tables are (below ROOT)")
    cbis("--calcifications", action="store_true", help="read the calcification cases too")
    cbis(
        "--no-picture-check", action="store_true", help="do not decode every film to see which side it shows"
    )
    for layout, text in TYPED_LAYOUTS.items():
        add = _add(commands, layout, text)
        add("--types", nargs="+", choices=TYPES, metavar="TYPE", help=f"keep only {', '.join(TYPES)} (all)")
    folder = _add(commands, "folder", "your own images with boxes or masks in a usual format")
    folder("--annotations", type=Path, metavar="PATH", help="file or folder (default: among the images)")
    folder(
        "--format", choices=FORMATS, default="auto", help="of the annotations (%(default)s: by their looks)"
    )
    folder("--unlisted", choices=("normal", "leave-out"), help="what images without annotation are")
    coco = _add(commands, "coco", "a COCO JSON and a folder of images")
    coco("--images", type=Path, metavar="DIR", help="what file names are relative to (default: the JSON's)")
    for add in (folder, coco):
        add("--name-pattern", metavar="REGEX", help="with groups patient, laterality, view")
        add_class_options(add, "your")
        add("--clip-boxes", action="store_true", help="cut boxes at the image border")
        add("--public-patients", action="store_true", help="ids of patients are a public set's: keep them")


def add_class_options(add: Any, whose: str) -> None:
    """`--category` and `--class`: what somebody's own words for lesions mean."""
    add("--category", default="mass", metavar="WORD", help=f"{whose} word for masses, label 0 (%(default)s)")
    meaning = f"what another of {whose} words, or a number, means: {', '.join(TYPES)}, ignore"
    options = {"action": "append", "type": _meaning, "default": [], "dest": "classes"}
    add("--class", metavar="NAME=TYPE", help=meaning, **options)


def _add(commands: Any, layout: str, text: str) -> Any:
    parser = commands.add_parser(layout, help=text)
    add = parser.add_argument
    read = "a COCO JSON" if layout == "coco" else "the data set's folder"
    add("root", type=Path, metavar="FILE" if layout == "coco" else "ROOT", help=read)
    add("-o", "--output", type=Path, required=True, metavar="MANIFEST", help="the manifest.json to write")
    add("--same-ids-as", type=Path, metavar="MANIFEST", help="give images the record ids they have there")
    add("--strict", action="store_true", help="write no manifest if any image has a fault")
    add("--no-hash", action="store_true", help="do not read every file to note its SHA-256")
    add("--workers", type=int, default=2, metavar="N", help="threads (%(default)s)")
    _add_list_options(parser.add_argument_group("lists: which image trains, validates, tests").add_argument)
    add = parser.add_argument_group("what is read of it").add_argument
    overlap = "count lesions of an image that overlap by more than IOU as one (any overlap if not given)"
    add("--merge-overlapping", nargs="?", type=_min_iou, const=0.0, metavar="IOU", help=overlap)
    return add


def _add_list_options(add: Any) -> None:
    add("--split", choices=SPLITS, help=SPLIT_HELP)
    add("--validation-fraction", type=float, default=0.2, metavar="F", help="of the patients (%(default)s)")
    add(
        "--fractions",
        type=float,
        nargs=3,
        metavar=("TRAIN", "VAL", "TEST"),
        help="of the patients (0.6 0.2 0.2)",
    )
    add("--seed", type=int, default=0, metavar="N", help="another one deals the patients anew (%(default)s)")
    add("--folds", type=Path, metavar="FILE", help="made by `mammo-monai folds make`; with --fold")
    add("--fold", metavar="NAME", help="the fold whose lists are filled")
    add("--stage", metavar="NAME", help="of the fold (default: the last)")


def plan_of(args: argparse.Namespace) -> Any:
    """The `ManifestPlan` that the options name."""
    from mammo_monai import readers

    if (args.folds is None) != (args.fold is None):
        raise ValueError("--folds and --fold go together: a folds file, and the name of a fold in it")
    if args.folds and (args.split or args.fractions):
        raise ValueError("--folds fills the lists, so --split and --fractions do not go with it")
    return readers.ManifestPlan(
        args.layout,
        args.root,
        options=_reader_options(args),
        lists=readers.FoldChoice(args.folds, args.fold, args.stage) if args.folds else _lists(args),
        validation_fraction=args.validation_fraction,
        seed=args.seed,
        merge_min_iou=args.merge_overlapping,
        has_hashes=not args.no_hash,
    )


def _lists(args: argparse.Namespace) -> Any:
    """The scheme, or the one list, that was asked for; None leaves it to the data set."""
    from mammo_monai.readers import SplitScheme
    from mammo_monai.records import Split

    if args.split in LISTS:
        return Split(args.split)
    if args.fractions:
        if args.split not in (None, "fractions"):
            raise ValueError(f"--fractions goes with --split fractions, got --split {args.split}")
        return SplitScheme("fractions", fractions=tuple(args.fractions))
    return SplitScheme(args.split, validation_fraction=args.validation_fraction) if args.split else None


def _reader_options(args: argparse.Namespace) -> Any:
    from mammo_monai import readers
    from mammo_monai.readers.categories import LesionTypeOptions

    if args.layout == "cbis-ddsm":
        return readers.CbisOptions(args.csv_dir, args.calcifications, not args.no_picture_check)
    if args.layout in TYPED_LAYOUTS:
        return LesionTypeOptions(tuple(args.types) if args.types else None)
    words = {"name_pattern": args.name_pattern, "category": args.category}
    words |= {"classes": dict(args.classes), "clip_boxes": args.clip_boxes}
    words["patients_are_public"] = args.public_patients
    if args.layout == "coco":
        return readers.CocoOptions(images=args.images, **words)
    folder = {"annotations": args.annotations, "format": args.format, "unlisted": args.unlisted}
    return readers.FolderOptions(**folder, **words)


def _meaning(text: str) -> tuple[str, str]:
    """A word of a user's own and what it means, of `NAME=TYPE`."""
    name, separator, meaning = text.partition("=")
    if not (name and separator and meaning):
        raise argparse.ArgumentTypeError(f"expected NAME=TYPE, such as Lump=mass, got {text!r}")
    return name, meaning


def _min_iou(text: str) -> float:
    """Refused before a data set is read, not after; the option may also have swallowed the data set."""
    try:
        min_iou = float(text)
    except ValueError:
        min_iou = -1.0
    if not 0 <= min_iou < 1:
        raise argparse.ArgumentTypeError(
            f"IOU must be at least 0 and below 1, got {text!r}; without IOU, give the option last"
        )
    return min_iou
