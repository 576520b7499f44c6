"""Scores the whole image with a classifier: how suspicious it is, and no box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.networks.utils import eval_mode
from torch import Tensor

from mammo_monai.inference.precision import autocast
from mammo_monai.inference.runtimes import EngineName, InferencePrecision, on_engine, torch_precision
from mammo_monai.inference.test_time import MIRRORS, TestTime
from mammo_monai.inference.views import DEFAULT_EXECUTION, Execution, Prediction, whole_view

if TYPE_CHECKING:
    from mammo_monai.networks.contract import Classifier

POSITIVE_CLASS = 1


class WholeImageInferer:
    """The mean probability of class 1 over an image and its mirrors; it marks no place.

    Args:
        classifier: see `networks.contract`.
        test_time: "none" shows the image as it is, "mirror" also mirrored left to right, "flips" also top to
            bottom and both.
        execution: speed and memory.

    Attributes:
        min_area_mm2: None, see `Inferer`.

    Raises:
        ValueError: `test_time` is no word of these.

    Source: the mean over flipped images at test time: P4, after Shen et al., 2019.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        test_time: TestTime = "none",
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        if test_time not in MIRRORS:
            raise ValueError(f"test_time must be {', '.join(MIRRORS)}, got {test_time!r}.")
        if execution.channels_last:
            # Changes the layout of the 4-D weights in place, not their values.
            classifier.network.to(memory_format=torch.channels_last)
        self.classifier = classifier
        self.test_time: TestTime = test_time
        self.min_area_mm2: float | None = None
        self.execution = execution
        self._on_engine = on_engine(classifier, execution.engine, execution.precision)

    def __call__(self, image: Tensor) -> Prediction:
        """The score of one image (1, H, W) in [0, 1].

        Returns:
            `image_score`, a float32 scalar in [0, 1], and no boxes: `box` (0, 4), `label` and `label_scores`
            (0,). All on the CPU.

        Raises:
            ValueError: not one image of shape (1, H, W), or a precision that the device cannot compute.
            TypeError: the classifier does not answer with two probabilities per image.
        """
        pixels = whole_view(image).pixels
        precision = torch_precision(self.execution.engine, self.execution.precision, pixels.device)
        mirrored = [mirror.of(pixels) for mirror in MIRRORS[self.test_time]]
        size = self.execution.batch_size
        with eval_mode(self._on_engine), torch.inference_mode(), autocast(precision, pixels.device):
            scores = [
                score
                for start in range(0, len(mirrored), size)
                for score in self._scores(mirrored[start : start + size])
            ]
        return {
            "box": torch.zeros((0, 4), dtype=torch.float64),
            "label": torch.zeros(0, dtype=torch.int64),
            "label_scores": torch.zeros(0),
            # Rounding may leave a mean of ones above 1.
            "image_score": torch.stack(scores).mean().clamp(0, 1),
        }

    def _scores(self, images: list[Tensor]) -> list[Tensor]:
        outputs = self._on_engine(images)
        shapes = [tuple(each["probabilities"].shape) for each in outputs] if isinstance(outputs, list) else []
        if shapes != [(2,)] * len(images) or not isinstance(outputs, list):
            raise TypeError(
                f"expected the probabilities of 2 classes for each of {len(images)} images from the "
                f"classifier in evaluation mode, got {shapes or type(outputs).__name__}. A classifier of "
                "whole images has the classes negative and positive."
            )
        return [each["probabilities"][POSITIVE_CLASS].float().cpu() for each in outputs]


def whole_image_inferer(
    classifier: Classifier,
    *,
    test_time: TestTime = "none",
    batch_size: int = 4,
    precision: InferencePrecision = "fp32",
    channels_last: bool = False,
    engine: EngineName = "torch",
) -> WholeImageInferer:
    """The inferer of a bundle for whole images; see `WholeImageInferer` and `Execution`.

    Args:
        batch_size: mirrors in one call of the classifier.

    Raises:
        ValueError: a value out of range.
    """
    execution = Execution(
        batch_size=batch_size, precision=precision, channels_last=channels_last, engine=engine
    )
    return WholeImageInferer(classifier, test_time=test_time, execution=execution)
