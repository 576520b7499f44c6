"""Which images does a bundle's warning of untypical images catch, and how often does it cry wolf?

    python scripts/untypical_images.py --films fold_1.json --digital inbreast.json --out runs/untypical

Films are of a list that the bundle was not trained on (`--split`, the test list of its fold). Each is shown
as it is, and spoilt in the ways that images are spoilt in hospitals: inverted, clipped, turned, squeezed,
cut, tiny, blank. Digital mammograms and phantoms come beside them, and pictures that are no mammogram. Of
each kind: how many were looked at, how many were warned of, with Wilson's 95 % interval, and the figures that
stood out most often. Printed, and written to untypical.md and untypical.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from mammo_monai.bundle import bundle_parts, find_bundle
from mammo_monai.data import load_samples
from mammo_monai.files import write_json_atomic, write_text_atomic
from mammo_monai.imaging.typicality import Judgement, judge
from mammo_monai.inference.sample_statistics import sample_statistics
from mammo_monai.inference.training_look import STATISTICS
from mammo_monai.schema.training_statistics import TrainingStatistics, read_training_statistics
from mammo_monai.transforms.load import LoadedImage, load_image

Pixels = NDArray[np.uint16]
TOP = 65535


def clipped_window(pixels: Pixels) -> Pixels:
    """A window of the darker half: everything brighter is white."""
    limit = np.quantile(pixels[pixels > pixels.min()], 0.5)
    return np.clip(pixels / limit * TOP, 0, TOP).astype(np.uint16)


def narrow_window(pixels: Pixels) -> Pixels:
    """A window of the brightest tenth: everything darker is black."""
    limit = np.quantile(pixels[pixels > pixels.min()], 0.9)
    return np.clip((pixels - limit) / max(TOP - limit, 1) * TOP, 0, TOP).astype(np.uint16)


def squeezed(pixels: Pixels) -> Pixels:
    """Half as wide on a canvas of the same width, as when columns were lost."""
    canvas = np.zeros_like(pixels)
    half = pixels[:, ::2]
    canvas[:, : half.shape[1]] = half
    return canvas


def without_chest_wall(pixels: Pixels) -> Pixels:
    """Cut at the side that has more breast: its outer 30 % are missing."""
    cut = int(0.3 * pixels.shape[1])
    is_left = pixels[:, : pixels.shape[1] // 2].mean() >= pixels[:, pixels.shape[1] // 2 :].mean()
    return np.ascontiguousarray(pixels[:, cut:] if is_left else pixels[:, :-cut])


def tiny(pixels: Pixels) -> Pixels:
    """A tenth of the size."""
    return np.clip(zoom(pixels.astype(np.float32), 0.1, order=1), 0, TOP).astype(np.uint16)


SPOILT: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda pixels: pixels,
    "inverted (MONOCHROME1 read as 2)": lambda pixels: np.asarray(TOP - pixels, dtype=np.uint16),
    "window: upper half white": clipped_window,
    "window: lower nine tenths black": narrow_window,
    "16 grey levels": lambda pixels: (pixels // 4096 * 4369).astype(np.uint16),
    "turned by 90°": lambda pixels: np.ascontiguousarray(np.rot90(pixels)),
    "upside down": lambda pixels: np.ascontiguousarray(pixels[::-1]),
    "stretched to twice the width, canvas too": lambda pixels: np.repeat(pixels, 2, axis=1),
    "squeezed to half the width, canvas kept": squeezed,
    "chest wall cut off (30 %)": without_chest_wall,
    "a tenth of the size": tiny,
    "blurred (σ 1 % of the width)": lambda pixels: gaussian_filter(
        pixels.astype(np.float32), pixels.shape[1] / 100
    ).astype(np.uint16),
}


def made(n: int) -> Iterator[tuple[str, Pixels]]:
    """Images that are no mammogram, n of each kind, from fixed seeds."""
    rows, columns = 800, 640
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    for seed in range(n):
        draw = np.random.default_rng(seed)
        yield "blank", np.full((rows, columns), draw.integers(TOP), dtype=np.uint16)
        yield "noise", draw.integers(0, TOP, (rows, columns), dtype=np.uint16)
        flat = TOP / 2 + draw.normal(0, 300, (rows, columns)) + 3000 * (x / columns - 0.5)
        yield "flat field of a detector", np.clip(flat, 0, TOP).astype(np.uint16)
        radius = draw.uniform(200, 300)
        inside = (((x - columns / 2) / radius) ** 2 + ((y - rows / 2) / (0.75 * radius)) ** 2) < 1
        organs = gaussian_filter(draw.normal(0, 1, (rows, columns)), 20)
        body = inside * (0.5 + 0.2 * organs / organs.std())
        yield "CT-like slice: a disk in the middle", np.clip(body * TOP, 0, TOP).astype(np.uint16)
        scales = [gaussian_filter(draw.normal(0, 1, (rows, columns)), s) * s for s in (2, 5, 12, 30, 70)]
        scene = sum(scales)
        scene = (scene - scene.min()) / (scene.max() - scene.min())
        yield "photo-like texture over all", (scene * TOP).astype(np.uint16)


class Look:
    """Judges images as a bundle would see them; `seconds` is what the statistics and the judgement took."""

    def __init__(self, bundle: str, training: TrainingStatistics, region: str | None) -> None:
        given = {"region": region} if region else {}
        self.transform = bundle_parts(bundle, ("preprocessing",), given)["preprocessing"]
        self.training = training
        self.seconds = 0.0
        self.n = 0

    def __call__(self, pixels: Pixels, laterality: str | None) -> Judgement:
        prepare, *rest = self.transform.transforms
        data = {"image": "", "record_id": "a", "laterality": laterality, "image_path": ""}
        sample = prepare.sixteen_bit(data, LoadedImage(pixels))
        sample = {**sample, "image": sample["image"].float() / TOP}
        for step in rest:
            sample = step(sample)
        begin = time.perf_counter()
        judged = judge(self.training, sample_statistics(sample))
        self.seconds += time.perf_counter() - begin
        self.n += 1
        return judged


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, p = 1.959964, k / n
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float((centre - half) / (1 + z * z / n)), float((centre + half) / (1 + z * z / n))


def row(kind: str, judged: Sequence[Judgement]) -> dict[str, object]:
    """One line of the table."""
    warned = [each for each in judged if each.is_untypical]
    told = Counter(text.split()[0] for each in warned for text in each.outside[:1])
    low, high = wilson(len(warned), len(judged))
    return {
        "kind": kind,
        "n": len(judged),
        "warned": len(warned),
        "share": len(warned) / len(judged),
        "low": max(low, 0.0),
        "high": min(high, 1.0),
        "median_typicality": float(np.median([each.typicality for each in judged])),
        "told_most": [name for name, _ in told.most_common(2)],
    }


def every(samples: Sequence[dict[str, object]], n: int) -> list[dict[str, object]]:
    """At most n of them, evenly spread over the list."""
    return [
        samples[each]
        for each in np.unique(np.linspace(0, len(samples) - 1, min(n, len(samples))).astype(int))
    ]


def rows_of(args: argparse.Namespace, look: Look, digital: Look) -> Iterator[dict[str, object]]:
    films = load_samples(args.films, split=args.split)
    for kind, spoil in SPOILT.items():
        chosen = films if kind == "as it is" else every(films, args.n)
        yield row(
            f"film, {kind}",
            [look(spoil(load_image(Path(each["image"])).pixels), each["laterality"]) for each in chosen],
        )
    if args.digital:
        images = load_samples(args.digital)
        for kind, one in (("as a film (region otsu)", look), ("region global", digital)):
            yield row(
                f"digital, {kind}",
                [one(load_image(Path(each["image"])).pixels, each["laterality"]) for each in images],
            )
    for layout in ("cbis-ddsm", "inbreast"):
        phantoms = every(load_samples(f"phantoms:{layout}"), args.n)
        one = digital if layout == "inbreast" else look
        yield row(
            f"phantom, layout {layout}",
            [one(load_image(Path(each["image"])).pixels, each["laterality"]) for each in phantoms],
        )
    pictures: dict[str, list[Judgement]] = {}
    for kind, pixels in made(min(args.n, 20)):
        pictures.setdefault(kind, []).append(look(pixels, "L"))
    for kind, judged in pictures.items():
        yield row(f"no mammogram, {kind}", judged)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--films", required=True, help="a manifest of films")
    add("--split", default="test", help="its list that the bundle was not trained on")
    add("--digital", help="a manifest of digital mammograms")
    add("--bundle", default="cbis_mass_detection")
    add("--n", type=int, default=40, help="films that are spoilt, evenly spread over the list")
    add("--out", type=Path, default=Path("runs/untypical"))
    args = parser.parse_args()
    training = read_training_statistics(find_bundle(args.bundle) / STATISTICS)
    look, digital = Look(args.bundle, training, None), Look(args.bundle, training, "global")
    found = []
    for each in rows_of(args, look, digital):
        found.append(each)
        print(json.dumps(each, ensure_ascii=False), flush=True)
    head = "| images | n | warned | share (95 % interval) | told first |\n|---|---|---|---|---|\n"
    lines = [
        f"| {r['kind']} | {r['n']} | {r['warned']} | {r['share']:.2f} ({r['low']:.2f}–{r['high']:.2f}) "
        f"| {', '.join(r['told_most']) or '–'} |\n"
        for r in found
    ]
    write_text_atomic(args.out / "untypical.md", head + "".join(lines))
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    cost_ms = 1000 * (look.seconds + digital.seconds) / (look.n + digital.n)
    content = {
        "command": "scripts/untypical_images.py",
        "machine": machine,
        "cost_ms": cost_ms,
        "rows": found,
    }
    write_json_atomic(args.out / "untypical.json", content)


if __name__ == "__main__":
    main()
