"""Draws the pictures of docs/explanation: data flow, one phantom's frames, what freezing policies train.

    python scripts/docs/explanation_pictures.py [--out docs/images]

Each picture stands on a light card of its own, so that it reads on a light page and on a dark one. The same
software gives the same bytes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

INK, FAINT, CARD, LINE = "#1d1d1f", "#5b5b61", "#f7f7f5", "#c9c9cf"
FILE, STEP, OUT = "#d7e8f5", "#ffffff", "#e3f1e4"  # files on disk, commands, what leaves
TRAINED, FROZEN = "#0072b2", "#e2e2e6"
LESION = "#2fd07a"
Point = tuple[float, float]


def data_flow(path: Path) -> None:
    """Data sets → manifest → detections → metrics, with the commands between them."""
    figure, axes = _card((10.2, 5.0), (102, 50))
    _box(axes, 2, 36, (17, 10), ("data sets", "DICOM, PNG, JPG\nCSV, XML, JSON, masks", STEP), False)
    _box(axes, 30, 36, (19, 10), ("manifest.json", "images, patients,\nlesions, lists", FILE), True)
    _box(axes, 60, 36, (19, 10), ("detections.json", "boxes in original\npixels, scores", FILE), True)
    _box(axes, 60, 19, (19, 10), ("metrics.json", "FROC, ROC …, with\nrule and intervals", FILE), True)
    _box(axes, 30, 19, (19, 10), ("prepared copies", "16 bit, carry their\ngeometry", FILE), False)
    _box(axes, 30, 3, (19, 10), ("model.safetensors", "with its lineage", FILE), False)
    _box(axes, 86, 38, (14, 8), ("DICOM", "SR, GSPS, SEG → PACS", OUT), False)
    _box(axes, 86, 28, (14, 8), ("review page", "accept, reject, draw", OUT), False)
    _box(axes, 86, 18, (14, 8), ("report", "page, PDF, CSV", OUT), False)
    _box(axes, 60, 3, (19, 10), ("operating_points.json", "thresholds, calibration", FILE), False)
    _box(axes, 2, 19, (17, 10), ("audit", "what was repaired,\nleft out, doubted", OUT), False)
    _arrow(axes, (19, 42), (30, 42), text="manifest")
    _arrow(axes, (10.5, 36), (10.5, 29))
    _arrow(axes, (49, 42), (60, 42), text="predict")
    _arrow(axes, (39.5, 36), (39.5, 29), text="prepare", beside=True)
    _arrow(axes, (39.5, 19), (39.5, 13), text="train", beside=True)
    _arrow(axes, (69.5, 36), (69.5, 29), text="evaluate", beside=True)
    _arrow(axes, (60, 38), (55.6, 38), (55.6, 8), (60, 8), text="calibrate", turned=(57.2, 24))
    _arrow(axes, (49, 8), (52, 8), (52, 40), (60, 40))
    _arrow(axes, (79, 43), (86, 42), text="dicom")
    _arrow(axes, (79, 39), (86, 33), text="review")
    _arrow(axes, (79, 24), (86, 22), text="report")
    _save(figure, path)


def freezing(path: Path) -> None:
    """A row per policy, a block per part of the light network, with its share of all parameters."""
    from mammo_monai.networks import retinanet_network  # noqa: PLC0415  # torch, for this picture alone
    from mammo_monai.networks.freezing import POLICIES, apply_freezing  # noqa: PLC0415

    network = retinanet_network(
        backbone="efficientnet_lite0", head_norm="gn16", fpn_channels=128, bn_eps=0.001
    )
    parts = network.parts
    named = {"stem": parts.stem, "top": parts.top, "neck": parts.neck, "classifier": parts.classifier}
    sizes = {"stem": 0, "body": 0, "top": 0, "neck": 0, "boxes": 0, "classifier": 0}
    place: dict[str, str] = {}
    for name, parameter in network.named_parameters():
        found = next((key for key, starts in named.items() if name.startswith(starts)), None)
        place[name] = found or ("boxes" if name.startswith(parts.heads) else "body")
        sizes[place[name]] += parameter.numel()
    total = sum(sizes.values())
    titles = ("stem", "body", "last stage", "pyramid", "box head", "class head")
    figure, axes = _card((10.2, 4.4), (102, 44))
    for column, (key, title) in enumerate(zip(sizes, titles, strict=True)):
        x = 20 + 11 * column
        axes.text(x + 4.9, 40.2, title, ha="center", color=INK, fontsize=10, weight="bold")
        axes.text(x + 4.9, 37.4, f"{100 * sizes[key] / total:.1f} %", ha="center", color=FAINT, fontsize=9)
    for row, policy in enumerate(POLICIES):
        y = 29.5 - 6.6 * row
        trained = apply_freezing(network, policy, frozen_norm=False)
        is_trained = {place[name] for name, each in network.named_parameters() if each.requires_grad}
        axes.text(2, y + 2.4, policy, va="center", color=INK, fontsize=10, family="monospace")
        for column, key in enumerate(sizes):
            colour = TRAINED if key in is_trained else FROZEN
            x, shape = 20 + 11 * column, "round,pad=0,rounding_size=0.8"
            axes.add_patch(FancyBboxPatch((x, y), 9.8, 4.8, shape, fc=colour, ec="none"))
            word, text_colour = ("trained", "white") if key in is_trained else ("frozen", FAINT)
            axes.text(x + 4.9, y + 2.3, word, ha="center", va="center", fontsize=8.5, color=text_colour)
        share = f"{100 * trained.n_trained / total:.1f} %"
        axes.text(88, y + 2.4, share, va="center", color=INK, fontsize=10)
    axes.text(88, 40.2, "trained", color=INK, fontsize=10, weight="bold")
    _save(figure, path)


def coordinates(path: Path) -> None:
    """One right phantom film in four frames, its mass as a box in each."""
    from mammo_monai.data import load_samples  # noqa: PLC0415  # torch, for this picture alone
    from mammo_monai.phantoms import write_phantoms  # noqa: PLC0415
    from mammo_monai.readers import ManifestPlan, make_manifest  # noqa: PLC0415
    from mammo_monai.transforms import evaluation_transforms, inference_transforms  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        root, manifest = Path(folder) / "films", Path(folder) / "manifest.json"
        write_phantoms(root, layout="inbreast", patients=1, seed=12, pixel_spacing_mm=0.2)
        make_manifest(ManifestPlan("inbreast", root), manifest)
        masses = load_samples(manifest, labels=[0], only="lesions")
        sample = next(each for each in masses if each["laterality"] == "R")
        prepared = evaluation_transforms(preset="fixed_portrait", size_px=768, region="global")([sample])[0]
        whole = inference_transforms("sections", region="none")([sample])[0]
    pixels = whole["image"][0].numpy()[:, ::-1]  # without a crop it is mirrored alone
    crop, flip, _ = prepared["frame"].steps
    cropped = pixels[crop.y_min : crop.y_min + crop.height, crop.x_min : crop.x_min + crop.width]
    box = sample["box"][:1]
    frames = [("original image, files and records", pixels, box)]
    frames.append(("breast crop", cropped, crop.forward(box)))
    frames.append(("mirrored", cropped[:, ::-1], flip.forward(crop.forward(box))))
    frames.append(("the network's image", prepared["image"][0].numpy(), prepared["frame"].to_model(box)))
    _draw_frames(path, frames)


def _draw_frames(path: Path, frames: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    figure = Figure(figsize=(10.2, 4.2), facecolor=CARD)
    widths = [pixels.shape[1] / pixels.shape[0] + 0.12 for _, pixels, _ in frames]
    for axes, (title, pixels, box) in zip(
        figure.subplots(1, 4, width_ratios=widths, gridspec_kw={"wspace": 0.24}), frames, strict=True
    ):
        height, width = pixels.shape
        axes.imshow(pixels, cmap="gray", extent=(0, width, height, 0), vmin=0, vmax=max(pixels.max(), 1e-6))
        x_min, y_min, x_max, y_max = box[0]
        corner, size = (x_min, y_min), (x_max - x_min, y_max - y_min)
        axes.add_patch(Rectangle(corner, *size, fill=False, ec=LESION, lw=1.8))
        axes.set_title(f"{title}\n{width} × {height} px", fontsize=9, color=INK, loc="left")
        axes.set_xlabel(f"({x_min:.0f}, {y_min:.0f}, {x_max:.0f}, {y_max:.0f})", fontsize=8.5, color=INK)
        axes.tick_params(labelsize=7, colors=FAINT)
    figure.subplots_adjust(left=0.05, right=0.985, top=0.86, bottom=0.13)
    _save(figure, path)


def _card(size_in: tuple[float, float], extent: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size_in, facecolor=CARD)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, extent[0])
    axes.set_ylim(0, extent[1])
    axes.axis("off")
    return figure, axes


def _box(axes: Axes, x: float, y: float, size: Point, texts: tuple[str, str, str], is_main: bool) -> None:
    """A box with a title and a text below; `texts` ends with its colour."""
    title, text, colour = texts
    w, h = size
    edge, width = (INK, 1.4) if is_main else (LINE, 1.0)
    axes.add_patch(FancyBboxPatch((x, y), w, h, "round,pad=0,rounding_size=1", fc=colour, ec=edge, lw=width))
    axes.text(x + w / 2, y + h - 2.4, title, ha="center", va="center", fontsize=10, weight="bold", color=INK)
    axes.text(x + w / 2, y + (h - 3.6) / 2, text, ha="center", va="center", fontsize=8, color=FAINT)


def _arrow(
    axes: Axes, *points: Point, text: str = "", beside: bool = False, turned: Point | None = None
) -> None:
    """An arrow through the points. The text is the command that takes this way; `turned` is its place."""
    for first, second in pairwise(points[:-1]):
        axes.plot(*zip(first, second, strict=True), color=FAINT, lw=1.2, solid_capstyle="round")
    look = {"arrowstyle": "-|>", "mutation_scale": 11, "color": FAINT, "lw": 1.2, "shrinkA": 0, "shrinkB": 1}
    axes.add_patch(FancyArrowPatch(points[-2], points[-1], **look))
    if text:
        where = turned or np.mean(points, axis=0) + ([0.9, 0] if beside else [0, 1.2])
        look = {"rotation": 90 if turned else 0, "family": "monospace", "fontsize": 9, "color": INK}
        align = "left" if beside else "center"
        axes.text(*where, text, ha=align, va="center", bbox={"fc": CARD, "ec": "none", "pad": 0.6}, **look)


def _save(figure: Figure, path: Path) -> None:
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(path, dpi=130, facecolor=CARD, metadata={"Software": None})
    print(path)


PICTURES: dict[str, Callable[[Path], None]] = {
    "data-flow.png": data_flow,
    "coordinates.png": coordinates,
    "freezing.png": freezing,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "docs" / "images")
    parser.add_argument("--only", choices=tuple(PICTURES), help="one picture")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        if args.only in (None, name):
            draw(args.out / name)


if __name__ == "__main__":
    main()
