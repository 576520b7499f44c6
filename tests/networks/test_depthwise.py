"""Depthwise convolutions: forward as timm's and torch's, gradients right in both precisions, and when."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import Conv2dSame
from torch import Tensor, nn

from mammo_monai.networks.depthwise import DepthwiseConv2d, same_padding

CHANNELS = 6
# bfloat16 keeps 8 bits; its error here is one or two roundings of a sum held in float32.
BFLOAT16_ERROR = 2.0**-7

layers = st.fixed_dictionaries(
    {
        "kernel": st.tuples(st.integers(1, 6), st.integers(1, 6)),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "bias": st.booleans(),
        "size": st.tuples(st.integers(1, 17), st.integers(1, 17)),
        "seed": st.integers(0, 99),
    }
)


def timm_layer(layer: dict[str, Any]) -> Conv2dSame:
    torch.manual_seed(layer["seed"])
    made: Conv2dSame = Conv2dSame(
        CHANNELS, CHANNELS, layer["kernel"], layer["stride"], groups=CHANNELS, bias=layer["bias"]
    )
    return made


def images(size: tuple[int, int], batch: int = 2) -> Tensor:
    return torch.randn((batch, CHANNELS, *size), generator=torch.Generator().manual_seed(1))


@contextmanager
def bfloat16() -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16):
        yield


def gradients(layer: nn.Module, x: Tensor, upstream: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Output, and the gradients of input and parameters where the output has gradient `upstream`."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    found = layer(x)
    found.backward(upstream.to(found.dtype))
    grads = [x.grad, *(parameter.grad for parameter in layer.parameters())]
    layer.zero_grad()
    return found.detach(), [grad for grad in grads if grad is not None]


def rounded(layer: nn.Module) -> nn.Module:
    """The layer in float64 with parameters as bfloat16 has them."""
    return copy.deepcopy(layer).bfloat16().double()


def assert_close_in_bfloat16(ours: list[Tensor], exact: list[Tensor]) -> None:
    for found, wanted in zip(ours, exact, strict=True):
        assert (found.double() - wanted).abs().max() <= BFLOAT16_ERROR * wanted.abs().max()


@given(layer=layers)
@settings(max_examples=30, deadline=None)
@torch.no_grad()
def test_every_size_kernel_and_stride_gives_timms_maps(layer: dict[str, Any]) -> None:
    theirs = timm_layer(layer).double()
    x = images(layer["size"]).double()
    found = DepthwiseConv2d.like(theirs)(x)
    assert found.shape[2:] == tuple(-(-n // s) for n, s in zip(layer["size"], layer["stride"], strict=True))
    torch.testing.assert_close(found, theirs(x), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@torch.no_grad()
def test_odd_kernels_at_stride_one_give_torchs_maps_bit_for_bit(kernel: int) -> None:
    theirs = nn.Conv2d(CHANNELS, CHANNELS, kernel, padding=kernel // 2, groups=CHANNELS)
    for size in ((9, 16), (2, 5)):
        assert torch.equal(DepthwiseConv2d.like(theirs)(images(size)), theirs(images(size)))


@given(layer=layers)
@settings(max_examples=30, deadline=None)
def test_gradients_in_float32_are_timms(layer: dict[str, Any]) -> None:
    theirs = timm_layer(layer)
    x = images(layer["size"])
    upstream = torch.randn_like(theirs(x))
    wanted = gradients(theirs, x, upstream)[1]
    for ours, grad in zip(gradients(DepthwiseConv2d.like(theirs), x, upstream)[1], wanted, strict=True):
        torch.testing.assert_close(ours, grad, atol=1e-5, rtol=1e-5)


@given(layer=layers, is_channels_last=st.booleans())
@settings(max_examples=30, deadline=None)
def test_gradients_under_autocast_are_those_of_float64_but_for_rounding(
    layer: dict[str, Any], is_channels_last: bool
) -> None:
    theirs = timm_layer(layer)
    x = images(layer["size"]).bfloat16().float()
    upstream = torch.randn(theirs(x).shape).bfloat16().float()
    exact, exact_gradients = gradients(rounded(theirs), x.double(), upstream.double())
    ours = DepthwiseConv2d.like(theirs)
    if is_channels_last:
        ours, x = ours.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    with bfloat16():
        found, found_gradients = gradients(ours, x, upstream)
    assert found.dtype == torch.bfloat16
    assert {grad.dtype for grad in found_gradients} == {torch.float32}
    assert_close_in_bfloat16([found, *found_gradients], [exact, *exact_gradients])


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (3, 2), (5, 2)])
def test_a_layer_used_twice_adds_both_gradients(kernel: int, stride: int) -> None:
    layer = timm_layer({"kernel": kernel, "stride": stride, "bias": True, "seed": 3})
    ours, exact = DepthwiseConv2d.like(layer), rounded(layer)
    x = images((12, 19)).bfloat16().float()
    with bfloat16():
        (ours(x).float().square().sum() + ours(-2 * x).float().sum()).backward()
    (exact(x.double()).square().sum() + exact(-2 * x.double()).sum()).backward()
    wanted = [parameter.grad for parameter in exact.parameters()]
    # The square's own gradient is rounded once more, and the two parts partly cancel.
    for found, grad in zip([p.grad for p in ours.parameters()], wanted, strict=True):
        assert found is not None
        assert grad is not None
        assert (found.double() - grad).abs().max() <= 4 * BFLOAT16_ERROR * grad.abs().max()


@pytest.mark.parametrize("stride", [1, 2])
def test_only_gradients_asked_for_are_made(stride: int) -> None:
    layer = DepthwiseConv2d(CHANNELS, CHANNELS, 5, stride, groups=CHANNELS, bias=False)
    frozen = copy.deepcopy(layer).requires_grad_(False)
    x = images((7, 10))
    with bfloat16():
        layer(x).sum().backward()
        assert layer.weight.grad is not None
        wanted = x.clone().requires_grad_()
        frozen(wanted).sum().backward()
        assert wanted.grad is not None
        assert frozen.weight.grad is None
        assert not frozen(x).requires_grad
        with torch.no_grad():
            assert torch.equal(layer(x), frozen(x))


def test_the_own_gradient_is_for_bfloat16_on_a_cpu_with_wide_kernels_alone() -> None:
    def gradient_of(kernel: int, stride: int, x: Tensor, dtype: torch.dtype = torch.float32) -> str:
        layer = DepthwiseConv2d(CHANNELS, CHANNELS, kernel, stride, groups=CHANNELS, bias=False)
        return type(layer.to(x.device, dtype)(x).grad_fn).__name__

    x = images((8, 9))
    assert gradient_of(5, 1, x) == "ConvolutionBackward0"
    assert gradient_of(5, 1, x.bfloat16(), torch.bfloat16) == "_CpuDepthwiseBackward"
    with bfloat16():
        assert gradient_of(5, 1, x) == gradient_of(3, 2, x) == "_CpuDepthwiseBackward"
        assert gradient_of(3, 1, x) == "ConvolutionBackward0"
        # No other device takes part: "meta" stands for a GPU.
        assert gradient_of(5, 2, x.to("meta")) == "ConvolutionBackward0"
        assert gradient_of(5, 1, x.double(), torch.float64) == "ConvolutionBackward0"
    with torch.autocast("cpu", torch.float16):
        assert gradient_of(5, 1, x) == "ConvolutionBackward0"


def test_dtypes_that_torch_refuses_are_refused_for_every_kernel() -> None:
    for kernel in (3, 5):
        layer = DepthwiseConv2d(CHANNELS, CHANNELS, kernel, groups=CHANNELS)
        with pytest.raises(RuntimeError, match="should be the same"):
            layer(images((8, 9)).bfloat16())


def test_a_batch_of_no_images_has_gradient_zero() -> None:
    layer = DepthwiseConv2d(CHANNELS, CHANNELS, 5, 2, groups=CHANNELS)
    with bfloat16():
        found, grads = gradients(layer, images((8, 9), batch=0), torch.zeros(0, CHANNELS, 4, 5))
    assert found.shape == (0, CHANNELS, 4, 5)
    assert [float(grad.abs().sum()) for grad in grads] == [0, 0, 0]


def test_the_parameters_are_the_other_layers() -> None:
    theirs = timm_layer({"kernel": 5, "stride": 2, "bias": True, "seed": 0})
    ours = DepthwiseConv2d.like(theirs)
    assert ours.weight is theirs.weight
    assert ours.bias is theirs.bias


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 6, 3),
        nn.Conv2d(6, 12, 3, groups=6),
        nn.Conv2d(6, 6, 3, groups=3),
        nn.Conv2d(6, 6, 3, groups=6, dilation=2),
        nn.Conv2d(6, 6, 3, groups=6, padding=1, padding_mode="reflect"),
    ],
    ids=["full", "two outputs per channel", "grouped", "dilated", "reflecting"],
)
def test_other_layers_are_refused(layer: nn.Conv2d) -> None:
    with pytest.raises(ValueError, match=r"a depthwise layer has as many groups .* got Conv2d\(6, "):
        DepthwiseConv2d.like(layer)


@given(size=st.integers(1, 50), kernel=st.integers(1, 9), stride=st.integers(1, 9))
@settings(deadline=None)
def test_padding_is_what_lets_the_last_window_fit(size: int, kernel: int, stride: int) -> None:
    last_window_end = ((size - 1) // stride) * stride + kernel
    assert same_padding(size, kernel, stride) == max(0, last_window_end - size)
