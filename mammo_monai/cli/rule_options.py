"""The options of the scoring rule: one set for every verb that scores detections."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mammo_monai.metrics import FrocRule

# `metrics.rule` knows them too; importing it would make `--help` wait for scipy. A test keeps both equal.
HITS = ("iou", "center", "center_distance")
LEVELS = ("lesion", "image", "breast", "patient")
IMAGES = ("all", "normal", "with_lesions")
POSITIVE = ("lesion", "malignant")
THRESHOLD = 0.5
_DOUBLES = "further detections on a found lesion are false positives"


def add_rule_options(parser: argparse.ArgumentParser, *, doubles: str = _DOUBLES) -> None:
    """Adds all options that `rule_from` reads.

    Args:
        doubles: what `--count-double-hits` says of itself.
    """
    group = parser.add_argument_group("rule", "what is a hit, what is found, and where false positives count")
    option = group.add_argument
    hit = "iou: overlap; center: its centre in the lesion's box; center_distance: near centres (%(default)s)"
    option("--hit", choices=HITS, default="iou", help=hit)
    option(
        "--min-iou",
        type=float,
        default=0.2,
        metavar="X",
        help="with iou: a hit overlaps more than this (%(default)s)",
    )
    distance = (
        "with center_distance: centres at most this far apart (default: half the lesion's longest side)"
    )
    option("--max-distance-mm", type=float, metavar="MM", help=distance)
    option("--count-double-hits", action="store_true", help=doubles)
    option("--label", type=int, default=0, metavar="N", help="the class to score (%(default)s, mass)")
    level = "what is found: each lesion, or an image, breast, patient by its best hit (%(default)s)"
    option("--level", choices=LEVELS, default="lesion", help=level)
    images = "images whose false positives are counted and divided by (%(default)s)"
    option("--false-positives-on", choices=IMAGES, default="all", help=images)
    option(
        "--bootstrap",
        type=int,
        default=1000,
        metavar="N",
        help="resamples of patients for the intervals (%(default)s)",
    )
    option("--seed", type=int, default=0, metavar="N", help="of the resampling (%(default)s)")


def add_class_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of images, breasts and patients, for verbs that score these too."""
    group = parser.add_argument_group("images", "which images, breasts and patients are positive")
    option = group.add_argument
    positive = (
        "an image with a lesion; or one that is malignant by pathology, else by BI-RADS 4 to 6 against "
    )
    positive += "1 and 2, others left out (%(default)s)"
    option("--positive", choices=POSITIVE, default=POSITIVE[0], help=positive)
    called = "an image of at least this score is called positive, where images have scores of their own; "
    called += "choose it on validation images (%(default)s)"
    option("--image-threshold", type=float, default=THRESHOLD, metavar="T", help=called)


def rule_from(args: argparse.Namespace, **fixed: Any) -> FrocRule:
    """The rule the options describe; those of `add_class_options` count where the verb has them.

    Args:
        fixed: fields of `FrocRule` that the verb decides, such as `fppi`.

    Raises:
        ValueError: a value outside its range, or two options that do not go together.
    """
    from mammo_monai.metrics import FrocRule

    return FrocRule(
        min_iou=args.min_iou,
        count_double_hits=args.count_double_hits,
        label=args.label,
        n_bootstrap=args.bootstrap,
        seed=args.seed,
        hit=args.hit,
        max_distance_mm=args.max_distance_mm,
        level=args.level,
        false_positives_on=args.false_positives_on,
        positive=vars(args).get("positive", POSITIVE[0]),
        image_threshold=vars(args).get("image_threshold", THRESHOLD),
        **fixed,
    )


def rule_words(args: argparse.Namespace) -> list[str]:
    """The options without a number that every rule has, as typed, where they choose another than the default.

    >>> parser = argparse.ArgumentParser()
    >>> add_rule_options(parser)
    >>> rule_words(parser.parse_args(["--hit", "center", "--level", "breast"]))
    ['--hit', 'center', '--level', 'breast']
    """
    given = (
        ("--hit", args.hit, HITS[0]),
        ("--max-distance-mm", args.max_distance_mm, None),
        ("--level", args.level, LEVELS[0]),
        ("--false-positives-on", args.false_positives_on, IMAGES[0]),
        ("--positive", vars(args).get("positive", POSITIVE[0]), POSITIVE[0]),
        ("--image-threshold", vars(args).get("image_threshold", THRESHOLD), THRESHOLD),
    )
    words = [word for name, value, default in given if value != default for word in (name, str(value))]
    return [*words, "--count-double-hits"] if args.count_double_hits else words
