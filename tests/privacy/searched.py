"""Looks for markers in files, whatever they are wrapped in: archives, pictures, tables, base64, UTF-16."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.privacy.planted import PATTERN

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){9,}")
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_MAX_DEPTH = 4


@dataclass(frozen=True)
class Hit:
    """A marker that was found. Attributes: where: the file, and what inside it."""

    marker: str
    where: str


def search_folder(folder: Path, *, without: frozenset[str] = frozenset()) -> tuple[list[Hit], int]:
    """Hits below a folder, in contents and names, and how many files were searched."""
    hits: list[Hit] = []
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        name = path.relative_to(folder).as_posix()
        hits += [Hit(each, f"{name} (its name)") for each in markers_in(name.encode())]
        hits += search_file(path, name)
    return [hit for hit in hits if hit.marker not in without], len(files)


def search_file(path: Path, name: str) -> list[Hit]:
    """Hits in a file's bytes and in what they hold wrapped."""
    return [Hit(marker, f"{name}{inside}") for marker, inside in search_bytes(path.read_bytes(), path.suffix)]


def search_bytes(content: bytes, suffix: str = "") -> Iterator[tuple[str, str]]:
    """Markers with the wrapping they were found in."""
    for inside, block in _blocks(content, suffix, 0):
        for marker in markers_in(block):
            yield marker, inside


def markers_in(block: bytes) -> list[str]:
    """Markers in bytes as UTF-8, Latin-1, UTF-16 or UTF-32, each once."""
    texts = (block, block.replace(b"\0", b"")) if b"\0" in block else (block,)
    found = {match.group().decode("latin-1").upper() for text in texts for match in PATTERN.finditer(text)}
    return sorted(found)


def _blocks(content: bytes, suffix: str, depth: int) -> Iterator[tuple[str, bytes]]:
    yield "", content
    if depth > _MAX_DEPTH:
        return
    for name, inner in _unwrapped(content, suffix):
        for inside, block in _blocks(inner, "", depth + 1):
            yield f" > {name}{inside}", block


def _unwrapped(content: bytes, suffix: str) -> Iterator[tuple[str, bytes]]:
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                yield entry.filename, entry.filename.encode() + b"\n" + archive.read(entry)
    elif content.startswith(b"\x1f\x8b"):
        yield "gzip", gzip.decompress(content)
    elif content.startswith(b"\x89PNG"):
        yield from _png_texts(content)
    elif content.startswith(b"PAR1"):
        yield "parquet", _parquet_text(content)
    elif content.startswith(b"%PDF"):
        yield from _pdf_streams(content)
    elif suffix not in (".pt", ".safetensors", ".dcm"):
        yield from _encoded(content)


def _png_texts(content: bytes) -> Iterator[tuple[str, bytes]]:
    at = 8
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        body = content[at + 8 : at + 8 + length]
        if kind in (b"zTXt", b"iTXt", b"iCCP") and b"\0" in body:
            for start in range(body.index(b"\0"), min(len(body), body.index(b"\0") + 80)):
                try:
                    yield kind.decode(), zlib.decompress(body[start:])
                    break
                except zlib.error:
                    continue
        at += 12 + length


def _parquet_text(content: bytes) -> bytes:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content))
    text = json.dumps(table.to_pylist(), default=str)
    return (text + str(table.schema) + str(table.schema.metadata)).encode()


def _pdf_streams(content: bytes) -> Iterator[tuple[str, bytes]]:
    for match in _STREAM.finditer(content):
        body = match.group(1)
        for decode in (lambda b: zlib.decompress(base64.a85decode(b.strip(), adobe=False)), zlib.decompress):
            try:
                yield "PDF stream", decode(body.removesuffix(b"~>"))
                break
            except (ValueError, zlib.error):
                continue


def _encoded(content: bytes) -> Iterator[tuple[str, bytes]]:
    for match in _BASE64.finditer(content):
        text = match.group()
        try:
            yield "base64", base64.b64decode(text[: len(text) // 4 * 4])
        except binascii.Error:
            continue
    for match in _HEX.finditer(content):
        yield "hex", bytes.fromhex(match.group().decode())
