"""Starting points, loading, saving and converting of weights."""

from __future__ import annotations

import json
import pickle
import resource
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import resnet18
from torchvision.models.detection import retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2

from mammo_monai.errors import WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.networks import (
    MammoRetinaNet,
    convert_file,
    initialise,
    load_weights,
    read_weights,
    retinanet_network,
    save_weights,
)
from tests.networks.conftest import LOADER, Serve


def small_network(**kwargs: Any) -> MammoRetinaNet:
    return retinanet_network("resnet18", **{"fpn_channels": 32, **kwargs})


def head_map(network: MammoRetinaNet) -> Tensor:
    images = torch.rand((1, 1, 128, 160), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        maps: Tensor = network.eval()(images)["classification"][0]
    return maps


@pytest.mark.parametrize(
    ("build", "kwargs", "file"),
    [
        (retinanet_resnet50_fpn, {"head_norm": "none", "p6_from": "p5"}, "retinanet_resnet50_fpn_coco-"),
        (
            retinanet_resnet50_fpn_v2,
            {"head_norm": "gn32", "p6_from": "c5"},
            "retinanet_resnet50_fpn_v2_coco-",
        ),
    ],
)
def test_coco_comes_from_torchvision_hash_checked_with_a_new_class_head(
    hub: Path, serve: Serve, build: Any, kwargs: dict[str, Any], file: str
) -> None:
    published = build(weights=None, weights_backbone=None, num_classes=91).state_dict()
    calls = serve(published)
    network = initialise(retinanet_network("resnet50", **kwargs), "coco")
    (url, options), *rest = calls
    assert not rest
    assert file in url
    assert options["check_hash"] is True
    assert options["weights_only"] is True
    assert network.frozen_norm
    assert torch.equal(network.feature_extractor.body.conv1.weight, published["backbone.body.conv1.weight"])
    assert network.classification_head.cls_logits.bias.sigmoid().tolist() == pytest.approx([0.01] * 9)


def test_imagenet_fills_the_body_and_nothing_else(hub: Path, serve: Serve) -> None:
    published = resnet18(weights=None).state_dict()
    serve(published)
    network = small_network()
    before = network.classification_head.cls_logits.weight.clone()
    initialise(network, "imagenet")
    body = network.feature_extractor.body
    assert torch.equal(body.layer4[1].conv2.weight, published["layer4.1.conv2.weight"])
    assert torch.equal(network.classification_head.cls_logits.weight, before)
    assert network.frozen_norm


def test_none_leaves_the_network_and_its_norms_trainable() -> None:
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert initialise(network, "none") is network
    assert not network.frozen_norm
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("init", "backbone", "file"),
    [
        ("coco", "resnet50", "retinanet_resnet50_fpn_coco-eeacb38b.pth"),
        ("imagenet", "resnet34", "resnet34-b627a593.pth"),
    ],
)
def test_offline_the_error_says_which_file_to_put_where(
    hub: Path, monkeypatch: pytest.MonkeyPatch, init: str, backbone: Any, file: str
) -> None:
    def fail(url: str, **kwargs: Any) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(LOADER, fail)
    with pytest.raises(WeightsError) as caught:
        initialise(retinanet_network(backbone), init)
    assert f"Put the file {file} into {hub}, or choose init imagenet, none, or the path" in str(caught.value)
    assert "no route" in str(caught.value)


def test_a_damaged_file_in_the_cache_is_refused(hub: Path) -> None:
    (hub / "resnet18-f37072fd.pth").write_bytes(b"half a download")
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd\.pth: damaged.*expected f37072fd\. Delete it"):
        initialise(small_network(), "imagenet")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (small_network, "published for resnet50 only, the network has resnet18"),
        (lambda: retinanet_network("resnet50", head_norm="gn8"), r"head_norm none \(v1\) and gn32 \(v2\)"),
    ],
)
def test_coco_for_a_network_without_published_weights_is_an_error(network: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        initialise(network(), "coco")


def test_a_start_that_is_neither_word_nor_file_is_an_error() -> None:
    with pytest.raises(
        WeightsError, match=r"init must be coco, imagenet, none, or the path .* 'cocoo' is neither"
    ):
        initialise(small_network(), "cocoo")


def test_saved_weights_come_back_exactly_with_settings_and_metadata(tmp_path: Path) -> None:
    file = tmp_path / "new" / "stage1.safetensors"
    network = small_network(head_norm="gn8").to(memory_format=torch.channels_last)
    save_weights(network, file, {"parent": "abc"})
    other = small_network(head_norm="gn8")
    read = load_weights(other, file, sha256=sha256_of(file))
    assert read.settings == network.settings
    assert read.metadata["parent"] == "abc"
    assert read.sha256 == sha256_of(file)
    ours = other.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in network.state_dict().items())
    initialise(other, str(file))
    assert other.frozen_norm


@pytest.mark.parametrize("bn_eps", [0.0, 1e-3])
def test_another_batch_norm_epsilon_is_taken_up_by_the_variances(tmp_path: Path, bn_eps: float) -> None:
    network = small_network(bn_eps=1e-5)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_var.uniform_(0.1, 1.0)
    save_weights(network, tmp_path / "w.safetensors")
    other = small_network(bn_eps=bn_eps)
    load_weights(other, tmp_path / "w.safetensors")
    wanted = head_map(network)
    torch.testing.assert_close(head_map(other), wanted, atol=1e-5, rtol=1e-4)
    other.load_state_dict(network.state_dict())  # the same numbers under another epsilon are another network
    assert (head_map(other) - wanted).abs().max() > 1e-4 or bn_eps < 1e-4


def test_a_plain_state_dict_loads_without_metadata(tmp_path: Path) -> None:
    network, other = small_network(), small_network()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    load_weights(other, tmp_path / "model.pt")
    assert torch.equal(head_map(other), head_map(network))


def save_small(tmp_path: Path) -> Path:
    file = tmp_path / "w.safetensors"
    save_weights(small_network(), file)
    return file


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_classes": 2}, "num_classes: 1 in the file, 2 in the network"),
        ({"head_norm": "gn8"}, "head_norm: 'none' in the file, 'gn8' in the network"),
        ({"fpn_channels": 64}, "fpn_channels: 32 in the file, 64 in the network"),
        (
            {"input_normalisation": "none"},
            "input_normalisation: 'imagenet' in the file, 'none' in the network",
        ),
    ],
)
def test_weights_of_another_network_name_the_difference(
    tmp_path: Path, kwargs: dict[str, Any], message: str
) -> None:
    file = save_small(tmp_path)
    network = small_network(**kwargs)
    before = head_map(network)
    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(network, file)
    assert str(caught.value).startswith(f"{file}: weights of another architecture (mammo-monai RetinaNet): ")
    assert torch.equal(head_map(network), before)


def test_missing_strange_and_misshapen_tensors_are_listed_five_at_most(tmp_path: Path) -> None:
    state = small_network().state_dict()
    del state["regression_head.conv.0.weight"]
    state["strange"] = torch.ones(1)
    state["regression_head.conv.0.bias"] = torch.ones(3)
    for i in range(4):
        state[f"extra{i}"] = torch.ones(1)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(WeightsError) as caught:
        load_weights(small_network(), tmp_path / "w.pt")
    assert "regression_head.conv.0.weight: only in the network; strange: only in the file" in str(
        caught.value
    )
    assert " … and 2 more. Build the network with" in str(caught.value)


def test_a_file_of_another_model_is_named(tmp_path: Path) -> None:
    torch.save({"roi_heads.weight": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt: unknown weights: 1 tensors, a Faster or Mask R-CNN"):
        load_weights(small_network(), tmp_path / "w.pt")


def test_the_hash_is_checked_before_the_file_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"not a safetensors file")
    with pytest.raises(WeightsError, match="expected SHA-256 00, got"):
        load_weights(small_network(), file, sha256="00")


@pytest.mark.parametrize(
    ("name", "content"), [("w.safetensors", b"1" * 50), ("w.pt", b""), ("w.pt", b"1" * 50)]
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name}: (damaged|holds more than tensors)"):
        read_weights(tmp_path / name)


def test_files_that_can_run_code_are_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "model_final.pkl").write_bytes(pickle.dumps({"model": {}}))
    with pytest.raises(WeightsError, match=r"must be \.safetensors.* Pickles can run code"):
        read_weights(tmp_path / "model_final.pkl")
    torch.save({"model": Path("x")}, tmp_path / "whole.pth")
    with pytest.raises(WeightsError, match=r"holds more than tensors .* Pickles can run code"):
        read_weights(tmp_path / "whole.pth")


def test_missing_files_and_files_of_no_tensors_are_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        read_weights(tmp_path / "none.pt")
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="expected a dict of tensors, got list"):
        read_weights(tmp_path / "list.pt")


def test_settings_of_a_later_version_are_an_error(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, tmp_path / "w.safetensors", {"network": json.dumps({"colour": 1})})
    with pytest.raises(WeightsError, match="metadata 'network' is not a network of this version"):
        _ = read_weights(tmp_path / "w.safetensors").settings


def test_metadata_must_be_text(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="another type at 'epoch'"):
        save_weights(small_network(), tmp_path / "w.safetensors", {"epoch": 3})  # type: ignore[dict-item]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = save_small(tmp_path)
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match=r"could not write .*w\.safetensors"):
            save_weights(small_network(), file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_converted_body_starts_a_network(tmp_path: Path) -> None:
    published = resnet18(weights=None).state_dict()
    torch.save(published, tmp_path / "resnet18.pth")
    converted = convert_file(tmp_path / "resnet18.pth", tmp_path / "body.safetensors")
    assert converted.is_body_only
    network = small_network()
    load_weights(network, tmp_path / "body.safetensors")
    assert torch.equal(network.feature_extractor.body.conv1.weight, published["conv1.weight"])


def test_a_state_dict_that_does_not_tell_its_network_is_not_converted(tmp_path: Path) -> None:
    torch.save(small_network().state_dict(), tmp_path / "model.pt")
    with pytest.raises(
        WeightsError, match=r"does not say which network it is for \(bn_eps, stride_in_1x1 unk"
    ):
        convert_file(tmp_path / "model.pt", tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    "content", [b"\x80Bbposix\ns\0\0\0\0\0\0", b"", b"PK\x05\x06" + b"\0" * 18, b"(" * 5000]
)
def test_bytes_that_break_the_unpickler_are_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.pt: "):
        read_weights(path)


def test_a_dict_that_holds_itself_is_no_weights(tmp_path: Path) -> None:
    ring: dict[str, object] = {}
    ring["model"] = ring
    torch.save(ring, tmp_path / "ring.pt")
    with pytest.raises(WeightsError, match=r"ring\.pt: no weights: dicts inside dicts, more than 4 deep"):
        load_weights(retinanet_network("resnet18", fpn_channels=16), tmp_path / "ring.pt")
