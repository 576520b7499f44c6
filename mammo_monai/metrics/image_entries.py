"""What metrics.json says of scores of whole images, and of a model that marks no place."""

from __future__ import annotations

import logging
import math
from typing import Any

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.froc import MEAN_FPPI
from mammo_monai.metrics.image_figures import ImageFigures, image_figures, youden_threshold
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.scored_units import UNIT_LEVELS, ImageRatings, UnitScores, rate_units

logger = logging.getLogger(__name__)
Json = dict[str, Any]

NO_BOXES = "the model scores whole images and marks no place: figures of boxes are undefined"
OPTIMISTIC = "chosen on these very images: too good for new ones"


def units_entry(ratings: ImageRatings, rule: FrocRule) -> Json:
    """`units` of metrics.json: what was scored as positive, by which score, and figures at the threshold.

    Figures are given where images have scores of their own: those of boxes are no probabilities of an image.
    """
    own = ratings.score == "image_score"
    return {
        "score": ratings.score,
        "over_views": ratings.over_views,
        "over_breasts": ratings.over_breasts,
        "positive": ratings.positive,
        "n_images": len(ratings.records),
        "n_left_out": ratings.n_left_out,
        "threshold": rule.image_threshold if own else None,
        "figures": _figures(ratings, rule) if own else [],
    }


def without_boxes() -> Json:
    """The entries of metrics.json that need boxes, empty or None, with the reason under `no_boxes`."""
    lists = ("levels", "size_bands", "area_bands", "subgroups")
    nothing = ("overlap", "average_precision", "precision_recall", "normal_images", "jafroc", "reliability")
    return {
        "no_boxes": NO_BOXES,
        "froc": {"fppi": [], "sensitivity": [], "score": [], "points": []},
        "mean_sensitivity": {"fppi": list(MEAN_FPPI), "value": None},
        **{name: [] for name in lists},
        **dict.fromkeys(nothing),
        "images": {},
    }


def _figures(ratings: ImageRatings, rule: FrocRule) -> list[Json]:
    """Per image, breast and patient; a level is left out where an image's breast is unknown."""
    rows: list[Json] = []
    for level in UNIT_LEVELS:
        try:
            units = rate_units(ratings, level)
        except UndefinedMetricError as error:
            logger.debug("no figures per %s: %s", level, error)
            continue
        row = {
            "level": level,
            "n_positive": int(units.is_positive.sum()),
            "n_negative": int((~units.is_positive).sum()),
            **_row(image_figures(units, rule.image_threshold, rule)),
            "youden": _youden(units, rule),
        }
        rows.append(row)
    return rows


def _youden(units: UnitScores, rule: FrocRule) -> Json | None:
    try:
        threshold = youden_threshold(units.scores, units.is_positive)
    except UndefinedMetricError:
        return None
    return {**_row(image_figures(units, threshold, rule)), "note": OPTIMISTIC}


def _row(figures: ImageFigures) -> Json:
    return {
        "threshold": figures.threshold,
        "true_positives": figures.true_positives,
        "false_positives": figures.false_positives,
        "false_negatives": figures.false_negatives,
        "true_negatives": figures.true_negatives,
        **{name: None if math.isnan(value) else value for name, value in figures.values.items()},
        "intervals": {
            name: each and {"low": each.low, "high": each.high, "interval": each.method}
            for name, each in figures.intervals.items()
        },
    }
