import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.visualize import GuidedBackpropGrad
from torch import nn
from torch.nn import functional as F

from mammo_monai.inference.saliency.guided import GuidedRectifiers, check_rectified
from mammo_monai.inference.saliency.methods import MethodOptions, saliency_map
from mammo_monai.inference.saliency.targets import ClassScore
from tests.inference.saliency_networks import TinyClassifierNetwork, small_detector
from tests.reference.guided_backprop_reference import guided_gradient


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_only_positive_gradients_pass_positive_activations(seed: int) -> None:
    network = TinyClassifierNetwork(seed)
    image = torch.rand((1, 5, 7), generator=torch.Generator().manual_seed(seed))
    found = saliency_map(
        ClassScore(network, "second"), image, MethodOptions("guided_backprop", smoothing_px=0.0)
    )
    layers = (network.first.weight, network.second.weight, network.classes.weight[1])
    first, second, weights = (each.detach().double().numpy() for each in layers)
    expected = guided_gradient(image[0].double().numpy(), first, second, weights)
    # float32 against float64, values of order 1.
    np.testing.assert_allclose(found.values * found.raw_maximum, np.maximum(expected, 0), atol=1e-4)


class NamedRelus(nn.Sequential):
    def __init__(self) -> None:
        super().__init__()
        self.add_module("conv", nn.Conv2d(1, 4, 3, padding=1))
        self.add_module("relu1", nn.ReLU())
        self.add_module("conv2", nn.Conv2d(4, 4, 3, padding=1))
        self.add_module("relu2", nn.ReLU())
        self.add_module("pool", nn.AdaptiveAvgPool2d(1))
        self.add_module("flat", nn.Flatten())
        self.add_module("classes", nn.Linear(4, 2))


def test_it_is_monais_where_modules_are_called_relu() -> None:
    torch.manual_seed(3)
    network, image = NamedRelus().eval(), torch.rand(1, 1, 6, 9)
    theirs = GuidedBackpropGrad(network)(image.clone(), index=1)
    shown = image.clone().requires_grad_()
    with GuidedRectifiers():
        score = network(shown)[0, 1]
    (ours,) = torch.autograd.grad(score, shown)
    torch.testing.assert_close(ours, theirs)


def test_monai_by_name_would_meet_no_rectifier_of_a_retinanet() -> None:
    rectifiers = [
        name
        for name, layer in small_detector().network.named_modules()
        if isinstance(layer, (nn.ReLU, nn.ReLU6)) and "relu" in name
    ]
    assert rectifiers == []


def test_every_rectifier_of_a_retinanet_is_met() -> None:
    network = small_detector().network.eval()
    calls: list[str] = []
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.ReLU, nn.ReLU6)):
            layer.register_forward_hook(lambda *_, name=name: calls.append(name))
    with GuidedRectifiers() as rectifiers, torch.no_grad():
        network(torch.rand(1, 1, 128, 256))
    # One more: the pyramid rectifies P6 by the function, without a module.
    assert rectifiers.n_met == len(calls) + 1
    assert len(calls) > 40


@pytest.mark.parametrize(
    "rectify",
    [F.relu, torch.relu, F.relu6, lambda x: F.relu(x, inplace=True), lambda x: x.relu(), nn.ReLU6()],
)
def test_the_values_of_a_pass_are_the_same(rectify: nn.Module) -> None:
    x = torch.linspace(-3, 9, 25)
    plain = rectify(x.clone())
    with GuidedRectifiers() as rectifiers:
        guided = rectify(x.clone())
    assert rectifiers.n_met == 1
    assert torch.equal(plain, guided)


def test_a_clamp_that_is_no_rectifier_keeps_its_gradient() -> None:
    x = torch.tensor([-2.0, 0.5], requires_grad=True)
    with GuidedRectifiers() as rectifiers:
        (F.hardtanh(x) * torch.tensor([1.0, -1.0])).sum().backward()  # type: ignore[no-untyped-call]  # torch
    assert rectifiers.n_met == 0
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, -1.0]


def test_smooth_activations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"has GELU, SiLU\. Use gradcam or occlusion"):
        check_rectified(nn.Sequential(nn.SiLU(), nn.GELU(), nn.ReLU()))
