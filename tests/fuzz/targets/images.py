"""Fuzz targets: pictures, masks in PNG and NIfTI, and prepared images, whose headers may claim gigapixels."""

from __future__ import annotations

import gzip
import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

import nibabel as nib
import numpy as np

from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.readers.annotations.nifti import read_nifti
from mammo_monai.readers.annotations.png import read_png
from mammo_monai.readers.image_checks import read_whole_file
from mammo_monai.readers.picture_checks import read_reduced
from mammo_monai.transforms.load import load_image
from mammo_monai.transforms.prepared_file import Preparation, read_prepared, write_prepared
from tests.fuzz.harness import Target
from tests.fuzz.targets.annotation_image import HEIGHT, WIDTH, encoded, mask_pixels, reads_lesions

_PNG_WORDS = (
    *(b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"zTXt", b"iTXt", b"iCCP", b"acTL", b"fdAT", b"gAMA"),
    *(
        b"\0\0\xea\x60",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\x10",
        b"\x01",
        b"\x03",
        b"\x06",
    ),
)
_PICTURE_WORDS = (
    *_PNG_WORDS,
    *(
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff\xda",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xe1",
        b"Exif\0\0",
        b"II*\0",
        b"MM\0*",
    ),
    *(b"BM", b"GIF89a", b"P5 9999999 9999999 255\n", b"%!PS-Adobe-3.0 EPSF", b"\0\0\0\x0cjP  \r\n", b"RIFF"),
    *(b"8BPS", b"\x01\x00\x09\x00", b"icns", b"WEBPVP8 ", b"\0\0\1\0", b"%PDF-1.4", b"qoif", b"SIMPLE  ="),
)


def with_new_crcs(data: bytes, random: Random) -> bytes:
    """A PNG with one chunk's bytes changed and its CRC made right, so that decoders look behind it."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], bytearray(data[place + 8 : place + 8 + length])))
        place += 12 + length
    if not chunks:
        return data
    kind, content = random.choice(chunks)
    if kind == b"IHDR" and len(content) == 13 and random.random() < 0.5:
        side = random.choice((0, 1, 60_000, 100_000, 2**31 - 1, random.randrange(1, 400)))
        struct.pack_into(">I", content, random.choice((0, 4)), side)
    elif content:
        content[random.randrange(len(content))] = random.randrange(256)
    return data[:8] + b"".join(png_chunk(kind, bytes(content)) for kind, content in chunks)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG with its length and CRC."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def bomb_png(width: int, height: int, *, bits: int = 8) -> bytes:
    """A PNG that claims this size and holds 4 kB of zeros, deflated."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 4096, 9)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _pictures() -> list[bytes]:
    grey = mask_pixels()
    deep = grey.astype(np.uint16) * 257
    colour = np.stack([grey, grey, 255 - grey], axis=-1)
    return [
        encoded(grey, "PNG"),
        encoded(deep, "PNG"),
        encoded(colour, "JPEG", quality=80),
        encoded(grey, "TIFF", compression="tiff_lzw"),
        encoded(deep, "TIFF"),
        encoded(grey, "BMP"),
    ]


def _volume(pixels: np.ndarray, affine: np.ndarray | None = None) -> bytes:
    return nib.Nifti1Image(pixels, np.eye(4) if affine is None else affine).to_bytes()


def _volumes() -> list[bytes]:
    mask = mask_pixels().T.copy()
    return [
        _volume(mask),
        _volume(mask[..., None].astype(np.float32)),
        nib.Nifti2Image(mask, np.diag((-1.0, -1.0, 1.0, 1.0))).to_bytes(),
    ]


def zipped_again(data: bytes, random: Random) -> bytes:
    """A .nii.gz with a byte of what is inside changed, so that the change survives the CRC."""
    try:
        inside = bytearray(zlib.decompressobj(31).decompress(data, 1 << 20))
    except zlib.error:
        return data
    if not inside:
        return data
    for _ in range(random.randrange(1, 4)):
        place = (
            random.randrange(min(len(inside), 352))
            if random.random() < 0.7
            else random.randrange(len(inside))
        )
        inside[place] = random.choice((0, 1, 127, 255, random.randrange(256)))
    return gzip.compress(bytes(inside), 6, mtime=0)


def _zipped_volumes() -> list[bytes]:
    bomb = _volume(mask_pixels().T.copy())
    return [
        *(gzip.compress(each, 6, mtime=0) for each in _volumes()),
        gzip.compress(bomb + b"\0" * (1 << 20), 9, mtime=0),
    ]


def _prepared() -> list[bytes]:
    frame = ImageFrame(WIDTH, HEIGHT).then(Crop(5, -3, 40, 80)).then(Flip(40)).then(Scale(40, 80, 7, 5))
    about = Preparation(
        key="ab" * 32,
        recipe={"version": 1, "preset": "full_image", "size_px": 5},
        record_id="00000000000000ab",
        source_sha256="cd" * 32,
        source_stamp="ef" * 8,
        frame=frame,
        laterality="R",
        pixel_spacing_mm=(0.07, 0.08),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        write_prepared(path, np.arange(35, dtype=np.uint16).reshape(5, 7) * 1872, about)
        return [path.read_bytes()]


def _masks() -> list[bytes]:
    grey = mask_pixels()
    soft = grey.copy()
    soft[19, 10:31] = 100
    return [encoded(grey, "PNG"), encoded(soft, "PNG"), encoded(np.stack([grey] * 4, axis=-1), "PNG")]


def _with_bombs(seeds: Sequence[bytes]) -> list[bytes]:
    sizes = ((60_000, 60_000), (12_000, 12_000), (2**31 - 1, 1), (1, 2**31 - 1), (0, 0))
    return [
        *seeds,
        *(bomb_png(*size) for size in sizes),
        bomb_png(60_000, 60_000, bits=16),
        bomb_png(9000, 9000, bits=1),
    ]


_WORDS = (
    *_PNG_WORDS,
    b'"steps": [["crop", 0, 0, 1, 1]]',
    b'"scale"',
    b'["flip", 40]',
    b"NaN",
    b"1e999",
    b"[" * 3000,
)

TARGETS = (
    Target(
        "picture",
        ".png",
        load_image,
        lambda: _with_bombs(_pictures()),
        dictionary=_PICTURE_WORDS,
        mutators=(with_new_crcs,),
    ),
    Target("picture_jpeg", ".jpg", load_image, _pictures, dictionary=_PICTURE_WORDS),
    Target("picture_tiff", ".tif", load_image, lambda: _pictures()[::-1], dictionary=_PICTURE_WORDS),
    Target(
        "picture_header", ".png", read_whole_file, lambda: _with_bombs(_pictures()), dictionary=_PICTURE_WORDS
    ),
    Target(
        "picture_reduced",
        ".png",
        read_reduced,
        lambda: _with_bombs(_pictures()),
        dictionary=_PICTURE_WORDS,
        mutators=(with_new_crcs,),
    ),
    Target(
        "mask_picture",
        ".png",
        reads_lesions(read_png),
        lambda: _with_bombs(_masks()),
        dictionary=_PICTURE_WORDS,
        mutators=(with_new_crcs,),
    ),
    Target(
        "mask_nifti",
        ".nii",
        reads_lesions(read_nifti),
        _volumes,
        dictionary=(
            b"n+1\0",
            b"n+2\0",
            b"\x7f\xff",
            b"\xff\xff",
            b"\0\0",
            b"\x80\0",
            b"\0\0\xc0\x7f",
            b"\x40",
            b"\x02",
        ),
    ),
    Target(
        "mask_nifti_gz",
        ".nii.gz",
        reads_lesions(read_nifti),
        _zipped_volumes,
        dictionary=(b"\x1f\x8b\x08", b"\0\0\0\xff\xff", b"n+1\0"),
        mutators=(zipped_again,),
    ),
    Target("prepared_image", ".png", read_prepared, _prepared, dictionary=_WORDS, mutators=(with_new_crcs,)),
)
