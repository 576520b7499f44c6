"""A comparison of two detectors as tables and CSV: differences, lesions by who found them, changed images."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from mammo_monai.files import write_text_atomic
from mammo_monai.metrics import AreaDifference, PairedDifference
from mammo_monai.reports.comparison.compared import Comparison, ImageChange
from mammo_monai.reports.gallery.items import view_text
from mammo_monai.reports.tables.table import UNDEFINED, Table
from mammo_monai.words import counted

NO_AREAS = (
    "nothing compares: one of the two marks no place, and without positive and negative images no ROC curve "
    "is defined"
)
CSV_COLUMNS = ("fppi", "first", "second", "difference", "low", "high", "p_value", "note")


def difference_table(comparison: Comparison) -> Table:
    """Sensitivity of both, the difference with its interval, and the p-value, mean sensitivity first."""
    rows = tuple(
        (
            "mean .25–4" if len(each.fppi) > 1 else f"{each.fppi[0]:g}",
            f"{each.first:.3f}",
            f"{each.second:.3f}",
            f"{signed(each.difference)} ({interval_text(each)})",
            p_text(each.p_value),
        )
        for each in comparison.differences
    )
    confidence = f"{100 * comparison.rule.confidence:g} %"
    return Table(
        f"Lesion sensitivity by false positives per image; difference = {comparison.second.name} − "
        f"{comparison.first.name}, with {confidence} interval",
        ("FPPI", comparison.first.name, comparison.second.name, f"difference ({confidence} CI)", "p"),
        rows,
        runs="columns",
    )


def area_table(comparison: Comparison) -> Table | None:
    """Differences in figures that need no operating point; None where there is none."""
    if not comparison.areas:
        return None
    methods = {"delong": "DeLong", "bootstrap": "resampled patients"}
    rows = tuple(
        (
            each.figure,
            f"{each.difference.first:.3f}",
            f"{each.difference.second:.3f}",
            f"{signed(each.difference.difference)} ({interval_text(each.difference)})",
            p_text(each.difference.p_value),
            methods.get(each.difference.method, each.difference.method),
        )
        for each in comparison.areas
    )
    names, confidence = _names(comparison), f"{100 * comparison.rule.confidence:g} % CI"
    jafroc = "JAFROC, the chance that a lesion outranks an image's highest false positive; "
    return Table(
        f"Over all operating points: {jafroc if comparison.has_boxes else ''}area under the ROC curve (AUC)",
        ("figure", *names, f"difference ({confidence})", "p", "by"),
        rows,
        notes=tuple(
            f"{each.figure}: {each.difference.note}." for each in comparison.areas if each.difference.note
        ),
    )


def lesion_table(comparison: Comparison) -> Table:
    """Lesions found by both, by one alone, by neither, at the shared operating point."""
    counts = comparison.counts
    first, second = comparison.first.name, comparison.second.name
    rows = (
        (f"found by {first}", str(counts.both), str(counts.only_first)),
        (f"missed by {first}", str(counts.only_second), str(counts.neither)),
    )
    return Table(
        f"Lesions at {comparison.fppi:g} FPPI", ("", f"found by {second}", f"missed by {second}"), rows
    )


def apart_table(comparison: Comparison) -> Table:
    """The lesions that one detector alone found, and with which score the other hit them, if it did."""
    names = (comparison.first.name, comparison.second.name)
    rows = tuple(
        (
            comparison.records[each.image].record_id,
            view_text(comparison.records[each.image]),
            str(each.lesion + 1),
            names[each.by_second],
            f"{each.score:.3f}",
            UNDEFINED if math.isnan(each.other_score) else f"{each.other_score:.3f}",
        )
        for each in comparison.apart
    )
    return Table(
        f"Lesions found by one alone at {comparison.fppi:g} FPPI, by the other too low or never",
        ("record", "view", "lesion", "found by", "score", "other's score"),
        rows,
    )


def change_table(comparison: Comparison, changes: Sequence[ImageChange]) -> Table:
    """The images that differ, by record id."""
    rows = tuple(
        (
            each.record.record_id,
            view_text(each.record),
            str(each.n_lesions),
            *(str(n) for n in each.n_found),
            *(str(n) for n in each.false_positives),
        )
        for each in changes
    )
    first, second = comparison.first.name, comparison.second.name
    return Table(
        f"{len(rows)} of {counted(len(comparison.records), 'image')} differ at {comparison.fppi:g} FPPI: "
        "lesions found, and false positives (FP), by each, best change first",
        ("record", "view", "lesions", f"found {first}", f"found {second}", f"FP {first}", f"FP {second}"),
        rows,
    )


def as_text(comparison: Comparison) -> str:
    """Differences, lesions by who found them, and those found by one alone, for a terminal."""
    areas = area_table(comparison)
    parts = [areas] if areas else []
    if comparison.has_boxes:
        parts = [difference_table(comparison), *parts, lesion_table(comparison)]
        parts += [apart_table(comparison)] if comparison.apart else []
    if not parts:
        return f"{NO_AREAS}."
    notes = dict.fromkeys(each.note for each in comparison.differences if each.note)
    return "\n\n".join(
        [
            *(f"{table.caption}\n{table.as_text()}" for table in parts),
            *(f"{UNDEFINED}: {note}." for note in notes),
        ]
    )


def write_csv(path: Path, comparison: Comparison) -> None:
    """Writes the differences with all digits: a row for the mean, each operating point and each area.

    The FPPIs of the mean are joined by spaces; an area's name stands in their place. What is undefined is
    `nan`, and `note` says why.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for each in comparison.differences:
        fppi = " ".join(f"{point:g}" for point in each.fppi)
        values = (each.first, each.second, each.difference, each.low, each.high, each.p_value)
        writer.writerow((fppi, *values, each.note))
    for named in comparison.areas:
        area = named.difference
        values = (area.first, area.second, area.difference, area.low, area.high, area.p_value)
        writer.writerow((named.figure, *values, area.note))
    write_text_atomic(Path(path), stream.getvalue())


def interval_text(each: PairedDifference | AreaDifference) -> str:
    """`−0.013 to +0.097`; a dash where there is no interval."""
    return UNDEFINED if math.isnan(each.low) else f"{signed(each.low)} to {signed(each.high)}"


def p_text(p_value: float) -> str:
    """Three digits, never 0, as no p-value of a permutation test is; a dash where there is none."""
    if math.isnan(p_value):
        return UNDEFINED
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def p_phrase(each: PairedDifference) -> str:
    """`p = 0.032`, `p < 0.001`, or that there is none."""
    if math.isnan(each.p_value):
        return "no p-value"
    text = p_text(each.p_value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def signed(value: float) -> str:
    """Three digits with their sign, none before 0.

    >>> signed(0.0421), signed(-0.2), signed(-0.0001)
    ('+0.042', '−0.200', '0.000')
    """
    text = f"{abs(value):.3f}"
    if not float(text):
        return text
    return f"+{text}" if value > 0 else f"−{text}"


def _names(comparison: Comparison) -> tuple[str, str]:
    return comparison.first.name, comparison.second.name
