"""What there is to explain on an image, and the target and view that explain it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from monai.networks.utils import eval_mode
from torch import Tensor, nn

from mammo_monai.geometry import Crop, ImageFrame, xyxy_to_rowcol
from mammo_monai.inference.inferers import FullImageInferer
from mammo_monai.inference.predict import detections_in_original
from mammo_monai.inference.saliency.anchors import AnchorScore, find_anchor
from mammo_monai.inference.saliency.layers import last_map_layer, stage_before_top
from mammo_monai.inference.saliency.regions import RegionScore
from mammo_monai.inference.saliency.targets import ClassScore, DetectionScore, ScoreTarget
from mammo_monai.inference.test_time import AugmentedInferer
from mammo_monai.inference.views import resized, whole_view
from mammo_monai.networks.detector import MammoRetinaNetDetector
from mammo_monai.networks.faster_rcnn_detector import MammoFasterRCNNDetector
from mammo_monai.records import Box, Boxes, Detections
from mammo_monai.transforms.sample import crop_image

if TYPE_CHECKING:
    from mammo_monai.inference.inferers import Inferer
    from mammo_monai.networks.contract import Classifier, Detector

Sample = Mapping[str, Any]
POSITIVE_CLASS = 1


@dataclass(frozen=True)
class Finding:
    """One thing to explain on an image.

    Attributes:
        number: from 1, highest score first. score: the model's, in [0, 1].
        box: original pixels; None for a score of the whole image.
        label: class of the box, 0 = mass; for a classifier the class index.
    """

    number: int
    score: float
    box: Box | None = None
    label: int = 0


@dataclass(frozen=True, eq=False)
class Question:
    """A target, the pixels it is shown, (1, h, w), and their frame, from the original image."""

    target: ScoreTarget
    pixels: Tensor
    frame: ImageFrame


class Explainer(Protocol):
    """A model that can be asked why.

    Attributes:
        network: what a fingerprint hashes.
    """

    network: nn.Module

    def findings(self, sample: Sample, given: Detections | None) -> list[Finding]:
        """Everything the model scores on an image, highest first; `given` in place of its own detections."""
        ...

    def question(self, sample: Sample, finding: Finding) -> Question:
        """The target and view of one finding; ValueError where it cannot be explained."""
        ...


class DetectorExplainer:
    """Explains a detector's boxes, in one pass over the whole image, not mirrored.

    Args:
        inferer: of a bundle; a `FullImageInferer` or an `AugmentedInferer`, of which the plain pass is
            explained.

    Raises:
        ValueError: an inferer that shows parts of the image.
    """

    def __init__(self, inferer: Inferer) -> None:
        if not isinstance(inferer, FullImageInferer | AugmentedInferer):
            raise ValueError(
                f"saliency explains one pass over the whole image, the inferer is {type(inferer).__name__}. "
                "Give --mode full."
            )
        self.inferer = inferer
        self.detector: Detector = inferer.detector
        self.network = self.detector.network

    def findings(self, sample: Sample, given: Detections | None) -> list[Finding]:
        """The given detections, else the inferer's own."""
        found = given
        if found is None:
            prediction = self.inferer(sample["image"].to(_device_of(self.network)))
            found = detections_in_original(sample, prediction, min_area_mm2=self.inferer.min_area_mm2)
        best = np.argsort(-found.scores, kind="stable").tolist()
        return [
            Finding(n, float(found.scores[row]), _box(found.boxes[row]), int(found.labels[row]))
            for n, row in enumerate(best, start=1)
        ]

    def question(self, sample: Sample, finding: Finding) -> Question:
        """The box's own anchor (RetinaNet), its region (Faster R-CNN), or the detection that overlaps it.

        Raises:
            ValueError: no box of this detector lies there.
        """
        image = sample["image"].to(_device_of(self.network))
        view = resized(whole_view(image), self.inferer.short_side_px)
        box = view.frame.to_model(sample["frame"].to_model(np.array([finding.box], dtype=np.float64)))
        target = detection_target(self.detector, view.pixels, xyxy_to_rowcol(box)[0], finding.label)
        return Question(target, view.pixels, _joined(sample["frame"], view.frame))


class ClassifierExplainer:
    """Explains a classifier: the whole image's score, or that of the patch around each given box.

    Args:
        classifier: see `networks.contract`. A network whose settings have a `patch_px` is shown the square of
            that side around a box; any other the whole image.
        inferer: that marks boxes with a patch classifier, where none are given; None for whole images.
    """

    def __init__(self, classifier: Classifier, inferer: Inferer | None = None) -> None:
        self.classifier = classifier
        self.network = classifier.network
        self.inferer = inferer
        self.patch_px: int | None = patch_side(self.network)

    def findings(self, sample: Sample, given: Detections | None) -> list[Finding]:
        """Boxes for a patch classifier; else the image, with the classifier's probability of class 1.

        Raises:
            ValueError: a patch classifier, and neither detections nor an inferer that finds some.
            TypeError: the classifier answers with losses.
        """
        if self.patch_px is not None:
            found = given
            if found is None and self.inferer is not None:
                prediction = self.inferer(sample["image"].to(_device_of(self.network)))
                found = detections_in_original(sample, prediction, min_area_mm2=self.inferer.min_area_mm2)
            if found is None:
                raise ValueError("a patch classifier explains boxes: give detections, or the inferer.")
            best = np.argsort(-found.scores, kind="stable").tolist()
            return [
                Finding(n, float(found.scores[row]), _box(found.boxes[row]), POSITIVE_CLASS)
                for n, row in enumerate(best, start=1)
            ]
        with eval_mode(self.classifier), torch.no_grad():
            answer = self.classifier([sample["image"].to(_device_of(self.network))])
        if not isinstance(answer, list):
            raise TypeError(
                f"expected a list from the classifier in evaluation mode, got {type(answer).__name__}."
            )
        return [Finding(1, float(answer[0]["probabilities"][POSITIVE_CLASS]), None, POSITIVE_CLASS)]

    def question(self, sample: Sample, finding: Finding) -> Question:
        """The log odds of the class, on the whole image or on the patch around the box."""
        image, frame = sample["image"].to(_device_of(self.network)), sample["frame"]
        if self.patch_px is not None:
            step = _patch_around(frame.to_model(np.array([finding.box], dtype=np.float64))[0], self.patch_px)
            image, frame = crop_image(image, step), frame.then(step)
        layer = last_map_layer(self.network, image[None])
        return Question(ClassScore(self.network, layer, finding.label), image, frame)


def detection_target(detector: Detector, image: Tensor, box: Boxes, label: int = 0) -> ScoreTarget:
    """The score of one box on one image.

    Args:
        detector: a RetinaNet's box is traced to its anchor, a Faster R-CNN's second stage is asked about the
            box; any other detector gives `DetectionScore`.
        image: (1, H, W). box: (4,) `(row_min, col_min, row_max, col_max)` in its pixels.

    Raises:
        ValueError: no box of this detector lies there, or its network does not tell its stages.
    """
    size = (int(image.shape[1]), int(image.shape[2]))
    if isinstance(detector, MammoRetinaNetDetector):
        return AnchorScore(detector, find_anchor(detector, image, box, label), size)
    if isinstance(detector, MammoFasterRCNNDetector):
        divisible = detector.settings.size_divisible
        return RegionScore(detector.network, box, label, size, size_divisible=divisible)  # type: ignore[arg-type]  # checked by the detector
    return DetectionScore(
        detector, torch.as_tensor(box, dtype=torch.float32), label, _layer_or_none(detector.network)
    )


def patch_side(network: nn.Module) -> int | None:
    """Side of the patches a network takes; None where it takes whole images."""
    settings: Any = getattr(network, "settings", None)
    is_patches = getattr(network, "architecture", "") == "patch_classifier"
    return int(settings.patch_px) if is_patches else None


def _layer_or_none(network: nn.Module) -> str:
    try:
        return stage_before_top(network)
    except ValueError:
        return ""  # guided gradients and occlusion need none


def _patch_around(box: Boxes, side: int) -> Crop:
    x_min, y_min = ((box[:2] + box[2:] - side) / 2).round().astype(int).tolist()
    return Crop(x_min, y_min, side, side)


def _joined(frame: ImageFrame, view: ImageFrame) -> ImageFrame:
    for step in view.steps:
        frame = frame.then(step)
    return frame


def _box(row: Sequence[float] | Boxes) -> Box:
    x_min, y_min, x_max, y_max = (float(each) for each in row)
    return x_min, y_min, x_max, y_max


def _device_of(network: nn.Module) -> torch.device:
    return next((each.device for each in network.parameters()), torch.device("cpu"))
