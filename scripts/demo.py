"""Eight real films marked by the model in the box, then the whole chain on synthetic mammograms.

    eight films → the shipped model → a page with its marks, hits and misses        (within a minute)
    phantoms in both layouts → stage 1 → stage 2 → one-stage baseline → the same held-out test → report

The second part takes ten minutes on two CPU cores; `--films-only` leaves it out. Every step is a
`mammo-monai` command, printed before it runs. A demo that was stopped goes on. The films come with a Python
package; where they are missing, the demo says so and goes on with the second part.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from marked_films_page import mark_films, why_not_marked

from mammo_monai.cli.main import main as mammo_monai
from mammo_monai.schema import read_metrics

MODEL = "cbis_mass_detection"
STAGE_1, STAGE_2, ONE_STAGE = (
    "coco_to_cbis_mass_retinanet",
    "cbis_to_inbreast_mass_retinanet",
    "coco_to_inbreast_mass_retinanet",
)
# A small network at a coarse scale, trained whole from random weights: minutes instead of hours. Every value
# overrides one id of the bundles' own train.json; nothing else differs from a real training.
SMALL_NETWORK = {
    "network_def#backbone": "resnet18",
    "network_def#fpn_channels": 64,
    "network_def#head_norm": "gn8",
    "detector#anchor_sizes_px": [16, 32, 64, 128, 256],
    "detector#size_divisible": 32,
}
TRAINING = {
    "precision": "bf16",
    "batch_size": 8,
    "size_px": 192,
    "ema_decay": 0.99,
    "augment": "light",
    "freeze": "all",
    "scheduler#kind": "cosine",
    "scheduler#warmup_iterations": 20,
    "cache_rate": 1.0,
    "val_interval": 2,
}
BANNER = "Phantom figures are not clinical figures: these images are synthetic."


def demo(out: Path, *, patients: int, epochs: tuple[int, int], spacing_mm: float) -> None:
    """Runs the chain into `out`; prints the table and where the pages are."""
    began = time.monotonic()
    for layout, count in (("cbis-ddsm", patients * 3 // 2), ("inbreast", patients)):
        _run("phantoms", "--layout", layout, "--patients", count, "--seed", 7, "--out", out / layout,
             "--pixel-spacing-mm", spacing_mm, "--workers", 2)  # fmt: skip
        _run("manifest", layout, out / layout, "-o", out / f"{layout}.json")
    film, digital = out / "cbis-ddsm.json", out / "inbreast.json"
    stage_1, stage_2, one_stage = (out / name for name in ("stage_1", "stage_2", "one_stage"))
    _train(STAGE_1, film, stage_1, init="none", epochs=epochs[0])
    _train(STAGE_2, digital, stage_2, init=str(stage_1 / "model.safetensors"), epochs=epochs[1], rate=3e-4)
    _train(ONE_STAGE, digital, one_stage, init="none", epochs=epochs[1])
    runs = {"two-stage": stage_2, "one-stage": one_stage, "stage 1 only": stage_1}
    for folder in runs.values():
        _predict(STAGE_2, folder, [digital, "--split", "test"], folder / "detections.json")
        _run("evaluate", folder / "detections.json", "--manifest", digital, "--split", "test",
             "-o", folder / "metrics.json")  # fmt: skip
    _run("report", *runs.values(), "--manifest", digital, "-o", out / "report.html",
         *(part for name in runs for part in ("--name", name)))  # fmt: skip
    _print_table(out, runs, began)


def _train(bundle: str, manifest: Path, folder: Path, *, init: str, epochs: int, rate: float = 1e-3) -> None:
    values = SMALL_NETWORK | TRAINING | {"learning_rate": rate}
    _run("train", "--bundle", bundle, "--manifest", manifest, "--output-dir", folder, "--init", init,
         "--epochs", epochs, *_overrides(values))  # fmt: skip


def _predict(bundle: str, folder: Path, what: list[object], output: Path, *more: object) -> None:
    values = SMALL_NETWORK | {"size_px": TRAINING["size_px"], "precision": "bf16"}
    _run("predict", *what, "--bundle", bundle, "--weights", folder / "model.safetensors", "-o", output, *more,
         *_overrides(values))  # fmt: skip


def _overrides(values: dict[str, object]) -> list[object]:
    return [part for name, value in values.items() for part in (f"--{name}", value)]


def _run(*arguments: object) -> None:
    words = [str(each) for each in arguments]
    print(f"\n$ mammo-monai {' '.join(words)}", file=sys.stderr, flush=True)
    code = mammo_monai(words)
    if code:
        sys.exit(code)


def _print_table(out: Path, runs: dict[str, Path], began: float) -> None:
    points = (0.25, 0.5, 1.0, 2.0, 4.0)
    print(f"\nSensitivity at false positives per image, held-out phantoms, IoU > 0.2. {BANNER}")
    print(f"{'FPPI':14}" + "".join(f"{point:<20g}" for point in points))
    for name, folder in runs.items():
        metrics = read_metrics(folder / "metrics.json")
        by_fppi = {point["fppi"]: point for point in metrics["froc"]["points"]}
        cells = [by_fppi[point] for point in points]
        row = "".join(f"{c['sensitivity']:.2f} ({c['low']:.2f}–{c['high']:.2f})".ljust(20) for c in cells)
        print(f"{name:14}{row}")
    print(f"images {metrics['n_images']}, lesions {metrics['n_lesions']}, 95 % intervals over patients")
    pages = [page for page in (out / "films.html", out / "report.html") if page.is_file()]
    print("\n" + "\n".join(f"open {page}" for page in pages))
    print(f"took {(time.monotonic() - began) / 60:.1f} min")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"))
    parser.add_argument(
        "--patients", type=int, default=60, help="digital phantoms; half as many again on film"
    )
    parser.add_argument("--epochs", type=int, nargs=2, default=(8, 6), metavar=("STAGE_1", "STAGE_2"))
    parser.add_argument("--spacing-mm", type=float, default=0.4, help="pixel spacing of the phantoms")
    add = parser.add_argument
    add("--films-only", action="store_true", help="only the eight real films")
    add("--bundle", default=MODEL, help="the model that marks them")
    add("--weights", type=Path, help="another weights file than the bundle's own")
    args = parser.parse_args()
    reason = why_not_marked(args.bundle, args.weights)
    if reason is None:
        print(f"open {mark_films(args.out, args.bundle, args.weights)}", flush=True)
    else:
        print(f"No film is marked: {reason}", file=sys.stderr, flush=True)
    if args.films_only:
        sys.exit(reason is not None)
    demo(args.out, patients=args.patients, epochs=tuple(args.epochs), spacing_mm=args.spacing_mm)


if __name__ == "__main__":
    main()
