"""An in-house set made by hand: images with known boxes, read back through `read_folder`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import generate_uid

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.folder.reader import FolderOptions, read_folder
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Action
from tests.dicom_factory import write_mammogram

SIZE = (60, 90)
"""Width, height: never square."""
BOXES = ((10, 20, 31, 45), (40, 60, 52, 88))
Corners = tuple[float, float, float, float]


@dataclass
class InHouse:
    """Images below `root`; `read` fills `audit`."""

    root: Path
    audit: Audit = field(default_factory=Audit)
    count: int = 0

    def png(self, name: str, size: tuple[int, int] = SIZE) -> Path:
        """A picture unlike any other."""
        path = self._path(name)
        self.count += 1
        grey = np.random.default_rng(self.count).integers(0, 255, (size[1], size[0]), dtype=np.uint8)
        Image.fromarray(grey).save(path)
        return path

    def dicom(self, name: str, size: tuple[int, int] = SIZE, **tags: Any) -> Path:
        """A mammogram FOR PRESENTATION with a UID of its own."""
        path = self._path(name)
        self.count += 1
        options = {key: tags.pop(key) for key in ("sop_class",) if key in tags}
        uid = tags.pop("SOPInstanceUID", None) or generate_uid(entropy_srcs=[str(self.root), name])
        pixels = np.arange(size[0] * size[1], dtype=np.uint16).reshape(size[1], size[0]) % 4000
        tags = {"SOPInstanceUID": uid, "PatientID": f"patient-{self.count}", **tags}
        write_mammogram(path, pixels, tags=tags, **options)
        return path

    def text(self, name: str, text: str | bytes) -> Path:
        """A file of annotations."""
        path = self._path(name)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def data_set(self, *, workers: int = 1, strict: bool = False, **options: Any) -> DataSet:
        """The set as read; findings are in `audit`, new for each reading."""
        self.audit = Audit(strict=strict)
        data_set = read_folder(self.root, Reading("s", self.audit, workers), FolderOptions(**options))
        self.audit.finish()
        return data_set

    def read(self, **options: Any) -> dict[str, ImageRecord]:
        """The records by relative path."""
        root = self.root.absolute()
        records = self.data_set(**options).records
        return {record.image.relative_to(root).as_posix(): record for record in records}

    def lesions(self, name: str, **options: Any) -> tuple[Lesion, ...]:
        return self.read(**options)[name].lesions

    def codes(self, action: Action | None = None) -> list[str]:
        """The codes of the findings, with this action."""
        return sorted(each.code for each in self.audit.findings if action in (None, each.action))

    def quarantined(self) -> list[str]:
        return self.codes(Action.QUARANTINED)

    def _path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def boxes_of(lesions: tuple[Lesion, ...]) -> list[Corners]:
    return [lesion.box for lesion in lesions]


def drawn(boxes: Any = BOXES, size: tuple[int, int] = SIZE, values: Any = None) -> NDArray[np.uint8]:
    """A mask, shape (H, W), of half-open boxes, each with its value (255 if none are given)."""
    mask = np.zeros((size[1], size[0]), dtype=np.uint8)
    for number, (x_min, y_min, x_max, y_max) in enumerate(boxes):
        mask[int(y_min) : int(y_max), int(x_min) : int(x_max)] = values[number] if values else 255
    return mask
