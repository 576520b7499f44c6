"""Runs a data set through the commands one after the other and keeps what each of them let out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mammo_monai.bundle import run_bundle
from mammo_monai.files import write_json_atomic
from mammo_monai.records import Detections
from mammo_monai.schema import read_manifest, write_detections
from tests.privacy.planted import PATH_MARKERS
from tests.privacy.runs import command, listening
from tests.privacy.searched import Hit, search_folder
from tests.privacy.site import Site

WORDS_BYTES = 1 << 16  # of a weights file: its header with names, shapes and lineage
# Files that may name an image's path: the rule. Streams that may: standard error.
_MAY_NAME_PATHS = ("manifest.json", "detections.json", "found.json", "found.jsonl", "found.parquet")


@dataclass
class Flow:
    """What was run on a site. Attributes: leaks: markers where none may be; n_files: searched."""

    site: Site
    out: Path
    bundle: Path
    leaks: list[Hit] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    n_files: int = 0

    def run(self, name: str, *words: object, wrote: Path | None = None) -> None:
        """Runs a command and searches its words and, where it wrote, a folder."""
        code, said = command(*words)
        self.codes[name] = code
        for hit in said.hits(name):
            if hit.marker not in PATH_MARKERS or hit.where.endswith(("stdout", "warnings")):
                self.leaks.append(hit)
        if wrote is not None:
            self.search(name, wrote)

    def search(self, name: str, folder: Path) -> None:
        """Searches all files below a folder; a path may stand where the rule lets it."""
        hits, n_files = search_folder(folder)
        self.n_files += n_files
        for hit in hits:
            is_path = hit.marker in PATH_MARKERS and any(each in hit.where for each in _MAY_NAME_PATHS)
            if not is_path:
                self.leaks.append(Hit(hit.marker, f"{name}: {hit.where}"))

    @property
    def manifest(self) -> Path:
        """The manifest of the site."""
        return self.out / "manifest" / "manifest.json"

    @property
    def detections(self) -> Path:
        """Marks of all its films, one of them a hit."""
        return self.out / "marks" / "detections.json"

    @property
    def metrics(self) -> Path:
        """Beside the detections, where reports look for them to draw pictures."""
        return self.detections.with_name("metrics.json")

    def said_of(self, leaks: Sequence[Hit]) -> str:
        """Leaks in words: what was planted, and where it came out."""
        lines = {f"{self.site.names.get(hit.marker, hit.marker)} in {hit.where}" for hit in leaks}
        return "\n".join(sorted(lines)[:40])


def make_manifest(flow: Flow) -> None:
    """The manifest, and detections for it that a model might have made."""
    words = ("--split", "fractions", "--fractions", "0.5", "0.25", "0.25", "-o", flow.manifest)
    flow.run("manifest", "manifest", "folder", flow.site.folder, *words, wrote=flow.manifest.parent)
    boxes, scores = np.array([[100.0, 120, 140, 160], [20, 20, 60, 60]]), np.array([0.9, 0.2])
    found = [
        Detections(each.record_id, boxes, scores, np.zeros(2, dtype=np.int64), each.image)
        for each in read_manifest(flow.manifest).images()
    ]
    write_detections(flow.detections, found, {"bundle": str(flow.bundle), "version": "1"})


def run_everyday(flow: Flow) -> None:
    """What every project runs."""
    out, manifest, marks = flow.out, flow.manifest, flow.detections
    few = ("--bootstrap", 10)
    flow.run("check", "manifest", "check", manifest, wrote=manifest.parent)
    flow.run("show", "show", manifest, "-o", out / "show" / "show.html", "--workers", 1, wrote=out / "show")
    flow.run("prepare", "prepare", manifest, "--out", out / "copies", "--size-px", 96, wrote=out / "copies")
    words = ("predict", manifest, "--bundle", flow.bundle, "--device", "cpu", "--overlays", out / "p" / "o")
    flow.run("predict", *words, "-o", out / "p" / "found.json", wrote=out / "p")
    metrics = flow.metrics
    flow.run("evaluate", "evaluate", marks, "--manifest", manifest, "-o", metrics, *few, wrote=metrics.parent)
    report = out / "report"
    flow.run("csv", "report", metrics, "-o", report / "r.csv", "--manifest", manifest, wrote=report)
    points = out / "points" / "points.json"
    flow.run("calibrate", "calibrate", marks, "--manifest", manifest, "-o", points, *few, wrote=points.parent)


def run_results(flow: Flow, *kinds: str) -> None:
    """DICOM results carry the patient on purpose; their words and names may not."""
    for kind in kinds:
        flow.run(kind, "dicom", kind, flow.detections, "-o", flow.out / "dicom" / kind, "--min-score", 0.5)
    files = sorted((flow.out / "dicom").rglob("*.dcm"))
    flow.leaks += [Hit(path.name, "a name of a result") for path in files if "QZ" in path.name]


def run_rare(flow: Flow) -> None:
    """What takes longer."""
    out, manifest, marks = flow.out, flow.manifest, flow.detections
    metrics, report = flow.metrics, out / "report"
    for suffix in ("html", "pdf", "tex"):
        words = ("report", metrics, "-o", report / f"r.{suffix}", "--manifest", manifest)
        flow.run(suffix, *words, wrote=report)
    other, page = out / "others" / "detections.json", out / "compare" / "c.html"
    other.parent.mkdir()
    other.write_text(marks.read_text().replace("0.9", "0.8"))
    few = ("--bootstrap", 10, "--permutations", 10)
    words = ("compare", marks, other, "--manifest", manifest, "-o", page, "--csv", page.with_suffix(".csv"))
    flow.run("compare", *words, *few, wrote=page.parent)
    for suffix in ("jsonl", "parquet"):
        words = ("predict", manifest, "--bundle", flow.bundle, "--device", "cpu")
        flow.run(suffix, *words, "-o", out / suffix / f"found.{suffix}", wrote=out / suffix)
    words = ("predict", *flow.site.films, "--bundle", flow.bundle, "--device", "cpu")
    flow.run("predict files", *words, "-o", out / "files" / "found.json", wrote=out / "files")
    words = ("saliency", manifest, "--bundle", flow.bundle, "--detections", marks, "--device", "cpu")
    flow.run("saliency", *words, "-o", out / "saliency", "--top", 1, wrote=out / "saliency")
    words = ("normals", out / "copies" / "manifest.json", "--out", out / "normals")
    flow.run("normals", *words, wrote=out / "normals")
    folds = out / "folds" / "folds.json"
    flow.run("folds", "folds", "make", manifest, "-o", folds, "--folds", 2, wrote=folds.parent)
    small = ("--train#dataloader#batch_size", 2, "--train#dataloader#num_workers", 0, "--device", "cpu")
    words = ("train", "--bundle", flow.bundle, "--manifest", manifest, "--init", "none", "--epochs", 1)
    flow.run("train", *words, "--output-dir", out / "trained", *small, wrote=out / "trained")
    run_packs(flow)
    run_experiment(flow)
    run_patches(flow)


def run_packs(flow: Flow) -> None:
    """Trained weights go into a bundle, which is packed for another site, and pulled there."""
    own, pack = flow.out / "own" / "our_bundle", flow.out / "packs" / "our_bundle.zip"
    shutil.copytree(flow.bundle, own)
    words = ("--weights", flow.out / "trained" / "model.safetensors", "--manifest", flow.manifest)
    flow.run("publish", "bundle", "publish", "--bundle", own, *words, wrote=own)
    pack.parent.mkdir()
    flow.run("pack", "bundle", "pack", own, "-o", pack, wrote=pack.parent)
    flow.run("verify", "bundle", "verify", pack)
    flow.run("inspect", "bundle", "inspect", pack)
    flow.run("pull", "bundle", "pull", pack, "-o", flow.out / "pulled", "--trust", wrote=flow.out / "pulled")


def run_experiment(flow: Flow) -> None:
    """A run over two folds: its folder with logs, histories, folds and tables, and the report on it."""
    folder = flow.out / "experiment"
    file = folder / "site.json"
    small = {"init": "none", "device": "cpu", "train#dataloader#batch_size": 1}
    write_json_atomic(
        file,
        {
            "schema": "mammo-monai/experiment/1",
            "name": "site",
            "description": "one run",
            "bundle": str(flow.bundle),
            "folds": {"scheme": "kfold", "n_folds": 2, "validation_fraction": 0.3, "seed": 0},
            "epochs": 1,
            "overrides": small,
            "evaluate": {"n_bootstrap": 10},
            "runs": [{"name": "one", "manifest": "A"}],
        },
    )
    words = (file, "--manifest", flow.manifest)
    flow.run("experiment", "experiment", "run", *words, "--out", folder / "runs")
    for suffix in ("html", "md", "csv"):
        table = ("experiment", "table", folder / "runs", "-o", folder / f"table.{suffix}")
        flow.run(f"table {suffix}", *table)
    flow.run("on runs", "report", folder / "runs", "-o", folder / "report.html", wrote=folder)


def run_patches(flow: Flow) -> None:
    """A patch classifier is trained and answers; figures of its answers. Prepared images stay in a cache."""
    out = flow.out / "patches"
    values = {
        "manifest": str(flow.manifest),
        "output_dir": str(out / "weights"),
        "cache_dir": str(out / "kept"),
        "init": "none",
        "epochs": 1,
        "batch_size": 8,
        "device": "cpu",
        "network_def#backbone": "resnet18",
        "patch_px": 32,
        "stride_px": 16,
        "preset": "full_image",
        "size_px": 96,
    }
    words = [word for name, value in values.items() for word in (f"--{name}", value)]
    flow.run("train patches", "train", "--bundle", "cbis_patch_classifier", *words)
    with listening() as said:
        scored = {**values, "eval_dir": str(out / "eval"), "split": "training"}
        run_bundle("cbis_patch_classifier", "train", "evaluating", scored, overlays=["evaluate.json"])
    flow.leaks += [hit for hit in said.hits("evaluating") if hit.marker not in PATH_MARKERS]
    few = ("--bootstrap", 10, "--permutations", 10)
    scores = out / "eval" / "class_scores.json"
    # The numbers of a ResNet take minutes to search, and those of `train` are searched: its words alone.
    weights = out / "weights" / "model.safetensors"
    (out / "words").write_bytes(weights.read_bytes()[:WORDS_BYTES])
    for large in (weights, *weights.parent.glob("*.pt")):
        large.unlink()
    flow.run("patches", "patches", scores, "-o", out / "figures.json", *few, wrote=out)
