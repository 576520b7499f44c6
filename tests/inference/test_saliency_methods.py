import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mammo_monai.inference.saliency.methods import MethodOptions, SaliencyMethod, saliency_map
from mammo_monai.inference.saliency.occlusion import occlusion_drops
from mammo_monai.inference.saliency.targets import ClassScore
from tests.inference.saliency_networks import TinyClassifierNetwork


def activation_and_gradient(
    network: TinyClassifierNetwork, image: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the second convolution, by the chain rule written out."""
    activation = network.second(F.relu(network.first(image[None])))
    is_open = (activation > 0) & (activation < 6)
    weights = network.classes.weight[1][:, None, None] / activation[0, 0].numel()
    return activation[0].detach(), (is_open[0] * weights).detach()


@pytest.mark.parametrize("method", ["gradcam", "local_gradcam"])
def test_activation_maps_are_what_the_papers_say(method: SaliencyMethod) -> None:
    network, image = TinyClassifierNetwork(4), torch.rand(1, 7, 10)
    activation, gradient = activation_and_gradient(network, image)
    weights = gradient.mean((1, 2), keepdim=True) if method == "gradcam" else gradient
    expected = (weights * activation).sum(0).clamp(min=0).numpy()
    found = saliency_map(ClassScore(network, "second"), image, MethodOptions(method))
    assert found.layer == "second"
    assert found.raw_maximum == pytest.approx(float(expected.max()), rel=1e-5)
    np.testing.assert_allclose(found.values * found.raw_maximum, expected, atol=1e-6)


@pytest.mark.parametrize("method", ["gradcam++", "guided_backprop"])
def test_maps_lie_between_0_and_their_maximum(method: SaliencyMethod) -> None:
    network, image = TinyClassifierNetwork(2), torch.rand(1, 40, 52)
    found = saliency_map(ClassScore(network, "second"), image, MethodOptions(method))
    assert found.values.shape == (40, 52)
    assert found.values.dtype == np.float32
    assert found.values.min() >= 0
    assert found.values.max() == 1
    assert found.raw_maximum > 0
    assert found.score == pytest.approx(float(ClassScore(network, "second")(image[None])), abs=1e-5)


def test_where_nothing_raises_the_score_the_map_is_0() -> None:
    network = TinyClassifierNetwork()
    with torch.no_grad():
        network.classes.weight.fill_(0.0)
    found = saliency_map(ClassScore(network, "second"), torch.rand(1, 8, 9), MethodOptions("gradcam"))
    assert found.raw_maximum == 0
    assert not found.values.any()


def test_occlusion_finds_the_spot_the_score_rests_on() -> None:
    network = TinyClassifierNetwork()
    with torch.no_grad():
        for each in (network.first, network.second):
            each.weight.fill_(0.0)
            each.weight[:, 0, 1, 1] = 1.0
        network.first.weight[:] = torch.tensor([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]])  # edges
        network.classes.weight[1] = 100.0
    image = torch.zeros(1, 40, 60)
    image[0, 20, 45] = 0.5
    found = saliency_map(ClassScore(network, "second"), image, MethodOptions("occlusion", mask_px=6))
    rows, cols = np.nonzero(found.values)
    assert found.raw_maximum > 0
    assert found.values[20, 45] == 1
    assert (rows.min(), cols.min()) >= (20 - 5, 45 - 5)
    assert rows.max() <= 20 + 5
    assert cols.max() <= 45 + 5


def test_a_square_larger_than_the_image_flattens_all_of_it() -> None:
    target = ClassScore(TinyClassifierNetwork(), "second")
    image = torch.rand(1, 8, 13)
    found = occlusion_drops(target, image[None], mask_px=50, overlap=0.5, batch_size=2)
    fall = target(image[None]) - target(torch.full((1, 1, 8, 13), float(image.mean())))
    torch.testing.assert_close(found, fall.detach().expand(8, 13))


def test_a_layer_that_is_not_there_is_named_with_those_that_are() -> None:
    target = ClassScore(TinyClassifierNetwork(), "second")
    with pytest.raises(ValueError, match="no layer 'third'; its top parts are first, act, second, classes"):
        saliency_map(target, torch.rand(1, 8, 9), MethodOptions("gradcam", layer="third"))
    with pytest.raises(ValueError, match="gradcam at layer 'classes' does not work"):
        saliency_map(target, torch.rand(1, 8, 9), MethodOptions("gradcam", layer="classes"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "lime"}, "method must be one of gradcam.*got 'lime'"),
        ({"mask_px": 0}, "need mask_px >= 1"),
        ({"overlap": 1.0}, "0 <= overlap < 1"),
        ({"smoothing_px": -1.0}, "smoothing_px >= 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MethodOptions(**options)  # type: ignore[arg-type]  # what a caller may get wrong
