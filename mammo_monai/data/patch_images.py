"""Prepared images that patches are cut from: each decoded once, kept as 16-bit files, mapped into memory."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, is_dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.data.phantoms import cache_folder
from mammo_monai.data.prepared_image import file_stem
from mammo_monai.errors import GeometryError
from mammo_monai.files import atomic_path, write_json_atomic
from mammo_monai.geometry import ImageFrame, rowcol_to_xyxy
from mammo_monai.pace import Pace
from mammo_monai.records import Boxes
from mammo_monai.schema.json_text import json_value
from mammo_monai.transforms.sample import MAX_16_BIT, image_of
from mammo_monai.words import bytes_text, counted

logger = logging.getLogger(__name__)
Sample = Mapping[str, Any]
Pixels = NDArray[np.uint16]
FOLDER = "patch_images"
_VERSION = 1
# What a record may say better than its file, and a transform goes by: which way a breast is turned, whether
# there is a muscle, how large a pixel is.
_DECISIVE = ("laterality", "view_position", "pixel_spacing_mm")


@dataclass(frozen=True, eq=False)
class KeptImage:
    """One prepared image.

    Attributes:
        path: of its pixels, uint16 (H, W), 65535 for 1.0. shape: (H, W).
        frame: from the original image. candidates: boxes `(x_min, y_min, x_max, y_max)` that
            `CandidateRegionsd` has found in it, shape (N, 4), or None.
        in_memory: the pixels, where they are few.
    """

    path: Path
    shape: tuple[int, int]
    frame: ImageFrame
    candidates: Boxes | None = None
    in_memory: Pixels | None = None

    def pixels(self) -> Pixels:
        """The image, mapped and not read where it is large: a patch costs only its own pages of the disk."""
        if self.in_memory is not None:
            return self.in_memory
        return np.asarray(np.load(self.path, mmap_mode="r"))


def keep_images(
    samples: Sequence[Sample],
    transform: Callable[[Any], Any],
    *,
    cache_dir: str | Path | None = None,
    memory_px: int = 1_000_000,
    workers: int = 1,
) -> list[KeptImage]:
    """The prepared images of samples, from the cache where it has them, else made now and kept there.

    A file is used again when record id, side, view, spacing, source file (size and time of change), and all
    settings of the transform are the same. Nothing is ever deleted: remove the folder when it is no longer
    needed. Progress and time left are logged.

    Args:
        transform: without chance; gives `image` (1, H, W) in [0, 1] and `frame`, see `patch_transforms`.
        cache_dir: None: `patch_images` in the cache folder (`MAMMO_MONAI_CACHE`). A film at full size takes
            26 MB.
        memory_px: images up to so many pixels are read into memory, larger ones are mapped.
        workers: threads that prepare.

    Raises:
        MammoError: an image cannot be read or prepared. OSError: the folder cannot be written, or the disk is
            full; says how much was to come.
    """
    folder = Path(cache_dir) if cache_dir is not None else cache_folder() / FOLDER
    settings = json.dumps([_VERSION, transform_settings(transform)], sort_keys=True)
    paths = [folder / f"{file_stem(each['record_id'])}-{_key(each, settings)}.npy" for each in samples]
    kept: list[KeptImage | None] = [_found(path, memory_px) for path in paths]
    missing = [row for row, each in enumerate(kept) if each is None]
    if missing:
        logger.info("preparing %d of %s in %s", len(missing), counted(len(samples), "image"), folder)

    def made(row: int) -> tuple[int, KeptImage]:
        _write(paths[row], transform(dict(samples[row])))
        found = _found(paths[row], memory_px)
        if found is None:
            raise OSError(f"{paths[row]}: written a moment ago, cannot be read. Is the disk sound?")
        return row, found

    try:
        for row, image in _with_progress(made, missing, workers):
            kept[row] = image
    except OSError as error:
        raise _full_disk(error, kept, folder) from error
    return [each for each in kept if each is not None]


def breast_shares(image: KeptImage, centres: NDArray[np.float64], patch_px: int) -> NDArray[np.float64]:
    """Share of pixels above 0 of the window of `patch_px` at each centre `(x, y)`, shape (N,).

    What lies outside counts as 0. Kept beside the image: to read a thousand films takes minutes.

    Args:
        centres: shape (N, 2), pixels of the prepared image.
    """
    if not len(centres):
        return np.zeros(0)
    asked = np.ascontiguousarray(centres).tobytes() + str(patch_px).encode()
    name = f"shares-{hashlib.sha256(asked).hexdigest()[:12]}"
    return remembered(image, name, lambda: window_shares(image.pixels(), centres, patch_px))


def remembered(image: KeptImage, name: str, find: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
    """What `find` says about an image, from a file beside it where it was asked before."""
    path = image.path.with_name(f"{image.path.stem}-{name}.npy")
    if path.is_file():
        try:
            return np.asarray(np.load(path), dtype=np.float64)
        except (ValueError, EOFError):
            logger.debug("%s cannot be read and is made again", path.name)
    found = np.asarray(find(), dtype=np.float64)
    _save(path, found)
    return found


def transform_settings(transform: object) -> Any:
    """A transform's class and settings as JSON, parts included; random state and tensors are left out."""
    if isinstance(transform, str | int | float | bool | None):
        return transform
    if isinstance(transform, list | tuple):
        return [transform_settings(each) for each in transform]
    if isinstance(transform, Mapping):
        return {str(name): transform_settings(each) for name, each in transform.items()}
    if hasattr(transform, "as_json"):
        return transform_settings(transform.as_json())
    values = asdict(transform) if is_dataclass(transform) and not isinstance(transform, type) else None
    values = values if values is not None else getattr(transform, "__dict__", {})
    kept = {name: transform_settings(each) for name, each in values.items() if name != "R"}
    return [type(transform).__qualname__, kept]


def window_shares(pixels: Pixels, centres: NDArray[np.float64], patch_px: int) -> NDArray[np.float64]:
    """As `breast_shares`, counted anew.

    By sums along rows, then down the few columns where windows begin or end.
    """
    height, width = pixels.shape
    low = np.round(centres - patch_px / 2).astype(np.int64)
    high = np.clip(low + patch_px, 0, [width, height])
    low = np.clip(low, 0, [width, height])
    edges = np.unique(np.concatenate([low[:, 0], high[:, 0]]))
    above = np.zeros((height, width + 1), dtype=np.int32)
    np.cumsum(pixels > 0, axis=1, out=above[:, 1:])
    sums = np.zeros((height + 1, len(edges)), dtype=np.int64)
    np.cumsum(above[:, edges], axis=0, out=sums[1:])
    left, right = (np.searchsorted(edges, each[:, 0]) for each in (low, high))
    top, bottom = low[:, 1], high[:, 1]
    count = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(count / patch_px**2)


def _key(sample: Sample, settings: str) -> str:
    path = Path(sample["image"])
    stamp = path.stat()
    prepared = sample.get("prepared")
    facts = [settings, stamp.st_size, stamp.st_mtime_ns, dict(prepared) if prepared else None]
    facts += [sample.get(name) for name in _DECISIVE]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8")).hexdigest()[:16]


def _write(path: Path, sample: Sample) -> None:
    """The pixels, then the description: an image without one is not whole."""
    image, frame = image_of(sample), sample.get("frame")
    if not isinstance(frame, ImageFrame):
        raise GeometryError(
            f"record {sample.get('record_id')}: patches need images whose frame is known; leave random "
            "transforms out of the preprocessing (the patches are augmented)."
        )
    pixels = np.round(image[0].numpy().astype(np.float64).clip(0, 1) * MAX_16_BIT).astype(np.uint16)
    _save(path, pixels)
    found = sample.get("candidates")
    content = {
        "shape": list(pixels.shape),
        "frame": frame.as_json(),
        "candidates": None if found is None else _boxes(found).tolist(),
    }
    write_json_atomic(path.with_suffix(".json"), content)


def _boxes(found: object) -> Boxes:
    """Boxes of a sample, in MONAI axis order, as `(x_min, y_min, x_max, y_max)`."""
    return rowcol_to_xyxy(np.asarray(found, dtype=np.float64).reshape(-1, 4))


def _found(path: Path, memory_px: int) -> KeptImage | None:
    """The kept image, or None where it is not there or not whole."""
    try:
        content = json_value(path.with_suffix(".json").read_bytes())
        frame = ImageFrame.from_json(content["frame"])
        mapped = np.load(path, mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError, EOFError, GeometryError):
        return None
    if list(mapped.shape) != content["shape"] or mapped.dtype != np.uint16:
        return None
    boxes = content["candidates"]
    return KeptImage(
        path,
        (int(mapped.shape[0]), int(mapped.shape[1])),
        frame,
        None if boxes is None else np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(mapped) if mapped.size <= memory_px else None,
    )


def _with_progress(
    work: Callable[[int], tuple[int, KeptImage]], rows: Sequence[int], workers: int
) -> Iterator[tuple[int, KeptImage]]:
    began, pace = time.monotonic(), Pace(logger, "prepared")
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            for done, result in enumerate(pool.map(work, rows), start=1):
                yield result
                pace(done, len(rows))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if rows:
        logger.info("prepared %s in %.0f s", counted(len(rows), "image"), time.monotonic() - began)


def _save(path: Path, array: NDArray[Any]) -> None:
    content = BytesIO()
    np.save(content, array)  # into a file it says of a full disk how many items were missing, and no errno
    with atomic_path(path) as part:
        part.write_bytes(content.getbuffer())


def _full_disk(error: OSError, kept: Sequence[KeptImage | None], folder: Path) -> OSError:
    if error.errno != errno.ENOSPC:
        return error
    done = [each for each in kept if each is not None]
    mean = float(np.mean([2 * each.shape[0] * each.shape[1] for each in done])) if done else 26e6
    missing = len(kept) - len(done)
    return OSError(
        errno.ENOSPC,
        f"{folder}: the disk is full; {missing} of {counted(len(kept), 'image')}, about "
        f"{bytes_text(mean * missing)}, are still to be written. Give cache_dir a folder on another "
        "disk; what is written is used again.",
    )
