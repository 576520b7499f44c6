"""Boxes to offsets and back, and the clipping and choice of candidates."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mammo_monai.networks.box_coding import decode_boxes, encode_boxes
from mammo_monai.networks.selection import HeadOutput, SelectionRule, select_boxes

POSITION = st.floats(-500, 4000)
SIDE = st.floats(2, 1500)


@st.composite
def boxes(draw: st.DrawFn) -> Tensor:
    row, col, height, width = draw(POSITION), draw(POSITION), draw(SIDE), draw(SIDE)
    return torch.tensor([[row, col, row + height, col + width]], dtype=torch.float64)


@given(box=boxes(), anchor=boxes())
def test_decoding_undoes_encoding_below_the_growth_limit(box: Tensor, anchor: Tensor) -> None:
    growth = (box[:, 2:] - box[:, :2]) / (anchor[:, 2:] - anchor[:, :2])
    decoded = decode_boxes(encode_boxes(box, anchor), anchor)
    if (growth < 62.5).all():
        torch.testing.assert_close(decoded, box, atol=1e-6, rtol=1e-9)
    else:
        sides = decoded[:, 2:] - decoded[:, :2]
        assert (sides <= 62.5 * (anchor[:, 2:] - anchor[:, :2]) * (1 + 1e-9)).all()


def head_output(seed: int, n_classes: int) -> HeadOutput:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand((30, 2), generator=generator, dtype=torch.float64) * 60
    anchors = torch.cat([corners, corners + 20], dim=1)
    logits = torch.randn((2, 30, n_classes), generator=generator, dtype=torch.float64)
    offsets = torch.randn((2, 30, 4), generator=generator, dtype=torch.float64) * 0.3
    return HeadOutput(logits, offsets, anchors, [20, 7, 3])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_classes", [1, 3])
def test_selection_agrees_with_a_slow_reference(seed: int, n_classes: int) -> None:
    output, sizes = head_output(seed, n_classes), [(50, 70), (64, 40)]
    rule = SelectionRule(score_threshold=0.4, topk_per_level=6, nms_iou=0.3, detections_per_image=8)
    for index, found in enumerate(select_boxes(output, sizes, rule)):
        expected = slow_selection(output, index, sizes[index], rule)
        assert 0 < len(expected) <= 8
        assert found.labels.tolist() == [label for _, label, _ in expected]
        assert found.scores.tolist() == pytest.approx([score for score, _, _ in expected])
        torch.testing.assert_close(found.boxes, torch.tensor([box for _, _, box in expected]).double())


def slow_selection(
    output: HeadOutput, index: int, size: tuple[int, int], rule: SelectionRule
) -> list[tuple[float, int, list[float]]]:
    candidates, start = [], 0
    for n_anchors in output.anchors_per_level:
        level = []
        for anchor in range(start, start + n_anchors):
            box = decode_boxes(output.offsets[index, anchor][None], output.anchors[anchor][None])[0].tolist()
            box = [min(max(value, 0.0), float(size[i % 2])) for i, value in enumerate(box)]
            for label, logit in enumerate(output.logits[index, anchor].tolist()):
                level.append((1 / (1 + math.exp(-logit)), label, box))
        kept = [candidate for candidate in level if candidate[0] > rule.score_threshold]
        candidates += sorted(kept, key=lambda c: -c[0])[: rule.topk_per_level]
        start += n_anchors
    chosen: list[tuple[float, int, list[float]]] = []
    for candidate in sorted(candidates, key=lambda c: -c[0]):
        if all(c[1] != candidate[1] or overlap(c[2], candidate[2]) <= rule.nms_iou for c in chosen):
            chosen.append(candidate)
    return chosen[: rule.detections_per_image]


def overlap(a: list[float], b: list[float]) -> float:
    inside = math.prod(max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - inside
    return inside / union if union else 0.0
