"""A phantom data set on disk, seen again: its images by truth.json, its tables row by row."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.phantoms.cbis_ddsm import TABLES
from mammo_monai.phantoms.data_set import TRUTH
from mammo_monai.phantoms.inbreast import TABLE

_IMAGE_COLUMNS = ("image file path", "File Name")
_DELIMITERS = {TABLE: ";", **dict.fromkeys(TABLES.values(), ",")}


@dataclass(frozen=True)
class PhantomImage:
    """One full image.

    Attributes:
        root, layout: of its data set. name: path relative to the root, POSIX. masses: how many it shows.
    """

    root: Path
    layout: str
    name: str
    sop_instance_uid: str
    patient_id: str
    masses: int

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.root / self.name

    @property
    def number(self) -> str:
        """What its file name begins with; the table and the contours of one layout go by it."""
        return self.path.name.split("_")[0]


@dataclass(frozen=True)
class WrittenTable:
    """A table as lists of cells; `header` may be read, `rows` may be changed and saved."""

    path: Path
    header: list[str]
    rows: list[list[str]]

    def rows_of(self, image: PhantomImage) -> list[list[str]]:
        """The rows that name an image."""
        column = next(self.header.index(name) for name in _IMAGE_COLUMNS if name in self.header)
        return [row for row in self.rows if row[column] in (image.name, image.number)]

    def save(self, delimiter: str = "") -> None:
        """Writes the table, with CRLF and its layout's own delimiter if none is given."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter or _DELIMITERS[self.path.name], lineterminator="\r\n")
        writer.writerows([self.header, *self.rows])
        self.path.write_bytes(text.getvalue().encode("ascii"))


def images_of(root: Path) -> list[PhantomImage]:
    """The images of a phantom data set, in the order of truth.json.

    Raises:
        ManifestError: no phantoms there.
    """
    path = root / TRUTH
    if not path.is_file():
        raise ManifestError(f"{path}: no such file; expected the truth of a phantom data set.")
    truth = json.loads(path.read_text(encoding="utf-8"))
    return [
        PhantomImage(
            root=root,
            layout=truth["layout"],
            name=each["image"],
            sop_instance_uid=each["sop_instance_uid"],
            patient_id=each["patient_id"],
            masses=len(each["masses"]),
        )
        for each in truth["images"]
    ]


def tables_of(root: Path) -> list[WrittenTable]:
    """The tables of a phantom data set, as they stand."""
    found = []
    for name, delimiter in _DELIMITERS.items():
        if (root / name).is_file():
            text = (root / name).read_bytes().decode("ascii")
            header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            found.append(WrittenTable(root / name, header, rows))
    return found


def contours_of(image: PhantomImage) -> Path:
    """Where the contours of an image lie, in the layout that has them; a normal image has no such file."""
    return image.root / "AllXML" / f"{image.number}.xml"


def masks_of(image: PhantomImage) -> list[Path]:
    """The ROI masks of an image, in the layout that has them; crops have another name."""
    cells = [cell.strip() for table in tables_of(image.root) for row in table.rows_of(image) for cell in row]
    return sorted({image.root / cell for cell in cells if cell.endswith("000001.dcm")})
