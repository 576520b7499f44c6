"""Runs with every part of metrics.json that plots and pages can show, made of plain numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mammo_monai.reports.runs import EpochPoint, Run

FPPI = (0.25, 0.44, 0.5, 1.0, 1.67, 2.0, 4.0)
MIN_IOU = [round(0.05 * n, 2) for n in range(1, 20)]
LIFT = 0.02


def point(fppi: float, sensitivity: float | None, reach: float = 0.05) -> dict[str, Any]:
    if sensitivity is None:
        return {"fppi": fppi, "sensitivity": None, "low": None, "high": None, "interval": None, "score": 0.5}
    low, high = max(0.0, sensitivity - reach), min(1.0, sensitivity + reach)
    return {
        "fppi": fppi,
        "sensitivity": sensitivity,
        "low": low,
        "high": high,
        "interval": "bootstrap",
        "score": 0.5,
    }


def rate(fppi: float, value: float) -> dict[str, Any]:
    return {
        **{"fppi": fppi, "score": 0.5, "false_positives_per_image": value},
        **{"low": value - 0.1, "high": value + 0.1, "interval": "bootstrap"},
    }


def plain_metrics(sensitivity: float = 0.8) -> dict[str, Any]:
    """What every metrics.json holds, as files of other tools do: nothing more."""
    return {
        "rule": {"text": "IoU > 0.2.", "min_iou": 0.2, "confidence": 0.95},
        "n_images": 30,
        "n_normal_images": 10,
        "n_patients": 15,
        "n_lesions": 20,
        "froc": {
            "fppi": [0.0, 0.2, 0.8, 3.0],
            "sensitivity": [0.0, sensitivity - 0.2, sensitivity, sensitivity + 0.1],
            "points": [point(each, sensitivity) for each in FPPI],
        },
    }


def rich_metrics(sensitivity: float = 0.8) -> dict[str, Any]:
    """All keys of the contract that plots read."""
    fall = [round(sensitivity * (1 - each) ** 0.5, 4) for each in MIN_IOU]
    return {
        **plain_metrics(sensitivity),
        "overlap": {
            "fppi": [0.5, 1.67, 4.0],
            "min_iou": MIN_IOU,
            "sensitivity": [fall] * 3,
            "low": [[each - 0.05 for each in fall]] * 3,
            "high": [[each + 0.05 for each in fall]] * 3,
        },
        "size_bands": [
            {"band": "<2cm", "n_lesions": 13, "points": [point(0.5, sensitivity - 0.1)]},
            {"band": ">=2cm", "n_lesions": 7, "points": [point(0.5, sensitivity)]},
            {"band": "unknown", "n_lesions": 0, "points": [point(0.5, None)]},
        ],
        "subgroups": [
            {
                **{"by": "view_position", "group": "CC", "n_images": 12, "n_lesions": 9},
                "points": [point(0.5, sensitivity)],
                "false_positives": [rate(0.5, 0.4)],
            },
            {
                **{"by": "view_position", "group": "MLO", "n_images": 18, "n_lesions": 11},
                "points": [point(0.5, sensitivity - 0.1)],
                "false_positives": [rate(0.5, 0.6)],
            },
            {
                **{"by": "subtlety", "group": "1", "n_images": 1, "n_lesions": 1},
                "points": [point(0.5, 0.0)],
                "false_positives": [],
            },
            {
                **{"by": "subtlety", "group": "unknown", "n_images": 0, "n_lesions": 0},
                "points": [point(0.5, None)],
                "false_positives": [],
            },
        ],
        "area_bands": [
            {"band": "<1cm2", "n_lesions": 1, "points": [point(0.5, sensitivity - 0.2)]},
            {"band": "1-4cm2", "n_lesions": 9, "points": [point(0.5, sensitivity)]},
            {"band": ">4cm2", "n_lesions": 10, "points": [point(0.5, sensitivity)]},
        ],
        "normal_images": {
            "n_images": 10,
            "score": [0.5, 0.9],
            "false_positives_per_image": [0.6, 0.1],
            "points": [],
            "curve": {
                "score": [0.1, 0.5, 0.9],
                "false_positives_per_image": [4.0, 0.6, 0.0],
                "low": [3.0, 0.4, 0.0],
                "high": [5.0, 0.9, 0.1],
            },
        },
        "roc": [roc("image", sensitivity), roc("patient", sensitivity + LIFT)],
        "reliability": {
            "bins": [
                {"low": 0.0, "high": 0.5, "n": 90, "mean_score": 0.2, "hit_rate": 0.1},
                {"low": 0.5, "high": 1.0, "n": 10, "mean_score": 0.8, "hit_rate": 0.7},
            ],
            "expected_calibration_error": 0.1,
            "brier": 0.052,
        },
    }


def roc(level: str, auc: float) -> dict[str, Any]:
    return {
        "level": level,
        "n_positive": 20,
        "n_negative": 10,
        "auc": auc,
        "low": auc - 0.05,
        "high": auc + 0.05,
        "interval": "delong",
        "fpr": [0.0, 0.1, 1.0],
        "tpr": [0.0, auc, 1.0],
        "sensitivity_at_specificity": [],
    }


def rich_run(name: str = "a model", sensitivity: float = 0.8, **more: Any) -> Run:
    """A run of two folds with lesions and one without, and the histories of two trainings."""
    folds = tuple(
        Run(name, {**plain_metrics(each), "images": {f"{n}": {}}})
        for n, each in enumerate((sensitivity, sensitivity - 0.1))
    )
    empty = Run(name, {**plain_metrics(), "n_lesions": 0, "images": {"9": {}}})
    histories = {
        "1": [EpochPoint(1, 1.0), EpochPoint(2, 0.6, 0.5), EpochPoint(3, 0.4, 0.7)],
        "2": [EpochPoint(1, 1.1, 0.4), EpochPoint(2, 0.7, 0.6)],
    }
    run = Run(name, rich_metrics(sensitivity), folds=(*folds, empty), histories=histories)
    return replace(run, **more)


def bare_run(name: str = "bare") -> Run:
    """A run with nothing that is optional."""
    return Run(name, plain_metrics())


def empty_run(name: str = "empty") -> Run:
    """A run on images without any lesion."""
    metrics = plain_metrics()
    froc = {
        "fppi": [0.0, 1.0],
        "sensitivity": [None, None],
        "points": [point(each, None) for each in FPPI],
    }
    return Run(name, {**metrics, "n_lesions": 0, "froc": froc})
