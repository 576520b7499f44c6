"""Whether weights in a bundle are those declared, whole, and free of code."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mammo_monai.bundle.packing.bundle_files import BundleFiles, blocks, sha256_in
from mammo_monai.bundle.packing.exported_faults import exported_faults
from mammo_monai.bundle.published import METADATA, WEIGHTS
from mammo_monai.errors import WeightsError
from mammo_monai.networks.weight_files import read_weights

PICKLES = (".pt", ".pth")
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_TYPE_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
}
_TYPE_BYTES |= {"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8}


def weight_faults(files: BundleFiles, metadata: Mapping[str, Any]) -> list[str]:
    """One sentence per weights file that is damaged, undeclared, another than declared, or code."""
    declared = metadata.get("weights_sha256")
    faults = []
    if declared is not None and WEIGHTS not in files.sizes:
        faults.append(f"{WEIGHTS} is missing, yet {METADATA} declares its SHA-256 {declared}.")
    if WEIGHTS in files.sizes:
        found = sha256_in(files, WEIGHTS)
        if declared is None:
            faults.append(
                f"{WEIGHTS} is not declared in {METADATA}. Publish it first (`mammo-monai bundle publish`): "
                "that notes its hash and origin."
            )
        elif found != declared:
            faults.append(f"{WEIGHTS} has SHA-256 {found}, {METADATA} declares {declared}.")
    for name in files.sizes:
        if name.endswith(".safetensors"):
            faults += [f"{name} {fault}" for fault in header_faults(files, name)]
        elif name.endswith(PICKLES):
            faults += pickle_faults(files, name)
    return faults + exported_faults(files, declared)


def header_faults(files: BundleFiles, name: str) -> list[str]:
    """What is wrong with the header of a .safetensors file: it must name every byte after it, once.

    Source: the safetensors format: 8 bytes that tell the header's length (little endian), the header in
    JSON, the tensors; `data_offsets` count from the end of the header and leave no gap.
    """
    size = files.sizes[name]
    with files.open(name) as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER_BYTES):
            return ["is no .safetensors file: its header does not fit into it."]
        header = stream.read(length)
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        ends = sorted((tuple(each["data_offsets"]), name, each) for name, each in tensors.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return [f"is no .safetensors file: its header cannot be read ({error})."]
    end = 0
    for offsets, tensor, each in ends:
        try:
            count = _TYPE_BYTES[each["dtype"]]
            for extent in each["shape"]:
                count *= extent
        except (KeyError, TypeError) as error:
            return [f"is damaged: the tensor {tensor!r} has no known type or shape ({error})."]
        if len(offsets) != 2 or offsets[0] != end or offsets[1] - offsets[0] != count:
            return [f"is damaged: the tensor {tensor!r} does not lie where its header says."]
        end = offsets[1]
    return [] if end == size - 8 - length else ["is damaged: its header does not tell all its bytes."]


def pickle_faults(files: BundleFiles, name: str) -> list[str]:
    """A .pt file must hold tensors alone; `torch.load(weights_only=True)` reads it and runs nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(name).name
        with copy.open("wb") as stream:
            for block in blocks(files, name):
                stream.write(block)
        try:
            tensors = read_weights(copy).tensors
        except WeightsError as error:
            return [str(error).replace(str(copy), name)]
    others = [key for key, value in tensors.items() if not isinstance(value, Tensor)]
    if others:
        return [
            f"{name} holds more than tensors ({others[0]!r}): a training's checkpoint? Publish its weights."
        ]
    return []
