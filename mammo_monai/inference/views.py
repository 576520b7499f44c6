"""Views: parts of an image, perhaps resized or mirrored, that a detector is shown, and their way back.

Pixels and boxes of a view are tied to the image by an `ImageFrame`; `Passes` runs a detector over views in
batches and brings all boxes into the image's frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.networks.utils import eval_mode
from torch import Tensor

from mammo_monai.geometry import Crop, ImageFrame, Scale, box_area, clip_boxes, rowcol_to_xyxy, xyxy_to_rowcol
from mammo_monai.inference.fusion import Candidates, concatenate
from mammo_monai.inference.precision import autocast
from mammo_monai.inference.runtimes import (
    EngineName,
    InferencePrecision,
    check_choice_of_engine,
    on_engine,
    torch_precision,
)
from mammo_monai.transforms.presets import MAX_ASPECT
from mammo_monai.transforms.sample import resize_image

if TYPE_CHECKING:
    from mammo_monai.networks.contract import Detector

Prediction = dict[str, Tensor]
# On a CPU large views go faster one by one, and hold less memory: sections of 0.46 million pixels took a
# quarter longer in batches of three (scripts/bench/bench_sections.py). Small ones share a call.
CPU_BATCH_PX = 2**19


@dataclass(frozen=True)
class View:
    """Pixels shown to the detector, (1, h, w), and the frame that leads from the image to them."""

    pixels: Tensor
    frame: ImageFrame


@dataclass(frozen=True)
class Execution:
    """How views are computed: speed and memory, not the rule.

    Attributes:
        batch_size: views in one call of the detector, at most; only views of one size share a call, so that a
            batch adds no padding, and on a CPU only up to `CPU_BATCH_PX` pixels in all.
        skip_empty: sections and windows that show only background (no pixel above the image's darkest) are
            not computed; a mass cannot be marked on them. The whole image always is. Tiles of `single_pass`
            are cut to the breast.
        precision: fp32, bf16, fp16 (GPU only) or int8 (engine openvino, of an exported model).
        channels_last: the detector's weights are put into that memory format. On CPU bf16 and channels_last
            together take about 0.4 of the time.
        engine: what computes the network, see `runtimes`.

    Raises:
        ValueError: a batch below 1, or a precision or engine that there is not.
    """

    batch_size: int = 4
    skip_empty: bool = True
    precision: InferencePrecision = "fp32"
    channels_last: bool = False
    engine: EngineName = "torch"

    def __post_init__(self) -> None:
        check_choice_of_engine(self.engine, self.precision)
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}.")


DEFAULT_EXECUTION = Execution()


class Passes:
    """Runs the detector over views in batches of one size, and brings all boxes into the image's frame."""

    def __init__(self, detector: Detector, execution: Execution, max_boxes: int | None = None) -> None:
        if execution.channels_last:
            # Changes the layout of the 4-D weights in place, not their values.
            detector.network.to(memory_format=torch.channels_last)
        self.detector = on_engine(detector, execution.engine, execution.precision)
        self.execution = execution
        self.max_boxes = max_boxes

    def __call__(self, views: Sequence[View]) -> Candidates:
        """All candidates of the views, in the image's frame; best first within a view."""
        return concatenate(self.of_each(views))

    def of_each(self, views: Sequence[View]) -> list[Candidates]:
        """The candidates of every view, in the image's frame, clipped to it, best first."""
        return [each for batch in self._batches(views) for each in self._detect(batch)]

    def candidates(self, view: View, output: Prediction) -> Candidates:
        """What a detector answered to a view, in the image's frame, clipped to it, best first."""
        boxes, scores, labels = (
            output[key].cpu().numpy().astype(dtype)
            for key, dtype in (("box", np.float64), ("label_scores", np.float64), ("label", np.int64))
        )
        best = Candidates.of(rowcol_to_xyxy(boxes), scores, labels).best(self.max_boxes)
        inside = clip_boxes(view.frame.to_original(best.boxes), view.frame.width, view.frame.height)
        return Candidates(inside, best.scores, best.labels).take(box_area(inside) > 0)

    @contextmanager
    def computing(self, device: torch.device) -> Iterator[None]:
        """The detector in evaluation mode, without gradients, at the asked precision.

        Raises:
            ValueError: a precision that the device cannot compute.
        """
        precision = torch_precision(self.execution.engine, self.execution.precision, device)
        # fp32 enters no autocast: autocast(enabled=False) would switch off a caller's own.
        with eval_mode(self.detector), torch.inference_mode(), autocast(precision, device):
            yield

    def _batches(self, views: Sequence[View]) -> list[list[View]]:
        batches: list[list[View]] = []
        for view in views:
            fits = batches and batches[-1][0].pixels.shape == view.pixels.shape
            if fits and len(batches[-1]) < self._most_in_a_call(view.pixels):
                batches[-1].append(view)
            else:
                batches.append([view])
        return batches

    def _most_in_a_call(self, pixels: Tensor) -> int:
        asked = self.execution.batch_size
        return min(asked, max(1, CPU_BATCH_PX // pixels.numel())) if pixels.device.type == "cpu" else asked

    def _detect(self, views: Sequence[View]) -> list[Candidates]:
        with self.computing(views[0].pixels.device):
            outputs = self.detector([view.pixels for view in views])
        if not isinstance(outputs, list) or len(outputs) != len(views):
            raise TypeError(
                f"expected a list of {len(views)} predictions from the detector in evaluation mode, "
                f"got {type(outputs).__name__}."
            )
        return [self.candidates(view, output) for view, output in zip(views, outputs, strict=True)]


def whole_view(image: Tensor) -> View:
    """The image itself.

    Raises:
        ValueError: not one image of shape (1, H, W).
    """
    if image.ndim != 3 or image.shape[0] != 1 or 0 in image.shape:
        raise ValueError(f"expected one image of shape (1, H, W), got {tuple(image.shape)}.")
    return View(image, ImageFrame(int(image.shape[2]), int(image.shape[1])))


def cropped(image: Tensor, x_min: int, y_min: int, x_max: int, y_max: int) -> View:
    """A rectangle of the image, half-open, in its own pixels."""
    return part_of(whole_view(image), x_min, y_min, x_max, y_max)


def part_of(view: View, x_min: int, y_min: int, x_max: int, y_max: int) -> View:
    """A rectangle of a view, half-open, in the view's pixels."""
    step = Crop(x_min, y_min, x_max - x_min, y_max - y_min)
    return View(view.pixels[:, y_min:y_max, x_min:x_max], view.frame.then(step))


def resized(view: View, short_side_px: int | None) -> View:
    """The view at the size that `ResizeShortSided` gives in training, its limit of the long side included."""
    if short_side_px is None:
        return view
    width, height = view.frame.size
    factor = min(short_side_px / min(width, height), MAX_ASPECT * short_side_px / max(width, height))
    return scaled(view, factor)


def scaled(view: View, factor: float) -> View:
    """The view enlarged by `factor`, sides rounded to whole pixels, at least one."""
    width, height = view.frame.size
    step = Scale(width, height, max(1, round(width * factor)), max(1, round(height * factor)))
    if (step.to_width, step.to_height) == (width, height):
        return view
    return View(resize_image(view.pixels, (step.to_width, step.to_height)), view.frame.then(step))


def not_empty(image: Tensor, views: Sequence[View]) -> list[View]:
    """The views that show more than background: a pixel above the image's darkest."""
    darkest = image.min()
    # Not `pixels > darkest`: an image with NaN would be empty everywhere, and pass for one without findings.
    return [view for view in views if not bool((view.pixels <= darkest).all())]


def as_prediction(found: Candidates) -> Prediction:
    """Candidates as an inferer gives them: MONAI axis order, scores float32."""
    return {
        "box": torch.from_numpy(xyxy_to_rowcol(found.boxes)),
        "label": torch.from_numpy(found.labels),
        "label_scores": torch.from_numpy(found.scores.astype(np.float32)),
    }


def checked_short_side(short_side_px: int | None) -> int | None:
    """The short side an inferer was given.

    Raises:
        ValueError: below one pixel.
    """
    if short_side_px is not None and short_side_px < 1:
        raise ValueError(f"a short side must be at least 1 px or null, got {short_side_px}.")
    return short_side_px
