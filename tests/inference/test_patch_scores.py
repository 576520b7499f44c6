import numpy as np
import pytest
import torch

from mammo_monai.inference.patch_grid import sliding_grid
from mammo_monai.inference.patch_scores import mass_probability, sliding_scores
from tests.inference.patch_fakes import BrightnessNetwork, breast_with_disc


def test_patches_are_shown_in_full_batches_across_the_whole_image() -> None:
    network = BrightnessNetwork()
    grid = sliding_grid(70, 100, patch_px=32, stride_px=14)
    wanted = np.ones((len(grid.rows), len(grid.cols)), dtype=np.bool_)
    wanted[0, 0] = wanted[2, 3] = False
    with torch.no_grad():
        scores = sliding_scores(network, breast_with_disc(100, 70, (30, 30)), grid, wanted, batch_size=8)
    counts = [shape[0] for shape in network.seen]
    assert counts[:-1] == [8] * (len(counts) - 1)
    assert sum(counts) == wanted.sum()
    assert scores[0, 0] == scores[2, 3] == 0
    assert (scores[wanted] > 0).all()


def test_all_classes_but_the_first_count_unless_some_are_named() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.2, 0.1]]))
    torch.testing.assert_close(mass_probability(logits), torch.tensor([0.5]))
    torch.testing.assert_close(mass_probability(logits, [1, 3]), torch.tensor([0.3]))
    assert mass_probability(logits.to(torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize("classes", [[], [0, 1], [4]])
def test_a_class_that_is_none_is_refused(classes: list[int]) -> None:
    with pytest.raises(ValueError, match="positive_classes must be among 1 to 3"):
        mass_probability(torch.zeros(2, 4), classes)


def test_the_head_s_answer_to_no_patch_is_not_asked_for() -> None:
    network = BrightnessNetwork()
    grid = sliding_grid(40, 50, patch_px=32, stride_px=8)
    nothing = np.zeros((len(grid.rows), len(grid.cols)), dtype=np.bool_)
    assert not sliding_scores(network, torch.zeros(1, 40, 50), grid, nothing, batch_size=4).any()
    assert network.seen == []
