from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

from mammo_monai.phantoms.dicom_writer import image_dataset, write_image
from mammo_monai.phantoms.streams import uid_of


def written(path: Path, pixels: np.ndarray, *, rle: bool) -> pydicom.Dataset:
    uids = [uid_of("test", kind) for kind in ("instance", "study", "series")]
    dataset = image_dataset(SecondaryCaptureImageStorage, *uids)
    write_image(path, dataset, pixels, bits_stored=8 * pixels.dtype.itemsize, rle=rle)
    return pydicom.dcmread(path)


@pytest.mark.parametrize("rle", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pydicom_reads_back_the_pixels(tmp_path: Path, dtype: type, rle: bool) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, np.iinfo(dtype).max, (37, 301)).astype(dtype)
    pixels[5:20, 10:290] = 7
    dataset = written(tmp_path / "a.dcm", pixels, rle=rle)
    assert dataset.file_meta.TransferSyntaxUID == (RLELossless if rle else ExplicitVRLittleEndian)
    np.testing.assert_array_equal(dataset.pixel_array, pixels)


def test_uids_depend_on_names_and_are_valid() -> None:
    assert uid_of("a", 1) == uid_of("a", 1) != uid_of("a", 2)
    assert uid_of("a", 1).is_valid
