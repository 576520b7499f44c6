"""COCO's average precision written as slowly as its rule reads; nothing is shared with the package."""

from __future__ import annotations

from tests.reference.froc_reference import Image, iou


def hits_of(image: Image, min_iou: float) -> list[tuple[float, bool]]:
    """Score of each detection and whether it takes a lesion, highest score first, equals in file order."""
    lesions, detections = image
    taken: set[int] = set()
    rows = []
    for box, score in sorted(detections, key=lambda each: -each[1]):
        best, most = None, min(min_iou, 1 - 1e-10)
        for number, lesion in enumerate(lesions):
            if number not in taken and iou(box, lesion) >= most:  # the last of equals stays
                best, most = number, iou(box, lesion)
        if best is not None:
            taken.add(best)
        rows.append((score, best is not None))
    return rows


def average_precision(images: list[Image], min_iou: float) -> float | None:
    n_lesions = sum(len(lesions) for lesions, _ in images)
    if not n_lesions:
        return None
    rows = [row for image in images for row in hits_of(image, min_iou)]
    rows.sort(key=lambda row: -row[0])
    points = []
    hits = 0
    for marks, (_, is_hit) in enumerate(rows, 1):
        hits += is_hit
        points.append((hits / n_lesions, hits / marks))
    recalls = [n / 100 for n in range(101)]
    # A recall of 0.29 in COCO's list is a float away from 29 / 100: neither may decide.
    reached = [max((p for r, p in points if r >= least - 1e-12), default=0.0) for least in recalls]
    return sum(reached) / 101
