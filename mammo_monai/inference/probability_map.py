"""Mass probability map (P3): scores of patches all over the breast, the map between them, and its boxes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mammo_monai.geometry import box_area, clip_boxes, scale_boxes
from mammo_monai.imaging import candidate_regions
from mammo_monai.imaging.components import Map
from mammo_monai.inference.dense_head import DenseHead, load_dense_head
from mammo_monai.inference.dense_scores import DEFAULT_TILE_PX, dense_scores
from mammo_monai.inference.fusion import Candidates
from mammo_monai.inference.map_boxes import BoxRule, MapBoxes
from mammo_monai.inference.patch_grid import Where, dense_grid, in_boxes, in_breast, sliding_grid
from mammo_monai.inference.patch_scores import PatchNetwork, sliding_scores
from mammo_monai.inference.probability_grid import Border, ProbabilityGrid
from mammo_monai.inference.runtimes import EngineName, InferencePrecision
from mammo_monai.inference.views import (
    DEFAULT_EXECUTION,
    Execution,
    Passes,
    Prediction,
    as_prediction,
    whole_view,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mammo_monai.networks.contract import Classifier

logger = logging.getLogger(__name__)
MapMode = Literal["sliding", "dense"]
# Boxes are found on the map at an eighth of the stride: an edge lies within a sixteenth of where it belongs.
CELLS_PER_STRIDE = 8


@dataclass(frozen=True)
class Scan:
    """Which patches are scored, and how.

    Attributes:
        mode: "sliding" shows every patch to the network on its own, as in training; "dense" runs the network
            once over the image (`dense_scores`): many times faster, nearly the same map.
        stride_px: from patch to patch in mode sliding; P3's 56 px, a quarter of its patch. Dense has the
            network's own stride.
        where: "breast", patches with their centre in the breast and `min_breast_share` of breast; "all";
            "candidates", of those in the breast the ones centred in a region that stands out
            (`imaging.candidate_regions`).
        min_breast_share: in [0, 1]; of a patch's area. No source is known.
        border: see `ProbabilityGrid.sampled`.
        positive_classes: whose probabilities are added to that of a mass; None for all but class 0.
        tile_px: memory in mode dense, see `dense_scores`.

    Raises:
        ValueError: a value outside its range.
    """

    mode: MapMode = "sliding"
    stride_px: int = 56
    where: Where = "breast"
    min_breast_share: float = 0.25
    border: Border = "hold"
    positive_classes: Sequence[int] | None = None
    tile_px: int = DEFAULT_TILE_PX

    def __post_init__(self) -> None:
        for name, words in (
            ("mode", ("sliding", "dense")),
            ("where", ("breast", "all", "candidates")),
            ("border", ("hold", "zero")),
        ):
            if getattr(self, name) not in words:
                raise ValueError(f"{name} must be {' or '.join(words)}, got {getattr(self, name)!r}.")
        if self.stride_px < 1 or self.tile_px < 1 or not 0 <= self.min_breast_share <= 1:
            raise ValueError(
                "stride_px and tile_px must be at least 1 and min_breast_share in [0, 1], "
                f"got {self.stride_px}, {self.tile_px} and {self.min_breast_share}."
            )


DEFAULT_SCAN = Scan()
DEFAULT_BOXES = MapBoxes()


class MapOptions(TypedDict, total=False):
    """Further keywords of `probability_map_inferer`; see `Scan`, `MapBoxes` and `Execution`."""

    where: Where
    min_breast_share: float
    border: Border
    positive_classes: Sequence[int] | None
    tile_px: int
    dense_head: Path | str | None
    rule: BoxRule
    thresholds: Sequence[float]
    share_of_peak: float
    max_iou: float
    channels_last: bool
    engine: EngineName


class ProbabilityMapInferer:
    """Scores patches, interpolates their mass probabilities to a map, and boxes what stands out of it.

    Args:
        classifier: of a patch network, see `networks.contract` and `patch_scores.PatchNetwork`.
        scan, boxes: see there.
        dense_head: for mode dense, of these weights; None takes the network's own head, whose map is further
            from the sliding one (WARNING).
        min_area_mm2: see `Inferer`.
        execution: speed and memory; `batch_size` counts patches.

    Raises:
        TypeError: the classifier's network is none of patches.

    Source: P3 (Agarwal et al., 2019), § 2.5, steps 1 to 4.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        scan: Scan = DEFAULT_SCAN,
        boxes: MapBoxes = DEFAULT_BOXES,
        dense_head: DenseHead | None = None,
        min_area_mm2: float | None = None,
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        self.classifier = classifier
        self._passes = Passes(classifier, execution)
        self._network = _patch_network(self._passes.detector)
        self._scan, self._boxes, self._dense_head = scan, boxes, dense_head
        if scan.mode == "dense" and dense_head is None:
            logger.warning(
                "mode dense without a dense head: its map is not that of mode sliding, which pads patches. "
                "Fit one on training images (inference.fit_dense_head) and name it as dense_head."
            )
        self.dense_correlation = None if dense_head is None else dense_head.correlation
        self.patch_px = int(self._network.settings.patch_px)
        self.stride_px = scan.stride_px if scan.mode == "sliding" else int(self._network.stride_px)
        # Public, as JSON: what `inference_settings` writes of it.
        self.scan = {**asdict(scan), "stride_px": self.stride_px}
        self.boxes = asdict(boxes)
        self.min_area_mm2 = min_area_mm2
        self.execution = execution

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`; label 0, and every score the probability of a patch or a threshold of the map.

        Args:
            image: (1, H, W) in [0, 1]; the breast above 0, all else 0.
        """
        return self.candidates(self.patch_probabilities(image), image)

    def probability_map(self, image: Tensor) -> Tensor:
        """The map of every pixel, (H, W) float32 on the CPU; 0 outside the breast.

        Args:
            image: as in a call.
        """
        return self.map_of(self.patch_probabilities(image), image)

    def candidates(self, grid: ProbabilityGrid, image: Tensor) -> Prediction:
        """The boxes of an image whose patches are scored already."""
        step_px = max(1, self.stride_px // CELLS_PER_STRIDE)
        found = self._boxes(self._sampled(grid, image, step_px))
        height, width = image.shape[1:]
        placed = clip_boxes(scale_boxes(found.boxes, step_px, step_px), width, height)
        return as_prediction(Candidates(placed, found.scores, found.labels).take(box_area(placed) > 0).best())

    def map_of(self, grid: ProbabilityGrid, image: Tensor) -> Tensor:
        """`probability_map` of an image whose patches are scored already."""
        return torch.from_numpy(self._sampled(grid, image, 1))

    def patch_probabilities(self, image: Tensor) -> ProbabilityGrid:
        """The mass probability of every patch; 0 where `where` left it out.

        Raises:
            ValueError: not one image of shape (1, H, W), pixels or probabilities that are not finite, or a
                precision that the device cannot compute.
        """
        height, width = whole_view(image).pixels.shape[1:]
        # Pixels too: NaN is no breast, so nobody would look at it.
        _check_finite(bool(torch.isfinite(image).all()), "pixels")
        make = sliding_grid if self._scan.mode == "sliding" else dense_grid
        grid = make(height, width, patch_px=self.patch_px, stride_px=self.stride_px)
        wanted = np.ones((len(grid.rows), len(grid.cols)), dtype=np.bool_)
        if self._scan.where != "all":
            wanted = in_breast(grid, image, min_share=self._scan.min_breast_share)
        if self._scan.where == "candidates" and wanted.any():
            pixels = image[0].cpu().numpy()
            wanted &= in_boxes(grid, candidate_regions(pixels, pixels > 0)[0])
        size, positive = self.execution.batch_size, self._scan.positive_classes
        with self._passes.computing(image.device):
            if self._scan.mode == "sliding":
                scores = sliding_scores(
                    self._network, image, grid, wanted, batch_size=size, positive_classes=positive
                )
            else:
                scores = dense_scores(
                    self._network,
                    image,
                    grid,
                    wanted,
                    batch_size=size,
                    positive_classes=positive,
                    tile_px=self._scan.tile_px,
                    head_map=self._dense_head.head_map if self._dense_head else None,
                )
        _check_finite(bool(np.isfinite(scores).all()), "patch probabilities")
        return ProbabilityGrid(grid, scores)

    def _sampled(self, grid: ProbabilityGrid, image: Tensor, step_px: int) -> Map:
        values = grid.sampled(step_px, border=self._scan.border)
        return values if self._scan.where == "all" else np.where(_breast_cells(image, step_px), values, 0)


def probability_map_inferer(
    classifier: Classifier,
    mode: MapMode = "sliding",
    *,
    stride_px: int = 56,
    min_area_mm2: float | None = None,
    batch_size: int = 64,
    precision: InferencePrecision = "fp32",
    **options: Unpack[MapOptions],
) -> ProbabilityMapInferer:
    """The inferer of P3's mass probability map, for bundle configs: plain values only.

    Args:
        classifier: of a patch network.
        mode, stride_px, options: see `Scan` and `MapBoxes`.
        min_area_mm2: see `Inferer`.
        batch_size: patches in one call of the network, or of its head in mode dense.
        precision, channels_last, engine: see `Execution`.
        dense_head: path of the file that `DenseHead.save` wrote; read in mode dense alone.

    Raises:
        ValueError: a value outside its range.
        WeightsError: the dense head is for other weights; an engine's exported model is missing or damaged.
        TypeError: an unknown option, or a classifier that is none of patches.
    """
    if unknown := sorted(options.keys() - MapOptions.__annotations__.keys()):
        raise TypeError(f"probability_map_inferer() got an unexpected keyword argument {unknown[0]!r}.")
    given = cast("dict[str, Any]", options)
    boxes = {each.name: given[each.name] for each in fields(MapBoxes) if each.name in given}
    scan = {each.name: given[each.name] for each in fields(Scan) if each.name in given}
    return ProbabilityMapInferer(
        classifier,
        scan=Scan(mode=mode, stride_px=stride_px, **scan),
        boxes=MapBoxes(**boxes),
        dense_head=_dense_head(classifier, mode, options.get("dense_head")),
        min_area_mm2=min_area_mm2,
        execution=Execution(
            batch_size=batch_size,
            precision=precision,
            channels_last=options.get("channels_last", False),
            engine=options.get("engine", "torch"),
        ),
    )


def _dense_head(classifier: Classifier, mode: MapMode, path: Path | str | None) -> DenseHead | None:
    if mode != "dense" or path is None:
        return None
    return load_dense_head(Path(path), _patch_network(classifier))


def _patch_network(classifier: Classifier) -> PatchNetwork:
    network = classifier.network
    lacking = [name for name in ("features", "head_map", "stride_px", "cells") if not hasattr(network, name)]
    if lacking or not hasattr(getattr(network, "settings", None), "patch_px"):
        raise TypeError(
            f"a probability map needs a patch network; {type(network).__name__} has no "
            f"{', '.join(lacking) or 'settings.patch_px'}. Give the classifier of networks.patch_network."
        )
    return cast(PatchNetwork, network)


def _check_finite(is_finite: bool, what: str) -> None:
    if not is_finite:
        raise ValueError(
            f"expected {what} that are finite numbers, got NaN or infinite ones: the image or the network's "
            "weights are damaged."
        )


def _breast_cells(image: Tensor, step_px: int) -> NDArray[np.bool_]:
    """Which cells of the map are breast in at least half of their pixels."""
    share = F.avg_pool2d((image > 0).float(), step_px, ceil_mode=True, count_include_pad=False)
    return np.asarray((share[0] >= 0.5).cpu().numpy())
