"""Masks as NIfTI, 2-D or a single slice: voxel (i, j) is column i, row j of the image.

MONAI and ITK write 2-D images so: the first axis of a NIfTI file is x. The affine is not needed for that,
and means little for pictures without a position; it decides only where it lays the voxels exactly onto the
image grid that ITK gives to images without orientation, as after a reorientation to RAS, which flips them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError, ImageDataError
from numpy.typing import NDArray

from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target, name_below
from mammo_monai.readers.annotations.mask_lesions import check_mask_size, lesions_of_mask
from mammo_monai.readers.annotations.png import image_names
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.records import Lesion
from mammo_monai.schema import Action

SUFFIXES = (".nii", ".nii.gz")
MAX_VALUE = 2**31
"""Labels are counted or coded; a colour or a measured number is none."""
# What dcm2niix writes into `descrip`, and programs after it keep.
_DCM2NIIX = re.compile(rb"(?:^|;)Time=\d")
# What nibabel and the decompressors below it raise on damaged files.
_DAMAGE = (
    EOFError,
    HeaderDataError,
    HeaderTypeError,
    ImageDataError,
    ImageFileError,
    KeyError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
    zlib.error,
)


def is_nifti(path: Path) -> bool:
    """Whether a file is NIfTI by its name."""
    return path.name.lower().endswith(SUFFIXES)


def read_nifti(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per file; the voxels are read when the image is."""
    return [
        AnnotatedImage(image_names(name_below(path, base)), str(path), partial(_lesions, path), is_part=True)
        for path in files
    ]


def _lesions(path: Path, target: Target) -> list[Lesion]:
    where = str(path)
    try:
        volume = nib.load(path)
        shape = _flat_shape(volume.shape, where)
        _refuse_unclear(volume.header, shape, where)
        size = _size_as_stored(shape, volume.affine, target)
        check_mask_size(size, target, where)
        values = np.asanyarray(volume.dataobj).reshape(shape)
    except InvalidRecordError:
        raise
    except _DAMAGE as error:
        found = "the mask is no readable NIfTI file"
        raise InvalidRecordError("mask-unreadable", where, found, f"{error}. Copy it again.") from error
    is_map = values.dtype.kind in "biuf" and bool(np.isfinite(values).all())
    if not (is_map and (values == np.rint(values)).all() and abs(values).max() <= MAX_VALUE):
        found = "the mask holds values that are no whole numbers"
        raise InvalidRecordError("mask-values", where, found, "Save it as a label map.")
    return lesions_of_mask(_as_rows(values.astype(np.int64), volume.affine, target), target, where)


def _flat_shape(shape: Sequence[int], where: str) -> tuple[int, int]:
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 2 or min(shape) < 1:
        found = f"expected a mask of one slice, got {' × '.join(map(str, shape))} voxels"
        raise InvalidRecordError("mask-not-flat", where, found, "Export each image's slice on its own.")
    return int(shape[0]), int(shape[1])


def _refuse_unclear(header: Any, shape: tuple[int, int], where: str) -> None:
    """Refuses a mask whose rows may run either way.

    dcm2niix (measured: 1.0.20260724) stores rows from the bottom up, and of mammograms, which have no
    orientation, it says so nowhere: both form codes are 0.
    """
    grids = {grid for form in _forms(header) if (grid := _grid(shape, form)) is not None}
    if len(grids) > 1:
        found = "sform and qform of the mask's header lay it onto the image in different ways"
        raise InvalidRecordError("orientation-unclear", where, found, "Save it as PNG, rows as on the film.")
    if _DCM2NIIX.search(bytes(header["descrip"])) and not any(rows_flipped for *_, rows_flipped in grids):
        found = "the mask is of an image of dcm2niix, which turns films upside down and does not say so"
        remedy = "Draw masks on the film itself, or save them as PNG, rows as on the film."
        raise InvalidRecordError("orientation-unclear", where, found, remedy)


def _forms(header: Any) -> list[Any]:
    """The affines that the header states, sform first."""
    forms = [header.get_sform(coded=True)[0]]
    with suppress(HeaderDataError, ValueError):  # a quaternion that is none says nothing
        forms.append(header.get_qform(coded=True)[0])
    return [form for form in forms if form is not None]


def _size_as_stored(shape: tuple[int, int], affine: Any, target: Target) -> tuple[int, int]:
    """Width and height of the mask; they are swapped where only swapped they fit."""
    return shape[::-1] if _is_swapped(shape, affine, target) else shape


def _is_swapped(shape: tuple[int, int], affine: Any, target: Target) -> bool:
    """Whether the first axis runs along rows: proven by a shape that fits no other way, or by the affine."""
    image = (target.header.width, target.header.height)
    if shape == image[::-1] and shape != image:
        return True
    grid = _grid(shape, affine)
    return grid is not None and grid[0]


def _grid(shape: tuple[int, int], affine: Any) -> tuple[bool, bool, bool] | None:
    """Swapped, columns flipped, rows flipped, where the affine lays the voxels onto the image's own grid.

    The image's own grid is ITK's for images without orientation: LPS = (column, row) · spacing, origin 0;
    NIfTI's affine speaks RAS, so x and y change their signs. None where the affine says another thing.
    """
    matrix = -np.asarray(affine, dtype=np.float64)[:2, [0, 1, 3]]
    is_swapped = bool(abs(matrix[0, 1]) > abs(matrix[0, 0]))
    axes = (1, 0) if is_swapped else (0, 1)
    flips = []
    for world, axis in enumerate(axes):
        step, across, origin = matrix[world, axis], matrix[world, 1 - axis], matrix[world, 2]
        reach = abs(step) * (shape[axis] - 1)
        if not np.isfinite([step, across, origin]).all() or abs(across) > 1e-4 * abs(step):
            return None
        if abs(origin - (0.0 if step > 0 else reach)) > 1e-3 * abs(step) * max(shape):
            return None
        flips.append(bool(step < 0))
    return is_swapped, flips[0], flips[1]


def _as_rows(values: NDArray[np.int64], affine: Any, target: Target) -> NDArray[np.int64]:
    """Voxels as the image's (row, column), brought to its own grid where that is proven."""
    shape = (values.shape[0], values.shape[1])
    grid = _grid(shape, affine)
    is_swapped = _is_swapped(shape, affine, target)
    rows = values if is_swapped else values.T
    done = ["rows and columns were swapped"] if is_swapped else []
    if grid is not None and grid[1]:
        rows, done = rows[:, ::-1], [*done, "columns ran backwards"]
    if grid is not None and grid[2]:
        rows, done = rows[::-1], [*done, "rows ran backwards"]
    if done:
        target.audit.note("mask-turned", target.record_id, f"in a mask {', '.join(done)}", Action.REPAIRED)
    return rows
