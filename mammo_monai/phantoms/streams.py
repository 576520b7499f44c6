"""Random streams and UIDs that depend on names alone, never on the order or the number of things made."""

from __future__ import annotations

import zlib

import numpy as np
from pydicom.uid import UID, generate_uid

Name = str | int


def stream(seed: int, *names: Name) -> np.random.Generator:
    """A generator of its own for every seed and path of names.

    >>> float(stream(1, "a").random()) == float(stream(1, "a").random())
    True
    >>> float(stream(1, "a").random()) == float(stream(1, "b").random())
    False
    """
    words = [zlib.crc32(f"{type(name).__name__}:{name}".encode()) for name in names]
    return np.random.default_rng(np.random.SeedSequence([seed, len(words), *words]))


def uid_of(*names: Name) -> UID:
    """A UID under pydicom's root that is the same for the same names."""
    return generate_uid(entropy_srcs=["mammo-monai phantoms", *(str(name) for name in names)])
