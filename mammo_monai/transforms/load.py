"""Reads a mammogram into a sample: DICOM through `dicom.pixels`, PNG, JPG, TIFF and BMP through Pillow.

Grey values come on the grid of 16 bits, k / 65535, whatever the file's own depth: what is kept as a 16-bit
copy is then what was loaded, bit for bit. A 14-bit detector's steps are four of the grid's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.dicom.pixels import StoredMammogram, read_stored
from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.errors import ManifestError
from mammo_monai.geometry import ImageFrame, xyxy_to_rowcol
from mammo_monai.transforms.sample import MAX_16_BIT, Sample, as_float

DICOM_SUFFIXES = (".dcm", ".dicom")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
IMAGE_SUFFIXES = DICOM_SUFFIXES + PICTURE_SUFFIXES


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """Grey values, 65535 for 1.0, shape (H, W), and what the file itself says; None where it does not."""

    pixels: NDArray[np.uint16]
    laterality: str | None = None
    view_position: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None


class LoadMammogramd(MapTransform):  # type: ignore[misc]  # monai carries no types
    """Replaces the path under `image` by the pixels, a plain float32 tensor (1, H, W) in [0, 1].

    Values are divided by the range the file promises, never by its content's own maximum: DICOM by the output
    range of its last look-up table, pictures by 255 or 65535. `box` becomes float32 in MONAI axis order,
    `label` int64, `frame` an `ImageFrame` without steps. Where the sample has no `laterality`,
    `view_position` or `pixel_spacing_mm`, the DICOM attributes fill them. An orientation tag of a JPG is
    ignored.

    Raises:
        ManifestError: no such file, no picture, values without a known range, or another size than the
            sample's `width` and `height`: boxes would lie in the wrong place.
        DicomError: a DICOM object that is no mammogram for presentation.
    """

    def __init__(self) -> None:
        super().__init__(keys=("image", "box", "label"))

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The loaded sample."""
        if data.get("prepared") is not None:
            raise ManifestError(
                f"{data['image']} (record {data.get('record_id')}): a prepared image, already cropped and "
                "resized, cannot be loaded as an original. Use the presets of mammo_monai.transforms, or the "
                "manifest it was prepared from."
            )
        sample = loaded_sample(data, load_image(Path(data["image"])))
        return {**sample, "image": as_float(sample["image"])}


def loaded_sample(data: Mapping[str, Any], loaded: LoadedImage) -> Sample:
    """The sample with an image read from its file, still uint16, and all else as `LoadMammogramd` says."""
    height, width = loaded.pixels.shape
    _check_size(Path(data["image"]), data, width, height)
    sample = {**with_attributes(data, loaded), **targets_of(data)}
    image = torch.from_numpy(np.ascontiguousarray(loaded.pixels))[None]
    return {**sample, "image": image, "frame": ImageFrame(width, height)}


def with_attributes(data: Mapping[str, Any], found: object) -> Sample:
    """The sample with the laterality, view and spacing of `found` (any object) where it has none itself."""
    names = ("laterality", "view_position", "pixel_spacing_mm")
    return {**data, **{name: getattr(found, name) for name in names if data.get(name) is None}}


def targets_of(data: Mapping[str, Any]) -> Sample:
    """`box` and `label` as tensors, MONAI axis order, from those of `load_samples`; empty where none are."""
    box = np.asarray(data.get("box", ()), dtype=np.float32).reshape(-1, 4)
    label = np.asarray(data.get("label", np.zeros(len(box))), dtype=np.int64)
    return {"box": torch.from_numpy(xyxy_to_rowcol(box).copy()), "label": torch.from_numpy(label.copy())}


def load_image(path: Path) -> LoadedImage:
    """The image in a file; see `LoadMammogramd`.

    Raises:
        ManifestError, DicomError: as there.
    """
    if not path.is_file():
        if path.exists():
            raise ManifestError(
                f"{path}: expected an image file, found a folder, pipe or device. Leave it out."
            )
        raise ManifestError(f"{path}: no such image file. Was the data set moved without its manifest?")
    if path.suffix.lower() in PICTURE_SUFFIXES and not is_dicom(path):
        return LoadedImage(_read_picture(path))
    mammogram = read_stored(path)
    attributes = mammogram.attributes
    return LoadedImage(
        _sixteen_bit(mammogram),
        laterality=attributes.laterality.value if attributes.laterality else None,
        view_position=attributes.view_position.value if attributes.view_position else None,
        pixel_spacing_mm=attributes.pixel_spacing_mm,
    )


def _sixteen_bit(stored: StoredMammogram) -> NDArray[np.uint16]:
    """Grey values on the grid of 16 bits, rounded half up, from the table alone; most films need none."""
    low, high = stored.output_range
    grey = np.floor((stored.values - low) * (MAX_16_BIT / (high - low)) + 0.5)
    table = np.clip(grey, 0, MAX_16_BIT).astype(np.uint16)
    if np.array_equal(table, np.arange(1 << 16)):
        return stored.patterns
    return np.asarray(table[stored.patterns])


def _read_picture(path: Path) -> NDArray[np.uint16]:
    try:
        with Image.open(path) as picture:
            picture.load()
            mode = picture.mode
            if mode.startswith("I"):
                return _from_16_bit(path, np.asarray(picture))
            if mode == "F":
                raise ManifestError(
                    f"{path}: floating-point values have no known range; expected 8 or 16 bit grey. "
                    "Save it as 16-bit PNG."
                )
            # Grey saved as colour has equal channels, which the luma weights leave as they are.
            grey = np.asarray(picture if mode == "L" else picture.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ManifestError(f"{path}: cannot be read as an image: {error}. Copy it again.") from error
    return grey.astype(np.uint16) * np.uint16(257)  # 255 becomes 65535, exactly


def _from_16_bit(path: Path, values: NDArray[Any]) -> NDArray[np.uint16]:
    # Pillow gives 16-bit files as mode I;16, or as 32-bit I in older versions.
    if values.min() < 0 or values.max() > MAX_16_BIT:
        raise ManifestError(
            f"{path}: values from {values.min()} to {values.max()} do not fit 16 bit; expected 0 to 65535."
        )
    return values.astype(np.uint16)


def _check_size(path: Path, data: Mapping[str, Any], width: int, height: int) -> None:
    expected = data.get("width"), data.get("height")
    if None not in expected and expected != (width, height):
        raise ManifestError(
            f"{path} (record {data.get('record_id')}): the manifest says {expected[0]} × {expected[1]} px "
            f"(width × height), the file has {width} × {height}. The file was exchanged or resized: make the "
            "manifest again from the files in use."
        )
