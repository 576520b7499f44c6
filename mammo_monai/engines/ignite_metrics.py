"""Mean sensitivity, average precision and AUC per image as Ignite metrics, scored once per epoch.

Detections and truth are boxes `(x_min, y_min, x_max, y_max)` in original pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced

from mammo_monai.engines.detection_figures import (
    Scored,
    ScoredImages,
    average_precision_of,
    image_auc_of,
    mean_sensitivity_of,
)


class FrocMetric(Metric):  # type: ignore[misc]  # ignite's base is untyped
    """Mean lesion sensitivity over 0.25, 0.5, 1, 2 and 4 false positives per image.

    Takes the evaluator's output: a list of `(record, detections)` per iteration. Under distributed evaluation
    every process brings its share, and all get the figure of the whole.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this.

    The value is NaN when no image holds a lesion: undefined, never 0.

    Source: protocol §5.
    """

    def __init__(self, min_iou: float = 0.2) -> None:
        self.min_iou = min_iou
        self._images = ScoredImages()
        super().__init__()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def reset(self) -> None:
        """Forgets the images seen."""
        self._images.clear()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def update(self, output: Sequence[Scored]) -> None:
        """Adds the images of one iteration."""
        self._images.add(output)

    def compute(self) -> float:
        """The figure over all images of all processes."""
        return self._images.figure(partial(mean_sensitivity_of, min_iou=self.min_iou))


class AveragePrecisionMetric(Metric):  # type: ignore[misc]  # ignite's base is untyped
    """Average precision of lesion detection: AP50 by default.

    Takes what `FrocMetric` takes.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this.

    The value is NaN when no image holds a lesion: undefined, never 0.
    """

    def __init__(self, min_iou: float = 0.5) -> None:
        self.min_iou = min_iou
        self._images = ScoredImages()
        super().__init__()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def reset(self) -> None:
        """Forgets the images seen."""
        self._images.clear()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def update(self, output: Sequence[Scored]) -> None:
        """Adds the images of one iteration."""
        self._images.add(output)

    def compute(self) -> float:
        """The figure over all images of all processes."""
        return self._images.figure(partial(average_precision_of, min_iou=self.min_iou))


class ImageAucMetric(Metric):  # type: ignore[misc]  # ignite's base is untyped
    """Area under the ROC curve of images, each scored as its highest detection.

    Takes what `FrocMetric` takes. The value is NaN when every image holds a lesion, or none does.
    """

    def __init__(self) -> None:
        self._images = ScoredImages()
        super().__init__()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def reset(self) -> None:
        """Forgets the images seen."""
        self._images.clear()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def update(self, output: Sequence[Scored]) -> None:
        """Adds the images of one iteration."""
        self._images.add(output)

    def compute(self) -> float:
        """The figure over all images of all processes."""
        return self._images.figure(image_auc_of)
