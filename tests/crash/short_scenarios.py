"""The other commands that write, most within a second: killed as those of `scenarios` are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mammo_monai.bundle import find_bundle
from mammo_monai.bundle.sync import format_config
from mammo_monai.bundle.trust import trusted_list
from mammo_monai.cli.main import main
from mammo_monai.dicom.results import write_results
from mammo_monai.readers import salt
from mammo_monai.schema import Manifest, write_manifest
from mammo_monai.service.review import store as review_store
from tests.cli.test_calibrate import write_calibration_scene
from tests.crash.contents import Content
from tests.crash.material import BUNDLE, NETWORK, SMALL, Material, save_small_weights
from tests.crash.scenarios import Scenario, Words
from tests.data.conftest import make_record
from tests.faults import verbs
from tests.metrics.test_classification_files import write as write_class_scores_file
from tests.service.node.films import until

SHORT = "short verbs"
KILLS = 6
MANY = 100  # images: fewer tell `bundle statistics` nothing
NOON = datetime(2020, 1, 2, 12, tzinfo=timezone.utc)
_ARCHIVES: list[subprocess.Popen[bytes]] = []
_PASSPHRASE = "not a secret"


def write_short_material(material: Material) -> None:
    """What the commands below read, in `material.short`; the last file made tells that all is."""
    folder = material.short
    if (folder / "whole").is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    verbs.write_material(folder)
    found = folder / "scored" / "run" / "detections.json"
    for name in ("other.json", "d.json"):
        content = json.loads(found.read_text())
        content["model"] = {"name": name}
        (folder / "scored" / name).write_text(json.dumps(content))
    for number in range(2):
        write_class_scores_file(folder / f"scores{number}.json", number)
    (folder / "passphrase").write_text(_PASSPHRASE)
    (folder / "passphrase").chmod(0o600)
    (folder / "coco.json").write_text(json.dumps(_coco(folder / "films")))
    mark = {"image_id": "film0", "category_id": 0, "bbox": [5, 6, 10, 12], "score": 0.5}
    (folder / "results.json").write_text(json.dumps([mark]))
    (folder / "many").mkdir()
    one = make_record(folder / "many", 0, 0)
    many = [replace(one, record_id=f"{number:016x}") for number in range(MANY)]
    write_manifest(folder / "many.json", Manifest(training=tuple(many)))
    (folder / "calibration").mkdir()
    write_calibration_scene(folder / "calibration")
    _write_small_bundle(material, "small", material.weights)
    save_small_weights(folder / "other.safetensors", seed=1)
    _write_small_bundle(material, "other", folder / "other.safetensors")
    _called("dicom", "sr", folder / "d.json", "-o", folder / "sr")
    _called("folds", "make", material.manifest, "--folds", 2, "-o", folder / "folds.json")
    _called("bundle", "key", "new", "-o", folder / "site.key", *_secret(folder))
    _called("prepare", material.manifest, "--out", folder / "prepared", "--size-px", 128)
    (folder / "whole").touch()


def _write_small_bundle(material: Material, name: str, weights: Path) -> None:
    """One whose network is exported in a second."""
    ignored = shutil.ignore_patterns("models", "eval", "training")
    copy = Path(shutil.copytree(find_bundle(BUNDLE), material.short / name, ignore=ignored))
    path = copy / "configs" / "inference.json"
    content = json.loads(path.read_text())
    content["network_def"] |= NETWORK
    content["detector"]["size_divisible"] = 32
    content["size_px"] = 128
    path.write_text(format_config(content))
    (copy / "models").mkdir()
    shutil.copy(weights, copy / "models" / "model.safetensors")


def _coco(films: Path) -> dict[str, object]:
    """One box on the first film, none on the others."""
    images = [
        {"id": number, "file_name": path.name, "width": 120, "height": 200, "patient_id": "p"}
        for number, path in enumerate(sorted(films.glob("*.png")))
    ]
    box = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [5, 6, 10, 12]}
    return {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "mass"}]}


def _called(*words: object) -> None:
    if main([str(each) for each in words]) != 0:
        raise RuntimeError(f"the material could not be made: {' '.join(map(str, words))}")


def _secret(folder: Path) -> Words:
    return ["--passphrase-file", folder / "passphrase"]


def _own_places(out: Path) -> None:
    """Homes, settings, caches and temporary files in the command's folder; one time of day; one salt."""
    places = {"HOME": "../home", "MAMMO_MONAI_HOME": "settings", "MAMMO_MONAI_CACHE": "cache"}
    os.environ.update({name: str(out / place) for name, place in places.items()})
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        os.environ.pop(name, None)
    noon: Any = SimpleNamespace(now=lambda *_: NOON)
    write_results.datetime = review_store.datetime = trusted_list.datetime = noon  # type: ignore[misc,attr-defined]
    salt.secrets = SimpleNamespace(token_hex=lambda n: "5a" * n)  # type: ignore[misc,assignment]


def _own_home(out: Path) -> None:
    _own_places(out)
    os.environ["HOME"] = str(out / "home")


def _there(path: Path) -> object:
    return path.is_file()


_PRESENCE: dict[str, Content | None] = {"*lock": _there}  # a lock's text names its process


def _short(
    name: str, words: Callable[[Path, Path], Words], *, kills: int = KILLS, **options: Any
) -> Scenario:
    """A scenario whose words come from the folder of short material and the command's own."""
    options["loosely"] = {**_PRESENCE, **options.get("loosely", {})}
    return Scenario(
        name,
        SHORT,
        kills,
        lambda material, out: words(material.short, out),
        set_up=options.pop("set_up", _own_places),
        passed_over=lambda path: not {".pull", "part"}.isdisjoint(path.parts),
        **options,
    )


def _dicom(kind: str) -> Scenario:
    return _short(f"dicom {kind}", lambda m, out: ["dicom", kind, m / "d.json", "-o", out / "results"])


def _scored(m: Path) -> Words:
    return [m / "scored" / "run" / "detections.json", "--manifest", m / "scored" / "manifest.json"]


def _report(name: str) -> Scenario:
    return _short(
        f"report {name}",
        lambda m, out: [
            *("report", m / "scored" / "run" / "metrics.json"),
            *("--manifest", m / "scored" / "manifest.json", "-o", out / name),
        ],
    )


def _review(material: Material, out: Path) -> int:
    return verbs._review(material.short, out / "review").code  # the same store, the same decisions


def _copied(*names: str) -> Callable[[Material, Path], object]:
    """Puts copies of short material into the command's folder."""

    def begin(material: Material, out: Path) -> None:
        for name in names:
            source, target = material.short / name, out / Path(name).name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)

    return begin


def _archive(material: Material) -> str:
    return (material.short / "archive").read_text()


def _with_archive(material: Material, _: Path) -> None:
    """Starts an archive of four films, once for this process; it ends with it."""
    if not _ARCHIVES:
        place = material.short / "archive"
        place.unlink(missing_ok=True)
        words = [sys.executable, "-m", "tests.crash.archive_process", str(place)]
        _ARCHIVES.append(subprocess.Popen(words, stdin=subprocess.PIPE))
        if not until(place.is_file, seconds=60):
            raise RuntimeError("the archive does not listen")


def _bundles(material: Material, out: Path) -> None:
    """Two of one family; the second one's wiring is not the first one's."""
    for name in ("first", "second"):
        shutil.copytree(material.short / "small", out / name)
    for path in (out / "second" / "configs").glob("*.json"):
        content = json.loads(path.read_text())
        if "detector" in content:
            content["detector"].pop("size_divisible", None)
            path.write_text(json.dumps(content))


SHORT_SCENARIOS = (
    _short(
        "phantoms",
        lambda m, out: [
            *("phantoms", "--layout", "inbreast", "--patients", 2, "--pixel-spacing-mm", 2.0),
            *("--out", out / "films"),
        ],
        loosely={"films/*.csv": None},
    ),
    _short(
        "phantoms cbis-ddsm",
        lambda m, out: [
            *("phantoms", "--layout", "cbis-ddsm", "--patients", 2, "--pixel-spacing-mm", 2.0),
            *("--out", out / "films"),
        ],
    ),
    _short(
        "manifest inbreast", lambda m, out: ["manifest", "inbreast", m / "phantoms", "-o", out / "m.json"]
    ),
    _short(
        "manifest coco",
        lambda m, out: [
            *("manifest", "coco", m / "coco.json", "--images", m / "films", "--split", "test"),
            *("-o", out / "m.json"),
        ],
    ),
    _short(
        "show",
        lambda m, out: ["show", m / "scored" / "manifest.json", "-o", out / "show.html", "--per-page", 1],
    ),
    Scenario(
        "folds make",
        SHORT,
        KILLS,
        lambda material, out: ["folds", "make", material.manifest, "--folds", 2, "-o", out / "folds.json"],
    ),
    Scenario(
        "folds apply",
        SHORT,
        KILLS,
        lambda material, out: [
            *("folds", "apply", material.manifest, "--folds", material.short / "folds.json", "--fold", "1"),
            *("-o", out / "fold.json"),
        ],
    ),
    _short("normals", lambda m, out: ["normals", m / "prepared", "--out", out / "normals"]),
    _short(
        "detections coco",
        lambda m, out: [
            *("detections", "coco", m / "results.json", "--manifest", m / "films.json"),
            *("-o", out / "d.json"),
        ],
    ),
    _short(
        "fuse",
        lambda m, out: [
            *("fuse", m / "scored" / "d.json", m / "scored" / "other.json", "-o", out / "f.json"),
            "--uncalibrated",
        ],
    ),
    Scenario(
        "predict, an ensemble",
        SHORT,
        KILLS,
        lambda material, out: [
            *("predict", material.manifest, "-o", out / "e.json", "--device", "cpu", "--uncalibrated"),
            *("--bundle", material.short / "small", "--bundle", material.short / "other"),
        ],
        set_up=_own_places,
    ),
    Scenario(
        "predict, an engine's cache",
        SHORT,
        KILLS,
        lambda material, out: [
            *("predict", material.manifest, "-o", out / "d.json", "--device", "cpu", "--engine", "onnx"),
            *("--bundle", material.short / "small"),
        ],
        set_up=_own_places,
        loosely={"cache/*": _there},
        passed_over=lambda path: path.suffix == ".onnx",
    ),
    Scenario(
        "saliency",
        SHORT,
        KILLS,
        lambda material, out: [
            *(
                "saliency",
                material.manifest,
                "--bundle",
                BUNDLE,
                "--weights",
                material.weights,
                "--device",
                "cpu",
            ),
            *("-o", out / "saliency", "--top", 1, "--min-score", 0, "--split", "test", *SMALL),
        ],
        set_up=_own_places,
    ),
    _short(
        "evaluate", lambda m, out: ["evaluate", *_scored(m), "-o", out / "metrics.json", "--bootstrap", 2]
    ),
    _short(
        "calibrate",
        lambda m, out: [
            *("calibrate", m / "calibration" / "0.json", m / "calibration" / "1.json"),
            *("--manifest", m / "calibration" / "m.json", "--split", "validation", "--bootstrap", 20),
            *("-o", out / "points.json", "--plot", out / "points.png"),
        ],
    ),
    _short(
        "compare",
        lambda m, out: [
            *("compare", m / "scored" / "d.json", m / "scored" / "other.json"),
            *("--manifest", m / "scored" / "manifest.json", "--bootstrap", 10, "--permutations", 10),
            *("-o", out / "compare.html", "--csv", out / "compare.csv"),
        ],
    ),
    *map(_report, ("report.html", "report.pdf", "report.csv", "report.tex")),
    _short(
        "patches",
        lambda m, out: [
            *("patches", m / "scores0.json", "--against", m / "scores1.json", "-o", out / "figures.json"),
            *("--bootstrap", 10, "--permutations", 10),
        ],
    ),
    *map(_dicom, ("sr", "cad", "gsps", "sc", "seg")),
    _short(
        "dicom marks",
        lambda m, out: [
            *("dicom", "marks", *sorted((m / "sr").glob("*")), "-o", out / "marks.json"),
            *("--sources", m / "images"),
        ],
    ),
    _short(
        "dicom deidentify",
        lambda m, out: ["dicom", "deidentify", m / "phantoms" / "AllDICOMs", "-o", out / "nameless"],
    ),
    _short(
        "dicom pull",
        lambda m, out: [],
        command=lambda material, out: main(
            ["dicom", "pull", _archive(material), "PatientID=*", "-o", str(out / "pulled")]
        ),
        begin=_with_archive,
    ),
    _short("review, decisions", lambda m, out: [], command=_review),
    _short(
        "review --export",
        lambda m, out: ["review", m / "review" / "detections.json", "--out", out / "review", "--export"],
        begin=_review,
    ),
    _short("bundle sync", lambda m, out: ["bundle", "sync", out / "first", out / "second"], begin=_bundles),
    _short(
        "bundle publish",
        lambda m, out: [
            *("bundle", "publish", "--bundle", out / "light", "--weights", m / "model.safetensors")
        ],
        begin=_copied("unpublished/light"),
    ),
    _short(
        "bundle export",
        lambda m, out: ["bundle", "export", m / "small", "--engine", "onnx", "-o", out / "engine"],
        loosely={"cache/*": _there},
    ),
    _short("bundle pack", lambda m, out: ["bundle", "pack", m / "site" / "light", "-o", out / "light.zip"]),
    _short(
        "bundle statistics",
        lambda m, out: [
            *("bundle", "statistics", m / "small", "--manifest", m / "many.json"),
            *("-o", out / "statistics.json"),
        ],
    ),
    _short("bundle push", lambda m, out: ["bundle", "push", m / "light.zip", f"{out / 'share'}/"]),
    _short("bundle pull", lambda m, out: ["bundle", "pull", m / "light.zip", "-o", out / "home"]),
    _short("bundle trust", lambda m, out: ["bundle", "trust", m / "site" / "light"]),
    _short(
        "bundle key new",
        lambda m, out: ["bundle", "key", "new", "-o", out / "own.key", *_secret(m)],
        loosely={"own.key*": _there},
        refuses_what_is_there=True,
    ),
    _short(
        "bundle sign",
        lambda m, out: ["bundle", "sign", out / "light.zip", "--key", m / "site.key", *_secret(m)],
        begin=_copied("light.zip"),
        loosely={"*.minisig": _there},
    ),
    _short(
        "weights convert",
        lambda m, out: ["weights", "convert", m.parent / "weights.safetensors", "-o", out / "w.safetensors"],
    ),
    _short(
        "apps copy",
        lambda m, out: ["apps", "copy", "monai-label", out / "app"],
        refuses_what_is_there=True,
    ),
    _short(
        "apps stock",
        lambda m, out: ["apps", "stock", "--bundle", m / "small", out / "model"],
        refuses_what_is_there=True,
    ),
    _short("completion --install", lambda m, out: ["completion", "bash", "--install"], set_up=_own_home),
    _short("doctor", lambda m, out: ["doctor", "--only", "disk", "--output", out / "place"]),
)
