"""Runs whose metrics hold every part of the contract, made of numbers: for tests of tables and formats."""

from __future__ import annotations

from typing import Any

from mammo_monai.metrics import OPERATING_FPPI
from mammo_monai.reports.runs import Run, SourceFile

RULE = {
    "text": "A detection hits a lesion when IoU > 0.2 (strictly).",
    "min_iou": 0.2,
    "confidence": 0.95,
    "hit": "iou",
    "max_distance_mm": None,
    "level": "lesion",
    "false_positives_on": "all",
}


def points(start: float, *, interval: str = "bootstrap", step: float = 0.005) -> list[dict[str, Any]]:
    """Operating points that rise by `step` from `start`."""
    return [
        {
            "fppi": fppi,
            "sensitivity": start + step * n,
            "low": start + step * n - 0.05,
            "high": min(start + step * n + 0.03, 1.0),
            "interval": interval,
            "score": 0.9 - 0.05 * n,
        }
        for n, fppi in enumerate(OPERATING_FPPI)
    ]


def metrics(start: float = 0.8, *, n_lesions: int = 112, **more: Any) -> dict[str, Any]:
    """The least that metrics.json holds, with a curve through its operating points."""
    own = points(start)
    return {
        "rule": RULE,
        "n_images": 410,
        "n_normal_images": 303,
        "n_patients": 108,
        "n_lesions": n_lesions,
        "n_detections": 900,
        "froc": {
            "fppi": [0.0, *(point["fppi"] for point in own)],
            "sensitivity": [0.0, *(point["sensitivity"] for point in own)],
            "score": [None, *(point["score"] for point in own)],
            "points": own,
        },
        "mean_sensitivity": {"fppi": [0.25, 0.5, 1.0, 2.0, 4.0], "value": start + 0.02},
        "average_precision": {"min_iou": 0.5, "value": 0.61},
        **more,
    }


def bands(*names: str) -> list[dict[str, Any]]:
    return [
        {"band": name, "n_lesions": 40 + n, "points": points(0.7 + 0.1 * n)} for n, name in enumerate(names)
    ]


def full_metrics(start: float = 0.8) -> dict[str, Any]:
    """Metrics with every part of the contract."""
    best = {
        **{"fppi": 0.3141, "score": 0.4321, "precision": 0.7, "recall": 0.8, "f1": 0.7467},
        **{"true_positives": 90, "false_positives": 38, "false_negatives": 22},
        "intervals": {"precision": {"low": 0.6, "high": 0.8, "interval": "wilson"}, "recall": None},
    }
    auc = {
        "auc": 0.912,
        "low": 0.87,
        "high": 0.954,
        "interval": "delong",
        "fpr": [0.0, 1.0],
        "tpr": [0.0, 1.0],
    }
    at = {"specificity": 0.9, "sensitivity": 0.75, "low": 0.7, "high": 0.8, "score": 0.3107}
    return metrics(
        start,
        inputs={"split": "test", "manifest_sha256": "a" * 64, "detections_sha256": "b" * 64},
        size_bands=bands("<2cm", ">=2cm", "unknown"),
        area_bands=bands("<1cm2", "1-4cm2", ">4cm2"),
        levels=[
            {"level": name, "n": 50 + n, "points": points(0.85)} for n, name in enumerate(("image", "breast"))
        ],
        overlap={
            "fppi": [0.5, 1.67],
            "min_iou": [0.05, 0.1],
            **{"sensitivity": [[0.9, 0.8], [0.95, None]], "low": [[0.8, 0.7], [0.9, None]]},
            "high": [[0.95, 0.9], [0.99, None]],
        },
        average_precision={
            **{"min_iou": 0.5, "value": 0.61},
            "coco": {
                "ap": 0.3123,
                "ap50": 0.6078,
                "ap75": 0.2,
                "min_iou": [0.5, 0.75],
                "values": [0.6078, 0.2],
            },
        },
        precision_recall={"points": [{**best, "fppi": 0.5}, {**best, "fppi": 0.44}], "best_f1": best},
        normal_images={
            "n_images": 303,
            "score": [0.5, 0.9, 0.95],
            "false_positives_per_image": [0.8, 0.4, 0.3],
            "points": [
                {"fppi": 1.0, "score": 0.3033, "false_positives_per_image": 0.9, "low": 0.8, "high": 1.0}
                | {"interval": "bootstrap"}
            ],
            "curve": {
                **{"score": [0.5], "false_positives_per_image": [0.8], "low": [0.7], "high": [0.9]},
                "interval": ["poisson"],
            },
        },
        roc=[
            {
                "level": "image",
                "n_positive": 107,
                "n_negative": 303,
                **auc,
                "sensitivity_at_specificity": [at],
            },
        ],
        jafroc={
            **{"figure_of_merit": 0.83, "low": 0.8, "high": 0.86, "interval": "bootstrap"},
            **{"variant": "JAFROC1", "n_lesions": 112, "n_normal_images": 303},
        },
        reliability={
            "bins": [{"low": 0.0, "high": 0.5, "n": 800, "mean_score": 0.2, "hit_rate": 0.1}],
            **{"expected_calibration_error": 0.1234, "brier": 0.0456},
        },
    )


def full_run(name: str = "two stage", *, start: float = 0.8, n_folds: int = 5, **more: Any) -> Run:
    """A run with every part, folds that differ by .01 in sensitivity, and a file it was read from."""
    folds = tuple(Run(name, full_metrics(start + 0.01 * n)) for n in range(n_folds))
    return Run(
        name,
        full_metrics(start),
        files=(SourceFile("metrics.json", "c" * 64),),
        **{"folds": folds, **more},
    )


def bare_run(name: str = "theirs", **more: Any) -> Run:
    """What design.md asks of a metrics file and no more, without a lesion."""
    empty = {"fppi": [], "sensitivity": [], "points": [{"fppi": 1.0, "sensitivity": None}]}
    return Run(name, {"rule": {}, "n_images": 4, "n_lesions": 0, "froc": empty}, **more)
