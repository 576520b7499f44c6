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


class CumulativeFigure(CumulativeIterationMetric):  # type: ignore[misc]  # monai carries no types
    """A figure over all images, NaN where they leave it undefined.

    Args:
        figure: of images with their detections; raises `UndefinedMetricError`.
    """

    def __init__(self, figure: Callable[[Sequence[Scored]], float]) -> None:
        super().__init__()
        self.figure = figure

    def aggregate(self) -> float:
        """The figure over all images of all processes."""
        if not self._buffers:
            # MONAI gathers nothing from a process that saw no image, and the others would wait for ever.
            self.append(padding_row())
        return figure_or_nan(self.figure, images_of(self.get_buffer()))

    def _compute_list(self, y_pred: Sequence[Any], y: Sequence[Any] | None = None) -> torch.Tensor:
        return rows_of(y_pred, y)

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> NoReturn:
        raise TypeError(
            "expected two lists with one entry per image, got tensors: images differ in their boxes."
        )


class CumulativeFroc(CumulativeFigure):
    """Mean lesion sensitivity over 0.25, 0.5, 1, 2 and 4 false positives per image; undefined without lesion.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this. label: the one class that is scored.

    Source: protocol §5.
    """

    def __init__(self, min_iou: float = 0.2, label: int = MASS_LABEL) -> None:
        super().__init__(partial(mean_sensitivity_of, min_iou=min_iou, label=label))


class CumulativeAveragePrecision(CumulativeFigure):
    """Average precision of lesion detection: AP50 by default; undefined without lesion.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this. label: the one class that is scored.
    """

    def __init__(self, min_iou: float = 0.5, label: int = MASS_LABEL) -> None:
        super().__init__(partial(average_precision_of, min_iou=min_iou, label=label))


class CumulativeImageAuc(CumulativeFigure):
    """Area under the ROC curve of images, each by its highest detection; undefined for one kind alone.

    Args:
        label: the one class that is scored; an image without a lesion of it is negative.
    """

    def __init__(self, label: int = MASS_LABEL) -> None:
        super().__init__(partial(image_auc_of, label=label))


def predictions_and_truths(output: Sequence[Scored]) -> tuple[list[Detections], list[ImageRecord]]:
    """What `DetectionEvaluator` puts out, as MONAI's metric handlers take it: their `output_transform`."""
    return [found for _, found in output], [record for record, _ in output]
