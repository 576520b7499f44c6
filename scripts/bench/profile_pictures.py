"""Where the time goes, stock against ours, for the three largest gains: docs/images/profile-*.png.

    python scripts/bench/profile_pictures.py [--only reading chain map] [--films 8] [--out docs/images]

Each picture has a bar per side, split into stages; every stage is timed by the clock around the functions
that do it, in the code as it runs. The map's stages are torch's operators, by torch.profiler.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import matplotlib as mpl
import torch

mpl.use("Agg")
from bench_chain import CASES, STOCK, chains
from bench_decode import ITK, OURS, reads_all, tensor_readers
from bench_probability_map import DENSE, SLIDING, breast_image, settle
from matplotlib import pyplot as plt
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.data import ITKReader
from monai.transforms import Resize, ScaleIntensity
from real_films import film_records

from mammo_monai.dicom import pixels as dicom_pixels
from mammo_monai.inference.probability_map import probability_map_inferer
from mammo_monai.networks.classifiers import image_classifier, patch_network
from mammo_monai.networks.detector import MammoRetinaNetDetector
from mammo_monai.transforms import StretchToSized, load

Seconds = dict[str, float]
Stage = tuple[str, object, str]
"""Name, owner and attribute of what does the stage."""
KINDS = (
    ("convolution", "convolutions"),
    ("mkldnn", "convolutions"),
    ("batch_norm", "batch norm"),
    ("pool", "pooling"),
    ("relu", "activations"),
    ("linear", "head"),
    ("addmm", "head"),
    ("interpolate", "resizing"),
)


@contextmanager
def timed_stages(stages: Sequence[Stage], into: Seconds) -> Iterator[None]:
    """Adds the seconds spent in each stage to `into`; a stage inside another counts in the outer one only."""
    inside: list[str] = []

    def timer(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(work)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if inside:
                return work(*args, **kwargs)
            inside.append(name)
            start = time.perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                into[name] += time.perf_counter() - start
                inside.pop()

        return timed

    with ExitStack() as stack:
        for name, owner, attribute in stages:
            stack.enter_context(mock.patch.object(owner, attribute, timer(name, getattr(owner, attribute))))
        yield


def stages_of(work: Callable[[], object], stages: Sequence[Stage]) -> Seconds:
    """Seconds of each stage of one run, after one to warm up, and of the rest."""
    work()
    found: Seconds = defaultdict(float)
    with timed_stages(stages, found):
        start = time.perf_counter()
        work()
        total = time.perf_counter() - start
    return {**found, "the rest": max(0.0, total - sum(found.values()))}


READING: tuple[Stage, ...] = (
    ("open and decode", ITKReader, "read"),
    ("pixels to array", ITKReader, "get_data"),
    ("open the file", dicom_pixels, "open_mammogram"),
    ("decode", dicom_pixels, "decode_stored_values"),
    ("look-up table", load, "_sixteen_bit"),
    ("scale to floats", ScaleIntensity, "__call__"),
    ("scale to floats", load, "as_float"),
)


def reading(films: Sequence[Path]) -> dict[str, Seconds]:
    readers = tensor_readers()
    return {name: stages_of(partial(reads_all, readers[name], films), READING) for name in (ITK, OURS)}


def chain(films: Sequence[Path]) -> dict[str, Seconds]:
    """Without decoding ahead: overlapping stages would not add up."""
    case = CASES[0]
    stages: tuple[Stage, ...] = (
        ("read", ITKReader, "read"),
        ("read", ITKReader, "get_data"),
        ("read", load, "load_image"),
        ("scale", ScaleIntensity, "__call__"),
        ("scale", load, "as_float"),
        ("resize", Resize, "__call__"),
        ("resize", StretchToSized, "__call__"),
        ("network and boxes", RetinaNetDetector, "forward"),
        ("network and boxes", MammoRetinaNetDetector, "forward"),
    )
    with TemporaryDirectory() as folder:
        sides = chains(case, films, Path(folder), 0)
        ours = "openvino" if "openvino" in sides else "channels_last"
        return {name: stages_of(sides[name], stages) for name in (STOCK, ours)}


def probability_map(_: Sequence[Path]) -> dict[str, Seconds]:
    image = breast_image(1000, 1600, 0)
    torch.manual_seed(0)
    network = patch_network("resnet18", patch_px=224, contrast="none").eval()
    settle(network, image, 224)
    make = partial(probability_map_inferer, image_classifier(network).eval(), batch_size=64)
    ways = {SLIDING: make("sliding", stride_px=56), DENSE: make("dense", tile_px=1536)}
    return {name: by_operator(partial(way.patch_probabilities, image)) for name, way in ways.items()}


def by_operator(work: Callable[[], object]) -> Seconds:
    """Seconds of torch's operators by kind."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        work()
    found: Seconds = defaultdict(float)
    for event in profile.key_averages():
        kind = next((kind for part, kind in KINDS if part in event.key), "the rest")
        found[kind] += event.self_cpu_time_total / 1e6
    return dict(found)


def draw(title: str, sides: Mapping[str, Seconds], path: Path) -> None:
    """Stacked horizontal bars, one per side; the total and its ratio to the first at the end."""
    stages = list(dict.fromkeys(stage for each in sides.values() for stage in each))
    colours = dict(zip(stages, mpl.colormaps["tab10"].colors, strict=False))
    figure, axes = plt.subplots(figsize=(8.5, 2.0 + 0.5 * len(sides)), layout="constrained")
    first = sum(next(iter(sides.values())).values())
    for row, seconds in enumerate(sides.values()):
        left = 0.0
        for stage, value in seconds.items():
            axes.barh(row, value, left=left, color=colours[stage], label=stage, height=0.6)
            left += value
        ratio = "" if row == 0 else f", {first / left:.1f} × faster"
        axes.text(left + 0.01 * first, row, f"{left:.2f} s{ratio}", va="center", fontsize=9)
    axes.set_yticks(range(len(sides)), list(sides), fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * first)
    axes.set_xlabel("seconds")
    axes.set_title(title, fontsize=10)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), fontsize=8, loc="outside lower center", ncols=4)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


PICTURES: dict[str, tuple[str, Callable[[Sequence[Path]], dict[str, Seconds]]]] = {
    "reading": ("DICOM file → float tensor, real RLE films", reading),
    "chain": ("DICOM → detections.json, shipped bundle", chain),
    "map": ("Probability map, 1000 × 1600, ResNet-18, by operator", probability_map),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(PICTURES), default=list(PICTURES))
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    films = [record.image for record in film_records()][: args.films]
    for name in args.only:
        title, measure = PICTURES[name]
        path = args.out / f"profile-{name}.png"
        draw(f"{title} ({len(films)} films)" if name != "map" else title, measure(films), path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
