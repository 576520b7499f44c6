"""Writes mammo_monai/doctor/decoder_samples.json: a small grey ramp, encoded in every compressed syntax.

python -m pip install imagecodecs   # encodes what no package of ours can: HTJ2K, lossless and 12-bit JPEG
python scripts/decoder_samples.py mammo_monai/doctor/decoder_samples.json
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import imagecodecs
import numpy as np

ROWS, COLUMNS = np.mgrid[:16, :24]
RAMP_12_BITS = (ROWS * 150 + COLUMNS * 70).astype(np.uint16)  # as doctor/decoders.py expects it
RAMP_8_BITS = (ROWS * 9 + COLUMNS * 4).astype(np.uint8)


def frames() -> dict[str, bytes]:
    """One codestream per transfer syntax, by the keyword that pydicom.uid has for it."""
    jpeg, ls = imagecodecs.jpeg8_encode, imagecodecs.jpegls_encode
    lossless = {"lossless": True, "bitspersample": 12}
    j2k = {"codecformat": "j2k", "bitspersample": 12, "resolutions": 1}
    # OpenJPH writes its packets by resolution first, so one codestream serves the RPCL syntax too.
    ht = imagecodecs.htj2k_encode(RAMP_12_BITS, reversible=True, resolutions=1)
    return {
        "JPEGBaseline8Bit": jpeg(RAMP_8_BITS, 95),
        "JPEGExtended12Bit": jpeg(RAMP_12_BITS, 95, bitspersample=12),
        "JPEGLossless": jpeg(RAMP_12_BITS, predictor=7, **lossless),
        "JPEGLosslessSV1": jpeg(RAMP_12_BITS, predictor=1, **lossless),
        "JPEGLSLossless": ls(RAMP_12_BITS, 0),
        "JPEGLSNearLossless": ls(RAMP_12_BITS, 2),
        "JPEG2000Lossless": imagecodecs.jpeg2k_encode(RAMP_12_BITS, 0, reversible=True, **j2k),
        "JPEG2000": imagecodecs.jpeg2k_encode(RAMP_12_BITS, 70, **j2k),
        "HTJ2KLossless": ht,
        "HTJ2KLosslessRPCL": ht,
        "HTJ2K": imagecodecs.htj2k_encode(RAMP_12_BITS, reversible=False, resolutions=1),
    }


if __name__ == "__main__":
    encoded = {name: base64.b64encode(frame).decode() for name, frame in frames().items()}
    Path(sys.argv[1]).write_text(json.dumps(encoded, indent=1) + "\n", encoding="utf-8")
