"""Inferers: a detector and a way of showing it an image — whole, in sections, or through a sliding window.

An inferer takes one image tensor `(1, H, W)` and returns the candidates in that tensor's own frame, in MONAI
axis order. Every way is a list of views (parts of the image, perhaps resized) that know their way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from monai.data.utils import dense_patch_slices
from monai.networks.utils import eval_mode
from torch import Tensor

from mammo_monai.geometry import Crop, ImageFrame, Scale, box_area, clip_boxes, rowcol_to_xyxy, xyxy_to_rowcol
from mammo_monai.inference.fusion import (
    MIN_AREA_MM2_P2,
    MIN_IOU_P2,
    Candidates,
    concatenate,
    merge_boxes_p2,
)
from mammo_monai.inference.precision import Precision, autocast, check_precision
from mammo_monai.inference.sections import section_grid
from mammo_monai.transforms.presets import MAX_ASPECT
from mammo_monai.transforms.sample import resize_image

if TYPE_CHECKING:
    from mammo_monai.networks.contract import Detector

Prediction = dict[str, Tensor]
Mode = Literal["full", "sections", "sliding"]
WINDOW_MULTIPLE_PX = 128


class Inferer(Protocol):
    """What predicts on one image.

    Attributes:
        min_area_mm2: boxes below this area are dropped later, in the original frame (`fusion.drop_small`):
            an inferer knows neither spacing nor the size of the original image. None keeps all.
    """

    min_area_mm2: float | None

    def __call__(self, image: Tensor) -> Prediction:
        """Candidates on one image `(1, H, W)`.

        Returns:
            `box` (N, 4) float64 `(row_min, col_min, row_max, col_max)` in the frame of `image`, clipped to it
            (float64: resizing back must not round); `label` (N,) int64; `label_scores` (N,) float32, highest
            first. All on the CPU.
        """


@dataclass(frozen=True)
class View:
    """Pixels shown to the detector, (1, h, w), and the frame that leads from the image to them."""

    pixels: Tensor
    frame: ImageFrame


@dataclass(frozen=True)
class Execution:
    """How views are computed: speed and memory, not the rule.

    Attributes:
        batch_size: views in one call of the detector; only views of one size share a call, so that a batch
            adds no padding.
        skip_empty: sections and windows that show only background (no pixel above the image's darkest) are
            not computed; a mass cannot be marked on them. The whole image always is.
        precision: fp32, bf16, or fp16 (GPU only). channels_last: the detector's weights are put into that
            memory format. On CPU bf16 and channels_last together take about 0.4 of the time.
    """

    batch_size: int = 4
    skip_empty: bool = True
    precision: Precision = "fp32"
    channels_last: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}.")


class FullImageInferer:
    """One pass over the whole image.

    Args:
        detector: see `networks.contract`.
        short_side_px: the image is resized so that its short side has this length; None takes it as it comes.
        min_area_mm2: see `Inferer`.
        execution: speed and memory.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        short_side_px: int | None = None,
        min_area_mm2: float | None = None,
        execution: Execution = Execution(),
    ) -> None:
        self.detector = detector
        self.short_side_px = _checked_short_side(short_side_px)
        self.min_area_mm2 = min_area_mm2
        self.execution = execution
        self._passes = _Passes(detector, execution)

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`."""
        view = _resized(_whole(image), self.short_side_px)
        return _prediction(self._passes([view]).best())


class SectionsInferer:
    """P2's inference: the resized whole image and 25 overlapping sections, merged.

    Give it the breast crop at original resolution: the resizing of the whole image happens here.
    A mass cut by a section's border can leave a piece that overlaps the whole mass by an IoU of at most 0.2;
    such a piece is not merged, as in P2, and counts as a false positive.

    Args:
        detector: see `networks.contract`.
        short_side_px: of the whole image; None leaves its resolution.
        max_boxes_per_section: the best are kept, of every section and of the whole image.
        section_short_side_px: sections are resized to it; None shows original pixels, as P2 does.
        min_area_mm2: see `Inferer`.
        execution: speed and memory.

    Source: P2 (Jung et al., 2018), "Training and inference procedure", Fig. 2.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        short_side_px: int | None = 600,
        max_boxes_per_section: int = 300,
        section_short_side_px: int | None = None,
        min_area_mm2: float | None = MIN_AREA_MM2_P2,
        execution: Execution = Execution(),
    ) -> None:
        self.detector = detector
        self.short_side_px = _checked_short_side(short_side_px)
        self.section_short_side_px = _checked_short_side(section_short_side_px)
        self.max_boxes_per_section = max_boxes_per_section
        self.min_area_mm2 = min_area_mm2
        self.execution = execution
        self._passes = _Passes(detector, execution, max_boxes_per_section)

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`."""
        whole = _whole(image)
        sections = [_crop(image, *corners) for corners in section_grid(*whole.frame.size).tolist()]
        if self.execution.skip_empty:
            sections = _not_empty(image, sections)
        views = [_resized(section, self.section_short_side_px) for section in sections]
        found = self._passes([_resized(whole, self.short_side_px), *views])
        return _prediction(merge_boxes_p2(found.boxes, found.scores, found.labels))


class SlidingWindowInferer2d:
    """Square windows at the image's own resolution, merged by P2's rule.

    Args:
        detector: see `networks.contract`.
        window_px: a multiple of 128, so that all pyramid levels divide it; an image that is smaller is shown
            whole in that direction.
        overlap: of neighbouring windows, in [0, 1); the last window ends at the border.
        min_iou: candidates of overlapping windows merge above it.
        min_area_mm2: see `Inferer`.
        execution: speed and memory.
    """

    def __init__(
        self,
        detector: Detector,
        window_px: int = 1024,
        overlap: float = 0.25,
        *,
        min_iou: float = MIN_IOU_P2,
        min_area_mm2: float | None = None,
        execution: Execution = Execution(),
    ) -> None:
        if window_px < WINDOW_MULTIPLE_PX or window_px % WINDOW_MULTIPLE_PX:
            raise ValueError(f"window_px must be a multiple of {WINDOW_MULTIPLE_PX}, got {window_px}.")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be in [0, 1), got {overlap}.")
        self.detector = detector
        self.window_px = window_px
        self.overlap = overlap
        self.min_iou = min_iou
        self.min_area_mm2 = min_area_mm2
        self.execution = execution
        self._passes = _Passes(detector, execution)

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`."""
        width, height = _whole(image).frame.size
        interval = max(1, round(self.window_px * (1 - self.overlap)))
        places = dense_patch_slices((height, width), (self.window_px, self.window_px), (interval, interval))
        views = [_crop(image, cols.start, rows.start, cols.stop, rows.stop) for rows, cols in places]
        if self.execution.skip_empty:
            views = _not_empty(image, views)
        found = self._passes(views)
        return _prediction(merge_boxes_p2(found.boxes, found.scores, found.labels, min_iou=self.min_iou))


def make_inferer(
    detector: Detector,
    mode: Mode = "full",
    *,
    short_side_px: int | None = None,
    batch_size: int = 4,
    window_px: int = 1024,
    overlap: float = 0.25,
    precision: Precision = "fp32",
    channels_last: bool = False,
) -> Inferer:
    """The inferer of a mode, for bundle configs: one set of values serves all, `mode` alone is overridden.

    Args:
        mode: "full", "sections" (P2) or "sliding".
        short_side_px: of the whole image, in modes full and sections.
        batch_size: in modes sections and sliding. window_px, overlap: in mode sliding.

    Raises:
        ValueError: another mode, or a value its inferer refuses.
    """
    execution = Execution(batch_size=batch_size, precision=precision, channels_last=channels_last)
    if mode == "full":
        return FullImageInferer(detector, short_side_px=short_side_px, execution=execution)
    if mode == "sections":
        return SectionsInferer(detector, short_side_px=short_side_px, execution=execution)
    if mode == "sliding":
        return SlidingWindowInferer2d(detector, window_px, overlap, execution=execution)
    raise ValueError(f"mode must be full, sections or sliding, got {mode!r}.")


class _Passes:
    """Runs the detector over views in batches of one size, and brings all boxes into the image's frame."""

    def __init__(self, detector: Detector, execution: Execution, max_boxes: int | None = None) -> None:
        if execution.channels_last:
            # Changes the layout of the 4-D weights in place, not their values.
            detector.network.to(memory_format=torch.channels_last)
        self.detector = detector
        self.execution = execution
        self.max_boxes = max_boxes

    def __call__(self, views: Sequence[View]) -> Candidates:
        found = [each for batch in self._batches(views) for each in self._detect(batch)]
        return concatenate(found)

    def _batches(self, views: Sequence[View]) -> list[list[View]]:
        batches: list[list[View]] = []
        for view in views:
            fits = batches and batches[-1][0].pixels.shape == view.pixels.shape
            if fits and len(batches[-1]) < self.execution.batch_size:
                batches[-1].append(view)
            else:
                batches.append([view])
        return batches

    def _detect(self, views: Sequence[View]) -> list[Candidates]:
        device = views[0].pixels.device
        precision = check_precision(self.execution.precision, device)
        # fp32 enters no autocast: autocast(enabled=False) would switch off a caller's own.
        with eval_mode(self.detector), torch.inference_mode(), autocast(precision, device):
            outputs = self.detector([view.pixels for view in views])
        if not isinstance(outputs, list) or len(outputs) != len(views):
            raise TypeError(
                f"expected a list of {len(views)} predictions from the detector in evaluation mode, "
                f"got {type(outputs).__name__}."
            )
        return [self._candidates(view, output) for view, output in zip(views, outputs, strict=True)]

    def _candidates(self, view: View, output: Prediction) -> Candidates:
        boxes, scores, labels = (
            output[key].cpu().numpy().astype(dtype)
            for key, dtype in (("box", np.float64), ("label_scores", np.float64), ("label", np.int64))
        )
        best = Candidates.of(rowcol_to_xyxy(boxes), scores, labels).best(self.max_boxes)
        inside = clip_boxes(view.frame.to_original(best.boxes), view.frame.width, view.frame.height)
        return Candidates(inside, best.scores, best.labels).take(box_area(inside) > 0)


def _whole(image: Tensor) -> View:
    if image.ndim != 3 or image.shape[0] != 1 or 0 in image.shape:
        raise ValueError(f"expected one image of shape (1, H, W), got {tuple(image.shape)}.")
    return View(image, ImageFrame(int(image.shape[2]), int(image.shape[1])))


def _crop(image: Tensor, x_min: int, y_min: int, x_max: int, y_max: int) -> View:
    step = Crop(x_min, y_min, x_max - x_min, y_max - y_min)
    return View(image[:, y_min:y_max, x_min:x_max], _whole(image).frame.then(step))


def _resized(view: View, short_side_px: int | None) -> View:
    """The view at the size that `ResizeShortSided` gives in training, its limit of the long side included."""
    if short_side_px is None:
        return view
    width, height = view.frame.size
    factor = min(short_side_px / min(width, height), MAX_ASPECT * short_side_px / max(width, height))
    step = Scale(width, height, max(1, round(width * factor)), max(1, round(height * factor)))
    if (step.to_width, step.to_height) == (width, height):
        return view
    return View(resize_image(view.pixels, (step.to_width, step.to_height)), view.frame.then(step))


def _not_empty(image: Tensor, views: Sequence[View]) -> list[View]:
    darkest = image.min()
    return [view for view in views if bool((view.pixels > darkest).any())]


def _prediction(found: Candidates) -> Prediction:
    return {
        "box": torch.from_numpy(xyxy_to_rowcol(found.boxes)),
        "label": torch.from_numpy(found.labels),
        "label_scores": torch.from_numpy(found.scores.astype(np.float32)),
    }


def _checked_short_side(short_side_px: int | None) -> int | None:
    if short_side_px is not None and short_side_px < 1:
        raise ValueError(f"a short side must be at least 1 px or null, got {short_side_px}.")
    return short_side_px
