"""One frame through GDCM: what the child of `gdcm_apart` runs; it imports nothing of this package."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO


def main(asked: BinaryIO, answer: BinaryIO) -> None:
    """Reads a line of JSON and the frame, writes the decoded bytes; whatever goes wrong ends the process."""
    about = json.loads(asked.readline())
    if about["folder"] not in sys.path:
        sys.path.append(about["folder"])
    _leave_no_core()
    answer.write(decoded(asked.read(), about))


def decoded(frame: bytes, about: Mapping[str, Any]) -> bytes:
    """Stored values as GDCM gives them, little endian, row by row.

    Args:
        about: `columns`, `rows`, `samples`, `bits_allocated`, `bits_stored`, `is_signed`, `planar`,
            `photometric` and `syntax`, as in the data set.
    """
    gdcm = import_module("gdcm")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((about["columns"], about["rows"], 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(about["photometric"])
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetPlanarConfiguration(about["planar"])
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(about["syntax"])))
    bits = about["bits_stored"]
    image.SetPixelFormat(
        gdcm.PixelFormat(about["samples"], about["bits_allocated"], bits, bits - 1, about["is_signed"])
    )
    # GDCM gives a char* as text.
    return bytes(image.GetBuffer().encode("utf-8", "surrogateescape"))


def _leave_no_core() -> None:
    """An abort would else write a patient's pixels into a core file, where the system keeps them."""
    with suppress(ImportError, OSError, ValueError):  # not on Windows
        resource = import_module("resource")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
