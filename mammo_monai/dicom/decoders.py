"""Choosing who decodes stored pixels: by measured speed, and never at the price of a crash.

Measured by `scripts/bench/bench_decode.py`: for RLE the Rust decoder of pylibjpeg-rle takes a third of the
time of pydicom's own Python loop, with the same bits. dicomsdl is faster still but is not used: its RLE
decoder writes past its buffer on damaged files ("double free or corruption", within 3000 random changes of
a 4 kB file) and takes the whole process with it, which no exception handler can undo. gdcm does that too: it
is never asked in this process, but in one of its own (`gdcm_apart`), for lossless and 12-bit JPEG.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from mammo_monai.dicom import gdcm_apart
from mammo_monai.dicom.codestreams import check_codestream
from mammo_monai.dicom.reading import damage_refused, first_text, refuse_too_many_pixels
from mammo_monai.dicom.unquoted import AttributeValueError, without_values
from mammo_monai.errors import DicomError

logger = logging.getLogger(__name__)

# Fastest first; pydicom's other plugins follow in its own order.
PREFERRED_PLUGINS = ("pylibjpeg", "pyjpegls", gdcm_apart.LABEL)
_ENDS_THE_PROCESS = "gdcm"
gdcm_apart.offer()

_OPENJPEG = "pylibjpeg pylibjpeg-openjpeg"
# pylibjpeg-libjpeg would read the JPEG family too, but its licence (GPL-3) would bind those who ship us.
_PACKAGES: dict[UID, str] = {
    JPEG2000: _OPENJPEG,
    JPEG2000Lossless: _OPENJPEG,
    HTJ2K: _OPENJPEG,
    HTJ2KLossless: _OPENJPEG,
    HTJ2KLosslessRPCL: _OPENJPEG,
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEGLossless: "python-gdcm",
    JPEGLosslessSV1: "python-gdcm",
}


def decode_stored_values(path: Path, dataset: Dataset) -> NDArray[np.integer]:
    """Stored values of the one frame, shape (H, W), 8 or 16 bits, before any LUT; unused bits as in the file.

    Tries the fastest installed decoder first and falls back to pydicom's others when it fails.

    Raises:
        DicomError: no pixel data, an unknown transfer syntax, no decoder installed for it, or damaged pixels.
    """
    refuse_too_many_pixels(path, dataset)
    with damage_refused(path):
        _refuse_no_pixels(path, dataset)
        decoder = _decoder_of(path, dataset)
        plugins = _plugins_for(path, dataset, decoder)
        _check_frame(dataset, decoder.UID, 0)
    failures = []
    for plugin in plugins:
        try:
            return _decode(decoder, dataset, plugin)
        # A panic of a Rust decoder derives from BaseException alone; it is a decoding error like the others.
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            failures.append(f"{plugin or 'native'}: {without_values(error)}")
            logger.debug("%s could not decode: %s", plugin or "native", failures[-1])
    raise DicomError(
        f"{path}: expected {dataset.Rows} × {dataset.Columns} pixels in {decoder.UID.name}, got data that "
        f"cannot be decoded ({'; '.join(failures)}). The file is damaged or cut short: copy it again."
    )


def plugin_for_frame(path: Path, dataset: Dataset, index: int) -> str:
    """The name of the decoder for one frame of several, for `pixel_array`; "" where nothing is compressed.

    Raises:
        DicomError: no pixel data, no decoder, or a frame that claims another size than the data set.
    """
    with damage_refused(path):
        _refuse_no_pixels(path, dataset)
        decoder = _decoder_of(path, dataset)
        _check_frame(dataset, decoder.UID, index)
        return _plugins_for(path, dataset, decoder)[0]


def plugin_for_all(path: Path, dataset: Dataset, *, n_frames: int | None = None) -> str:
    """The name of the decoder for an image, grey or colour, for `decompress` and `pixel_array`.

    Args:
        n_frames: as many from the first on are looked at; None takes all.

    Raises:
        DicomError: no pixel data, or no decoder.
        Exception: a damaged frame, see `damage_refused`.
    """
    _refuse_no_pixels(path, dataset)
    decoder = _decoder_of(path, dataset)
    samples = int(first_text(dataset, "SamplesPerPixel") or 1)
    for index in range(n_frames or int(first_text(dataset, "NumberOfFrames") or 1)):
        _check_frame(dataset, decoder.UID, index, samples=samples)
    return _plugins_for(path, dataset, decoder)[0]


def _check_frame(dataset: Dataset, syntax: UID, index: int, *, samples: int = 1) -> None:
    """Looks at the frame that a decoder will be given, by either of the tables that may say where it is."""
    if not syntax.is_encapsulated or syntax == RLELossless:
        return
    tables: list[tuple[bytes, bytes] | None] = [None]
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        tables.append((dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths))
    for table in tables:
        frame = get_frame(
            dataset.PixelData,
            index,
            extended_offsets=table,
            number_of_frames=int(first_text(dataset, "NumberOfFrames") or 1),
        )
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        check_codestream(frame, syntax, rows=rows, columns=columns, components=samples)


def _refuse_no_pixels(path: Path, dataset: Dataset) -> None:
    if "PixelData" not in dataset or not dataset.get_item("PixelData").value:
        raise DicomError(
            f"{path}: expected Pixel Data (7FE0,0010), got none. Use a file with integer pixels, "
            "not a header, a report or a floating-point image; if the file is cut short, copy it again."
        )


def _plugins_for(path: Path, dataset: Dataset, decoder: Decoder) -> tuple[str, ...]:
    """As `_plugins_of`; of JPEG Extended at more than 8 bits GDCM alone, at 8 bits the others.

    Pillow reads its 8-bit form only; GDCM (python-gdcm 3.2.6) gives the same 12-bit pixels as DCMTK.
    """
    plugins = _plugins_of(decoder)
    syntax = decoder.UID
    if syntax != JPEGExtended12Bit:
        return plugins
    bits = int(first_text(dataset, "BitsStored") or 8)
    fitting = tuple(each for each in plugins if (each == gdcm_apart.LABEL) == (bits > 8))
    if not fitting:
        package = "python-gdcm" if bits > 8 else _PACKAGES[JPEGExtended12Bit]
        raise DicomError(
            f"{path}: expected pixels that a decoder here reads, got {_shown(decoder.UID)} of {bits} bits. "
            f"Install the decoder (pip install {package}), or convert the file to Explicit VR Little Endian, "
            "for instance with dcmdjpeg of DCMTK."
        )
    return fitting


def _decoder_of(path: Path, dataset: Dataset) -> Decoder:
    syntax = UID(getattr(dataset.file_meta, "TransferSyntaxUID", ""))
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise DicomError(
            f"{path}: expected a transfer syntax for images, got {_shown(syntax)}. "
            "Convert it to Explicit VR Little Endian, "
            "for instance with dcmconv or gdcmconv --raw."
        ) from None
    if not (decoder.is_available and _plugins_of(decoder)):
        packages = _PACKAGES.get(syntax)
        remedy = f"Install the decoder (pip install {packages}), or convert" if packages else "Convert"
        raise DicomError(
            f"{path}: expected a transfer syntax with a decoder installed, got {_shown(syntax)}. "
            f"{remedy} the file to Explicit VR Little Endian."
        )
    return decoder


def _shown(syntax: UID) -> str:
    """A transfer syntax by name and number; any other text in its place is not shown."""
    if not syntax:
        return "none (no UID)"
    return f"{syntax.name} ({syntax})" if set(syntax) <= set("0123456789.") else "a text that is no UID"


def _plugins_of(decoder: Decoder) -> tuple[str, ...]:
    if not decoder.UID.is_encapsulated:
        return ("",)
    available = tuple(plugin for plugin in decoder.available_plugins if plugin != _ENDS_THE_PROCESS)
    preferred = tuple(plugin for plugin in PREFERRED_PLUGINS if plugin in available)
    return preferred + tuple(plugin for plugin in available if plugin not in preferred)


def _decode(decoder: Decoder, dataset: Dataset, plugin: str) -> NDArray[np.integer]:
    read = {RLELossless: _rle_frame}.get(decoder.UID, _frame)
    values = read(decoder, dataset, plugin)
    expected = (int(dataset.Rows), int(dataset.Columns))
    if values.shape != expected:
        raise AttributeValueError(f"decoded shape {values.shape}, expected {expected}")
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _frame(decoder: Decoder, dataset: Dataset, plugin: str) -> NDArray[np.integer]:
    # Unused bits are cut off by the table of `pixels`; here it would cost a copy of the film and two passes.
    options = {"raw": True, "decoding_plugin": plugin, "correct_unused_bits": False}
    return decoder.as_array(dataset, index=0, **options)[0]  # type: ignore[arg-type]  # pydicom's own types


def _rle_frame(decoder: Decoder, dataset: Dataset, plugin: str) -> NDArray[np.integer]:
    """The decoder's own buffer as an array: `as_array` would copy it, an eighth of the time of a film.

    RLE has no precision or sign of its own, which is what `as_array` puts right for the JPEG family.
    """
    frame, about = decoder.as_buffer(dataset, raw=True, index=0, decoding_plugin=plugin)
    kind = "i" if about["pixel_representation"] else "u"
    values = np.frombuffer(frame, dtype=f"<{kind}{int(about['bits_allocated']) // 8}")
    return values.reshape(int(about["rows"]), int(about["columns"]))
