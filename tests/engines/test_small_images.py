"""Images too small to train on: one error in pixels, with the size that would do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mammo_monai.engines import ModelTrainer
from mammo_monai.engines.small_images import smallest_size_px, told_if_too_small
from mammo_monai.errors import TrainingError


def network(stride_px: int, norm: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=stride_px, padding=1), norm)


class Model(nn.Module):
    """As a detector: its own network, and losses from lists."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.network = own

    def forward(self, images: list[Tensor], _: object) -> dict[str, Tensor]:
        return {"loss": self.network(torch.stack(images)).mean()}


def train(own: nn.Module, height: int, width: int) -> None:
    batch = [{"image": torch.rand(1, height, width), "record_id": "a", "box": None, "label": None}]
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    given = {"optimizer": optimizer, "train_data_loader": [batch], "device": "cpu", "max_epochs": 1}
    ModelTrainer(model=Model(own), **given).run()


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(4), nn.GroupNorm(4, 4)], ids=lambda each: type(each).__name__
)
@pytest.mark.parametrize(("stride_px", "smallest"), [(32, 33), (128, 129)])
def test_the_error_names_pixels_and_the_smallest_size(norm: nn.Module, stride_px: int, smallest: int) -> None:
    own = network(stride_px, norm)
    wanted = rf"got 1 of at most 20 × 24 px: .*Take size_px {smallest} or more"
    with pytest.raises(TrainingError, match=wanted):
        train(own, 24, 20)
    train(own, smallest, smallest)


def test_two_images_of_a_batch_are_enough_for_a_batch_norm() -> None:
    assert smallest_size_px(network(32, nn.BatchNorm2d(4)), 2) == 9


def test_a_network_that_cannot_be_tried_gets_no_number() -> None:
    own = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert smallest_size_px(own) is None
    wanted = r"Take larger images \(--size_px"
    with pytest.raises(TrainingError, match=wanted), told_if_too_small(own, [torch.rand(1, 2, 2)]):
        nn.BatchNorm2d(4)(torch.rand(1, 4, 1, 1))


def test_other_errors_come_out_as_they_are() -> None:
    with pytest.raises(ValueError, match="another"), told_if_too_small(nn.Identity(), []):
        raise ValueError("another")
