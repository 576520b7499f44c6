"""What goes wrong between two machines, as one exception."""

from __future__ import annotations

from mammo_monai.errors import MammoError


class NetworkError(MammoError):
    """A DICOM node or DICOMweb server cannot be reached, or does not do what it was asked."""
