"""How time and memory of `Predictor` grow: with images, image size and detections; fits slopes, draws them.

    python scripts/bench/scaling.py --json scaling.json --plot docs/images/scaling.png
    python scripts/bench/scaling.py --counts 100 1000 10000 --real-counts --json quick.json

Every point runs in a process of its own, so that peak memory is that run's. The stub reads small films (hard
links to a few files) with the real loader and marks a fixed number of boxes; `--real-counts` takes the bundle
on phantoms. Run it on a quiet machine: seconds suffer from load, memory and slopes hardly do.
"""

# ruff: noqa: PLC0415  # each child imports only what its run needs: peak memory is measured

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

FORMATS = ("json", "jsonl", "parquet")
LINKS_PER_FILE = 30_000  # file systems allow some 65 000 names of one file
SMALL = (128, 96)


def main() -> int:
    args = _arguments()
    if args.child:
        print(json.dumps(CHILDREN[args.child[0]](*args.child[1:])))
        return 0
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        content: dict[str, Any] = {
            "schema": "mammo-monai/scaling/1",
            "machine": {"cores": os.cpu_count(), "load_before": os.getloadavg()},
            "images": [_run("stub", n, kind, 5, folder) for n in args.counts for kind in FORMATS],
            "real": [_run("real", n, args.bundle, folder) for n in args.real_counts],
            "sizes": [_run("size", size, args.bundle) for size in args.sizes],
            "detections": [_run("stub", 500, "jsonl", count, folder) for count in args.detections],
        }
    content["machine"]["load_after"] = os.getloadavg()
    content["slopes"] = _slopes(content)
    text = json.dumps(content, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")
    if args.plot:
        _plot(content, args.plot)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--counts", type=int, nargs="*", default=[100, 1000, 10_000, 100_000], help="images of the stub")
    add("--real-counts", type=int, nargs="*", default=[100, 300, 1000], help="images of the bundle")
    add("--sizes", type=int, nargs="*", default=[256, 512, 1024, 2048], help="long side of one image, px")
    add("--detections", type=int, nargs="*", default=[1, 10, 100, 1000], help="boxes of each image")
    add("--bundle", default="cbis_mass_detection")
    add("--folder", type=Path, help="where films and results go for the time; the temporary folder without")
    add("--json", type=Path, metavar="FILE")
    add("--plot", type=Path, metavar="FILE")
    add("--child", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(found, file=sys.stderr)
    return found


def _linked(folder: Path, films: list[Path], count: int) -> Path:
    """A folder of `count` names of these films, made once."""
    place = folder / f"{films[0].stem}-{count}"
    if place.is_dir():
        return place
    place.mkdir()
    copies: dict[tuple[int, int], Path] = {}
    for n in range(count):
        film = films[n % len(films)]
        key = (n % len(films), n // len(films) // LINKS_PER_FILE)
        if key not in copies:
            copies[key] = folder / f"{film.stem}-{count}-{key[0]}-{key[1]}{film.suffix}"
            copies[key].write_bytes(film.read_bytes())
        os.link(copies[key], place / f"{n:07d}{film.suffix}")
    return place


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _stub(count: str, kind: str, boxes: str, folder: str) -> dict[str, Any]:
    import torch
    from monai.transforms import Compose
    from PIL import Image
    from torch import nn

    from mammo_monai.data import MammogramDataset, load_samples
    from mammo_monai.inference import FullImageInferer, Predictor
    from mammo_monai.transforms import LoadMammogramd

    class Stub(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Identity()
            corner = torch.rand(int(boxes), 2, generator=torch.Generator().manual_seed(0)) * 80
            self.answer = {
                "box": torch.cat([corner, corner + 9], dim=1),
                "label": torch.zeros(int(boxes), dtype=torch.int64),
                "label_scores": torch.linspace(0.9, 0.1, int(boxes)),
            }

        def forward(self, images: list[Any]) -> list[dict[str, Any]]:
            return [self.answer for _ in images]

    film = Path(folder) / "film.png"
    if not film.exists():
        generator = np.random.default_rng(0)
        Image.fromarray(generator.integers(0, 255, SMALL, dtype=np.uint8)).save(film)
    place = _linked(Path(folder), [film], int(count))
    before_mb, start = _peak_mb(), time.perf_counter()
    samples = load_samples(place)
    dataset = MammogramDataset(samples, Compose([LoadMammogramd()]))
    listed_s, listed_mb = time.perf_counter() - start, _peak_mb()
    output = Path(folder) / f"found-{count}-{boxes}.{kind}"
    start = time.perf_counter()
    written = Predictor(FullImageInferer(Stub()), dataset, output).run()
    seconds = time.perf_counter() - start
    size = sum(each.stat().st_size for each in (output.iterdir() if output.is_dir() else [output]))
    return {
        "images": written.n_images,
        "format": kind,
        "boxes": int(boxes),
        "listed_s": listed_s,
        "seconds": seconds,
        "images_per_s": written.n_images / seconds,
        "before_mb": before_mb,
        "listed_mb": listed_mb,
        "peak_mb": _peak_mb(),
        "output_mb": size / 1e6,
    }


def _real(count: str, bundle: str, folder: str) -> dict[str, Any]:
    from mammo_monai.bundle import load_marker
    from mammo_monai.data import MammogramDataset, load_samples
    from mammo_monai.inference import Predictor

    films = [Path(each["image_path"]) for each in load_samples("phantoms:cbis-ddsm")]
    place = _linked(Path(folder), films, int(count))
    marker = load_marker(bundle)
    dataset = MammogramDataset(load_samples(place), marker.transform)
    marker.inferer(dataset[0]["image"])
    before_mb, start = _peak_mb(), time.perf_counter()
    written = Predictor(marker.inferer, dataset, Path(folder) / f"real-{count}.jsonl").run()
    seconds = time.perf_counter() - start
    return {
        "images": written.n_images,
        "seconds": seconds,
        "images_per_s": written.n_images / seconds,
        "before_mb": before_mb,
        "peak_mb": _peak_mb(),
    }


def _size(long_side: str, bundle: str) -> dict[str, Any]:
    import torch

    from mammo_monai.bundle import load_marker

    marker = load_marker(bundle)
    image = torch.rand(1, int(long_side), int(long_side) // 2, generator=torch.Generator().manual_seed(0))
    marker.inferer(image)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        marker.inferer(image)
        seconds.append(time.perf_counter() - start)
    return {"pixels": image.numel(), "seconds": min(seconds), "peak_mb": _peak_mb()}


CHILDREN = {"stub": _stub, "real": _real, "size": _size}


def _slopes(content: dict[str, Any]) -> dict[str, float]:
    """Of log seconds over log work: 1 is linear."""
    groups = {
        **{
            f"images, {kind}": ("images", [e for e in content["images"] if e["format"] == kind])
            for kind in FORMATS
        },
        "images, bundle": ("images", content["real"]),
        "pixels": ("pixels", content["sizes"]),
        "boxes": ("boxes", content["detections"]),
    }
    return {
        name: float(np.polyfit(np.log([e[key] for e in rows]), np.log([e["seconds"] for e in rows]), 1)[0])
        for name, (key, rows) in groups.items()
        if len(rows) > 1
    }


def _plot(content: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from mammo_monai.reports.plots.style import MARKERS, PRINT

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for n, kind in enumerate(FORMATS):
        rows = [each for each in content["images"] if each["format"] == kind]
        look = {"color": PRINT.of_run(n), "marker": MARKERS[n], "label": kind}
        axes[0].loglog([e["images"] for e in rows], [e["seconds"] for e in rows], **look)
        look["label"] = f"work, {kind}"
        axes[1].loglog([e["images"] for e in rows], [e["peak_mb"] - e["listed_mb"] for e in rows], **look)
    if content["images"]:
        rows = [each for each in content["images"] if each["format"] == FORMATS[0]]
        look = {"color": PRINT.of_run(4), "marker": MARKERS[4], "label": "list of images"}
        axes[1].loglog([e["images"] for e in rows], [e["listed_mb"] - e["before_mb"] for e in rows], **look)
    if content["real"]:
        rows, look = content["real"], {"color": PRINT.of_run(3), "marker": MARKERS[3], "label": "bundle"}
        axes[0].loglog([e["images"] for e in rows], [e["seconds"] for e in rows], **look)
    if content["sizes"]:
        look = {"color": PRINT.of_run(0), "marker": MARKERS[0], "label": "pixels of an image"}
        axes[2].loglog(
            [e["pixels"] for e in content["sizes"]], [e["seconds"] for e in content["sizes"]], **look
        )
    if content["detections"]:
        rows, look = content["detections"], {"color": PRINT.of_run(1), "marker": MARKERS[1]}
        per_image = [e["seconds"] / e["images"] for e in rows]
        axes[2].loglog([e["boxes"] for e in rows], per_image, label="boxes of an image (stub)", **look)
    labels = (("images", "s"), ("images", "MB"), ("pixels, boxes", "s per image"))
    for axis, (x, y) in zip(axes, labels, strict=True):
        axis.set_xlabel(x, color=PRINT.ink)
        axis.set_ylabel(y, color=PRINT.ink)
        axis.grid(color=PRINT.grid, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
