"""Applications of other platforms around a bundle: MONAI Label and MONAI Deploy."""

from mammo_monai.apps.folders import APPS, app_folder, copy_app

__all__ = ["APPS", "app_folder", "copy_app"]
