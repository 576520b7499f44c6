"""FROC, average precision and AUC per image as MONAI's cumulative metrics: for its evaluators and handlers.

Each is called with two lists per iteration, predictions and truths, one entry per image: `Detections` and
`ImageRecord`, or dicts of tensors under MONAI's keys (see `image_rows`). `aggregate` gives the figure over
all images of all processes, NaN where it is undefined; `reset` forgets them. In a MONAI evaluator:

    IgniteMetricHandler(CumulativeFroc(), output_transform=predictions_and_truths)

Source: the interface is that of monai.metrics.CumulativeIterationMetric.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import torch
from monai.metrics import CumulativeIterationMetric

from mammo_monai.engines.detection_figures import (
    Scored,
    average_precision_of,
    figure_or_nan,
    image_auc_of,
    mean_sensitivity_of,
)
from mammo_monai.engines.image_rows import images_of, padding_row, rows_of
from mammo_monai.records import MASS_LABEL, Detections, ImageRecord


class CumulativeFroc(CumulativeIterationMetric):  # type: ignore[misc]  # monai carries no types
    """Mean lesion sensitivity over 0.25, 0.5, 1, 2 and 4 false positives per image.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this. label: the one class that is scored.

    Source: protocol §5.
    """

    def __init__(self, min_iou: float = 0.2, label: int = MASS_LABEL) -> None:
        super().__init__()
        self.figure = partial(mean_sensitivity_of, min_iou=min_iou, label=label)

    def aggregate(self) -> float:
        """The figure over all images; NaN when none holds a lesion."""
        return _figure(self, self.figure)

    def _compute_list(self, y_pred: Sequence[Any], y: Sequence[Any] | None = None) -> torch.Tensor:
        return rows_of(y_pred, y)

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> NoReturn:
        _refuse_tensors()


class CumulativeAveragePrecision(CumulativeIterationMetric):  # type: ignore[misc]  # as above
    """Average precision of lesion detection: AP50 by default.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this. label: the one class that is scored.
    """

    def __init__(self, min_iou: float = 0.5, label: int = MASS_LABEL) -> None:
        super().__init__()
        self.figure = partial(average_precision_of, min_iou=min_iou, label=label)

    def aggregate(self) -> float:
        """The figure over all images; NaN when none holds a lesion."""
        return _figure(self, self.figure)

    def _compute_list(self, y_pred: Sequence[Any], y: Sequence[Any] | None = None) -> torch.Tensor:
        return rows_of(y_pred, y)

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> NoReturn:
        _refuse_tensors()


class CumulativeImageAuc(CumulativeIterationMetric):  # type: ignore[misc]  # as above
    """Area under the ROC curve of images, each scored as its highest detection.

    Args:
        label: the one class that is scored; an image without a lesion of it is negative.
    """

    def __init__(self, label: int = MASS_LABEL) -> None:
        super().__init__()
        self.figure = partial(image_auc_of, label=label)

    def aggregate(self) -> float:
        """The figure over all images; NaN when every one holds a lesion, or none does."""
        return _figure(self, self.figure)

    def _compute_list(self, y_pred: Sequence[Any], y: Sequence[Any] | None = None) -> torch.Tensor:
        return rows_of(y_pred, y)

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> NoReturn:
        _refuse_tensors()


def predictions_and_truths(output: Sequence[Scored]) -> tuple[list[Detections], list[ImageRecord]]:
    """What `DetectionEvaluator` puts out, as MONAI's metric handlers take it: their `output_transform`."""
    return [found for _, found in output], [record for record, _ in output]


def _figure(metric: CumulativeIterationMetric, compute: Callable[[Sequence[Scored]], float]) -> float:
    if not metric._buffers:
        # MONAI gathers nothing from a process that saw no image, and the others would wait for it forever.
        metric.append(padding_row())
    return figure_or_nan(compute, images_of(metric.get_buffer()))


def _refuse_tensors() -> NoReturn:
    raise TypeError("expected two lists with one entry per image, got tensors: images differ in their boxes.")
