"""Shows scored runs to people: FROC plots, tables, overlays and one self-contained HTML page."""

from mammo_monai.reports.page.report import ReportOptions, write_report
from mammo_monai.reports.page.shell import INTENDED_USE
from mammo_monai.reports.pictures.loading import load_display_image
from mammo_monai.reports.pictures.overlays import Mark, draw_overlay
from mammo_monai.reports.plots import froc_svg, save_froc_plot
from mammo_monai.reports.runs import Run, SourceFile, read_run
from mammo_monai.reports.tables.run_tables import operating_point_table, run_table, summary_table
from mammo_monai.reports.tables.table import Table

__all__ = [
    "INTENDED_USE",
    "Mark",
    "ReportOptions",
    "Run",
    "SourceFile",
    "Table",
    "draw_overlay",
    "froc_svg",
    "load_display_image",
    "operating_point_table",
    "read_run",
    "run_table",
    "save_froc_plot",
    "summary_table",
    "write_report",
]
