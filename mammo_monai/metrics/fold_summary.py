"""Sensitivity over folds: mean, standard deviation and band on one FPPI grid, from metrics files of folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.metrics.froc import FrocCurve, sensitivity_at_fppi
from mammo_monai.metrics.rule import OPERATING_FPPI

# Every 0.05 up to 5, and the operating points between: fine enough for a plot.
SUMMARY_FPPI = tuple(sorted({*OPERATING_FPPI, *(n / 20 for n in range(1, 101))}))
# What decides a FROC curve, with the values of files from before there was a choice. Confidence, resamples
# and seed are left out: they decide intervals, which are not pooled here.
_RULE_DEFAULTS: Mapping[str, Any] = {
    "min_iou": None,
    "count_double_hits": False,
    "label": 0,
    "hit": "iou",
    "max_distance_mm": None,
    "level": "lesion",
    "false_positives_on": "all",
}
Json = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class FoldSummary:
    """Sensitivity of F folds at K numbers of false positives per image.

    Attributes:
        folds: names, in order. fppi: shape (K,).
        sensitivity: of each fold, shape (F, K). mean: over folds, each counting once, shape (K,).
        sd: standard deviation over folds with n − 1, shape (K,); None with one fold.
        low, high: band of the mean, clipped to [0, 1], shape (K,); None with one fold.
        confidence: of the band.
    """

    folds: tuple[str, ...]
    fppi: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64] | None
    low: NDArray[np.float64] | None
    high: NDArray[np.float64] | None
    confidence: float

    @property
    def band_text(self) -> str:
        """How the band was made, for a caption."""
        n = len(self.folds)
        if n < 2:
            return "one fold: standard deviation and band are undefined"
        return (
            f"{100 * self.confidence:g} % band: mean ± t({n - 1}) · SD / √{n} over {n} folds, SD with n − 1, "
            "clipped to 0–1; folds share training images, so it is an approximation"
        )


def summarise_folds(
    metrics: Mapping[str, Json], *, fppi: Sequence[float] = SUMMARY_FPPI, confidence: float = 0.95
) -> FoldSummary:
    """Mean ± SD and band of sensitivity over folds, at each number of false positives per image.

    Sensitivity of a fold is the highest measured at or below the FPPI, read from its curve's corners. That a
    patient stands in two folds cannot be seen from metrics; that an image does can, and is refused.

    Args:
        metrics: content of metrics.json by name of the fold, in the order they are shown.
        fppi: each above 0.

    Raises:
        ManifestError: a field is missing, folds were scored by different rules or on different lists, or an
            image stands in two folds; names the fold and the field.
        UndefinedMetricError: a fold has no lesion.
        ValueError: no fold, or a confidence that is none.

    Source: mean ± SD over folds: P0 and P3. Student's t over folds; Bengio & Grandvalet, 2004: no estimate of
    the variance of cross-validation is free of bias, because folds share training images.

    >>> fold = {"rule": {"min_iou": 0.2}, "froc": {"fppi": [0.0, 1.0], "sensitivity": [0.0, 0.8]}}
    >>> one, two = {**fold, "images": {"a": {}}}, {**fold, "images": {"b": {}}}
    >>> summarise_folds({"1": one, "2": two}, fppi=[0.5, 1.0]).mean.tolist()
    [0.0, 0.8]
    """
    if not metrics:
        raise ValueError("a summary needs the metrics of at least one fold, got none.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}.")
    _reject_mixed_rules(metrics)
    _reject_other_lists(metrics)
    _reject_repeated_images(metrics)
    grid = np.array(fppi, dtype=np.float64)
    rows = [_sensitivities(name, each, grid) for name, each in metrics.items()]
    sensitivity = np.array(rows).reshape(len(rows), len(grid))
    mean, n = sensitivity.mean(axis=0), len(rows)
    sd = low = high = None
    if n > 1:
        sd = sensitivity.std(axis=0, ddof=1)
        half = float(t.ppf((1 + confidence) / 2, n - 1)) * sd / math.sqrt(n)
        low, high = np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)
    return FoldSummary(tuple(metrics), grid, sensitivity, mean, sd, low, high, confidence)


def _reject_mixed_rules(metrics: Mapping[str, Json]) -> None:
    first, *others = metrics
    expected = _rule(first, metrics[first])
    for name in others:
        found = _rule(name, metrics[name])
        for field, value in expected.items():
            if found[field] != value:
                raise ManifestError(
                    f"fold {name}: rule.{field} is {found[field]!r}, in fold {first} it is {value!r}. Folds "
                    "of one summary are scored by one rule: evaluate them again with the same options."
                )


def _rule(name: str, metrics: Json) -> dict[str, Any]:
    rule = _object(name, metrics, "rule")
    return {field: rule.get(field, default) for field, default in _RULE_DEFAULTS.items()}


def _reject_other_lists(metrics: Mapping[str, Json]) -> None:
    """Refuses folds scored on another list of their manifest; a file that does not say is taken as it is."""
    known = {
        name: each["inputs"]["split"]
        for name, each in metrics.items()
        if isinstance(each.get("inputs"), Mapping) and "split" in each["inputs"]
    }
    for name, split in known.items():
        first = next(iter(known))
        if split != known[first]:
            raise ManifestError(
                f"fold {name}: inputs.split is {split!r}, in fold {first} it is {known[first]!r}. Evaluate "
                "all folds on the same list."
            )


def _reject_repeated_images(metrics: Mapping[str, Json]) -> None:
    fold_of: dict[str, str] = {}
    for name, each in metrics.items():
        for record_id in _object(name, each, "images"):
            if record_id in fold_of:
                raise ManifestError(
                    f"fold {name}: record {record_id} of images stands in fold {fold_of[record_id]} too. "
                    "Folds test each image once: are these the metrics of different folds of one division?"
                )
            fold_of[record_id] = name


def _sensitivities(name: str, metrics: Json, grid: NDArray[np.float64]) -> list[float]:
    froc = _object(name, metrics, "froc")
    for field in ("fppi", "sensitivity"):
        if not isinstance(froc.get(field), list):
            raise ManifestError(
                f"fold {name}: froc.{field} must be a list, got {froc.get(field)!r}. {_AGAIN}"
            )
    if None in froc["sensitivity"]:
        raise UndefinedMetricError(
            f"fold {name}: sensitivity is undefined, its images hold no lesion of the scored label. Leave "
            "the fold out and say so, or divide the images with lesions over all folds (stratified)."
        )
    try:
        curve = FrocCurve(froc["fppi"], froc["sensitivity"])
        return [sensitivity_at_fppi(curve, each) for each in grid.tolist()]
    except (TypeError, ValueError) as error:
        raise ManifestError(f"fold {name}: froc: {error} {_AGAIN}") from error


_AGAIN = "Make the file again with `mammo-monai evaluate`."


def _object(name: str, metrics: Json, field: str) -> Mapping[str, Any]:
    found = metrics.get(field)
    if not isinstance(found, Mapping):
        raise ManifestError(f"fold {name}: {field} must be an object, got {found!r}. {_AGAIN}")
    return found
