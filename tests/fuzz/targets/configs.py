"""Fuzz targets: what strangers' bundles hold: configurations, logging.conf, and the zip they come in."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

from mammo_monai.bundle.inspection import inspect_bundle
from mammo_monai.bundle.packing.archive import write_archive
from mammo_monai.bundle.packing.bundle_files import open_bundle
from mammo_monai.bundle.packing.record import RECORD, PackedFile, PackRecord
from mammo_monai.bundle.packing.unpack import unpack
from mammo_monai.bundle.packing.verify import verify_pack
from tests.fuzz.harness import Target
from tests.fuzz.targets.json_files import written
from tests.fuzz.targets.json_words import JSON_WORDS, with_new_value

_CONFIG = {
    "imports": ["$import glob"],
    "bundle_root": ".",
    "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
    "network": {"_target_": "mammo_monai.networks.retinanet", "backbone": "resnet18", "_disabled_": False},
    "images": "$sorted(glob.glob(@bundle_root + '/*.dcm'))",
    "train": {"lr": 1e-4, "epochs": "$@train#lr * 0 + 3", "macro": "%inference.json#x"},
}
_CODE_WORDS = (
    *(b'"_target_"', b'"_requires_"', b'"_mode_"', b'"$', b'"%', b'"@', b"__import__('os').system('x')"),
    *(
        b"$" + b"(" * 3000 + b")" * 3000,
        b"$" + b"-" * 5000 + b"1",
        b"$" + b"1+" * 5000 + b"1",
        b"$not " * 2000,
    ),
    *(
        b"$" + b"[" * 400 + b"]" * 400,
        b"$" + b"x." * 4000 + b"x",
        b"$lambda: " * 300,
        b"$f'{" * 60,
        b"$9**9**9",
    ),
    *(
        b"$" + b"a(" * 150 + b")" * 150,
        b"$'\\N{BELL}'",
        b"$\\x00",
        b"$x if y else " * 500,
        b"$" + b"*" * 4000,
    ),
    *("$ｏｓ".encode(), b"::", b"#", b"_target_::x", b"${x}", b"@" * 3000, b"%" * 500),
)
_YAML_WORDS = (
    *(b"!!python/object/apply:os.system ['x']", b"&a", b"*a", b"<<: *a", b"? ", b"- ", b": ", b"|\n", b">\n"),
    *(
        b"&a [*a]",
        b"!!binary x",
        b"---\n",
        b"...\n",
        b"%YAML 9.9\n",
        b"%TAG ! x\n",
        b"\t",
        b"{" * 500,
        b"[" * 500,
    ),
    *(b"- " * 500, b"? " * 500, b"!" * 300, b"&" * 300, b"a: " * 300, b"2001-99-99", b"0x", b"1:60:60", b"~"),
    b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)),
)
_YAML = (
    b"network:\n  _target_: torch.nn.Linear\n  in_features: 3\nx: &a [1, '$@network']\ny: *a\nz: |\n  text\n"
)
_LOGGING = b"""[loggers]
keys=root
[handlers]
keys=console
[formatters]
keys=plain
[logger_root]
level=INFO
handlers=console
[handler_console]
class=StreamHandler
formatter=plain
args=(sys.stdout,)
[formatter_plain]
format=%(message)s
"""


def _inspects(name: str) -> Callable[[Path], object]:
    """A target's `read`: the file as this one of a bundle, listed as `bundle inspect` lists it."""

    def inspected(path: Path) -> object:
        bundle = path.parent / "bundle"
        (bundle / name).parent.mkdir(parents=True)
        (bundle / name).write_bytes(path.read_bytes())
        return inspect_bundle(bundle).as_json()

    return inspected


def _read_pack(path: Path) -> object:
    """As `bundle inspect`, `verify` and `pull` do with a zip of a stranger."""
    inspect_bundle(path)
    verified = verify_pack(path)
    if not verified.faults:
        with open_bundle(path) as files:
            unpack(files, verified.record, path.parent / "unpacked")
    return verified


def _files() -> dict[str, bytes]:
    config, header = json.dumps(_CONFIG).encode(), b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    weights = len(header).to_bytes(8, "little") + header + b"\0" * 4
    metadata = {"version": "1.0.0", "weights_sha256": sha256(weights).hexdigest(), "name": "x"}
    return {
        "LICENSE": b"x",
        "configs/metadata.json": json.dumps(metadata).encode(),
        "configs/inference.json": config,
        "docs/README.md": b"# x\n",
        "models/model.safetensors": weights,
    }


def _record(files: dict[str, bytes]) -> bytes:
    packed = {name: PackedFile(sha256(each).hexdigest(), len(each)) for name, each in files.items()}
    weights = packed["models/model.safetensors"].sha256
    return PackRecord("x", "1.0.0", "test", weights, ({"bundle": "x"},), packed).text().encode()


def _pack() -> list[bytes]:
    files = _files()
    content = {RECORD: _record(files), **files}
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, each in content.items():
            archive.writestr(f"x/{name}", each)
    return [
        written("x.zip", lambda path: write_archive(path, "x", content, first=RECORD)),
        deflated.getvalue(),
    ]


def zipped_anew(data: bytes, random: Random) -> bytes:
    """A zip with one entry renamed, changed, doubled or grown; its own checksums are right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [
                (each.filename, archive.read(each)) for each in archive.infolist() if each.file_size < 1 << 16
            ]
    except Exception:  # a zip that is broken already stays as it is
        return data
    if not entries:
        return data
    place = random.randrange(len(entries))
    name, content = entries[place]
    changes = (
        (random.choice(_NAMES), content),
        (name, content + b"\0" * random.choice((1, 1 << 20))),
        (name, with_new_value(content, random)),
        (name, bytes(reversed(content))),
        (name + random.choice(_NAMES), content),
    )
    entries[place] = random.choice(changes)
    if random.random() < 0.2:
        entries.append(random.choice(entries))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for each, inside in entries:
            archive.writestr(zipfile.ZipInfo(each), inside)
    return stream.getvalue()


def lying_sizes(data: bytes, random: Random) -> bytes:
    """A zip whose directory tells another size, offset, method or flag of one entry."""
    place = data.rfind(b"PK\x01\x02", 0, random.randrange(len(data)) + 4) if data else -1
    if place < 0 or place + 46 > len(data):
        return data
    changed = bytearray(data)
    offset, kind = random.choice(
        ((8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I"), (42, "<I"), (38, "<I"))
    )
    most = 0xFFFF if kind == "<H" else 0xFFFFFFFF
    struct.pack_into(
        kind,
        changed,
        place + offset,
        random.choice((0, 1, 8, 12, 14, 99, most, most // 2, random.randrange(most))),
    )
    return bytes(changed)


_NAMES = (
    *(
        "../x",
        "/etc/x",
        "x/../../y",
        "C:\\x",
        "x\\..\\y",
        "a\0b",
        "x/",
        "",
        "CON",
        "x/é",
        "X/LICENSE",
        "x/a" * 80,
    ),
    *(
        "x/configs/logging.conf",
        "x/models/model.pt",
        "x/scripts/a.py",
        "x/pack.json",
        "x/.hidden",
        "\u202egpj.x",
    ),
)

TARGETS = (
    Target(
        "bundle_json",
        ".json",
        _inspects("configs/inference.json"),
        lambda: [json.dumps(_CONFIG).encode()],
        dictionary=(*JSON_WORDS, *_CODE_WORDS),
        mutators=(with_new_value,),
    ),
    Target(
        "bundle_yaml",
        ".yaml",
        _inspects("configs/inference.yaml"),
        lambda: [_YAML, json.dumps(_CONFIG).encode()],
        dictionary=(*_YAML_WORDS, *_CODE_WORDS),
    ),
    Target(
        "bundle_logging",
        ".conf",
        _inspects("configs/logging.conf"),
        lambda: [_LOGGING],
        dictionary=(
            *_CODE_WORDS,
            b"[handler_x]",
            b"class=",
            b"args=",
            b"%(x)s",
            b"()",
            b"os.system",
            b"\n ",
            b"=",
            b":",
        ),
    ),
    Target(
        "bundle_pack",
        ".zip",
        _read_pack,
        _pack,
        dictionary=(
            *(
                b"PK\x03\x04",
                b"PK\x01\x02",
                b"PK\x05\x06",
                b"PK\x06\x06",
                b"PK\x06\x07",
                b"\xff\xff\xff\xff",
                b"x/",
            ),
            *(
                b"../",
                b"/",
                b"\\",
                b"\0",
                b"pack.json",
                b"LICENSE",
                b"\x08\0",
                b"\x0e\0",
                b"\x0c\0",
                b"\x01\0",
            ),
        ),
        mutators=(zipped_anew, lying_sizes),
    ),
)
