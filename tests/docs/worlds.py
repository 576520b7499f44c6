"""Folders that pages start in: data sets in their own layouts, films, and what commands made of them.

All is made from phantoms. Each part is made once and kept; a page gets a copy of the worlds it names. A world
holds no more than it says: what a page makes itself must not be there before.
"""

from __future__ import annotations

import fcntl
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import read_manifest, write_detections
from tests.docs.exports import write_export, write_ours, write_png
from tests.readers.conftest import VindrTree

ROOT = Path(__file__).parents[2]
SPACING_MM = 0.8  # films of some 300 × 230 pixels
SMALL = {
    "init": "none",
    "size_px": 128,
    "batch_size": 8,
    "cache_rate": 0.0,
    "precision": "fp32",
    "network_def#backbone": "resnet18",
    "network_def#fpn_channels": 64,
}
KEPT_RUNS = {"stage_two": 8, "phantom_smoke": 3}  # of an experiment, else two


@dataclass(frozen=True)
class Store:
    """Where parts are kept, each made once however many processes ask."""

    folder: Path
    command: Path | str = "mammo-monai"

    def run(self, *words: object) -> None:
        """Runs `mammo-monai` with these words; 1 means that some images were left out, which may be."""
        done = subprocess.run(
            [str(self.command), *map(str, words)], capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            raise RuntimeError(
                f"a world could not be made: {' '.join(map(str, words))}: {done.stderr[-2000:]}"
            )

    def part(self, name: str) -> Path:
        """The folder of a part, made now if nobody has."""
        path = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / f"{name}.lock"):
            if not path.exists():
                making = self.folder / f"{name}.making"
                shutil.rmtree(making, ignore_errors=True)
                making.mkdir()
                PARTS[name](making, self)
                making.rename(path)
        return path

    def enter(self, names: str, folder: Path, *, bundle: Path | None = None) -> None:
        """Makes `folder` a copy of the worlds named; `bundle` is the one whose model card the page is.

        Raises:
            KeyError: no such world.
        """
        folder.mkdir(parents=True)
        for part in dict.fromkeys(part for name in names.split() for part in WORLDS[name]):
            shutil.copytree(self.part(part), folder, dirs_exist_ok=True, symlinks=True)
        if bundle is not None and "bundle" in names.split():
            shutil.copytree(
                bundle, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("eval", "training")
            )


WORLDS: dict[str, tuple[str, ...]] = {
    "empty": (),
    "films": ("films",),  # films/ (four DICOM views of one woman), film.dcm, film.png
    "inbreast": ("inbreast",),  # INbreast/ as downloaded
    "cbis": ("cbis",),  # CBIS-DDSM/ as downloaded; tables/, its tables alone
    "vindr": ("vindr",),  # VinDr-Mammo/ as downloaded
    "ours": ("ours",),  # ours/: a site's pictures with boxes.csv, boxes.json, labels/ (YOLO), masks/
    "exports": ("exports",),  # CBIS/ and INBREAST/: images/ and annotations.coco.json
    "manifest": ("inbreast", "manifest"),  # manifest.json of INbreast/
    "manifests": ("inbreast", "cbis", "ours", "manifests"),  # inbreast.json, cbis.json, ours.json
    # manifest.json; of its test list detections.json, metrics.json, and old/ and new/, two models' detections
    "detected": ("inbreast", "manifest", "detected"),
    # manifest.json and run/, a training's folder: model.safetensors, detections.json, metrics.json
    "trained": ("inbreast", "manifest", "trained"),
    "clone": ("clone",),  # bundles/, scripts/, tests/
    # experiments/: the shipped files, cut to one step of small networks; inbreast.json and cbis.json
    "experiments": ("inbreast", "cbis", "ours", "manifests", "manifest", "experiments"),
    "stranger": ("stranger",),  # stranger/, a bundle that does one thing more than is known
    "bundle": ("inbreast", "manifest", "bundle"),  # the bundle's own folder, with manifest.json and image.dcm
}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _phantoms(layout: str, name: str, patients: int, seed: int) -> Callable[[Path, Store], None]:
    def make(folder: Path, store: Store) -> None:
        store.run("phantoms", "--layout", layout, "--patients", patients, "--seed", seed,
                  "--pixel-spacing-mm", SPACING_MM, "--out", folder / name)  # fmt: skip

    return make


def _cbis(folder: Path, store: Store) -> None:
    """As downloaded, and tables/: those of the masses, and those of the calcifications, which list nobody."""
    _phantoms("cbis-ddsm", "CBIS-DDSM", 8, 5)(folder, store)
    (folder / "tables").mkdir()
    for path in (folder / "CBIS-DDSM").glob("mass_*.csv"):
        shutil.copy(path, folder / "tables")
        header = path.read_text(encoding="utf-8").splitlines()[0]
        header = header.replace("mass shape,mass margins", "calc type,calc distribution")
        name = path.name.replace("mass_", "calc_")
        (folder / "tables" / name).write_text(f"{header}\n", encoding="utf-8")


def _vindr(folder: Path, _: Store) -> None:
    tree = VindrTree(folder / "VinDr-Mammo")
    for number in range(8):
        for view in ("CC", "MLO"):
            image, study = f"image{number}{view}", f"study{number}"
            split = "training" if number < 6 else "test"
            tree.add(image, study=study, size=(120, 160), view_position=view, split=split)
            tree.add_image(image, study=study, size=(120, 160), ViewPosition=view)
    tree.write_tables()


def _films(folder: Path, store: Store) -> None:
    """Four views of the first woman of INbreast/ who has all of them."""
    found = sorted((store.part("inbreast") / "INbreast" / "AllDICOMs").glob("*.dcm"))
    by_patient: dict[str, list[Path]] = {}
    for path in found:
        by_patient.setdefault(path.name.split("_")[1], []).append(path)
    films = next(each for each in by_patient.values() if len(each) == 4)
    (folder / "films").mkdir()
    for path in films:
        _, _, _, side, view, _ = path.stem.split("_")
        shutil.copy(path, folder / "films" / f"{side}_{view}.dcm")
    shutil.copy(films[0], folder / "film.dcm")
    write_png(films[1], folder / "film.png")


def _manifest(folder: Path, store: Store) -> None:
    """Beside the data set it is of: paths in it are relative."""
    shutil.copytree(store.part("inbreast"), folder, dirs_exist_ok=True)
    store.run("manifest", "inbreast", folder / "INbreast", "--fractions", 0.5, 0.2, 0.3,
              "-o", folder / "manifest.json")  # fmt: skip
    shutil.rmtree(folder / "INbreast")


def _manifests(folder: Path, store: Store) -> None:
    for part in ("inbreast", "cbis", "ours"):
        shutil.copytree(store.part(part), folder, dirs_exist_ok=True)
    store.run("manifest", "inbreast", folder / "INbreast", "-o", folder / "inbreast.json")
    store.run("manifest", "cbis-ddsm", folder / "CBIS-DDSM", "-o", folder / "cbis.json")
    store.run("manifest", "folder", folder / "ours", "--annotations", folder / "ours" / "boxes.csv",
         "--format", "csv", "-o", folder / "ours.json")  # fmt: skip
    for name in ("INbreast", "CBIS-DDSM", "ours", "tables"):
        shutil.rmtree(folder / name)


def _read(base: str, verb: str, tree: str) -> Callable[[Path, Store], None]:
    def make(folder: Path, store: Store) -> None:
        shutil.copytree(store.part(base), folder, dirs_exist_ok=True)
        store.run("manifest", verb, folder / tree, "-o", folder / "manifest.json")

    return make


def _ours(folder: Path, store: Store) -> None:
    write_ours(folder, store.part("read-inbreast") / "manifest.json")


def _exports(folder: Path, store: Store) -> None:
    for part, name in (("cbis", "CBIS"), ("inbreast", "INBREAST")):
        write_export(folder / name, store.part(f"read-{part}") / "manifest.json")


def _detected(folder: Path, store: Store) -> None:
    """Detections of the test list as two models might leave them, and the figures of the first."""
    manifest = read_manifest(store.part("manifest") / "manifest.json")
    files = (("detections.json", 1, 0.85), ("old/detections.json", 2, 0.6), ("new/detections.json", 1, 0.85))
    for name, seed, found in files:
        chance = random.Random(seed)
        marks = [_marks(record, chance, found) for record in manifest.test]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_detections(folder / name, marks, {"name": "old" if found < 0.8 else "new"})
    work = folder / "work"
    shutil.copytree(store.part("manifest"), work)
    store.run("evaluate", folder / "detections.json", "--manifest", work / "manifest.json", "--split", "test",
         "-o", folder / "metrics.json")  # fmt: skip
    shutil.rmtree(work)


def _marks(record: ImageRecord, chance: random.Random, found: float) -> Detections:
    boxes, scores = [], []
    for lesion in record.lesions:
        if chance.random() < found:
            x0, y0, x1, y1 = (float(side) for side in lesion.box)
            grown = chance.uniform(0, 0.2)
            boxes.append([x0, y0, x1 + grown * (x1 - x0), y1 + grown * (y1 - y0)])
            scores.append(chance.betavariate(5, 3))
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        x, y = chance.uniform(0, record.width * 0.8), chance.uniform(0, record.height * 0.8)
        boxes.append([x, y, x + 20, y + 24])
        scores.append(chance.betavariate(2, 5))
    order = sorted(range(len(scores)), key=lambda n: -scores[n])
    return Detections(
        record_id=record.record_id,
        boxes=np.array([boxes[n] for n in order], dtype=np.float64).reshape(-1, 4),
        scores=np.array([scores[n] for n in order], dtype=np.float64),
        labels=np.zeros(len(order), dtype=np.int64),
    )


def _trained(folder: Path, store: Store) -> None:
    """The folder of a short training at a coarse scale, with its detections and figures of the test list."""
    for part in ("inbreast", "manifest"):
        shutil.copytree(store.part(part), folder, dirs_exist_ok=True)
    manifest, run = folder / "manifest.json", folder / "run"
    small = ("--bundle", "cbis_mass_detection", "--size_px", "128")
    store.run("train", *small, "--manifest", manifest, "--epochs", "1", "--output-dir", run)
    store.run("predict", manifest, "--split", "test", *small, "--weights", run / "model.safetensors",
         "-o", run / "detections.json")  # fmt: skip
    store.run("evaluate", run / "detections.json", "--manifest", manifest, "--split", "test",
         "-o", run / "metrics.json")  # fmt: skip
    for path in folder.iterdir():
        if path != run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _clone(folder: Path, _: Store) -> None:
    for name in ("scripts", "tests"):
        (folder / name).symlink_to(ROOT / name)
    ignored = shutil.ignore_patterns("eval", "training", "__pycache__")
    shutil.copytree(ROOT / "bundles", folder / "bundles", ignore=ignored)


def _experiments(folder: Path, _: Store) -> None:
    (folder / "experiments").mkdir()
    for path in sorted((ROOT / "experiments").glob("*.json")):
        content = _cut(json.loads(path.read_text(encoding="utf-8")))
        (folder / "experiments" / path.name).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _cut(experiment: dict[str, Any]) -> dict[str, Any]:
    """An experiment file of the same runs, the first few, on small images for one step."""
    cut = dict(experiment, evaluate={**experiment.get("evaluate", {}), "n_bootstrap": 20})
    given = cut.get("manifest", [])
    own = [given] if isinstance(given, str) else given
    if own:
        cut["manifest"] = ["../inbreast.json" if "inbreast" in each else "../cbis.json" for each in own]
    cut.pop("epochs", None)
    cut["budget_iterations"] = 1
    is_light = cut.get("bundle", "").endswith("mass_detection")
    small = {"size_px": 64, "batch_size": 2} if is_light else SMALL
    if is_light and any(run.get("train") is False for run in cut.get("runs", [])):
        small = {"batch_size": 2}  # the published weights, marking as they are, keep their size
    cut["overrides"] = {**cut.get("overrides", {}), **small}
    if isinstance(cut.get("folds"), dict):
        cut["folds"] = {**cut["folds"], "n_folds": 2}
    if "runs" in cut:
        kept = KEPT_RUNS.get(cut["name"], 2)
        cut["runs"] = [_cut_run(each, small) for each in cut["runs"] if "fuse" not in each][:kept]
    return cut


def _cut_run(run: dict[str, Any], small: dict[str, Any]) -> dict[str, Any]:
    dropped = {"epochs", "val_interval", *small} - {"init"}
    own = run.get("overrides", {})
    kept = {name: value for name, value in own.items() if name not in dropped}
    if kept.get("init") in ("coco", "imagenet"):
        kept["init"] = "none"
    return {**run, "overrides": kept}


def _bundle(folder: Path, store: Store) -> None:
    """Beside a film a manifest of few images: three with a lesion and two without in each list."""
    shutil.copy(store.part("films") / "film.dcm", folder / "image.dcm")
    content = json.loads((store.part("manifest") / "manifest.json").read_text(encoding="utf-8"))
    for name in ("training", "validation", "test"):
        with_lesion = [image for image in content[name] if image["box"]]
        without = [image for image in content[name] if not image["box"]]
        content[name] = [*with_lesion[:3], *without[:2]]
    (folder / "manifest.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _stranger(folder: Path, _: Store) -> None:
    bundle = folder / "stranger"
    shutil.copytree(ROOT / "bundles" / "cbis_mass_detection", bundle)
    path = bundle / "configs" / "inference.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(
        json.dumps({**content, "note": "$__import__('platform').node()"}, indent=1), encoding="utf-8"
    )


PARTS: dict[str, Callable[[Path, Store], None]] = {
    "films": _films,
    "inbreast": _phantoms("inbreast", "INbreast", 12, 3),
    "cbis": _cbis,
    "vindr": _vindr,
    "ours": _ours,
    "exports": _exports,
    "manifest": _manifest,
    "manifests": _manifests,
    "detected": _detected,
    "trained": _trained,
    "clone": _clone,
    "experiments": _experiments,
    "bundle": _bundle,
    "stranger": _stranger,
    "read-inbreast": _read("inbreast", "inbreast", "INbreast"),
    "read-cbis": _read("cbis", "cbis-ddsm", "CBIS-DDSM"),
}
