"""What `monailabel start_server --app` looks for: a class of MONAI Label's own base in main.py."""

from mammo_monai.apps.monai_label.application import MammographyApp

__all__ = ["MammographyApp"]
