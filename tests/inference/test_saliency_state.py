import pytest
import torch
from torch import Tensor, nn

from mammo_monai.inference.saliency.explain import detection_target
from mammo_monai.inference.saliency.methods import METHODS, MethodOptions, SaliencyMethod, saliency_map
from mammo_monai.inference.saliency.state import undisturbed
from mammo_monai.inference.saliency.targets import ClassScore
from tests.inference.saliency_networks import TinyClassifierNetwork, noisy_image, small_detector


def state_of(network: nn.Module) -> list[object]:
    layers = [
        (name, type(layer), layer.training, getattr(layer, "inplace", None), hooks_of(layer))
        for name, layer in network.named_modules()
    ]
    weights = [(n, p.requires_grad, p.grad is None, float(p.sum())) for n, p in network.named_parameters()]
    return [*layers, *weights]


def hooks_of(layer: nn.Module) -> tuple[int, int, bool | None]:
    return len(layer._forward_hooks), len(layer._backward_hooks), layer._is_full_backward_hook


def fail_inside(network: TinyClassifierNetwork) -> None:
    with undisturbed(network):
        network.act.register_forward_hook(lambda *_: None)
        raise RuntimeError("in between")


@pytest.mark.parametrize("method", METHODS)
def test_a_network_is_left_as_it_was(method: SaliencyMethod) -> None:
    network = TinyClassifierNetwork().train()
    network.first.weight.requires_grad_(False)
    network.second.weight.grad = torch.ones_like(network.second.weight)
    before, gradient = state_of(network), network.second.weight.grad
    saliency_map(ClassScore(network, "second"), torch.rand(1, 20, 31), MethodOptions(method, mask_px=8))
    assert state_of(network) == before
    assert network.second.weight.grad is gradient
    assert bool((gradient == 1).all())


def test_also_after_an_exception() -> None:
    network = TinyClassifierNetwork()
    before = state_of(network)
    with pytest.raises(RuntimeError, match="in between"):
        fail_inside(network)
    assert state_of(network) == before


def test_the_callers_hooks_stay_and_can_be_removed() -> None:
    network, calls = TinyClassifierNetwork(), list[Tensor]()
    handle = network.second.register_forward_hook(lambda _layer, _given, output: calls.append(output))
    saliency_map(ClassScore(network, "second"), torch.rand(1, 9, 14), MethodOptions("gradcam"))
    network(torch.rand(1, 1, 9, 14))
    seen = len(calls)
    handle.remove()
    network(torch.rand(1, 1, 9, 14))
    assert len(calls) == seen > 0


def test_a_detector_marks_the_same_afterwards() -> None:
    detector, image = small_detector(), noisy_image()
    with torch.inference_mode():
        first = detector([image])
        before = state_of(detector.network)
        box = first[0]["box"][0].numpy()
        for method in ("local_gradcam", "guided_backprop"):
            saliency_map(detection_target(detector, image, box), image, MethodOptions(method))
        second = detector([image])
    assert state_of(detector.network) == before
    assert torch.equal(first[0]["label_scores"], second[0]["label_scores"])
