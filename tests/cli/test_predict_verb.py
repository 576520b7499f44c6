"""The verb runs a bundle whose detector and data set are fakes, so that only the wiring is under test."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import Dataset
from PIL import Image

from mammo_monai.bundle import trust_bundle
from mammo_monai.bundle.trust import snapshot_of
from mammo_monai.cli.main import main
from mammo_monai.errors import DicomError
from mammo_monai.inference import Progress
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import (
    Manifest,
    OperatingPoint,
    read_detections,
    read_manifest,
    write_manifest,
)
from tests.inference.fakes import sample_of
from tests.operating_points import write_points

BUNDLES = Path(__file__).parents[2] / "bundles"
CONFIG = {
    "bundle_root": ".",
    "input": None,
    "split": None,
    "output": "detections.json",
    "weights": "bundle's own",
    "device": "cpu",
    "mode": "full",
    "on_error": "stop",
    "threshold": 0.3,
    "detector": {"_target_": "tests.inference.fakes.RectangleDetector", "threshold": "@threshold"},
    "inferer": {"_target_": "mammo_monai.inference.make_inferer", "detector": "@detector", "mode": "@mode"},
    "dataset": {
        "_target_": "tests.cli.test_predict_verb.image_set",
        "paths": "@input",
        "split": "@split",
    },
    "evaluator": {
        "_target_": "mammo_monai.inference.Predictor",
        "inferer": "@inferer",
        "dataset": "@dataset",
        "output": "@output",
        "model": {"weights": "@weights"},
        "device": "@device",
        "on_error": "@on_error",
    },
    "run": ["$@evaluator.run()"],
}


def image_set(paths: str | Sequence[str], split: str | None) -> Dataset:
    """PNG files, or those of a manifest, as a data set that loads on demand."""
    files = [paths] if isinstance(paths, str) else list(paths)
    if files[0].endswith(".json"):
        files = [str(each.image) for each in read_manifest(Path(files[0])).images(split)]
    return Dataset([{"record_id": Path(each).stem, "image_path": each} for each in files], _load)


def _load(data: Mapping[str, Any]) -> dict[str, Any]:
    if data["record_id"] == "ct":
        raise DicomError(f"{data['image_path']}: Modality is CT, expected MG.")
    with Image.open(data["image_path"]) as picture:
        pixels = np.asarray(picture, dtype=np.float32) / 255
    return sample_of(torch.from_numpy(pixels)[None], data["record_id"], image_path=data["image_path"])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    configs = tmp_path / "bundle" / "configs"
    configs.mkdir(parents=True)
    (configs / "inference.json").write_text(json.dumps(CONFIG))
    trust_bundle(snapshot_of(configs.parent), "made by this test")
    return configs.parent


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Three images of 200 × 300 px with one mass each; the brightness grows."""
    files = []
    for n, name in enumerate(("a", "b", "ct")):
        pixels = np.zeros((300, 200), dtype=np.uint8)
        pixels[100:150, 40 + 10 * n : 110] = 102 + 51 * n
        files.append(tmp_path / f"{name}.png")
        Image.fromarray(pixels).save(files[-1])
    return files


def test_images_are_marked_and_the_result_is_printed(
    bundle: Path, images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "d.json"
    assert main(["predict", *map(str, images[:2]), "--bundle", str(bundle), "-o", str(output)]) == 0
    found = read_detections(output)
    assert [each.boxes.tolist() for each in found.detections] == [
        [[40, 100, 110, 150]],
        [[50, 100, 110, 150]],
    ]
    assert found.model["inference"]["inferer"] == "FullImageInferer"
    assert capsys.readouterr().out == f"{output}: 2 images, 2 marks, 0 images failed\n"


def test_one_relative_image_is_found(
    bundle: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images[0].parent)
    assert main(["predict", "a.png", "--bundle", "bundle", "-o", "d.json"]) == 0
    assert read_detections(Path("d.json")).detections[0].image == images[0]


def test_mode_weights_and_unknown_ids_reach_the_bundle(
    bundle: Path, images: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "d.json"
    arguments = ["predict", str(images[0]), str(images[1]), "--bundle", str(bundle), "-o", str(output)]
    extra = ["--mode", "sections", "--weights", str(tmp_path / "w.pt"), "--threshold", "0.5"]
    assert main(arguments + extra) == 0
    found = read_detections(output)
    assert len(found.detections[0].boxes) == 0  # brightness 0.4 is below the threshold
    assert [50, 100, 110, 150] in found.detections[1].boxes.tolist()
    assert found.model["inference"]["inferer"] == "SectionsInferer"
    assert found.model["weights"] == str(tmp_path / "w.pt")


@pytest.mark.parametrize(("on_error", "code"), [("stop", 2), ("skip", 1)])
def test_a_bad_image_is_named_and_sets_the_exit_code(
    bundle: Path,
    images: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    on_error: str,
    code: int,
) -> None:
    output = tmp_path / "d.json"
    arguments = ["predict", *map(str, images), "--bundle", str(bundle), "-o", str(output)]
    assert main([*arguments, "--on-error", on_error]) == code
    printed = capsys.readouterr()
    if on_error == "stop":
        assert f"{images[2]}: Modality is CT" in printed.err
        assert not output.exists()
    else:
        assert printed.out == f"{output}: 2 images, 2 marks, 1 image failed\n"
        assert read_detections(output).model["failed"][0]["image"] == str(images[2])


def test_a_manifest_gives_its_split_and_lesions_for_the_pictures(
    bundle: Path, images: list[Path], tmp_path: Path
) -> None:
    records = [
        ImageRecord(file, file.stem, file.stem, 200, 300, (Lesion((5.0, 200.0, 60.0, 280.0)),))
        for file in images
    ]
    write_manifest(tmp_path / "m.json", Manifest(training=(records[2],), test=tuple(records[:2])))
    arguments = ["predict", str(tmp_path / "m.json"), "--split", "test", "--bundle", str(bundle)]
    arguments += ["-o", str(tmp_path / "d.json"), "--overlays", str(tmp_path / "pictures")]
    assert main(arguments) == 0
    assert sorted(each.name for each in (tmp_path / "pictures").iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "pictures" / "a.png") as picture:
        green = np.asarray(picture.convert("RGB")).astype(int)
    assert (green[:, :, 1] > green[:, :, 0] + 80).any()  # the lesion's colour; the image itself is grey


def test_pictures_of_plain_images_need_no_manifest(bundle: Path, images: list[Path], tmp_path: Path) -> None:
    arguments = ["predict", str(images[0]), "--bundle", str(bundle), "-o", str(tmp_path / "d.json")]
    assert main([*arguments, "--overlays", str(tmp_path / "pictures")]) == 0
    assert [each.name for each in (tmp_path / "pictures").iterdir()] == ["a.png"]


WEIGHTS = "a" * 64


@pytest.fixture
def calibrated(bundle: Path) -> Path:
    """The bundle with weights of a known hash and two operating points for them."""
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    config["evaluator"]["model"] = {"weights_sha256": "@weights"}
    config["weights"] = WEIGHTS
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))
    write_points(
        bundle / "models" / "operating_points.json",
        points=(OperatingPoint(0.25, 0.7, 0.6, 0.5, 0.7), OperatingPoint(0.5, 0.5, 0.8, 0.7, 0.9)),
        weights_sha256=("b" * 64,),
        for_weights_sha256=WEIGHTS,
    )
    trust_bundle(snapshot_of(bundle), "made by this test")
    return bundle


@pytest.mark.parametrize(("fppi", "marks"), [("0.25", [0, 0]), ("0.5", [0, 1]), (None, [1, 1])])
def test_an_operating_point_keeps_what_it_shows(
    calibrated: Path, images: list[Path], tmp_path: Path, fppi: str | None, marks: list[int]
) -> None:
    arguments = [
        "predict",
        *map(str, images[:2]),
        "--bundle",
        str(calibrated),
        "-o",
        str(tmp_path / "d.json"),
    ]
    assert main(arguments + (["--fppi", fppi] if fppi else [])) == 0
    found = read_detections(tmp_path / "d.json")
    assert [len(each.boxes) for each in found.detections] == marks
    if fppi:
        assert found.model["operating_point"]["fppi"] == float(fppi)
        assert all(each.probabilities is not None for each in found.detections)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--fppi", "1"], "no operating point for 1 false positives per image; there are 0.25, 0.5"),
        (["--fppi", "0"], "no operating point for 0 false positives per image"),
        (
            ["--fppi", "0.5", "--weights", "other.safetensors"],
            "operating points are for the weights of SHA-256",
        ),
        (["--fppi", "0.5", "--mode", "sections"], "inferer SectionsInferer instead of FullImageInferer"),
    ],
)
def test_a_point_that_does_not_hold_is_refused_in_one_line(
    calibrated: Path,
    images: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    named: str,
) -> None:
    arguments = ["predict", str(images[0]), "--bundle", str(calibrated), "-o", str(tmp_path / "d.json")]
    assert main(arguments + more) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert not (tmp_path / "d.json").exists()


def test_a_bundle_without_operating_points_says_so(
    bundle: Path, images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", str(images[0]), "--bundle", str(bundle), "-o", str(tmp_path / "d.json")]
    assert main([*arguments, "--fppi", "0.5"]) == 2
    assert "the bundle has no operating points. Leave --fppi out" in capsys.readouterr().err


def test_an_unknown_bundle_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "a.png", "--bundle", "nowhere", "-o", str(tmp_path / "d.json")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mammo-monai predict: bundle 'nowhere' not found")
    assert error.count("\n") == 1


def test_a_terminal_shows_a_bar_with_the_images_done_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mammo_monai.cli.progress_bar import image_bar

    assert image_bar() is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    show = image_bar()
    assert show is not None
    assert capsys.readouterr().err == ""  # an error before the first image is alone on its line
    for done in (4, 5, 6):
        show(Progress(done, 6, "r", 1.0))
    assert "6/6" in capsys.readouterr().err


@pytest.mark.parametrize(
    "config", sorted(BUNDLES.glob("*/configs/inference.json")), ids=lambda p: p.parts[-3]
)
def test_shipped_bundles_have_the_ids_the_verb_sets(config: Path) -> None:
    content = json.loads(config.read_text())
    # A whole-image classifier sees an image in one way only.
    mode = {"mode"} if "detector" in content else set()
    assert {"input", "output", "weights", "split", "device", "on_error", "run"} | mode <= set(content)
    assert content["evaluator"]["_target_"] == "mammo_monai.inference.Predictor"
    assert "on_progress" not in content["evaluator"]


def test_maps_are_refused_of_bundles_that_make_none_before_anything_is_predicted(
    bundle: Path, images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, maps = tmp_path / "out.json", tmp_path / "maps"
    words = ["predict", str(images[0]), "--bundle", str(bundle), "--maps", str(maps), "-o", str(output)]
    assert main(words) == 2
    assert "makes none. Use --overlays DIR" in capsys.readouterr().err
    assert not output.exists()
    assert main([*words, "--bundle", str(bundle)]) == 2
    assert "of one patch classifier: predict with it alone" in capsys.readouterr().err
