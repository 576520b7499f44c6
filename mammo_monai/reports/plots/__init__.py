"""Every plot by name: as an `<svg>` for a page, and as a file for print."""

from __future__ import annotations

from mammo_monai.reports.plots.bands import bands_svg, save_bands_plot
from mammo_monai.reports.plots.froc import fold_froc_svg, froc_svg, save_fold_froc_plot, save_froc_plot
from mammo_monai.reports.plots.normals import normals_svg, save_normals_plot
from mammo_monai.reports.plots.operating_points import save_points_plot
from mammo_monai.reports.plots.overlap import overlap_svg, save_overlap_plot
from mammo_monai.reports.plots.patients import patients_svg, save_patients_plot
from mammo_monai.reports.plots.reliability import reliability_svg, save_reliability_plot
from mammo_monai.reports.plots.roc import roc_svg, save_roc_plot
from mammo_monai.reports.plots.style import RUN_COLOURS, RUN_COLOURS_DARK, check_plot_path
from mammo_monai.reports.plots.subgroups import save_subgroups_plot, subgroups_svg
from mammo_monai.reports.plots.training import save_training_plot, training_svg

__all__ = [
    "RUN_COLOURS",
    "RUN_COLOURS_DARK",
    "bands_svg",
    "check_plot_path",
    "fold_froc_svg",
    "froc_svg",
    "normals_svg",
    "overlap_svg",
    "patients_svg",
    "reliability_svg",
    "roc_svg",
    "save_bands_plot",
    "save_fold_froc_plot",
    "save_froc_plot",
    "save_normals_plot",
    "save_overlap_plot",
    "save_patients_plot",
    "save_points_plot",
    "save_reliability_plot",
    "save_roc_plot",
    "save_subgroups_plot",
    "save_training_plot",
    "subgroups_svg",
    "training_svg",
]
