"""Every figure of docs/explanation/preprocessing.md: recall of candidates, what suppression changes, times.

    python scripts/preprocessing_figures.py --manifest manifest.json --split test --region otsu
    python scripts/preprocessing_figures.py --figures noise

Takes the originals, or `phantoms:LAYOUT[:PATIENTS]`; boxes of masses (label 0) are compared in the original's
own pixels. Printed as Markdown; nothing is trained, stored or chosen.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammo_monai.data import load_samples
from mammo_monai.geometry import box_iou, rowcol_to_xyxy
from mammo_monai.imaging import NOISE_METHODS, NoiseMethod, breast_region, reduce_noise, suppress_radiopaque
from mammo_monai.imaging.noise import SIZES_PX
from mammo_monai.metrics.bootstrap import wilson_interval
from mammo_monai.records import Boxes
from mammo_monai.transforms import CandidateRegionsd, evaluation_transforms
from mammo_monai.transforms.breast import RegionMethod
from mammo_monai.transforms.load import load_image

FIGURES = ("candidates", "artifacts", "noise")
REGIONS = (10, 25, 50, 100)
MIN_IOU = 0.2
SHARES = (0.0, 0.05, 0.25)
CONTRASTS = (0.75, 1.0, 1.25, 1.5)
MASS = 0
FULL_SIZE = (4000, 3328)  # rows, columns of a digital film
Sample = dict[str, Any]


@dataclass
class Ranks:
    """Of each mass the rank, from 0, of the first region that finds it; infinite if none does."""

    iou: list[float] = field(default_factory=list)
    centre: list[float] = field(default_factory=list)

    def add(self, masses: Boxes, regions: Boxes) -> None:
        centre = (regions[:, :2] + regions[:, 2:]) / 2
        for mass in masses:
            self.iou.append(first(box_iou(mass[None], regions)[0] > MIN_IOU))
            self.centre.append(first(((centre >= mass[:2]) & (centre < mass[2:])).all(axis=1)))


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--figures", nargs="+", choices=FIGURES, default=FIGURES)
    parser.add_argument("--manifest", help="of originals, or phantoms:LAYOUT[:PATIENTS]")
    parser.add_argument("--split", choices=("training", "validation", "test"), help="(all lists)")
    parser.add_argument("--region", choices=("otsu", "global"), default="otsu", help="(%(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth image")
    parser.add_argument("--contrast", type=float, nargs="+", default=CONTRASTS, help="of suppression")
    args = parser.parse_args()
    if args.manifest is None and set(args.figures) != {"noise"}:
        parser.error("give --manifest, or --figures noise")
    samples = originals(args.manifest, args.split, args.every) if args.manifest else []
    if "candidates" in args.figures:
        print(candidate_tables(samples, args.region))
    if "artifacts" in args.figures:
        print(artifact_table(samples, args.region, args.contrast))
    if "noise" in args.figures:
        print(noise_table())


def originals(manifest: str, split: str | None, every: int) -> list[Sample]:
    """The images, counted aloud; prepared copies are refused."""
    samples = load_samples(manifest, split)[::every]
    if any(each["prepared"] is not None for each in samples):
        raise SystemExit(f"{manifest}: holds prepared copies. Give the manifest of the originals.")
    n_masses = sum(len(masses_of(each)) for each in samples)
    n_patients = len({each["patient_id"] for each in samples})
    print(f"{len(samples)} images, {n_masses} masses, {n_patients} patients; lesion level\n")
    return samples


def masses_of(sample: Sample) -> Boxes:
    boxes: Boxes = sample["box_original"][sample["label_original"] == MASS]
    return boxes


def candidate_tables(samples: Sequence[Sample], region: RegionMethod) -> str:
    """Recall of the first N regions, of the same boxes where they do not belong, and how far masses rise."""
    prepare, propose = evaluation_transforms(region=region), CandidateRegionsd(max(REGIONS))
    rng = np.random.default_rng(0)
    found, mirrored, random = Ranks(), Ranks(), Ranks()
    rises: list[float] = []
    seconds = 0.0
    for sample in samples:
        masses, ready = masses_of(sample), prepare(sample)
        began = time.process_time()
        proposed = propose(ready)
        seconds += time.process_time() - began
        image, frame = ready["image"][0].numpy(), ready["frame"]
        regions = rowcol_to_xyxy(proposed["candidates"].numpy().astype(np.float64))
        found.add(masses, frame.to_original(regions))
        mirrored.add(masses, frame.to_original(upside_down(regions, image.shape[0])))
        random.add(masses, frame.to_original(elsewhere(regions, image > 0, rng)))
        rises += [rise(image, box) for box in frame.to_model(masses)]
    rows = [
        recall_row("IoU > 0.2", found.iou, with_interval=True),
        recall_row("centre in the box", found.centre, with_interval=True),
        recall_row("mirrored top to bottom, IoU / centre", mirrored.iou, mirrored.centre),
        recall_row("at random places, IoU / centre", random.iou, random.centre),
    ]
    table = markdown(["masses found by", *(f"{n} regions" for n in REGIONS)], rows)
    ends = np.nanpercentile(rises, (0, 50))
    return (
        f"{table}\n\nmasses over the ring around, in its standard deviations: median {ends[1]:.2f}, lowest "
        f"{ends[0]:.2f}; {1000 * seconds / len(samples):.0f} ms of processor time an image\n"
    )


def recall_row(
    name: str, ranks: Sequence[float], beside: Sequence[float] | None = None, *, with_interval: bool = False
) -> list[str]:
    row = [name]
    for n in REGIONS:
        hits, total = int(np.sum(np.array(ranks) < n)), len(ranks)
        text = f"{hits / total:.2f}"
        if beside is not None:
            text += f" / {np.mean(np.array(beside) < n):.2f}"
        if with_interval:
            interval = wilson_interval(hits, total)
            text = f"{hits}: {text} ({interval.low:.2f}–{interval.high:.2f})"
        row.append(text)
    return row


def first(is_hit: NDArray[np.bool_]) -> float:
    return float(np.argmax(is_hit)) if is_hit.any() else np.inf


def upside_down(boxes: Boxes, height: int) -> Boxes:
    return np.stack([boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], axis=1)


def elsewhere(boxes: Boxes, breast: NDArray[np.bool_], rng: np.random.Generator) -> Boxes:
    """The boxes with their centres at random pixels of the breast."""
    rows, columns = np.nonzero(breast)
    chosen = rng.integers(0, len(rows), len(boxes))
    centre = np.stack([columns[chosen], rows[chosen]], axis=1) + 0.5
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def rise(image: NDArray[np.float32], box: NDArray[np.float64]) -> float:
    """Mean of a box less that of the breast around it, twice as wide and high, in the latter's deviations."""
    half = (box[2:] - box[:2]) / 2
    part, within = (
        pixels_of(np.concatenate([box[:2] - half, box[2:] + half]), image.shape),
        np.zeros_like(image, bool),
    )
    within[pixels_of(box, image.shape)] = True
    ring = image[part][~within[part] & (image[part] > 0)]
    inner = image[within]
    return float((inner.mean() - ring.mean()) / ring.std()) if len(ring) > 1 and len(inner) else np.nan


def pixels_of(box: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[slice, slice]:
    x_min, y_min = np.floor(box[:2].clip(0)).astype(int)
    x_max, y_max = np.ceil(box[2:]).astype(int)
    return slice(y_min, min(y_max, shape[0])), slice(x_min, min(x_max, shape[1]))


def artifact_table(samples: Sequence[Sample], region: RegionMethod, contrasts: Sequence[float]) -> str:
    """How many images and how much of masses suppression changes, by contrast."""
    of_image: dict[float, list[float]] = {each: [] for each in contrasts}
    of_mass: dict[float, list[float]] = {each: [] for each in contrasts}
    seconds = 0.0
    for sample in samples:
        pixels = load_image(Path(sample["image"])).pixels
        breast = breast_region(pixels, region)
        for contrast in contrasts if breast.any() else ():
            began = time.process_time()
            is_changed = suppress_radiopaque(pixels, breast, contrast=contrast) != pixels
            seconds += time.process_time() - began
            of_image[contrast].append(float(is_changed.sum() / breast.sum()))
            of_mass[contrast] += [share_of(is_changed, box) for box in masses_of(sample)]
    rows = [artifact_row(each, np.array(of_image[each]), np.array(of_mass[each])) for each in contrasts]
    head = ["contrast", "images changed", "of the breast, mean / largest", "masses", "changed at all",
            "over 5 %", "over 25 %", "largest share"]  # fmt: skip
    each_ms = 1000 * seconds / (len(samples) * len(contrasts))
    return f"{markdown(head, rows)}\n\n{each_ms:.0f} ms of processor time an image and contrast\n"


def artifact_row(contrast: float, of_image: NDArray[np.float64], of_mass: NDArray[np.float64]) -> list[str]:
    return [
        f"{contrast:g}",
        f"{np.sum(of_image > 0)} of {len(of_image)}",
        f"{100 * of_image.mean():.2f} % / {100 * of_image.max():.1f} %",
        f"{len(of_mass)}",
        *(f"{np.sum(of_mass > share)}" for share in SHARES),
        f"{of_mass.max(initial=0):.2f}",
    ]


def share_of(is_changed: NDArray[np.bool_], box: NDArray[np.float64]) -> float:
    part = is_changed[pixels_of(box, is_changed.shape)]
    return float(part.mean()) if part.size else 0.0


def noise_table() -> str:
    """Seconds of processor time by method and window on a made film."""
    rng = np.random.default_rng(0)
    film = rng.integers(0, 65536, FULL_SIZE).astype(np.uint16)
    rows, columns = np.ogrid[: FULL_SIZE[0], : FULL_SIZE[1]]
    half = FULL_SIZE[0] / 2
    breast = (rows - half) ** 2 / (0.9 * half) ** 2 + columns**2 / (0.7 * FULL_SIZE[1]) ** 2 < 1
    film[~breast] = 0
    ways: dict[str, Callable[[int], object]] = {each: in_breast(film, each, breast) for each in NOISE_METHODS}
    ways["median, no region"] = lambda size: reduce_noise(film, "median", size_px=size)
    ways["scipy.ndimage.median_filter"] = lambda size: ndimage.median_filter(film, size)
    table = [[f"{size}", *(f"{seconds_of(way, size):.2f}" for way in ways.values())] for size in SIZES_PX]
    return (
        f"seconds for {FULL_SIZE[0]} × {FULL_SIZE[1]} px of 16 bits\n\n{markdown(['window', *ways], table)}\n"
    )


def in_breast(
    film: NDArray[np.uint16], method: NoiseMethod, breast: NDArray[np.bool_]
) -> Callable[[int], object]:
    return lambda size_px: reduce_noise(film, method, size_px=size_px, region=breast)


def seconds_of(way: Callable[[int], object], size_px: int) -> float:
    began = time.process_time()
    way(size_px)
    return time.process_time() - began


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
