"""Faults of image files: cut short, empty, exchanged, gone, mirrored, twice; and files that are no images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import RLELossless

from mammo_monai.phantoms.dicom_writer import write_image
from mammo_monai.phantoms.written_tree import PhantomImage, contours_of, tables_of

KEPT_SHARE = 0.6
"""Of the bytes of a file whose download broke off."""
# A copy's file number lies beyond those of all phantoms.
_COPY_NUMBERS = 50_000_000
# How macOS keeps what another file system has no room for, beside a file and under its name.
_APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(56)


def truncate(image: PhantomImage) -> str:
    """Cuts the file where a download could have broken off, far behind its header."""
    raw = image.path.read_bytes()
    image.path.write_bytes(raw[: int(KEPT_SHARE * len(raw))])
    return f"cut to {KEPT_SHARE:.0%} of its bytes"


def empty(image: PhantomImage) -> str:
    """Leaves a file of no bytes, as a full disk does."""
    image.path.write_bytes(b"")
    return "cut to no bytes"


def replace_by_text(image: PhantomImage) -> str:
    """Puts a server's error page where the image should be."""
    image.path.write_text("<html><body>401 Unauthorized</body></html>\n" * 20, encoding="ascii")
    return "replaced by a page of HTML"


def remove(image: PhantomImage) -> str:
    """Removes the file; its rows stay."""
    image.path.unlink()
    return "removed, its row stays"


def mirror(image: PhantomImage) -> str:
    """Turns left and right of the pixels; header and table stay."""
    _rewrite(image.path, image.path, flipped=True)
    return "pixels mirrored, header and table as they were"


def duplicate(image: PhantomImage) -> str:
    """A second copy, byte for byte, that the tables lead to as well."""
    shutil.copyfile(image.path, _second_place(image))
    return "there twice, with the same bytes"


def duplicate_with_other_pixels(image: PhantomImage) -> str:
    """A second file with the same SOPInstanceUID and other pixels, that the tables lead to as well."""
    _rewrite(image.path, _second_place(image), flipped=True)
    return "there twice, with the same SOPInstanceUID and other pixels"


def litter(root: Path) -> str:
    """Puts files in the tree that computers and people leave behind, some with the names of images."""
    (root / ".DS_Store").write_bytes(bytes(64))
    (root / "notes.txt").write_text("downloaded on a Monday\n", encoding="ascii")
    (root / "empty folder").mkdir()
    for path in [*root.rglob("*.dcm"), *root.rglob("*.xml"), *root.glob("*.csv")]:
        path.with_name(f"._{path.name}").write_bytes(_APPLE_DOUBLE)
    return "files of the operating system and notes in every folder"


def _second_place(image: PhantomImage) -> Path:
    """Where a copy is found too: by the same path further down, or by a file number with a row of its own."""
    if image.layout == "cbis-ddsm":
        path = image.root / "second download" / image.name
        path.parent.mkdir(parents=True)
        return path
    number = str(int(image.number) + _COPY_NUMBERS)
    (table,) = tables_of(image.root)
    (row,) = table.rows_of(image)
    table.rows.append([number if cell == image.number else cell for cell in row])
    table.save()
    contours = contours_of(image)
    if contours.is_file():
        shutil.copyfile(contours, contours.with_stem(number))
    return image.path.with_name(image.path.name.replace(image.number, number, 1))


def _rewrite(source: Path, target: Path, *, flipped: bool) -> None:
    dataset = dcmread(source)
    pixels: NDArray[np.uint16] = dataset.pixel_array
    if flipped:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    rle = dataset.file_meta.TransferSyntaxUID == RLELossless
    write_image(target, dataset, pixels, bits_stored=int(dataset.BitsStored), rle=rle)
