"""The images of a data set before they are loaded: record id and file, read where they already stand."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mammo_monai.errors import ManifestError

Sample = Mapping[str, Any]


class Samples(Protocol):
    """Transformed sample dicts by index: a `monai.data.Dataset`, or a plain list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


@dataclass(frozen=True)
class Source:
    """What is known of an image before it is loaded."""

    record_id: str
    image: Path


class Sources:
    """The images of a data set, in its order. Keeps nothing per image: a MONAI data set's `data` names them.

    Raises:
        ManifestError: no image, or a record id used twice.
    """

    def __init__(self, dataset: Samples) -> None:
        self._raw: Sequence[Sample] | Samples = getattr(dataset, "data", dataset)
        if not len(self):
            raise ManifestError(
                "no image to predict on: the data set is empty. Check the path and the split."
            )
        self._reject_repeats()

    def __len__(self) -> int:
        return len(self._raw)

    def __getitem__(self, number: int) -> Source:
        raw = self._raw[number]
        return Source(str(raw["record_id"]), Path(raw["image_path"]))

    def numbers(self) -> dict[str, int]:
        """Number in the data set by record id: about 100 bytes an image, to be dropped after use."""
        return {str(self._raw[number]["record_id"]): number for number in range(len(self))}

    def digest(self) -> str:
        """A hash over ids, names, sizes and times of change: a changed file is another image."""
        digest = hashlib.sha256()
        for number in range(len(self)):
            raw = self._raw[number]
            image = os.fspath(raw["image_path"])
            digest.update(f"{raw['record_id']}\0{image}\0{_stamp(image)}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _reject_repeats(self) -> None:
        seen: set[str] = set()
        for number in range(len(self)):
            record_id = str(self._raw[number]["record_id"])
            if record_id in seen:
                first = next(each for n in range(number) if (each := self[n]).record_id == record_id)
                raise ManifestError(
                    f"record_id {record_id} stands for both {first.image} and {self[number].image}: an image "
                    "may be predicted once. Name it once, or make the manifest again."
                )
            seen.add(record_id)


def _stamp(image: str) -> tuple[int, int] | None:
    """Size and time of change; None where there is no such file. One question to the system per image."""
    try:
        status = os.stat(image)  # noqa: PTH116  # a Path of each of 100 000 images takes longer than its stat
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
