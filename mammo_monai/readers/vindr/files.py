"""Where VinDr-Mammo's images lie: DICOM by image id, or the PNG and JPEG copies others have published."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.dicom.attributes import MammogramAttributes
from mammo_monai.readers.folders import folders_below
from mammo_monai.readers.image_header import (
    DICOM_SUFFIXES,
    read_dicom_header,
    read_image_header,
    refuse_special_file,
)
from mammo_monai.readers.whole_files import refuse_cut_short_dicom, refuse_cut_short_picture

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class ImageFiles:
    """The image files below a folder, found in one walk, each folder once.

    Attributes:
        by_stem: paths by the file's name without its suffix, in the order of the walk.
    """

    by_stem: Mapping[str, tuple[Path, ...]]

    def of(self, study_id: str, image_id: str) -> tuple[Path, ...]:
        """The files of an image, the best alone: DICOM before pictures, the study's folder before others."""
        found = self.by_stem.get(image_id, ())
        best = min((_rank(path, study_id) for path in found), default=None)
        return tuple(path for path in found if _rank(path, study_id) == best)


@dataclass(frozen=True)
class ImageLook:
    """What a file says of its image; `attributes` only of DICOM."""

    width: int
    height: int
    attributes: MammogramAttributes | None = None

    @property
    def sop_instance_uid(self) -> str:
        """ "" where the file has none."""
        return self.attributes.sop_instance_uid if self.attributes else ""

    @property
    def pixel_spacing_mm(self) -> tuple[float, float] | None:
        """`(row, column)`; None if unknown."""
        return self.attributes.pixel_spacing_mm if self.attributes else None


def find_image_files(root: Path) -> ImageFiles:
    """All files below `root` whose name ends like that of an image; nothing is opened."""
    found: dict[str, tuple[Path, ...]] = defaultdict(tuple)
    for folder, names in folders_below(root):
        for name in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122  # 20 000 times; Path objects take seconds
            if suffix.lower() in DICOM_SUFFIXES + PICTURE_SUFFIXES and not stem.startswith("."):
                found[stem] += (Path(folder, name),)
    return ImageFiles(dict(found))


def look_at(path: Path) -> ImageLook:
    """The header of a file that is whole; no pixel is decoded.

    Raises:
        DicomError, InvalidRecordError: no mammogram for presentation, no picture, or one that is cut short.
    """
    if is_picture(path):
        refuse_special_file(path)
        refuse_cut_short_picture(path)
        header = read_image_header(path)
        return ImageLook(header.width, header.height)
    attributes = read_dicom_header(path)
    refuse_cut_short_dicom(path)
    return ImageLook(attributes.columns, attributes.rows, attributes)


def is_picture(path: Path) -> bool:
    """Whether a file is a PNG or JPEG copy, by its name."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def _rank(path: Path, study_id: str) -> tuple[bool, bool]:
    return is_picture(path), path.parent.name != study_id
