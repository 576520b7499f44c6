"""One bad file never stops a batch: good images are done, bad ones named with the reason; the exit code is 1.

Every folder here holds a pipe: whoever opens it waits for ever.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mammo_monai.cli.main import main
from mammo_monai.inference.sources import Sources
from mammo_monai.phantoms import write_phantoms
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest, read_detections, read_manifest, write_manifest
from tests.dicom_factory import write_mammogram
from tests.fuzz.targets.images import bomb_png

HANG_S = 20
GOOD = ("good_0.dcm", "good_1.dcm", "good_2.png")
CONFIG = {
    "bundle_root": ".",
    "input": None,
    "split": None,
    "output": "detections.json",
    "device": "cpu",
    "mode": "full",
    "on_error": "stop",
    "detector": {"_target_": "tests.inference.fakes.RectangleDetector", "threshold": 0.3},
    "inferer": {"_target_": "mammo_monai.inference.make_inferer", "detector": "@detector", "mode": "@mode"},
    "dataset": {
        "_target_": "mammo_monai.data.MammogramDataset",
        "samples": {"_target_": "mammo_monai.data.load_samples", "path": "@input", "split": "@split"},
        "transform": {
            "_target_": "mammo_monai.transforms.inference_transforms",
            "mode": "@mode",
            "size_px": 64,
        },
    },
    "evaluator": {
        "_target_": "mammo_monai.inference.Predictor",
        "inferer": "@inferer",
        "dataset": "@dataset",
        "output": "@output",
        "model": {"weights": None},
        "device": "@device",
        "on_error": "@on_error",
    },
    "run": ["$@evaluator.run()"],
}


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """A pipe that is opened waits for a writer for ever: that must fail, not end the whole test run."""

    def fail(number: int, frame: FrameType | None) -> None:
        raise RuntimeError(f"the command still ran after {HANG_S} s")

    former = signal.signal(signal.SIGALRM, fail)
    signal.alarm(HANG_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images of 60 × 90 px (width × height) with a bright rectangle."""
    folder = tmp_path_factory.mktemp("good")
    pixels = np.zeros((90, 60), dtype=np.uint16)
    pixels[5:80, 0:40] = 1500
    pixels[30:50, 10:30] = 3500
    for number, name in enumerate(GOOD[:2]):
        tags = {"SOPInstanceUID": f"1.2.3.{number}", "PatientID": f"p{number}", "ImageLaterality": "L"}
        write_mammogram(folder / name, pixels + number, tags=tags)
    Image.fromarray((pixels // 16).astype(np.uint8)).save(folder / GOOD[2])
    return folder


def _truncated(folder: Path, good: Path) -> None:
    (folder / "truncated.dcm").write_bytes((good / GOOD[0]).read_bytes()[:-2000])


def _text(folder: Path, good: Path) -> None:
    (folder / "text.dcm").write_text("This is a report.\n")


def _empty(folder: Path, good: Path) -> None:
    (folder / "empty.dcm").touch()


def _huge(folder: Path, good: Path) -> None:
    content = (good / GOOD[0]).read_bytes()
    rows, columns = b"\x28\0\x10\0US\x02\0", b"\x28\0\x11\0US\x02\0"
    for tag in (rows, columns):
        place = content.index(tag) + len(tag)
        content = content[:place] + b"\xff\xff" + content[place + 2 :]
    (folder / "huge.dcm").write_bytes(content)


def _bomb(folder: Path, good: Path) -> None:
    (folder / "bomb.png").write_bytes(bomb_png(60_000, 60_000))


def _pipe(folder: Path, good: Path) -> None:
    os.mkfifo(folder / "pipe.dcm")


def _nameless_pipe(folder: Path, good: Path) -> None:
    os.mkfifo(folder / "pipe")


def _dangling(folder: Path, good: Path) -> None:
    (folder / "dangling.dcm").symlink_to(folder / "gone.dcm")


def _loop(folder: Path, good: Path) -> None:
    (folder / "loop").symlink_to(folder, target_is_directory=True)


def _folder(folder: Path, good: Path) -> None:
    (folder / "folder.dcm").mkdir()


BAD: tuple[Callable[[Path, Path], None], ...] = (
    *(_truncated, _text, _empty, _huge, _bomb, _pipe, _nameless_pipe, _dangling, _loop, _folder),
)
# What must be named; the others are no images: a pipe without a name of one, a folder, the loop.
NAMED = ("truncated.dcm", "text.dcm", "empty.dcm", "huge.dcm", "bomb.png", "pipe.dcm", "dangling.dcm")


@pytest.fixture
def mixed(films: Path, tmp_path: Path) -> Path:
    """The good images among all the bad."""
    folder = tmp_path / "films"
    shutil.copytree(films, folder)
    for make in BAD:
        make(folder, films)
    return folder


@pytest.fixture
def manifest(mixed: Path, tmp_path: Path) -> Path:
    """A manifest that names all of them, as if they had gone bad after it was made."""
    names = [*GOOD, *NAMED]
    records = [
        ImageRecord(mixed / name, f"{n:016x}", f"p{n}", 60, 90, source="made") for n, name in enumerate(names)
    ]
    write_manifest(tmp_path / "manifest.json", Manifest(test=tuple(records)))
    return tmp_path / "manifest.json"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    configs = tmp_path / "bundle" / "configs"
    configs.mkdir(parents=True)
    (configs / "inference.json").write_text(json.dumps(CONFIG))
    return configs.parent


def _run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
@pytest.mark.parametrize("given", ["folder", "manifest"])
def test_predict(
    bundle: Path, mixed: Path, manifest: Path, tmp_path: Path, suffix: str, given: str, capsys: Any
) -> None:
    output = tmp_path / f"found{suffix}"
    source = mixed if given == "folder" else manifest
    assert _run("predict", source, "--bundle", bundle, "--trust", "-o", output) == 1
    found = read_detections(output)
    assert {each.image.name for each in found.detections if each.image} == set(GOOD)
    failed = {Path(each["image"]).name: each["error"] for each in found.model["failed"]}
    assert set(failed) == set(NAMED)
    assert all(name in error for name, error in failed.items())


def test_prepare(manifest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _run("prepare", manifest, "--out", tmp_path / "out", "--size-px", 32) == 1
    assert len(read_manifest(tmp_path / "out" / "manifest.json").images()) == len(GOOD)
    assert all(name in caplog.text for name in NAMED)


def test_show(manifest: Path, capsys: Any) -> None:
    assert _run("show", manifest, "--workers", 1, "--size", 60) == 1
    assert f"{len(GOOD) + len(NAMED)} of {len(GOOD) + len(NAMED)} images" in capsys.readouterr().out


def test_manifest_of_a_folder(mixed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    boxes = "image,xmin,ymin,xmax,ymax,class\n" + "".join(
        f"{name},10,20,31,45,mass\n" for name in (*GOOD, *NAMED)
    )
    (mixed / "boxes.csv").write_text(boxes)
    assert _run("manifest", "folder", mixed, "-o", tmp_path / "m.json", "--split", "test") == 1
    assert {each.image.name for each in read_manifest(tmp_path / "m.json").images()} == set(GOOD)
    assert all(name in caplog.text for name in NAMED)


@pytest.mark.parametrize("layout", ["inbreast", "cbis-ddsm"])
def test_manifest_of_a_data_set(
    layout: str, tmp_path: Path, films: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_phantoms(tmp_path / "set", layout=layout, patients=3, seed=1, pixel_spacing_mm=0.8)
    images = sorted(root.rglob("*.dcm")) + sorted(root.rglob("*.dicom"))
    for path in images[:2]:
        path.unlink()
    os.mkfifo(images[0])
    images[1].symlink_to(tmp_path / "gone")
    code = _run("manifest", layout, root, "-o", tmp_path / "m.json", "--split", "test")
    assert code == 1
    kept = {each.image for each in read_manifest(tmp_path / "m.json").images()}
    assert kept
    assert kept.isdisjoint(images[:2])


def test_a_file_that_goes_while_the_run_is_on(
    bundle: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    folder = tmp_path / "films"
    shutil.copytree(films, folder)
    known = Sources.digest

    def digest(sources: Sources) -> str:
        found = known(sources)
        (folder / GOOD[1]).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Sources, "digest", digest)
    output = tmp_path / "found.json"
    assert _run("predict", folder, "--bundle", bundle, "--trust", "-o", output) == 1
    (failed,) = read_detections(output).model["failed"]
    assert "good_1.dcm: no such image file" in failed["error"]
