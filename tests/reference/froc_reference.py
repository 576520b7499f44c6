"""FROC and average precision written as slowly and as plainly as the rule reads: the truth for the tests.

Nothing here is shared with the package. An image is `(lesions, detections)`; a lesion is a box, a detection a
box and a score. Every threshold matches all images again from nothing.
"""

from __future__ import annotations

Box = tuple[float, float, float, float]
Image = tuple[list[Box], list[tuple[Box, float]]]


def iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


def count(image: Image, threshold: float, min_iou: float) -> tuple[int, int, int]:
    """Hits, false positives and double hits among the detections of at least `threshold`."""
    lesions, detections = image
    shown = [each for each in detections if each[1] >= threshold]
    shown.sort(key=lambda each: -each[1])  # Python's sort is stable: equal scores stay in file order
    taken: set[int] = set()
    hits = false_positives = doubles = 0
    for box, _ in shown:
        above = [n for n in range(len(lesions)) if iou(box, lesions[n]) > min_iou]
        free = [n for n in above if n not in taken]
        if free:
            best = free[0]
            for n in free:
                if iou(box, lesions[n]) > iou(box, lesions[best]):
                    best = n
            taken.add(best)
            hits += 1
        elif above:
            doubles += 1
        else:
            false_positives += 1
    return hits, false_positives, doubles


def counts_by_threshold(
    images: list[Image], min_iou: float, count_double_hits: bool
) -> list[tuple[int, int]]:
    """Hits and false positives at every distinct score, from the highest down."""
    rows = []
    for threshold in sorted({score for _, detections in images for _, score in detections}, reverse=True):
        hits = false_positives = 0
        for image in images:
            found, false, doubles = count(image, threshold, min_iou)
            hits += found
            false_positives += false + (doubles if count_double_hits else 0)
        rows.append((hits, false_positives))
    return rows


def froc(images: list[Image], min_iou: float, count_double_hits: bool) -> list[tuple[float, float | None]]:
    """FPPI and sensitivity from (0, 0) on; the sensitivity is None without any lesion."""
    n_lesions = sum(len(lesions) for lesions, _ in images)
    rows = [(0, 0), *counts_by_threshold(images, min_iou, count_double_hits)]
    return [(false / len(images), hits / n_lesions if n_lesions else None) for hits, false in rows]


def sensitivity_at(curve: list[tuple[float, float | None]], fppi: float) -> float | None:
    allowed = [sensitivity for measured, sensitivity in curve if measured <= fppi]
    return None if None in allowed else max(each for each in allowed if each is not None)


def average_precision(images: list[Image], min_iou: float) -> float | None:
    """Area under the highest precision at each sensitivity or beyond it; double hits are false."""
    n_lesions = sum(len(lesions) for lesions, _ in images)
    if not n_lesions:
        return None
    rows = counts_by_threshold(images, min_iou, count_double_hits=True)
    area = 0.0
    for wanted in range(1, n_lesions + 1):
        area += (
            max((hits / (hits + false) for hits, false in rows if hits >= wanted), default=0.0) / n_lesions
        )
    return area
