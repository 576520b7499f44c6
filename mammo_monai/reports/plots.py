"""Every plot by name: as an `<svg>` for a page, and as a file for print."""

from __future__ import annotations

from mammo_monai.reports.bands_plot import bands_svg, save_bands_plot
from mammo_monai.reports.froc_plot import fold_froc_svg, froc_svg, save_fold_froc_plot, save_froc_plot
from mammo_monai.reports.normals_plot import normals_svg, save_normals_plot
from mammo_monai.reports.overlap_plot import overlap_svg, save_overlap_plot
from mammo_monai.reports.plot_style import RUN_COLOURS, RUN_COLOURS_DARK, check_plot_path
from mammo_monai.reports.points_plot import save_points_plot
from mammo_monai.reports.reliability_plot import reliability_svg, save_reliability_plot
from mammo_monai.reports.roc_plot import roc_svg, save_roc_plot
from mammo_monai.reports.training_plot import save_training_plot, training_svg

__all__ = [
    "RUN_COLOURS",
    "RUN_COLOURS_DARK",
    "bands_svg",
    "check_plot_path",
    "fold_froc_svg",
    "froc_svg",
    "normals_svg",
    "overlap_svg",
    "reliability_svg",
    "roc_svg",
    "save_bands_plot",
    "save_fold_froc_plot",
    "save_froc_plot",
    "save_normals_plot",
    "save_overlap_plot",
    "save_points_plot",
    "save_reliability_plot",
    "save_roc_plot",
    "save_training_plot",
    "training_svg",
]
