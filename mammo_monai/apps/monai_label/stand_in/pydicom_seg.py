"""Stands in for pydicom-seg 0.4.1, so that MONAI Label 0.8.5 starts beside pydicom 3.

pydicom-seg imports a module that pydicom 3 dropped (`pydicom._storage_sopclass_uids`), and there is no newer
release. MONAI Label imports it at its start, yet uses it to convert DICOM segmentations alone; this
application saves boxes. Whoever converts segmentations all the same reads why that fails.
"""

from __future__ import annotations

from typing import NoReturn


def __getattr__(name: str) -> NoReturn:
    """Any attribute but the module's own: a conversion of DICOM segmentations was asked for.

    Raises:
        AttributeError: always; import machinery asks for names such as `__path__` and expects it.
    """
    raise AttributeError(
        f"pydicom_seg.{name}: expected pydicom-seg, got its stand-in, because pydicom-seg cannot be imported "
        "beside pydicom 3. MONAI Label cannot convert DICOM segmentations here; save boxes as JSON."
    )
