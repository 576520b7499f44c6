"""Mean sensitivity, average precision and AUC per image as Ignite metrics, scored once per epoch.

Detections and truth are boxes `(x_min, y_min, x_max, y_max)` in original pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced

from mammo_monai.engines.detection_figures import (
    Scored,
    average_precision_of,
    figure_or_nan,
    image_auc_of,
    mean_sensitivity_of,
)
from mammo_monai.engines.distributed import gather_lists


class ImagesMetric(Metric):  # type: ignore[misc]  # ignite's base is untyped
    """A figure of the evaluator's output: a list of `(record, detections)` per iteration.

    Under distributed evaluation every process brings its share, and all get the figure of the whole. NaN
    where the images leave it undefined, never 0.

    Args:
        figure: of all images; raises `UndefinedMetricError`.
    """

    def __init__(self, figure: Callable[[Sequence[Scored]], float]) -> None:
        self._figure = figure
        self._own: list[Scored] = []
        super().__init__()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def reset(self) -> None:
        """Forgets the images seen."""
        self._own = []

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def update(self, output: Sequence[Scored]) -> None:
        """Adds the images of one iteration."""
        self._own.extend(output)

    def compute(self) -> float:
        """The figure over all images of all processes."""
        # Processes are dealt equally many images, some of them twice: each counts once.
        by_id = {record.record_id: (record, found) for record, found in gather_lists(self._own)}
        return figure_or_nan(self._figure, list(by_id.values()))


class FrocMetric(ImagesMetric):
    """Mean lesion sensitivity over 0.25, 0.5, 1, 2 and 4 false positives per image; undefined without lesion.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this.

    Source: protocol §5.
    """

    def __init__(self, min_iou: float = 0.2) -> None:
        super().__init__(partial(mean_sensitivity_of, min_iou=min_iou))


class AveragePrecisionMetric(ImagesMetric):
    """Average precision of lesion detection: AP50 by default; undefined without lesion.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this.
    """

    def __init__(self, min_iou: float = 0.5) -> None:
        super().__init__(partial(average_precision_of, min_iou=min_iou))


class ImageAucMetric(ImagesMetric):
    """Area under the ROC curve of images, each by its highest detection; undefined for one kind alone."""

    def __init__(self) -> None:
        super().__init__(image_auc_of)
