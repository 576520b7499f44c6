"""mammo-monai: marks masses in mammograms. It marks, it never diagnoses."""

__version__ = "0.1.0"
