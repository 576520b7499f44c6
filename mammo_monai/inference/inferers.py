"""Inferers: a detector and a way of showing it an image — whole, in sections, or through a sliding window.

An inferer takes one image tensor `(1, H, W)` and returns the candidates in that tensor's own frame, in MONAI
axis order. Every way is a list of views (parts of the image, perhaps resized) that know their way back.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, get_args

from monai.data.utils import dense_patch_slices
from torch import Tensor

from mammo_monai.inference.fusion import MIN_AREA_MM2_P2, MIN_IOU_P2, merge_boxes_p2
from mammo_monai.inference.runtimes import EngineName, InferencePrecision
from mammo_monai.inference.sections import section_grid
from mammo_monai.inference.single_pass import SinglePassInferer
from mammo_monai.inference.test_time import AugmentedInferer, Fusion, TestTime
from mammo_monai.inference.views import (
    DEFAULT_EXECUTION,
    Execution,
    Passes,
    Prediction,
    as_prediction,
    checked_short_side,
    cropped,
    not_empty,
    resized,
    whole_view,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mammo_monai.networks.contract import Detector

logger = logging.getLogger(__name__)

Mode = Literal["full", "sections", "single_pass", "sliding"]
MODES: tuple[Mode, ...] = get_args(Mode)
WINDOW_MULTIPLE_PX = 128


class ExecutionOptions(TypedDict, total=False):
    """Keywords of `make_inferer` for speed and memory; meaning and defaults in `Execution`."""

    batch_size: int
    precision: InferencePrecision
    channels_last: bool
    engine: EngineName
    skip_empty: bool


class InfererOptions(ExecutionOptions, total=False):
    """What `make_inferer` takes besides: `section_short_side_px` of `SectionsInferer`."""

    section_short_side_px: int | None


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
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        self.detector = detector
        self.short_side_px = checked_short_side(short_side_px)
        self.min_area_mm2 = min_area_mm2
        self.execution = execution
        self._passes = Passes(detector, execution)

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`."""
        view = resized(whole_view(image), self.short_side_px)
        return as_prediction(self._passes([view]).best())


class SectionsInferer:
    """P2's inference: the resized whole image and 25 overlapping sections, merged.

    Give it the breast crop at original resolution: the resizing of the whole image happens here.
    Engine openvino in float32 is faster and gives the same boxes; bfloat16 does not, see
    docs/explanation/fast-inference.md.
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
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        self.detector = detector
        self.short_side_px = checked_short_side(short_side_px)
        self.section_short_side_px = checked_short_side(section_short_side_px)
        self.max_boxes_per_section = max_boxes_per_section
        self.min_area_mm2 = min_area_mm2
        self.execution = execution
        self._passes = Passes(detector, execution, max_boxes_per_section)

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`."""
        whole = whole_view(image)
        sections = [cropped(image, *corners) for corners in section_grid(*whole.frame.size).tolist()]
        if self.execution.skip_empty:
            sections = not_empty(image, sections)
        views = [resized(section, self.section_short_side_px) for section in sections]
        found = self._passes([resized(whole, self.short_side_px), *views])
        return as_prediction(merge_boxes_p2(found.boxes, found.scores, found.labels))


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

    Raises:
        ValueError: `window_px` is no multiple of 128, or `overlap` outside [0, 1).
    """

    def __init__(
        self,
        detector: Detector,
        window_px: int = 1024,
        overlap: float = 0.25,
        *,
        min_iou: float = MIN_IOU_P2,
        min_area_mm2: float | None = None,
        execution: Execution = DEFAULT_EXECUTION,
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
        self._passes = Passes(detector, execution)

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`."""
        width, height = whole_view(image).frame.size
        interval = max(1, round(self.window_px * (1 - self.overlap)))
        places = dense_patch_slices((height, width), (self.window_px, self.window_px), (interval, interval))
        views = [cropped(image, cols.start, rows.start, cols.stop, rows.stop) for rows, cols in places]
        if self.execution.skip_empty:
            views = not_empty(image, views)
        found = self._passes(views)
        return as_prediction(merge_boxes_p2(found.boxes, found.scores, found.labels, min_iou=self.min_iou))


_OPTIONS = InfererOptions.__annotations__.keys() | ExecutionOptions.__annotations__.keys()


def make_inferer(
    detector: Detector,
    mode: Mode = "full",
    *,
    short_side_px: int | None = None,
    window_px: int = 1024,
    overlap: float = 0.25,
    test_time: TestTime = "none",
    scales: Sequence[float] = (1.0,),
    fusion: Fusion = "heads",
    **options: Unpack[InfererOptions],
) -> Inferer:
    """The inferer of a mode, for bundle configs: one set of values serves all, `mode` alone is overridden.

    Args:
        mode: "full", "sections" (P2), "single_pass" (P2's resolutions, each pixel once) or "sliding".
        short_side_px: of the whole image, in modes full, sections and single_pass.
        window_px, overlap: in mode sliding; in mode single_pass a tile has at most 1.5 windows' pixels.
        test_time, scales, fusion: test-time augmentation in mode full, see `test_time.AugmentedInferer`;
            test_time "none" and scale 1.0 alone show the image once. Other modes leave them out, with a
            warning.
        options: `section_short_side_px` in modes sections and single_pass; and the fields of `Execution`.
            `batch_size` matters where an image is shown more than once.

    Raises:
        ValueError: another mode, or a value its inferer refuses.
        WeightsError: an engine's exported model is missing, damaged or of other weights.
        TypeError: an unknown option.
    """
    if unknown := sorted(options.keys() - _OPTIONS):
        raise TypeError(f"make_inferer() got an unexpected keyword argument {unknown[0]!r}.")
    if mode not in MODES:
        raise ValueError(f"mode must be {', '.join(MODES[:-1])} or {MODES[-1]}, got {mode!r}.")
    values: dict[str, Any] = dict(options)
    section_short_side_px: int | None = values.pop("section_short_side_px", None)
    how = Execution(**values)
    is_augmented = test_time != "none" or tuple(scales) != (1.0,)
    if is_augmented and mode != "full":
        logger.warning("mode %s shows the image once: test_time and scales work in mode full only", mode)
    elif is_augmented:
        return AugmentedInferer(
            detector,
            test_time=test_time,
            scales=scales,
            fusion=fusion,
            short_side_px=short_side_px,
            execution=how,
        )
    if mode == "full":
        return FullImageInferer(detector, short_side_px=short_side_px, execution=how)
    if mode == "sliding":
        return SlidingWindowInferer2d(detector, window_px, overlap, execution=how)
    if mode == "sections":
        return SectionsInferer(
            detector,
            short_side_px=short_side_px,
            section_short_side_px=section_short_side_px,
            execution=how,
        )
    return SinglePassInferer(
        detector,
        short_side_px=short_side_px,
        section_short_side_px=section_short_side_px,
        max_tile_px=3 * window_px**2 // 2,
        execution=how,
    )
