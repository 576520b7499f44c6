"""Saliency maps: which pixels raise a score, by class activation, guided gradients or occlusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from monai.visualize import GradCAM, GradCAMpp
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from mammo_monai.inference.saliency.guided import GuidedRectifiers, check_rectified
from mammo_monai.inference.saliency.occlusion import occlusion_drops
from mammo_monai.inference.saliency.state import undisturbed
from mammo_monai.inference.saliency.targets import ScoreTarget

SaliencyMethod = Literal["gradcam", "gradcam++", "local_gradcam", "guided_backprop", "occlusion"]
METHODS: tuple[SaliencyMethod, ...] = get_args(SaliencyMethod)


@dataclass(frozen=True)
class MethodOptions:
    """How a map is made.

    Attributes:
        method: see `saliency_map`.
        layer: of the network, for the activation maps; None takes the target's own.
        mask_px: side of the occluded square, pixels of the network's input.
        overlap: of neighbouring squares, in [0, 1).
        batch_size: occluded images in one pass.
        smoothing_px: standard deviation of the Gaussian that guided gradients are smoothed with, pixels of
            the network's input; they are single pixels otherwise, too fine to be seen on a film. 0 for none.

    Raises:
        ValueError: another method, or a number out of its range.
    """

    method: SaliencyMethod = "local_gradcam"
    layer: str | None = None
    mask_px: int = 64
    overlap: float = 0.5
    batch_size: int = 8
    smoothing_px: float = 2.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}.")
        is_sound = (
            min(self.mask_px, self.batch_size) >= 1 and self.smoothing_px >= 0 and 0 <= self.overlap < 1
        )
        if not is_sound:
            raise ValueError(
                "need mask_px >= 1, batch_size >= 1, 0 <= overlap < 1 and smoothing_px >= 0, "
                f"got {self.mask_px}, {self.batch_size}, {self.overlap} and {self.smoothing_px}."
            )


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """Which pixels raised a score.

    Attributes:
        values: float32 (H, W) in the frame of the image that was shown, 0 to 1: divided by their own maximum,
            so maps of two findings cannot be compared by colour.
        raw_maximum: what 1 stands for, in the method's own unit; 0 where nothing raised the score, and all
            values are 0.
        score: the target's own value on the image, a logit.
        layer: where an activation map was taken; "" for the other methods.
    """

    values: NDArray[np.float32]
    raw_maximum: float
    score: float
    method: SaliencyMethod
    layer: str = ""


def saliency_map(target: ScoreTarget, image: Tensor, options: MethodOptions | None = None) -> SaliencyMap:
    """The map of one target on one image.

    gradcam: the rectified sum of a layer's channels, each weighted by its mean gradient.
    gradcam++: the same, with weights from second and third powers of the gradient.
    local_gradcam: the rectified sum of channels times gradient, place by place, so that what looks alike
    elsewhere on the film is not coloured.
    guided_backprop: the positive gradient by the pixels, through positive gradients and activations alone.
    occlusion: how far the score falls when a square is flattened to its mean.

    `raw_maximum` is in logits, of guided_backprop in logits per grey value. The network is left as it was,
    whatever happens.

    Args:
        image: (1, H, W) in [0, 1], as the network is shown it.

    Raises:
        ValueError: no such layer, activations that are no rectifiers, an image smaller than the mask, or a
            target without a gradient; the message names the method that works.

    Source: Selvaraju et al., 2017 (Grad-CAM); Chattopadhyay et al., 2018 (Grad-CAM++); Draelos and Carin,
    2020 (HiResCAM, the local form); Springenberg et al., 2015; Zeiler and Fergus, 2014 (occlusion).
    """
    options = options or MethodOptions()
    height, width = image.shape[-2:]
    with undisturbed(target):
        batch = target.input_of(image.detach().clone().float())
        layer = ""
        if options.method == "guided_backprop":
            raw = _guided(target, batch)
        elif options.method == "occlusion":
            raw = occlusion_drops(
                target,
                batch,
                mask_px=options.mask_px,
                overlap=options.overlap,
                batch_size=options.batch_size,
            )
        else:
            layer = options.layer or target.layer
            raw = _activation(target, batch, options.method, layer)
        with torch.no_grad():
            score = float(target(batch))
    positive = raw.detach().clamp(min=0)[:height, :width].cpu().numpy().astype(np.float32)
    if not np.isfinite(positive).all():
        raise ValueError(f"{options.method}: the map holds values that are not finite; try another method.")
    if options.method == "guided_backprop" and options.smoothing_px:
        positive = gaussian_filter(positive, options.smoothing_px, mode="constant")
    maximum = float(positive.max())
    values = positive / np.float32(maximum) if maximum > 0 else np.zeros_like(positive)
    return SaliencyMap(values, maximum, score, options.method, layer)


class _LocalGradCAM(GradCAM):  # type: ignore[misc]  # monai ships no types
    """Gradients weigh their own places, not the whole channel."""

    def compute_map(self, x: Tensor, **options: int) -> Tensor:
        _, activations, gradients = self.nn_module(x, class_idx=options["class_idx"])
        products: Tensor = (activations[-1] * gradients[-1]).sum(1, keepdim=True)
        return F.relu(products)


_CAMS = {"gradcam": GradCAM, "gradcam++": GradCAMpp, "local_gradcam": _LocalGradCAM}


def _activation(target: ScoreTarget, batch: Tensor, method: str, layer: str) -> Tensor:
    if layer not in dict(target.network.named_modules()):
        raise ValueError(
            f"the network has no layer {layer!r}; its top parts are "
            f"{', '.join(name for name, _ in target.network.named_children())}."
        )
    cam = _CAMS[method](target, f"network.{layer}", postprocessing=_as_it_is)
    try:
        maps: Tensor = cam(batch.requires_grad_(), class_idx=0)
    except (RuntimeError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{method} at layer {layer!r} does not work: {error}. It needs a layer with a map (B, C, h, w) "
            "that the score depends on; name another one (--layer), or use occlusion."
        ) from error
    return maps[0, 0]


def _guided(target: ScoreTarget, batch: Tensor) -> Tensor:
    check_rectified(target.network)
    batch.requires_grad_()
    try:
        with GuidedRectifiers() as rectifiers:
            score = target(batch).sum()
        (gradient,) = torch.autograd.grad(score, batch)
    except RuntimeError as error:
        raise ValueError(
            f"guided_backprop: no gradient from the score to the pixels: {error}. Use occlusion."
        ) from error
    if not rectifiers.n_met:
        raise ValueError("guided_backprop: the network calls no rectifier. Use gradcam or occlusion.")
    return gradient[0, 0]


def _as_it_is(maps: Tensor) -> Tensor:
    return maps
