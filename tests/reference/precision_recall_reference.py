"""Precision, recall and F1 counted image by image from their definitions; None where undefined."""

from __future__ import annotations

from tests.reference.froc_reference import Image, count


def counts_at(images: list[Image], least: float, doubles: bool, min_iou: float = 0.2) -> tuple[int, int, int]:
    """Lesions found, false positives, lesions missed among detections of at least a score."""
    found = wrong = 0
    for image in images:
        hits, false, double = count(image, least, min_iou)
        found += hits
        wrong += false + (double if doubles else 0)
    return found, wrong, sum(len(lesions) for lesions, _ in images) - found


def figures(found: int, wrong: int, missed: int) -> tuple[float | None, float | None, float | None]:
    precision = found / (found + wrong) if found + wrong else None
    recall = found / (found + missed) if found + missed else None
    if precision is None or recall is None:
        return precision, recall, None
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def best_f1(images: list[Image], doubles: bool) -> tuple[float, float] | None:
    """The highest F1 over all scores and the highest score that reaches it."""
    best = None
    for score in sorted({score for _, marks in images for _, score in marks}, reverse=True):
        f1 = figures(*counts_at(images, score, doubles))[2]
        if f1 is not None and (best is None or f1 > best[0] + 1e-12):
            best = f1, score
    return best
