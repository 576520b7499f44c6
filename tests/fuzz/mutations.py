"""Mutations of bytes that know nothing of a format: pure, and the same for the same random numbers."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

# Large enough for a sequence nested 100 000 deep and for what inflates to gigabytes.
MAX_INPUT_BYTES = 4 << 20
# Above this, only mutations that know the format make a file larger: most executions must stay fast.
_MAX_GROWN_BYTES = 64 << 10
_MOST_STACKED = 4
_FORMAT_SHARE = 0.5

Mutation = Callable[[bytes, random.Random], bytes]

# Values around which lengths, counts and signs break.
INTERESTING_INTEGERS = (
    *(0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 63, 64, 100, 127, 128, 255, 256, 512, 1000, 1024, 4096),
    *(32767, 32768, 65534, 65535, 65536, 1 << 20, (1 << 24) - 1, 1 << 24, (1 << 28), (1 << 31) - 1, 1 << 31),
    *((1 << 32) - 2, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)
_INTERESTING_TEXTS = (
    *(b"", b"0", b"-1", b"1e308", b"-1e309", b"nan", b"inf", b"1e-400", b"99999999999999999999"),
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        "É漢".encode(),
        b"\xc3\x28",
        b"../../etc/passwd",
        b"%s%n",
        b"\r\n",
    ),
    *(
        b"\r\n",
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b"<",
        b"&",
        b",",
        b";",
        b"\\",
        b"\x1b$B",
        b"null",
        b"true",
    ),
)


def mutated(
    data: bytes,
    random_numbers: random.Random,
    *,
    others: Sequence[bytes],
    dictionary: Sequence[bytes] = (),
    format_mutations: Sequence[Mutation] = (),
) -> bytes:
    """One to four mutations on top of each other, at most `MAX_INPUT_BYTES` long.

    Args:
        others: inputs whose parts are spliced in.
        dictionary: tokens of the format.
        format_mutations: half of all mutations are taken from these, where there are any.
    """
    for _ in range(random_numbers.randint(1, _MOST_STACKED)):
        if format_mutations and random_numbers.random() < _FORMAT_SHARE:
            data = random_numbers.choice(format_mutations)(data, random_numbers)
        else:
            data = _general(data, random_numbers, others, dictionary)
    return data[:MAX_INPUT_BYTES]


def _general(
    data: bytes, random_numbers: random.Random, others: Sequence[bytes], dictionary: Sequence[bytes]
) -> bytes:
    chosen = random_numbers.randrange(len(_BLIND) + 2)
    if chosen == len(_BLIND):
        return _spliced(data, random_numbers.choice(others), random_numbers) if others else data
    if chosen == len(_BLIND) + 1:
        return _with_token(data, random_numbers.choice(dictionary or _INTERESTING_TEXTS), random_numbers)
    return _BLIND[chosen](data, random_numbers)


def flip_bits(data: bytes, random_numbers: random.Random) -> bytes:
    """One to eight bits turned over."""
    changed = bytearray(data)
    for _ in range(random_numbers.randint(1, 8) if data else 0):
        changed[random_numbers.randrange(len(changed))] ^= 1 << random_numbers.randrange(8)
    return bytes(changed)


def random_bytes(data: bytes, random_numbers: random.Random) -> bytes:
    """A short run replaced by noise."""
    start, stop = _span(data, random_numbers, most=16)
    return data[:start] + random_numbers.randbytes(stop - start) + data[stop:]


def truncate(data: bytes, random_numbers: random.Random) -> bytes:
    """The end is missing."""
    return data[: random_numbers.randint(0, len(data))]


def remove_block(data: bytes, random_numbers: random.Random) -> bytes:
    """A run in the middle is missing."""
    start, stop = _span(data, random_numbers, most=256)
    return data[:start] + data[stop:]


def repeat_block(data: bytes, random_numbers: random.Random) -> bytes:
    """A run stands there many times."""
    start, stop = _span(data, random_numbers, most=256)
    times = random_numbers.choice((2, 3, 10, 100, 1000))
    block = data[start:stop] * times
    return data[:start] + block[: max(_MAX_GROWN_BYTES - len(data), 0)] + data[stop:]


def swap_blocks(data: bytes, random_numbers: random.Random) -> bytes:
    """Two neighbouring runs change places."""
    start, stop = _span(data, random_numbers, most=512)
    middle = random_numbers.randint(start, stop)
    return data[:start] + data[middle:stop] + data[start:middle] + data[stop:]


def zero_block(data: bytes, random_numbers: random.Random) -> bytes:
    """A run of zeros or of 0xFF, as an interrupted copy leaves it."""
    start, stop = _span(data, random_numbers, most=256)
    return data[:start] + random_numbers.choice((b"\0", b"\xff")) * (stop - start) + data[stop:]


def lie_in_integer(data: bytes, random_numbers: random.Random) -> bytes:
    """Bytes overwritten by an integer that lengths and counts break at, of 1, 2, 4 or 8 bytes."""
    size, letter = random_numbers.choice(((1, "B"), (2, "H"), (4, "L"), (8, "Q")))
    if len(data) < size:
        return data
    number = random_numbers.choice(INTERESTING_INTEGERS) & ((1 << (8 * size)) - 1)
    at = random_numbers.randint(0, len(data) - size)
    return data[:at] + struct.pack(random_numbers.choice("<>") + letter, number) + data[at + size :]


def lie_in_digits(data: bytes, random_numbers: random.Random) -> bytes:
    """A number written in digits becomes another one, far away."""
    digits = [at for at, byte in enumerate(data[:_MAX_GROWN_BYTES]) if 48 <= byte <= 57]
    if not digits:
        return data
    start = stop = random_numbers.choice(digits)
    while stop < len(data) and 48 <= data[stop] <= 57:
        stop += 1
    number = random_numbers.choice(INTERESTING_INTEGERS) * random_numbers.choice((1, 1, -1))
    text = random_numbers.choice((str(number).encode(), *_INTERESTING_TEXTS))
    return data[:start] + text + data[stop:]


def _spliced(data: bytes, other: bytes, random_numbers: random.Random) -> bytes:
    """The beginning of one input, the end of another; or a piece of the other inside."""
    start, stop = _span(other, random_numbers, most=len(other))
    at = random_numbers.randint(0, len(data))
    if random_numbers.random() < 0.5:
        return (data[:at] + other[start:])[: max(_MAX_GROWN_BYTES, len(data))]
    piece = other[start : min(stop, start + 4096)]
    return data[:at] + piece + data[at + random_numbers.choice((0, len(piece))) :]


def _with_token(data: bytes, token: bytes, random_numbers: random.Random) -> bytes:
    at = random_numbers.randint(0, len(data))
    return data[:at] + token + data[at + random_numbers.choice((0, len(token))) :]


def _span(data: bytes, random_numbers: random.Random, *, most: int) -> tuple[int, int]:
    start = random_numbers.randint(0, len(data))
    return start, min(len(data), start + random_numbers.randint(1, max(most, 1)))


_BLIND: tuple[Mutation, ...] = (
    flip_bits,
    flip_bits,
    random_bytes,
    truncate,
    remove_block,
    repeat_block,
    swap_blocks,
    zero_block,
    lie_in_integer,
    lie_in_integer,
    lie_in_digits,
)
