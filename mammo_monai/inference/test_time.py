"""Test-time augmentation: the detector sees an image, its mirrors and other sizes of it, and answers once.

Two ways of joining what mirrors answer. "heads" averages the network's class logits and box offsets anchor by
anchor, before boxes are chosen: an anchor of a mirrored image lies exactly on one of the image. "boxes" takes
any detector: each pass chooses its boxes, and `fusion.fuse_passes` joins them. Sizes have other anchors; they
are always joined as boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor

from mammo_monai.geometry import clip_boxes, flip_boxes, rowcol_to_xyxy, xyxy_to_rowcol
from mammo_monai.inference.fusion import Candidates, fuse_passes
from mammo_monai.inference.runtimes import head_maps
from mammo_monai.inference.views import (
    DEFAULT_EXECUTION,
    Execution,
    Passes,
    Prediction,
    View,
    as_prediction,
    checked_short_side,
    resized,
    scaled,
    whole_view,
)
from mammo_monai.networks.batching import padded_batch
from mammo_monai.networks.detector import MammoRetinaNetDetector

if TYPE_CHECKING:
    from mammo_monai.geometry import ImageFrame
    from mammo_monai.networks.contract import Detector

TestTime = Literal["none", "mirror", "flips"]
Fusion = Literal["heads", "boxes"]
# The coarsest stride. Sides that are multiples of it have anchors at 0, s, 2s … on every level; mirrored,
# they fall on each other.
COARSEST_STRIDE_PX = 128


@dataclass(frozen=True)
class Mirror:
    """Which axes of an image are reversed: `rows` top to bottom, `cols` left to right."""

    rows: bool = False
    cols: bool = False

    def of(self, maps: Tensor) -> Tensor:
        """A mirrored copy of (…, H, W), or itself; applied twice, the same again."""
        axes = [axis for axis, is_reversed in ((-2, self.rows), (-1, self.cols)) if is_reversed]
        return maps.flip(axes) if axes else maps


MIRRORS: dict[TestTime, tuple[Mirror, ...]] = {
    "none": (Mirror(),),
    "mirror": (Mirror(), Mirror(cols=True)),
    "flips": (Mirror(), Mirror(cols=True), Mirror(rows=True), Mirror(rows=True, cols=True)),
}


class AugmentedInferer:
    """One answer from several passes over the whole image: mirrored, and at several sizes.

    Passes of one size share calls of `execution.batch_size` images; all four flips fit the default. With
    test_time "none" and scales (1.0,) it gives what `FullImageInferer` gives.

    Args:
        detector: see `networks.contract`; fusion "heads" needs one of `networks.retinanet_detector`.
        test_time: "none" shows the image as it is, "mirror" also mirrored left to right, "flips" also top to
            bottom and both.
        scales: of the image, after `short_side_px`; 1.0 is its own size.
        fusion: how mirrors are joined, see the module.
        short_side_px: the image is resized so that its short side has this length; None takes it as it comes.
        execution: speed and memory.

    Raises:
        ValueError: a word that is not listed, no scale or one that is not a positive number, or for "heads" a
            detector that pads to other than multiples of 128.
        TypeError: "heads" with a detector whose head maps are not known.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        test_time: TestTime = "none",
        scales: Sequence[float] = (1.0,),
        fusion: Fusion = "heads",
        short_side_px: int | None = None,
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        if test_time not in MIRRORS:
            raise ValueError(f"test_time must be {', '.join(MIRRORS)}, got {test_time!r}.")
        if fusion not in ("heads", "boxes"):
            raise ValueError(f"fusion must be heads or boxes, got {fusion!r}.")
        if fusion == "heads" and test_time != "none":
            _check_heads(detector)
        self.detector = detector
        self.test_time: TestTime = test_time
        self.scales = _checked_scales(scales)
        self.fusion: Fusion = fusion
        self.short_side_px = checked_short_side(short_side_px)
        self.min_area_mm2: float | None = None
        self.execution = execution
        self._passes = Passes(detector, execution)

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`."""
        whole = resized(whole_view(image), self.short_side_px)
        passes = [each for scale in self.scales for each in self._at(scaled(whole, scale))]
        return as_prediction(passes[0].best() if len(passes) == 1 else fuse_passes(passes))

    def _at(self, view: View) -> list[Candidates]:
        """The passes over one size, joined already if by their heads; in the image's frame."""
        mirrors = MIRRORS[self.test_time]
        if len(mirrors) == 1:
            return self._passes.of_each([view])
        if self.fusion == "heads":
            detector = cast(MammoRetinaNetDetector, self._passes.detector)
            with self._passes.computing(view.pixels.device):
                output = mean_detections(detector, view.pixels, mirrors, batch_size=self.execution.batch_size)
            return [self._passes.candidates(view, output)]
        return self._mirrored_passes(view, mirrors)

    def _mirrored_passes(self, view: View, mirrors: Sequence[Mirror]) -> list[Candidates]:
        own = [whole_view(mirror.of(view.pixels)) for mirror in mirrors]
        return [
            _mirrored_back(found, mirror, view.frame)
            for found, mirror in zip(self._passes.of_each(own), mirrors, strict=True)
        ]


def mean_detections(
    detector: MammoRetinaNetDetector, pixels: Tensor, mirrors: Sequence[Mirror], *, batch_size: int = 4
) -> Prediction:
    """Detections from the mean of the head maps over an image's mirrors; to be called in evaluation mode.

    The image is mirrored together with its padding, after normalisation: mirrored alone and padded to the
    right, its anchors would lie between the image's own. An anchor at 0 has its mirror image at the far
    border, where a pass has none; the maps therefore grow by one anchor there, and on borders the mean goes
    over the passes that have the anchor. So the answer to a mirrored image is the mirrored answer; only an
    image that needs padding is then padded on its other side.

    Args:
        pixels: (1, H, W), any size.
        mirrors: each is one pass.
        batch_size: passes in one call of the network.

    Returns:
        As one dict of `contract.Detector`.
    """
    batch, sizes = padded_batch([pixels], detector.size_divisible[0])
    normalised = detector.network.feature_extractor.normalised(batch, sizes)
    chunks = [mirrors[start : start + batch_size] for start in range(0, len(mirrors), batch_size)]
    parts = [
        head_maps(detector.network, torch.cat([each.of(normalised) for each in chunk])) for chunk in chunks
    ]
    grow_px = tuple(
        COARSEST_STRIDE_PX * any(is_reversed)
        for is_reversed in zip(*((each.rows, each.cols) for each in mirrors), strict=True)
    )
    maps = {
        key: [torch.cat(level) for level in zip(*(part[key] for part in parts), strict=True)]
        for key in parts[0]
    }
    means = {
        key: [
            mean_map(level, mirrors, _grown(level, batch, grow_px), is_offsets=key == detector.box_reg_key)
            for level in levels
        ]
        for key, levels in maps.items()
    }
    canvas = batch.new_zeros(1).expand(1, 1, batch.shape[-2] + grow_px[0], batch.shape[-1] + grow_px[1])
    return _detections(detector, means, canvas, sizes)


def mean_map(
    maps: Tensor, mirrors: Sequence[Mirror], size: tuple[int, int], *, is_offsets: bool = False
) -> Tensor:
    """The mean of one level's head maps over the mirrors, in the image's own frame.

    Args:
        maps: (K, C, h, w), one map per mirror.
        size: (height, width) of the result in cells, one larger at least along each reversed axis.
        is_offsets: channels are (row, col, height, width) per anchor, whose shifts change sign along a
            reversed axis; else class logits.

    Returns:
        (1, C, *size); a cell that no pass has holds −inf (score 0), or 0 for offsets.

    >>> mean_map(torch.tensor([[[[1.0, 2.0]]], [[[5.0, 4.0]]]]), MIRRORS["mirror"], (1, 4)).tolist()
    [[[[1.0, 3.0, 5.0, -inf]]]]
    """
    n_rows, n_cols = maps.shape[-2:]
    total, count = maps.new_zeros(maps.shape[1], *size), maps.new_zeros(size)
    for each, mirror in zip(maps, mirrors, strict=True):
        # Cell j of n lies at j · stride, mirrored at (n - j) · stride: reversed order, one cell on.
        rows = slice(mirror.rows, n_rows + mirror.rows)
        cols = slice(mirror.cols, n_cols + mirror.cols)
        total[:, rows, cols] += mirror.of(_turned(each, mirror) if is_offsets else each)
        count[rows, cols] += 1
    empty = 0.0 if is_offsets else -math.inf
    return torch.where(count > 0, total / count.clamp(min=1), empty)[None]


def _turned(offsets: Tensor, mirror: Mirror) -> Tensor:
    """Offsets (A·4, h, w) with the shift of the centre turned round along reversed axes."""
    signs = offsets.new_tensor([-1.0 if mirror.rows else 1.0, -1.0 if mirror.cols else 1.0, 1.0, 1.0])
    return offsets * signs.repeat(len(offsets) // 4)[:, None, None]


def _grown(level: Tensor, batch: Tensor, grow_px: Sequence[int]) -> tuple[int, int]:
    """(height, width) in cells of a level when the batch's sides are `grow_px` longer."""
    height, width = (
        n_cells + grow // (side // n_cells)
        for n_cells, side, grow in zip(level.shape[-2:], batch.shape[-2:], grow_px, strict=True)
    )
    return height, width


def _detections(
    detector: MammoRetinaNetDetector,
    maps: dict[str, list[Tensor]],
    canvas: Tensor,
    sizes: list[tuple[int, int]],
) -> Prediction:
    """What the detector makes of head maps over a canvas (1, 1, H, W)."""
    detector.generate_anchors(canvas, maps)
    locations = [level.shape[2:].numel() for level in maps[detector.cls_key]]
    columns = {key: detector._reshape_maps(levels) for key, levels in maps.items()}
    return detector.postprocess_detections(columns, detector.anchors, sizes, locations)[0]


def _mirrored_back(found: Candidates, mirror: Mirror, frame: ImageFrame) -> Candidates:
    """Candidates of a mirrored view in the image's frame, clipped to it."""
    width, height = frame.size
    boxes = flip_boxes(found.boxes, width) if mirror.cols else found.boxes
    if mirror.rows:
        boxes = rowcol_to_xyxy(flip_boxes(xyxy_to_rowcol(boxes), height))
    inside = clip_boxes(frame.to_original(boxes), frame.width, frame.height)
    return Candidates(inside, found.scores, found.labels)


def _checked_scales(scales: Sequence[float]) -> tuple[float, ...]:
    checked = tuple(float(scale) for scale in scales)
    if not checked or not all(math.isfinite(scale) and scale > 0 for scale in checked):
        raise ValueError(f"scales must be positive numbers, at least one, got {list(scales)}.")
    return checked


def _check_heads(detector: Detector) -> None:
    if not isinstance(detector, MammoRetinaNetDetector):
        raise TypeError(
            'fusion "heads" averages the head maps of a detector made by networks.retinanet_detector, '
            f'got {type(detector).__name__}. Use fusion "boxes".'
        )
    if detector.size_divisible[0] % COARSEST_STRIDE_PX:
        raise ValueError(
            f'fusion "heads" needs a detector with size_divisible a multiple of {COARSEST_STRIDE_PX}, got '
            f"{detector.size_divisible[0]}: mirrored anchors would lie elsewhere. Use fusion "
            '"boxes".'
        )
