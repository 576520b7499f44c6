"""Classes of images, units and figures at a threshold, image by image, as the papers tell them.

Nothing here is shared with the package.
"""

from __future__ import annotations

Image = tuple[str, str, float, bool]  # patient, breast, score, positive


def units(images: list[Image], level: str) -> list[tuple[str, float, bool]]:
    """Patient, mean score and truth of each unit: views averaged per breast, breasts per patient."""
    if level == "image":
        return [(patient, score, truth) for patient, _, score, truth in images]
    found = []
    for patient, side in sorted({(patient, side) for patient, side, _, _ in images}):
        own = [(score, truth) for name, breast, score, truth in images if (name, breast) == (patient, side)]
        found.append((patient, sum(score for score, _ in own) / len(own), any(truth for _, truth in own)))
    if level == "breast":
        return found
    return [
        (
            patient,
            sum(score for name, score, _ in found if name == patient)
            / sum(1 for name, _, _ in found if name == patient),
            any(truth for name, _, truth in found if name == patient),
        )
        for patient in sorted({name for name, _, _ in found})
    ]


def figures(scored: list[tuple[float, bool]], threshold: float) -> dict[str, float | None]:
    """Accuracy, sensitivity, specificity, precision and F1 of scores called positive from a threshold on."""
    counts = {(called, truth): 0 for called in (True, False) for truth in (True, False)}
    for score, truth in scored:
        counts[(score >= threshold, truth)] += 1
    tp, fp = counts[(True, True)], counts[(True, False)]
    fn, tn = counts[(False, True)], counts[(False, False)]
    precision = tp / (tp + fp) if tp + fp else None
    recall = tp / (tp + fn) if tp + fn else None
    f1 = None
    if precision is not None and recall is not None:
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {
        "accuracy": (tp + tn) / len(scored) if scored else None,
        "sensitivity": recall,
        "specificity": tn / (tn + fp) if tn + fp else None,
        "precision": precision,
        "f1": f1,
    }


def best_youden(scored: list[tuple[float, bool]]) -> tuple[float, float]:
    """The highest of the thresholds with the highest sensitivity + specificity − 1, and that."""
    best = (0.0, float("inf"))
    for threshold in sorted({score for score, _ in scored}, reverse=True):
        found = figures(scored, threshold)
        gain = (found["sensitivity"] or 0.0) + (found["specificity"] or 0.0) - 1
        if gain > best[0] + 1e-12:
            best = (gain, threshold)
    return best[1], best[0]


def is_malignant(pathologies: list[tuple[str | None, int | None]], birads: int | None) -> bool | None:
    """An image by its lesions' (pathology, BI-RADS) and its own BI-RADS."""
    if any(pathology == "MALIGNANT" for pathology, _ in pathologies):
        return True
    if pathologies and all(pathology is not None for pathology, _ in pathologies):
        return False
    grades = [grade for pathology, grade in pathologies if pathology is None and grade is not None]
    grades += [birads] if birads is not None else []
    if not grades or max(grades) in (0, 3):
        return None
    return max(grades) >= 4
