"""Sensitivity, and false positives per image, by subgroup of lesions and images."""

from __future__ import annotations

from collections.abc import Sequence

from mammo_monai.reports.runs import Run
from mammo_monai.reports.subgroups import SUBGROUP_FPPI, Subgroup, point_of, subgroups_of
from mammo_monai.reports.tables.run_tables import confidence_text, false_positives_text, sensitivity_text
from mammo_monai.reports.tables.table import UNDEFINED, Table

_SAME_SCORE = (
    "All groups are shown at one score: that at which all images together have so many false positives per "
    "image. Groups that differ in one thing may differ in others, too."
)


def subgroup_table(runs: Sequence[Run]) -> Table | None:
    """Sensitivity by view, side, density, pathology and more at `SUBGROUP_FPPI`; None where all are alike."""
    found = [
        each for each in subgroups_of(runs) if any(entry and entry["n_lesions"] for entry in each.entries)
    ]
    if not found:
        return None
    rows = tuple((f"{each.title}: {each.word}", *_sensitivities(each)) for each in found)
    interval = f"{confidence_text(runs)} interval, of n lesions"
    title = f"Lesion sensitivity at {SUBGROUP_FPPI:g} FPPI by subgroup, {interval}"
    return Table(title, ("subgroup", *(run.name for run in runs)), rows, runs="columns", notes=(_SAME_SCORE,))


def subgroup_false_positive_table(runs: Sequence[Run]) -> Table | None:
    """False positives per image of each kind of image at `SUBGROUP_FPPI`; None where there is one kind."""
    found = [
        each
        for each in subgroups_of(runs)
        if any(point_of(one, SUBGROUP_FPPI, "false_positives") for one in each.entries)
    ]
    if not found:
        return None
    rows = tuple((f"{each.title}: {each.word}", *_false_positives(each)) for each in found)
    title = (
        f"False positives per image at the score of {SUBGROUP_FPPI:g} FPPI by subgroup, "
        f"{confidence_text(runs)} interval, of n images"
    )
    return Table(title, ("subgroup", *(run.name for run in runs)), rows, runs="columns")


def _sensitivities(subgroup: Subgroup) -> tuple[str, ...]:
    return tuple(
        f"{sensitivity_text(point_of(each, SUBGROUP_FPPI))} of {each['n_lesions']}"
        if each and each["n_lesions"]
        else UNDEFINED
        for each in subgroup.entries
    )


def _false_positives(subgroup: Subgroup) -> tuple[str, ...]:
    cells = []
    for each in subgroup.entries:
        point = point_of(each, SUBGROUP_FPPI, "false_positives")
        cells.append(f"{false_positives_text(point)} of {each['n_images']}" if each and point else UNDEFINED)
    return tuple(cells)
