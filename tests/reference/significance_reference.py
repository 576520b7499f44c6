"""Paired comparison of two detectors written as slowly and as plainly as it reads: the truth for the tests.

Nothing here is shared with the package. An image is `(lesions, detections)` as in `froc_reference`; the two
detectors' images stand in parallel lists, and `patient` names the patient of each.
"""

from __future__ import annotations

from tests.reference import froc_reference
from tests.reference.froc_reference import Image

Event = tuple[str, float]  # "hit" or "false", and a position on the score axis; higher is shown earlier


def events(image: Image, min_iou: float, count_double_hits: bool) -> list[Event]:
    """What each detection of an image turns out to be, with its score."""
    found = []
    before = (0, 0, 0)
    lesions, detections = image
    # Shown one by one in the order of matching; what a detection is, is what its coming adds to the counts.
    ordered = sorted(detections, key=lambda each: -each[1])
    for n in range(1, len(ordered) + 1):
        after = froc_reference.count((lesions, ordered[:n]), -1.0, min_iou)
        added = [now - then for now, then in zip(after, before, strict=True)]
        if added[0]:
            found.append(("hit", ordered[n - 1][1]))
        elif added[1] or (added[2] and count_double_hits):
            found.append(("false", ordered[n - 1][1]))
        before = after
    return found


def sensitivity(images: list[list[Event]], n_lesions: int, fppi: float) -> float:
    """Highest sensitivity over all thresholds that make at most `fppi` false positives per image."""
    best = 0
    for threshold in {position for image in images for _, position in image}:
        shown = [kind for image in images for kind, position in image if position >= threshold]
        if shown.count("false") / len(images) <= fppi:
            best = max(best, shown.count("hit"))
    return best / n_lesions


def on_false_positive_scale(images: list[list[Event]]) -> list[list[Event]]:
    """Scores replaced by how many false positives come with them, over all images; fewer is better."""
    false = [score for image in images for kind, score in image if kind == "false"]
    return [
        [(kind, -float(sum(other >= score for other in false))) for kind, score in image] for image in images
    ]


def drawn_difference(
    first: list[Image], second: list[Image], patient: list[int], drawn: list[int], fppi: float
) -> float | None:
    """Second minus first on the images of the patients drawn, a copy each time; None without a lesion."""
    values = []
    for images in (first, second):
        copies = [image for each in drawn for image, own in zip(images, patient, strict=True) if own == each]
        curve = froc_reference.froc(copies, 0.2, False)
        values.append(froc_reference.sensitivity_at(curve, fppi))
    return None if None in values else values[1] - values[0]


def swapped_difference(
    first: list[Image],
    second: list[Image],
    patient: list[int],
    swapped: set[int],
    fppi: list[float],
    count_double_hits: bool = False,
) -> list[float]:
    """Second minus first at each FPPI once the two are exchanged on the images of some patients."""
    n_lesions = sum(len(lesions) for lesions, _ in first)
    scaled = [
        on_false_positive_scale([events(image, 0.2, count_double_hits) for image in images])
        for images in (first, second)
    ]
    new_first = [b if own in swapped else a for a, b, own in zip(*scaled, patient, strict=True)]
    new_second = [a if own in swapped else b for a, b, own in zip(*scaled, patient, strict=True)]
    return [
        sensitivity(new_second, n_lesions, each) - sensitivity(new_first, n_lesions, each) for each in fppi
    ]


def p_value(measured: float, swapped: list[float]) -> float:
    """Share of the swaps at least as far from 0 as the measured difference, which counts as one of them."""
    as_large = [each for each in swapped if abs(each) >= abs(measured) - 1e-9]
    return (len(as_large) + 1) / (len(swapped) + 1)
