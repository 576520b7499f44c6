"""A decoder for pydicom: GDCM in a process of its own, for JPEG that is lossless or of 12 bits.

GDCM 3.2 ends the process that calls it at one of 150 damaged bodies ("terminate called after throwing an
instance of gdcm::Exception"), which no look at the header prevents and no exception handler undoes. Here that
costs the child, and the file is refused as damaged. So is one whose end is missing: GDCM makes up the rest
and says so on standard error alone. A child takes 0.05 s of processor time to start.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import multiprocessing.spawn
import os
import subprocess
from pathlib import Path

from pydicom.pixels.decoders import gdcm as in_process
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from mammo_monai.dicom import gdcm_child
from mammo_monai.dicom.unquoted import AttributeValueError

logger = logging.getLogger(__name__)

LABEL = "gdcm apart"
SYNTAXES = (JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit)
DECODER_DEPENDENCIES = {syntax: in_process.DECODER_DEPENDENCIES[syntax] for syntax in SYNTAXES}
"""Asked for by pydicom of every decoder."""

# The largest film takes GDCM some seconds.
_MOST_S = 300.0
# What its libjpeg says where it makes up pixels and goes on (JWRN_HIT_MARKER, _HUFF_BAD_CODE, _JPEG_EOF).
_DAMAGE = (b"premature end of data segment", b"bad Huffman code", b"Premature end of JPEG file")
_BEGIN = (
    "import runpy, sys; runpy.run_path(sys.argv[1])['main'](sys.stdin.buffer, sys.stdout.buffer); "
    "sys.stdout.buffer.flush()"
)


def offer() -> None:
    """Adds this decoder to pydicom's own; a second time changes nothing."""
    for syntax in SYNTAXES:
        decoder = get_decoder(syntax)
        if LABEL not in decoder.available_plugins and is_available(syntax):
            decoder.add_plugin(LABEL, (__name__, decode_frame.__name__))


def is_available(uid: str) -> bool:
    """Whether frames of a transfer syntax can be decoded: it is one of `SYNTAXES`, and GDCM is installed."""
    return uid in DECODER_DEPENDENCIES and in_process.is_available(uid)


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """The decoded frame, little endian, as pydicom asks for it.

    Raises:
        AttributeValueError: the child ended without an answer, or found damage.
        subprocess.TimeoutExpired: it gave no answer in time. OSError: no process can be started.
    """
    module = importlib.util.find_spec("gdcm")
    about = {
        "folder": str(Path(module.origin or "").parent) if module else "",
        "rows": runner.rows,
        "columns": runner.columns,
        "samples": runner.samples_per_pixel,
        "planar": runner.planar_configuration if runner.samples_per_pixel > 1 else 0,
        "bits_allocated": runner.bits_allocated,
        "bits_stored": runner.bits_stored,
        "is_signed": runner.pixel_representation,
        "photometric": str(runner.photometric_interpretation),
        "syntax": str.__str__(runner.transfer_syntax),
    }
    try:
        done = subprocess.run(
            command(),
            input=json.dumps(about).encode() + b"\n" + frame,
            capture_output=True,
            timeout=_MOST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        logger.warning("JPEG by GDCM: no answer within %g s", _MOST_S)
        raise
    except OSError as error:
        logger.warning("JPEG by GDCM: no process could be started to decode it: %s", error.strerror)
        raise
    if done.returncode:
        raise AttributeValueError(f"GDCM ended with exit code {done.returncode}")
    if any(words in done.stderr for words in _DAMAGE):
        raise AttributeValueError("GDCM found damage, and filled in what is missing")
    return done.stdout


def command() -> list[str]:
    """What is started, by the Python of multiprocessing: `sys.executable` may be a program that embeds it."""
    python = os.fsdecode(multiprocessing.spawn.get_executable() or "")
    return [python, "-I", "-S", "-c", _BEGIN, gdcm_child.__file__]
