"""What a bundle would run, told before it is run: expressions, targets, imports, downloads, files of code."""

from mammo_monai.bundle.inspection.code import Category, Code, Verdict
from mammo_monai.bundle.inspection.listing import Inspection, inspect_bundle, inspect_files, inspect_values

__all__ = ["Category", "Code", "Inspection", "Verdict", "inspect_bundle", "inspect_files", "inspect_values"]
