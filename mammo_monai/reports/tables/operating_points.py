"""Operating points as a table and a sentence: what each shows, and the images it was chosen on."""

from __future__ import annotations

from mammo_monai.metrics import rule_phrase
from mammo_monai.reports.tables.table import Table
from mammo_monai.schema import OperatingPoint, OperatingPoints
from mammo_monai.words import counted


def points_table(points: OperatingPoints) -> Table:
    """One row per operating point: false positives per image, threshold, sensitivity and its interval."""
    rows = tuple(
        (
            fppi_text(each),
            f"{each.threshold:.4f}",
            f"{each.sensitivity:.2f}",
            f"{each.low:.2f}–{each.high:.2f}",
        )
        for each in points.points
    )
    header = ("FPPI", "score at least", "sensitivity", f"{100 * points.rule.get('confidence', 0.95):g} % CI")
    return Table("Operating points", header, rows)


def fppi_text(point: OperatingPoint) -> str:
    """The number aimed at; what was reached where the detections end before it."""
    reached = "" if point.fppi_reached is None else f" (reached {point.fppi_reached:.2g})"
    return f"{point.fppi:g}{reached}"


def points_headline(points: OperatingPoints) -> str:
    """What the points were chosen on, by which rule, and how well probabilities hold."""
    chosen = (
        f"chosen on {counted(points.n_images, 'image')}, {counted(points.n_lesions, 'lesion')}, "
        f"{counted(points.n_patients, 'patient')}; {rule_phrase(points.rule)}"
    )
    found = points.calibration
    if found is None:
        return f"{chosen}; not calibrated"
    return (
        f"{chosen}; calibration ({found.method}): Brier score {found.brier:.3f}, expected error "
        f"{found.expected_error:.3f} on patients left out"
    )
