"""Looks into a network and leaves it as it was: hooks, modes, in-place flags and gradients."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode with gradients, activations on fresh memory; all put back afterwards.

    monai.visualize adds hooks that it never removes, sets modes and clears gradients; hooks on a layer whose
    output is overwritten in place fail. Also after an exception the module is what it was. Parameters ask for
    no gradient inside: saliency is about the image.
    """
    layers = list(module.modules())
    before = [
        (layer, layer.training, getattr(layer, "inplace", None), _hooks(layer), layer._is_full_backward_hook)
        for layer in layers
    ]
    parameters = [(each, each.requires_grad, each.grad) for each in module.parameters()]
    try:
        for layer, _, is_inplace, _, _ in before:
            layer.training = False
            if is_inplace is True:
                layer.inplace = False  # type: ignore[assignment]  # a flag of activations and dropout
        for each, _, _ in parameters:
            each.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for layer, is_training, is_inplace, hooks, is_full in before:
            layer.training = is_training
            layer._is_full_backward_hook = is_full  # torch: unset, full or old-style hooks
            for name, own in hooks.items():
                now = getattr(layer, name)
                now.clear()  # in place: a handle of the caller's own hook refers to this very dict
                now.update(own)
            if is_inplace is True:
                layer.inplace = True  # type: ignore[assignment]
        for parameter, wants_gradient, gradient in parameters:
            parameter.requires_grad_(wants_gradient)
            parameter.grad = gradient


def _hooks(layer: nn.Module) -> dict[str, OrderedDict[int, object]]:
    return {name: OrderedDict(getattr(layer, name)) for name in _HOOKS}
