"""Operating points by trying every score as the threshold, and counting all images again for each."""

from __future__ import annotations

from tests.reference.froc_reference import Image, count


def shown_at(images: list[Image], threshold: float, doubles: bool) -> tuple[int, int]:
    """Hits and false positives of all images at a threshold."""
    hits = false_positives = 0
    for image in images:
        found, false, double = count(image, threshold, 0.2)
        hits += found
        false_positives += false + (double if doubles else 0)
    return hits, false_positives


def lowest_threshold(images: list[Image], fppi: float, doubles: bool) -> tuple[float, float | None] | None:
    """The lowest score that may be shown, and the next below it, None if there is none; None if none may."""
    scores = sorted({score for _, detections in images for _, score in detections}, reverse=True)
    allowed = [each for each in scores if shown_at(images, each, doubles)[1] / len(images) <= fppi]
    if not allowed:
        return None
    below = [each for each in scores if each < min(allowed)]
    return min(allowed), max(below, default=None)
