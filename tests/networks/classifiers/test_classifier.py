"""The classifier around a network: losses, probabilities, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from mammo_monai.engines import distributed_model
from mammo_monai.networks import Classifier, image_classifier, patch_network
from mammo_monai.networks.classifiers import ImageClassifier
from tests.networks.classifiers.conftest import images


def small(**options: Any) -> ImageClassifier:
    torch.manual_seed(0)
    return image_classifier(patch_network("resnet18", num_classes=3, patch_px=64), **options)


def batch(count: int = 3) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    targets = [{"class_index": torch.tensor(index % 3)} for index in range(count)]
    return list(images(count, 1, 64, 64)), targets


def test_it_is_a_classifier_by_the_contract() -> None:
    classifier = small()
    assert isinstance(classifier, Classifier)
    assert isinstance(classifier.network, nn.Module)
    assert {name.split(".")[0] for name, _ in classifier.named_parameters()} == {"network"}
    assert not list(classifier.buffers(recurse=False))


def test_after_eval_it_gives_probabilities_of_sum_1() -> None:
    classifier = small().eval()
    found = classifier(batch()[0])
    assert [list(each) for each in found] == [["probabilities"]] * 3
    logits = classifier.network(torch.stack(batch()[0]))
    torch.testing.assert_close(torch.stack([each["probabilities"] for each in found]), logits.softmax(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = classifier(batch()[0])[0]["probabilities"]
    assert half.dtype == torch.float32
    assert float(half.sum().detach()) == pytest.approx(1.0, abs=1e-6)


def test_after_train_it_gives_the_mean_cross_entropy() -> None:
    classifier = small().train()
    pictures, targets = batch()
    losses = classifier(pictures, targets)
    assert list(losses) == ["classification"]
    with torch.no_grad():
        logits = classifier.network(torch.stack(pictures))  # in training mode too: the batch's own statistics
    wanted = -logits.log_softmax(1)[torch.arange(3), torch.arange(3)].mean()
    torch.testing.assert_close(losses["classification"].detach(), wanted)
    losses["classification"].backward()
    assert classifier.network.head.classifier.weight.grad.abs().sum() > 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert classifier(pictures, targets)["classification"].dtype == torch.float32


def test_weights_of_classes_and_smoothing_are_those_of_cross_entropy() -> None:
    pictures, targets = batch(4)
    classifier = small(class_weights=[1.0, 2.0, 0.5], label_smoothing=0.1).train()
    with torch.no_grad():
        logs = classifier.network(torch.stack(pictures)).log_softmax(1)
        found = classifier(pictures, targets)["classification"]
    truths, weights = torch.tensor([0, 1, 2, 0]), torch.tensor([1.0, 2.0, 0.5])
    hard = -(weights[truths] * logs[torch.arange(4), truths]).sum() / weights[truths].sum()
    soft = -(weights * logs).sum() / (3 * weights[truths].sum())
    torch.testing.assert_close(found, 0.9 * hard + 0.1 * soft)


def test_a_batch_that_weighs_nothing_has_a_loss_of_0() -> None:
    pictures, _ = batch(2)
    classifier = small(class_weights=[0.0, 1.0, 1.0]).train()
    loss = classifier(pictures, [{"class_index": torch.tensor(0)}] * 2)["classification"]
    loss.backward()
    assert loss.item() == 0.0
    assert all(each.grad is None or not each.grad.any() for each in classifier.network.parameters())


def test_images_of_several_sizes_and_wrong_targets_are_errors() -> None:
    classifier = small().train()
    with pytest.raises(ValueError, match=r"one size \(1, H, W\), got \[1, 64, 64\], \[1, 64, 96\]\. Prep"):
        classifier([torch.zeros(1, 64, 64), torch.zeros(1, 64, 96)])
    with pytest.raises(ValueError, match="got no image"):
        classifier([])
    with pytest.raises(ValueError, match="2 images, targets: none"):
        classifier([torch.zeros(1, 64, 64)] * 2)
    wrong = [{"class_index": torch.tensor(index)} for index in (0, 3)]
    with pytest.raises(ValueError, match=r"class_index must be 0 to 2, got \[0, 3\]\. Build the network"):
        classifier([torch.zeros(1, 64, 64)] * 2, wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": [1.0, 1.0]}, "class_weights must be 3 numbers"),
        ({"class_weights": [1.0, -1.0, 1.0]}, "of at least 0"),
        ({"class_weights": [0.0, 0.0, 0.0]}, "not all 0"),
        ({"label_smoothing": 1.0}, "label_smoothing must be at least 0 and below 1"),
    ],
)
def test_options_outside_their_range_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_it_works_around_a_network_that_several_processes_train(tmp_path: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        alone, wrapped = small().train(), small().train()
        optimizer = torch.optim.SGD(wrapped.network.parameters(), lr=0.1)
        distributed_model(wrapped, optimizer, torch.device("cpu"))
        losses = [each(*batch())["classification"] for each in (alone, wrapped)]
        assert torch.equal(losses[0].detach(), losses[1].detach())
        losses[1].backward()
        assert isinstance(wrapped.network, nn.parallel.DistributedDataParallel)
        assert wrapped.network.module.head.classifier.weight.grad is not None
    finally:
        distributed.destroy_process_group()
