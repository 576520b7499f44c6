"""RetinaNet's losses anchor by anchor in plain Python: slow and obvious."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = Sequence[float]


def losses(
    logits: list[list[list[float]]],
    offsets: list[list[Box]],
    anchors: list[Box],
    targets: list[dict[str, list]],
    settings: tuple[float, float, str],
) -> tuple[float, float]:
    """Focal and box loss of a batch, both divided by the batch's positive anchors."""
    alpha, gamma, box_loss = settings
    focal, box, positives = 0.0, 0.0, 0
    for image_logits, image_offsets, target in zip(logits, offsets, targets, strict=True):
        for anchor, matched in enumerate(match(anchors, target["box"])):
            if matched == "ignored":
                continue
            label = None if matched is None else target["label"][matched]
            for index, logit in enumerate(image_logits[anchor]):
                focal += focal_loss(logit, index == label, alpha, gamma)
            if matched is not None:
                positives += 1
                box += one_box_loss(box_loss, image_offsets[anchor], anchors[anchor], target["box"][matched])
    return focal / max(1, positives), box / max(1, positives)


def match(anchors: list[Box], lesions: list[Box]) -> list[int | str | None]:
    """The lesion of each anchor, None for background, "ignored" between IoU .4 and .5."""
    table = [[iou(anchor, lesion) for lesion in lesions] for anchor in anchors]
    best_of_lesion = [max(row[i] for row in table) for i in range(len(lesions))]
    result: list[int | str | None] = []
    for row in table:
        best = max(range(len(row)), key=row.__getitem__) if row else None
        if best is None:
            result.append(None)
        elif row[best] >= 0.5 or any(value == top for value, top in zip(row, best_of_lesion, strict=True)):
            result.append(best)
        else:
            result.append("ignored" if row[best] >= 0.4 else None)
    return result


def iou(a: Box, b: Box) -> float:
    sides = [max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    inside = sides[0] * sides[1]
    return inside / (area(a) + area(b) - inside)


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def focal_loss(logit: float, is_positive: bool, alpha: float, gamma: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    if is_positive:
        return -alpha * (1 - p) ** gamma * math.log(p)
    return -(1 - alpha) * p**gamma * math.log(1 - p)


def one_box_loss(name: str, offset: Box, anchor: Box, lesion: Box) -> float:
    sides = [anchor[2] - anchor[0], anchor[3] - anchor[1]]
    centre = [anchor[i] + sides[i] / 2 for i in (0, 1)]
    if name == "giou":
        middle = [centre[i] + offset[i] * sides[i] for i in (0, 1)]
        half = [sides[i] * math.exp(min(offset[i + 2], math.log(1000 / 16))) / 2 for i in (0, 1)]
        box = [middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]]
        hull = [
            min(box[0], lesion[0]),
            min(box[1], lesion[1]),
            max(box[2], lesion[2]),
            max(box[3], lesion[3]),
        ]
        overlap = iou(box, lesion)
        union = (area(box) + area(lesion)) / (1 + overlap)
        return 1 - overlap + (area(hull) - union) / area(hull)
    wanted = [((lesion[i] + lesion[i + 2]) / 2 - centre[i]) / sides[i] for i in (0, 1)]
    wanted += [math.log((lesion[i + 2] - lesion[i]) / sides[i]) for i in (0, 1)]
    errors = [abs(a - b) for a, b in zip(offset, wanted, strict=True)]
    if name == "l1":
        return sum(errors)
    beta = 1 / 9
    return sum(e * e / (2 * beta) if e < beta else e - beta / 2 for e in errors)
