"""Writing a whole phantom data set: patients in parallel, resumable, the same bytes whatever the workers."""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.parts import remove_leftover
from mammo_monai.phantoms.cbis_ddsm import write_cbis_ddsm_patient, write_cbis_ddsm_tables
from mammo_monai.phantoms.inbreast import write_inbreast_patient, write_inbreast_table
from mammo_monai.phantoms.truth import Json

logger = logging.getLogger(__name__)

LAYOUTS = ("cbis-ddsm", "inbreast")
SALT = "phantoms"
VERSION = 1
"""Raised when the same seed gives other bytes than before."""
SUMMARY = "phantoms.json"
TRUTH = "truth.json"
_MARKERS = ".phantoms"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Settings:
    layout: str
    seed: int
    pixel_spacing_mm: float
    version: int = VERSION


def write_phantoms(
    root: Path,
    *,
    layout: str,
    patients: int,
    seed: int,
    pixel_spacing_mm: float = 0.07,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> Path:
    """Writes synthetic mammograms in a data set's own on-disk layout; returns the root.

    The same arguments give the same bytes, whatever `workers`; patient k does not depend on `patients`.
    A patient already complete under the root is kept, so a killed run goes on where it stopped, and a larger
    `patients` adds to what is there. One process at a time may write a root. With `workers` > 1 the calling
    script needs the usual `if __name__ == "__main__"` guard: workers are spawned, never forked from a process
    that may hold threads.

    Args:
        layout: "cbis-ddsm" (film, every image has a mass) or "inbreast" (digital, about 40 % normal images).
        pixel_spacing_mm: size of a pixel; physical sizes do not depend on it.
        on_progress: called with (patients done, patients), first with those found complete.

    Raises:
        ValueError: an unknown layout, or a number out of range.
        ManifestError: the root holds other phantoms, or more patients than asked for.
    """
    root, settings = Path(root), _Settings(layout, seed, pixel_spacing_mm)
    _check(settings, patients, workers)
    _claim(root, settings, patients)
    todo = [index for index in range(patients) if not _marker(root, index).exists()]
    done = patients - len(todo)
    if on_progress:
        on_progress(done, patients)
    for _ in _written(root, settings, todo, workers):
        done += 1
        if on_progress:
            on_progress(done, patients)
    _write_tables(root, settings, patients)
    logger.info("wrote %d phantom patients in the %s layout to %s", patients, layout, root)
    return root


def _check(settings: _Settings, patients: int, workers: int) -> None:
    if settings.layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {settings.layout!r}.")
    for name, value, low, high in (
        ("patients", patients, 1, 99_999),
        ("workers", workers, 1, 1024),
        ("seed", settings.seed, 0, 2**63 - 1),
        ("pixel_spacing_mm", settings.pixel_spacing_mm, 0.02, 2.0),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} must lie in [{low}, {high}], got {value}.")


def _claim(root: Path, settings: _Settings, patients: int) -> None:
    path = root / _MARKERS / "settings.json"
    if not path.exists():
        if root.exists() and any(child.name != _MARKERS for child in root.iterdir()):
            raise ManifestError(f"{root} is not empty and holds no phantoms. Choose another folder.")
        write_json_atomic(path, asdict(settings))
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != asdict(settings):
        raise ManifestError(f"{path}: expected {asdict(settings)}, found {found}. Choose another folder.")
    count = sum(1 for _ in (root / _MARKERS).glob("patient_*.json"))
    beyond = [p for p in (root / _MARKERS).glob("patient_*.json") if int(p.stem.split("_")[1]) >= patients]
    if beyond:
        raise ManifestError(
            f"{root} already holds {count} phantom patients, asked for {patients}. "
            "Ask for at least as many, or choose another folder."
        )
    for leftover in root.rglob(".*.part*"):
        remove_leftover(leftover)  # not what another run, for the same cache say, is writing right now


def _written(root: Path, settings: _Settings, todo: list[int], workers: int) -> Iterator[int]:
    if workers == 1 or len(todo) < 2:
        for index in todo:
            yield _write_patient(root, settings, index)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=context) as pool:
        futures = [pool.submit(_write_patient, root, settings, index) for index in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_patient(root: Path, settings: _Settings, index: int) -> int:
    write = write_cbis_ddsm_patient if settings.layout == "cbis-ddsm" else write_inbreast_patient
    write_json_atomic(_marker(root, index), write(root, settings.seed, index, settings.pixel_spacing_mm))
    return index


def _write_tables(root: Path, settings: _Settings, patients: int) -> None:
    parts: list[Json] = [
        json.loads(_marker(root, index).read_text(encoding="utf-8")) for index in range(patients)
    ]
    if settings.layout == "cbis-ddsm":
        write_cbis_ddsm_tables(root, parts)
    else:
        write_inbreast_table(root, parts)
    images = [image for part in parts for image in _images(part)]
    summary = {**asdict(settings), "patients": patients, "salt": SALT}
    write_json_atomic(root / TRUTH, {**summary, "images": images})
    write_json_atomic(root / SUMMARY, summary)


def _images(part: Json) -> list[Json]:
    images = part["images"]
    if not isinstance(images, list):
        raise TypeError(f"images must be a list, got {type(images).__name__}.")
    return images


def _marker(root: Path, index: int) -> Path:
    return root / _MARKERS / f"patient_{index:05d}.json"
