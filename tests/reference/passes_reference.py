"""Weighted box fusion of several passes, slow and obvious, in plain Python."""

from __future__ import annotations

from tests.reference.merge_reference import Candidate, iou

Indexed = tuple[int, Candidate]


def fuse(passes: list[list[Candidate]], min_iou: float) -> list[Candidate]:
    """Seed by seed: its best partner of every other pass joins; mean box by score, mean score over all."""
    left: list[Indexed] = [(n, each) for n, found in enumerate(passes) for each in found]
    left.sort(key=lambda row: -row[1][4])
    fused = []
    while left:
        group = [left[0]]
        for n in range(len(passes)):
            partner = best_partner(left, n, min_iou)
            if partner is not None:
                group.append(partner)
        for each in group:
            left.remove(each)
        fused.append(mean([row for _, row in group], len(passes)))
    return sorted(fused, key=lambda row: -row[4])


def best_partner(left: list[Indexed], n: int, min_iou: float) -> Indexed | None:
    """Of pass `n`, the candidate that overlaps the seed `left[0]` most, the better score first."""
    origin, seed = left[0]
    best, best_iou = None, min_iou
    for each in left[1:]:
        overlap = iou(seed, each[1])
        if each[0] == n != origin and each[1][5] == seed[5] and overlap > best_iou:
            best, best_iou = each, overlap
    return best


def mean(group: list[Candidate], n_passes: int) -> Candidate:
    """The box weighted by score (plain where all scores are 0), the score over all passes."""
    weights = [row[4] for row in group] if group[0][4] > 0 else [1.0] * len(group)
    box = [sum(w * row[i] for w, row in zip(weights, group, strict=True)) / sum(weights) for i in range(4)]
    return box[0], box[1], box[2], box[3], sum(row[4] for row in group) / n_passes, group[0][5]
