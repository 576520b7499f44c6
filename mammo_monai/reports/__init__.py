"""Shows scored runs to people: FROC plots, tables, overlays and one self-contained HTML page."""

from mammo_monai.reports.html import ReportOptions, write_report
from mammo_monai.reports.html_page import INTENDED_USE
from mammo_monai.reports.images import load_display_image
from mammo_monai.reports.overlays import Mark, draw_overlay
from mammo_monai.reports.plots import froc_svg, save_froc_plot
from mammo_monai.reports.runs import Run, SourceFile, read_run
from mammo_monai.reports.tables import Table, operating_point_table, run_table, summary_table

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
