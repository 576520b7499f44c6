"""Weighted box fusion and weighted box clustering written out box by box, slowly, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.merge_reference import Candidate, area, iou


@dataclass
class Marked:
    """One candidate with the number and weight of its model."""

    row: Candidate
    model: int
    weight: float

    @property
    def label(self) -> int:
        return self.row[5]

    @property
    def score(self) -> float:
        return self.row[4]

    @property
    def confidence(self) -> float:
        return self.row[4] * self.weight


def marked(models: list[list[Candidate]], weights: list[float]) -> list[Marked]:
    return [
        Marked(row, n, w) for n, (rows, w) in enumerate(zip(models, weights, strict=True)) for row in rows
    ]


def fuse(
    models: list[list[Candidate]], weights: list[float], min_iou: float, conf_type: str
) -> list[Candidate]:
    """Solovyev et al., 2021, section 3: lists B, L and F, and the score of each fused box at the end."""
    b = marked(models, weights)
    b.sort(key=lambda each: (-each.confidence, *each.row[:4], each.score, each.weight))
    lists: list[list[Marked]] = []  # L
    fused: list[Candidate] = []  # F
    for each in b:
        place, best = None, min_iou
        for n, box in enumerate(fused):
            if box[5] == each.label and iou(box, each.row) > best:
                place, best = n, iou(box, each.row)
        if place is None:
            lists.append([each])
            fused.append(each.row)
        else:
            lists[place].append(each)
            fused[place] = mean(lists[place])
    total = sum(weights)
    found = []
    for box, cluster in zip(fused, lists, strict=True):
        confidence = sum(each.confidence for each in cluster)
        joined = sum(each.weight for each in cluster)
        c = confidence / joined * min(joined, total) / total if conf_type == "min" else confidence / total
        found.append((*box[:4], c, box[5]))
    return found


def mean(cluster: list[Marked]) -> Candidate:
    """The mean box by confidence (plain where all is 0), as a shift from the first."""
    weights = [each.confidence for each in cluster]
    weights = weights if cluster[0].confidence > 0 else [1.0] * len(cluster)
    first = cluster[0].row
    box = []
    for i in range(4):
        shift, total = 0.0, 0.0
        for each, w in zip(cluster, weights, strict=True):
            shift += w * (each.row[i] - first[i])
            total += w
        box.append(first[i] + shift / total)
    return box[0], box[1], box[2], box[3], 0.0, first[5]


def cluster(models: list[list[Candidate]], weights: list[float], min_iou: float) -> list[Candidate]:
    """Jaeger et al., 2020, seed by seed."""
    left = marked(models, weights)
    left.sort(key=lambda each: (-each.score, *each.row[:4], each.score, each.weight))
    found = []
    while left:
        seed = left[0]
        group = [
            each
            for each in left
            if each is seed or (each.label == seed.label and iou(seed.row, each.row) > min_iou)
        ]
        left = [each for each in left if not any(each is one for one in group)]
        w = [
            (1.0 if each is seed else iou(seed.row, each.row)) * area(each.row) * each.weight
            for each in group
        ]
        n_missing = len(models) - len({each.model for each in group})
        score = sum(each.score * v for each, v in zip(group, w, strict=True))
        score /= sum(w) + n_missing * sum(w) / len(w)
        by_score = [each.score * v for each, v in zip(group, w, strict=True)]
        by_score = by_score if sum(by_score) > 0 else w
        box = [
            sum(v * each.row[i] for each, v in zip(group, by_score, strict=True)) / sum(by_score)
            for i in range(4)
        ]
        found.append((box[0], box[1], box[2], box[3], score, seed.label))
    return found


def suppress(models: list[list[Candidate]], min_iou: float) -> list[Candidate]:
    """Non-maximum suppression of all models' candidates together."""
    left = sorted((row for rows in models for row in rows), key=lambda row: (-row[4], *row[:4]))
    kept: list[Candidate] = []
    for row in left:
        if not any(other[5] == row[5] and iou(other, row) > min_iou for other in kept):
            kept.append(row)
    return kept
