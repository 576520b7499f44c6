"""The image that annotations in fuzz targets are about, and reading them as `manifest folder` does."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.image_header import ImageHeader

WIDTH, HEIGHT = 60, 90
ReadFormat = Callable[[Sequence[Path], Path, Audit], list[AnnotatedImage]]


def reads_lesions(read: ReadFormat) -> Callable[[Path], object]:
    """A target's `read`: the annotations of a file, then the lesions of each image they name."""

    def lesions(path: Path) -> object:
        image = path.with_name("image.png")
        image.write_bytes(_picture())
        found: list[object] = []
        faults: list[InvalidRecordError] = []
        for each in read([path], path.parent, Audit()):
            try:
                found += each.lesions(_target(image))
            except InvalidRecordError as error:  # leaves one image out; the others go on
                faults.append(error)
        if faults:
            raise next((each for each in faults if path.name not in str(each)), faults[0])
        return found

    return lesions


def mask_pixels() -> np.ndarray:
    """A mask of one box, shape (90, 60)."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[20:45, 10:31] = 255
    return mask


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """A picture as the bytes of a file of this kind."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


@cache
def _picture() -> bytes:
    return encoded(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH).astype(np.uint8), "PNG")


def _target(image: Path) -> Target:
    return Target(image, ImageHeader(WIDTH, HEIGHT), "a" * 16, LesionTypes(), Audit())
