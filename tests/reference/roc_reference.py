"""ROC areas, DeLong's variance and JAFROC by comparing every pair, as the papers write them.

Nothing here is shared with the package.
"""

from __future__ import annotations

from tests.reference import froc_reference
from tests.reference.froc_reference import Image

NOTHING = float("-inf")


def wins(positive: float, negative: float) -> float:
    """Psi of Mann & Whitney's statistic."""
    if positive > negative:
        return 1.0
    return 0.5 if positive == negative else 0.0


def area(positives: list[float], negatives: list[float], weights: list[float] | None = None) -> float | None:
    weights = weights or [1.0] * len(positives)
    if not positives or not negatives:
        return None
    total = 0.0
    for rating, weight in zip(positives, weights, strict=True):
        for other in negatives:
            total += weight * wins(rating, other)
    return total / sum(weights) / len(negatives)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def covariance(first: list[float], second: list[float]) -> float:
    middle = mean(first), mean(second)
    products = [(a - middle[0]) * (b - middle[1]) for a, b in zip(first, second, strict=True)]
    return sum(products) / (len(products) - 1)


def delong_covariance(
    first: tuple[list[float], list[float]], second: tuple[list[float], list[float]]
) -> float:
    """Covariance of two areas of the same cases: S10 / m + S01 / n of DeLong et al., eq. 4 to 6."""
    placements = []
    for positives, negatives in (first, second):
        of_positives = [mean([wins(each, other) for other in negatives]) for each in positives]
        of_negatives = [mean([wins(other, each) for other in positives]) for each in negatives]
        placements.append((of_positives, of_negatives))
    (a10, a01), (b10, b01) = placements
    return covariance(a10, b10) / len(a10) + covariance(a01, b01) / len(a01)


def sensitivity_at(positives: list[float], negatives: list[float], specificity: float) -> float | None:
    """The best sensitivity over all thresholds that leave enough negatives below them."""
    if not positives or not negatives:
        return None
    best = 0.0
    for threshold in [*positives, *negatives]:
        if sum(each < threshold for each in negatives) / len(negatives) >= specificity:
            best = max(best, sum(each >= threshold for each in positives) / len(positives))
    return best


def ratings(image: Image, count_double_hits: bool) -> tuple[list[float], float]:
    """Rating of each found lesion and of each missed one, -infinity, and the image's highest false positive.

    The matching is read off the counts at each threshold: what enters between two neighbours is what the
    lower one adds.
    """
    lesions, detections = image
    found: list[float] = []
    highest = NOTHING
    before = (0, 0)
    for threshold in sorted({score for _, score in detections}, reverse=True):
        hits, false, doubles = froc_reference.count(image, threshold, 0.2)
        false += doubles if count_double_hits else 0
        found += [threshold] * (hits - before[0])
        if false > before[1]:
            highest = max(highest, threshold)
        before = (hits, false)
    return found + [NOTHING] * (len(lesions) - len(found)), highest


def jafroc(
    images: list[Image], variant: str, weighting: str = "lesion", count_double_hits: bool = False
) -> float | None:
    """The figure of merit by a loop over lesions and a loop over images; None where it is undefined."""
    rated = [ratings(image, count_double_hits) for image in images]
    lesions = [each for of_image, _ in rated for each in of_image]
    weights = [1 / len(of_image) if weighting == "image" else 1.0 for of_image, _ in rated for _ in of_image]
    compared = [highest for of_image, highest in rated if variant == "JAFROC1" or not of_image]
    return area(lesions, compared, weights)
