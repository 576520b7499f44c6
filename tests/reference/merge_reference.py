"""P2's merge rule written out box by box, slowly: the reference for `mammo_monai.inference.fusion`."""

from __future__ import annotations

Candidate = tuple[float, float, float, float, float, int]  # x_min, y_min, x_max, y_max, score, label


def iou(a: Candidate, b: Candidate) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    return intersection / (area(a) + area(b) - intersection)


def area(box: Candidate) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def merge(candidates: list[Candidate], min_iou: float) -> list[Candidate]:
    remaining = list(candidates)
    merged = []
    while remaining:
        seed = remaining[0]
        for each in remaining:
            if each[4] > seed[4]:
                seed = each
        group = []
        for each in remaining:
            if each is seed or (each[5] == seed[5] and iou(each, seed) > min_iou):
                group.append(each)
        by_score = sorted(group, key=lambda each: -each[4])  # stable: equal scores keep their order
        largest = by_score[0]
        for each in by_score:
            if area(each) > area(largest):
                largest = each
        merged.append((*largest[:4], seed[4], seed[5]))
        remaining = [each for each in remaining if not any(each is member for member in group)]
    return merged
