"""Which tables a report on runs holds: PDF and LaTeX set this list, the page sorts the same into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mammo_monai.reports.literature.published import CAVEAT, published_table
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.fold_tables import fold_table
from mammo_monai.reports.tables.image_tables import image_figure_table, marks_boxes
from mammo_monai.reports.tables.metric_tables import (
    average_precision_table,
    calibration_table,
    jafroc_table,
    level_table,
    precision_recall_table,
    roc_table,
)
from mammo_monai.reports.tables.paper_tables import paper_tables
from mammo_monai.reports.tables.run_tables import (
    area_band_table,
    normal_image_table,
    normal_points_table,
    operating_point_table,
    size_band_table,
    summary_table,
)
from mammo_monai.reports.tables.subgroup_tables import subgroup_false_positive_table, subgroup_table
from mammo_monai.reports.tables.table import Table


def measured_tables(runs: Sequence[Run]) -> list[Table]:
    """Our own figures: what was scored always, the rest where there is something."""
    found = (
        operating_point_table(runs) if any(map(marks_boxes, runs)) else None,
        summary_table(runs),
        fold_table(runs),
        level_table(runs),
        size_band_table(runs),
        area_band_table(runs),
        subgroup_table(runs),
        subgroup_false_positive_table(runs),
        precision_recall_table(runs),
        average_precision_table(runs),
        roc_table(runs),
        image_figure_table(runs),
        jafroc_table(runs),
        normal_image_table(runs),
        normal_points_table(runs),
        calibration_table(runs),
    )
    return [table for table in found if table]


def report_tables(runs: Sequence[Run], *, has_published: bool = False) -> list[Table]:
    """The papers' tables with our runs beside them, our own, and published figures if asked for."""
    published = [replace(published_table(), notes=(CAVEAT,))] if has_published else []
    return [*paper_tables(runs), *measured_tables(runs), *published]
