"""Fuzz targets: weights in safetensors and in torch's zip of pickles, and checkpoints."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from random import Random

import torch

from mammo_monai.networks.retinanet import NetworkSettings
from mammo_monai.networks.weight_files import read_weights, serialised_state
from tests.fuzz.harness import Target
from tests.fuzz.targets.json_words import JSON_WORDS

_TENSORS = {
    "body.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "body.bias": torch.zeros(3, dtype=torch.float16),
    "step": torch.tensor(7),
}


class _Harm:
    """What a pickle can do where it is opened without care."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch /tmp/a-fuzzed-pickle-was-run",)


def _safetensors() -> list[bytes]:
    return [serialised_state(_TENSORS, NetworkSettings(), {"note": "n"}), header_first({})]


def header_first(header: object, rest: bytes = b"\0" * 16) -> bytes:
    """A safetensors file with this header and these tensor bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def with_new_length(data: bytes, random: Random) -> bytes:
    """A safetensors file whose header was changed and whose length was made right, or lies on purpose."""
    end = 8 + int.from_bytes(data[:8], "little")
    if end > len(data):
        return data
    header = bytearray(data[8:end])
    for _ in range(random.randrange(1, 5)):
        place = random.randrange(len(header) + 1)
        word = random.choice(_HEADER_WORDS)
        header[place : place + random.choice((0, 1, len(word)))] = word
    length = random.choice((len(header), len(header), len(header), 2**63, 2**40, 0))
    return length.to_bytes(8, "little") + bytes(header) + data[end:]


def _saved(content: object, **options: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def _zip_of(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _torch_files() -> list[bytes]:
    harm = pickle.dumps(_Harm(), protocol=2)
    return [
        _saved(_TENSORS),
        _saved(_TENSORS, _use_new_zipfile_serialization=False),
        _zip_of({"archive/data.pkl": harm, "archive/version": b"3\n"}),
        harm,
        pickle.dumps(_TENSORS["body.weight"].numpy(), protocol=2),
    ]


def _read(path: Path) -> object:
    file = read_weights(path)
    return file.settings, {name: getattr(each, "shape", None) for name, each in file.tensors.items()}


_HEADER_WORDS = (
    *JSON_WORDS,
    *(
        b'"dtype":"F32"',
        b'"dtype":"F64"',
        b'"BF16"',
        b'"F8_E4M3"',
        b'"shape":[]',
        b'"shape":[4294967296,4294967296]',
    ),
    *(
        b'"data_offsets":[0,18446744073709551615]',
        b'"data_offsets":[8,0]',
        b'"data_offsets":[0,0]',
        b"__metadata__",
    ),
    *(b'"body.bias":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},', b'"shape":[NaN]', b'"shape":[-1]'),
    *(b'"network":"{}"', b'\\"architecture\\":\\"x\\",', b'"network":"' + b"[" * 3000 + b'"'),
)
_PICKLE_WORDS = (
    *(
        b"cos\nsystem\n",
        b"cbuiltins\neval\n",
        b"cposix\nsystem\n",
        b"c__builtin__\nexec\n",
        b"(S'x'\ntR.",
        b"\x80\x02",
    ),
    *(
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch\nload\n",
        b"ccollections\nOrderedDict\n",
        b"q\0",
        b"r\xff\xff\xff\x7f",
    ),
    *(
        b"\x8a\xff",
        b"\x8b\xff\xff\xff\x7f",
        b"X\xff\xff\xff\x7f",
        b"T\xff\xff\xff\x7f",
        b"(" * 2000,
        b"]" * 2000,
        b"\x85" * 3000,
    ),
    *(
        b"K\x01",
        b"J\xff\xff\xff\x7f",
        b"\x88",
        b"N",
        b".",
        b"}",
        b"s",
        b"u",
        b"R",
        b"b",
        b"\x81",
        b"\x93",
        b"Q",
        b"PK\x05\x06",
    ),
)

TARGETS = (
    Target(
        "weights_safetensors",
        ".safetensors",
        _read,
        _safetensors,
        dictionary=_HEADER_WORDS,
        mutators=(with_new_length,),
    ),
    Target("weights_torch", ".pt", _read, _torch_files, dictionary=_PICKLE_WORDS),
)
