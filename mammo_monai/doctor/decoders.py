"""Transfer syntaxes: decodes a small made image in each, as films are read, and names what is missing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from mammo_monai.dicom.decoders import decode_stored_values
from mammo_monai.doctor import versions
from mammo_monai.doctor.findings import Finding, Level

KIND = "decoders"
SHAPE = (16, 24)
_SAMPLES = Path(__file__).with_name("decoder_samples.json")
_PLAIN = ("ExplicitVRLittleEndian", "ImplicitVRLittleEndian", "ExplicitVRBigEndian")
_ALWAYS = (*_PLAIN, "DeflatedExplicitVRLittleEndian", "RLELossless")
# Largest difference from the encoded ramp, in grey values; lossless syntaxes have none.
_TOLERANCES = {
    "JPEGBaseline8Bit": 8,
    "JPEGExtended12Bit": 8,
    "JPEGLSNearLossless": 2,
    "JPEG2000": 64,
    "HTJ2K": 64,
}
_ALL = "python -m pip install 'mammo-monai[decoders]'"


def findings(_: Mapping[str, Any]) -> Iterator[Finding]:
    """All of this kind."""
    read = []
    for name in (*_ALWAYS, *samples()):
        error = decoding_error(name)
        if error:
            yield _unread(name, error)
        else:
            read.append(name)
    n_all = len(_ALWAYS) + len(samples())
    said = f"{len(read)} of {n_all} are read here"
    yield Finding(KIND, "transfer syntaxes", Level.OK, said, f"These are {', '.join(read)}.")


def samples() -> dict[str, str]:
    """Encoded frames of the ramp, base64, by their syntax; scripts/decoder_samples.py wrote them."""
    content: dict[str, str] = json.loads(_SAMPLES.read_text(encoding="utf-8"))
    return content


def decoding_error(name: str) -> str:
    """Why the made image cannot be read in this syntax, or is read wrongly; empty where it is right."""
    try:
        dataset, expected = made_image(name)
        found = decode_stored_values(Path("made image"), dataset)
    except Exception as error:
        return str(error).removeprefix("made image: ")
    difference = int(np.abs(found.astype(int) - expected.astype(int)).max())
    allowed = _TOLERANCES.get(name, 0)
    return f"pixels are wrong by {difference} grey values" if difference > allowed else ""


def made_image(name: str) -> tuple[Any, Any]:
    """A data set with a ramp in the transfer syntax of that keyword, and the ramp, shape (16, 24)."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    bits = 8 if name == "JPEGBaseline8Bit" else 12
    ramp = rows * 9 + columns * 4 if bits == 8 else rows * 150 + columns * 70
    pixels = ramp.astype(np.uint8 if bits == 8 else np.uint16)
    syntax = getattr(pydicom.uid, name)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.Rows, dataset.Columns = SHAPE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.PixelRepresentation = pixels.dtype.itemsize * 8, 0
    # OpenJPH writes 16 bits whatever is asked for.
    dataset.BitsStored = 16 if name.startswith("HTJ2K") else bits
    dataset.HighBit = dataset.BitsStored - 1
    order = ">" if name == "ExplicitVRBigEndian" else "<"
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    if name == "RLELossless":
        raw = encapsulate([_rle_frame(raw)])
    elif name not in _ALWAYS:
        raw = encapsulate([base64.b64decode(samples()[name])])
    dataset.PixelData = raw
    dataset["PixelData"].VR = "OB" if syntax.is_encapsulated or bits == 8 else "OW"
    return dataset, pixels


def _rle_frame(raw: bytes) -> bytes:
    """Two segments, high bytes first, each byte a literal run of its own. Source: DICOM PS3.5 annex G."""
    segments = [b"".join(bytes((0, value)) for value in raw[start::2]) for start in (1, 0)]
    starts = (64, 64 + len(segments[0]))
    header = b"".join(number.to_bytes(4, "little") for number in (2, *starts)).ljust(64, b"\0")
    return header + b"".join(segments)


def _unread(name: str, error: str) -> Finding:
    short = " ".join(error.split())[:220]
    if name in _ALWAYS or not any(each in error for each in ("decoder installed", "Install the decoder")):
        why = "Films in this transfer syntax are refused, though what decodes them is installed."
        fix = f"{_ALL} --force-reinstall"
        return Finding(KIND, name, Level.FAULT, short, why, fix)
    why = "Films in this transfer syntax are refused: archives and scanners send it."
    fix = _ALL
    for package in versions.left_out("decoders"):
        if f"pip install {package})" in error:
            python = versions.python()
            why += f" {package} has no build for {python}: pip makes one where it finds a compiler."
            headers = f"{python.lower().replace(' ', '')}-dev"
            fix = f"sudo apt-get install g++ {headers} && python -m pip install {package}"
    return Finding(KIND, name, Level.WARNING, "no decoder is installed", why, fix)
