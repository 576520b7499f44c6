"""Bad input at the command: one line that says what to do, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image

from mammo_monai.cli.main import main
from mammo_monai.phantoms import write_phantoms
from mammo_monai.schema import read_detections, read_manifest

BUNDLE = "coco_to_inbreast_mass_retinanet"
SMALL = (
    "--network_def#backbone resnet18 --network_def#fpn_channels 32 --detector#size_divisible 32 --size_px 128"
)
Command = Callable[..., str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with phantoms (`films`), their `manifest.json`, and `odd $1/@home` with weights."""
    home = tmp_path_factory.mktemp("data")
    write_phantoms(home / "films", layout="inbreast", patients=3, seed=1, pixel_spacing_mm=0.8)
    assert main(["manifest", "inbreast", str(home / "films"), "-o", str(home / "manifest.json")]) == 0
    (home / "odd $1").mkdir()
    shutil.copy(home / "manifest.json", home / "@m.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        words = ["--manifest", "@m.json", "--output-dir", "@home", "--init", "none", "--epochs", "1"]
        assert main(["train", "--bundle", BUNDLE, *words, *SMALL.split()]) == 0
        words = ["--manifest", "@m.json", "--output-dir", "odd $1/%b", "--init", "@home/model.safetensors"]
        assert main(["train", "--bundle", BUNDLE, *words, "--epochs", "1", *SMALL.split()]) == 0
    return home


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command that must fail; gives its one line of error, without log lines."""

    def run(*words: object) -> str:
        try:
            code: object = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        assert code == 2
        lines = [
            line for line in printed.err.splitlines() if " INFO " not in f" {line}" and "WARN" not in line
        ]
        assert len(lines) == 1, printed.err
        assert printed.out == ""
        return lines[0]

    return run


def _train(data: Path, output: Path, *words: object) -> list[str]:
    named = ["--manifest", data / "manifest.json", "--output-dir", output, "--init", "none", "--epochs", 1]
    return ["train", "--bundle", BUNDLE, *map(str, named), *SMALL.split(), *map(str, words)]


def _predict(data: Path, output: Path, *words: object) -> list[str]:
    weights = ["--weights", str(data / "@home" / "model.safetensors")]
    return ["predict", "--bundle", BUNDLE, "-o", str(output), *weights, *map(str, words), *SMALL.split()]


def _film(data: Path) -> Path:
    return sorted((data / "films" / "AllDICOMs").glob("*.dcm"))[0]


def test_signs_that_monai_reads_as_expressions_are_plain_in_paths(data: Path) -> None:
    for folder in (data / "@home", data / "odd $1" / "%b"):
        assert {"model.safetensors", "checkpoint_last.pt"} <= {each.name for each in folder.iterdir()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 0", "id train#trainer: max_epochs (epochs) must be at least 1, got 0."),
        ("--init nonsense", "init: expected coco, imagenet, none, a weights file or a bundle"),
        ("--init gone.pt", "no weights file at gone.pt. Train the bundle first"),
        ("--size_px -5", "id train#preprocessing: size_px must be from 1 to 10000, got -5."),
        ("--size_px abc", "(given: size_px='abc')."),
        ("--batch_size 0", "id train#dataloader: batch_size should be a positive integer value"),
        ("--preset x", "id train#preprocessing: preset must be full_image, sections"),
        ("--freeze x", "id settings: freezing policy must be one of all"),
        ("--precision fp16 --device cpu", "precision fp16 needs a CUDA device, got cpu. Use bf16 or fp32."),
        ("--learning_rate -1", "id settings: learning_rate must be above 0 and finite, got -1."),
        ("--learing_rate 1e-4", "no such id in train.json. Did you mean --learning_rate"),
        ("--trian#dataloader#batch_size 4", "Did you mean --train#dataloader"),
        ("--train#trainer#max_epoch 4", "id train#trainer: TypeError: ModelTrainer.__init__() got an"),
        ("--detector#anchor_sizes_px [1,2]", "anchor sizes are set for 2 levels, the network gave 5"),
        ("--resume maybe", "resume must be true or false, got 'maybe'."),
        ("--learning_rate", "--learning_rate needs a value"),
        ("--config gone.json", "no configuration 'gone.json'"),
        ("--output-dir a#b", "cannot hold a path with '#'"),
    ],
)
def test_odd_settings_of_a_training_are_one_line(
    data: Path, tmp_path: Path, refused: Command, words: str, message: str
) -> None:
    assert message in refused(*_train(data, tmp_path / "out", *words.split()))
    assert not list(tmp_path.rglob("*.safetensors")) + list(tmp_path.rglob("*.part*"))


def _without_validation(content: dict[str, Any]) -> None:
    content["validation"] = []


def _outside(content: dict[str, Any]) -> None:
    content["training"][1]["box"] = [[5, 5, 9999, 50]]


def _moved(content: dict[str, Any]) -> None:
    content["training"][0]["image"] = "gone.dcm"


def _emptied(content: dict[str, Any]) -> None:
    content.update(training=[], validation=[], test=[])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_validation, "no image in validation. The lists hold"),
        (_outside, "training row 1: box 0 [5.0, 5.0, 9999.0, 50.0] lies outside the image"),
        (_moved, "1 of 4 image files are missing"),
        (_emptied, "the manifest is empty"),
    ],
)
def test_a_faulty_manifest_is_one_line(
    data: Path, refused: Command, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    content = json.loads((data / "manifest.json").read_text())
    change(content)
    (data / "faulty.json").write_text(json.dumps(content))
    words = _train(data, data / "never")
    words[words.index(str(data / "manifest.json"))] = str(data / "faulty.json")
    assert message in refused(*words)


def test_a_folder_of_images_has_no_training_list(data: Path, tmp_path: Path, refused: Command) -> None:
    words = _train(data, tmp_path)
    words[words.index(str(data / "manifest.json"))] = str(data / "films")
    assert "images without a manifest are in no list, yet split=training was asked for" in refused(*words)


def _ct(dataset: pydicom.Dataset) -> None:
    dataset.Modality = "CT"


def _for_processing(dataset: pydicom.Dataset) -> None:
    dataset.PresentationIntentType = "FOR PROCESSING"


def _no_pixels(dataset: pydicom.Dataset) -> None:
    del dataset.PixelData


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_ct, "expected Modality (0008,0060) MG, got CT"),
        (_for_processing, "FOR PROCESSING"),
        (_no_pixels, "if the file is cut short, copy it again"),
    ],
)
def test_a_film_that_is_none_is_named_and_leaves_no_journal(
    data: Path, tmp_path: Path, refused: Command, change: Callable[[pydicom.Dataset], None], message: str
) -> None:
    dataset = pydicom.dcmread(_film(data))
    change(dataset)
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in" / "film.dcm")
    line = refused(*_predict(data, tmp_path / "out" / "d.json", tmp_path / "in" / "film.dcm"))
    assert message in line
    assert str(tmp_path / "in" / "film.dcm") in line
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.dcm"], "gone.dcm: no such file or folder"),
        (["."], "no image among 1 file"),
        (["FILM", "--weights", "gone.pt"], "gone.pt. Train the bundle first"),
        (["FILM", "--weights", "note.txt"], "weights must be .safetensors"),
        (["FILM", "--network_def#backbone", "resnet34"], "weights of another architecture"),
        (["FILM", "--split", "test"], "images without a manifest are in no list"),
        (["FILM", "--split", "x"], "invalid choice: 'x'"),
        (["FILM", "--inferrer#batch_size", "8"], "no such id in inference.json. Did you mean --inferer"),
        (["FILM", "--inferer#batch", "8"], "id inferer: TypeError: make_inferer() got an unexpected keyword"),
        (["FILM", "-o", "."], "it is a folder; name a file in it"),
        (["FILM", "-o", "note.txt/d.json"], "could not write"),
    ],
)
def test_odd_words_of_a_prediction_are_one_line(
    data: Path,
    tmp_path: Path,
    refused: Command,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("note.txt").write_text("x")
    words = [str(_film(data)) if word == "FILM" else word for word in words]
    weights = ["--weights", data / "@home" / "model.safetensors"]
    small = [] if "--network_def#backbone" in words else SMALL.split()
    assert message in refused("predict", "--bundle", BUNDLE, "-o", "d.json", *weights, *words, *small)
    assert [each.name for each in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_of_8_and_16_bit_are_marked(data: Path, tmp_path: Path, dtype: type[np.generic]) -> None:
    pixels = np.random.default_rng(0).random((200, 150)) * np.iinfo(dtype).max  # type: ignore[type-var]
    (tmp_path / "$ folder").mkdir()
    Image.fromarray(pixels.astype(dtype)).save(tmp_path / "$ folder" / "@film.png")
    assert main(_predict(data, tmp_path / "d.json", tmp_path / "$ folder" / "@film.png")) == 0
    assert len(read_detections(tmp_path / "d.json").detections) == 1


def test_a_full_disk_is_no_fault_of_an_image(
    data: Path, tmp_path: Path, refused: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mammo_monai.inference.line_file.SYNC_EVERY_S", 0)
    monkeypatch.setattr("mammo_monai.inference.line_file.os.fsync", full)
    line = refused(*_predict(data, tmp_path / "d.json", _film(data), "--on-error", "skip"))
    assert "d.json.partial.jsonl, where finished images are kept: No space left on device. Make room" in line
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_at_the_checkpoint_is_named(
    data: Path, tmp_path: Path, refused: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(content: object, stream: object) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 768 vs 662")  # what torch's writer makes of it

    monkeypatch.setattr(torch, "save", full)
    line = refused(*_train(data, tmp_path))
    assert line.endswith(
        f"could not write {tmp_path}/checkpoint_last.pt: No space left on device. Nothing was changed. "
        "Make room, or write to another disk."
    )
    assert not list(tmp_path.glob(".*"))


def test_phantoms_refused_draw_no_bar(tmp_path: Path, refused: Command) -> None:
    line = refused("phantoms", "--layout", "inbreast", "--patients", 0, "--out", tmp_path / "p")
    assert line == "mammo-monai phantoms: patients must lie in [1, 99999], got 0."
    assert refused("phantoms", "--layout", "x", "--out", tmp_path).endswith(
        "See mammo-monai phantoms --help."
    )


def test_detections_of_another_manifest_and_nan_scores_are_refused(
    data: Path, tmp_path: Path, refused: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_predict(data, tmp_path / "d.json", data / "manifest.json", "--split", "test")) == 0
    capsys.readouterr()
    score = ["--manifest", data / "manifest.json", "-o", tmp_path / "m.json"]
    assert "record ids have no entry" in refused("evaluate", tmp_path / "d.json", *score)
    content = json.loads((tmp_path / "d.json").read_text())
    content["detections"][0].update(boxes=[[1, 1, 5, 5]], scores=[float("nan")], labels=[0])
    (tmp_path / "nan.json").write_text(json.dumps(content))
    line = refused("evaluate", tmp_path / "nan.json", *score, "--split", "test")
    assert "scores must be a list of finite numbers" in line
    assert not (tmp_path / "m.json").exists()


def _of_another_data_set(rows: list[dict[str, Any]]) -> None:
    rows[1]["record_id"] = "feedfeedfeedfeed"


def _twice(rows: list[dict[str, Any]]) -> None:
    rows.append(rows[0])


def _lacking(rows: list[dict[str, Any]]) -> None:
    del rows[1]


def _inverted(rows: list[dict[str, Any]]) -> None:
    rows[1]["boxes"][0] = [9, 1, 5, 5]


def _off_the_image(rows: list[dict[str, Any]]) -> None:
    rows[1]["boxes"][0] = [90000, 1, 90005, 5]


def _infinite(rows: list[dict[str, Any]]) -> None:
    rows[1]["scores"][0] = float("inf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_of_another_data_set, "bad.json, detections row 1 (feedfeedfeedfeed): no image of"),
        (_twice, "stands already in detections row 0; each image may have one entry"),
        (_lacking, "1 record ids have no entry in the detections"),
        (_inverted, "bad.json, detections row 1 (ID): boxes: box 0 [9.0, 1.0, 5.0, 5.0] is reversed"),
        (
            _off_the_image,
            "bad.json, detections row 1 (ID), box 0 [90000.0, 1.0, 90005.0, 5.0] does not touch",
        ),
        (_infinite, "bad.json, detections row 1 (ID): scores must be a list of finite numbers"),
    ],
)
def test_faulty_detections_are_one_line_that_names_the_row(
    data: Path, tmp_path: Path, refused: Command, change: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    records = read_manifest(data / "manifest.json").images()
    rows: list[dict[str, Any]] = [
        {"record_id": each.record_id, "boxes": [[1, 1, 5, 5]], "scores": [0.5], "labels": [0]}
        for each in records
    ]
    content = {"schema": "mammo-monai/detections/1", "model": {}, "detections": rows}
    (tmp_path / "good.json").write_text(json.dumps(content))
    change(rows)
    (tmp_path / "bad.json").write_text(json.dumps(content))
    message = message.replace("ID", records[1].record_id)
    manifest = ["--manifest", data / "manifest.json"]
    assert message in refused("evaluate", tmp_path / "bad.json", *manifest, "-o", tmp_path / "m.json")
    line = refused("compare", tmp_path / "good.json", tmp_path / "bad.json", *manifest)
    assert (message in line) or "not run on the same images: 1 only in" in line
    assert not (tmp_path / "m.json").exists()


def test_a_training_list_of_normals_is_warned_of(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    from mammo_monai.data import load_samples

    content = json.loads((data / "manifest.json").read_text())
    content["training"] = [row for row in content["training"] if not row["box"]]
    (data / "normals.json").write_text(json.dumps(content))
    load_samples(data / "normals.json", "training")
    assert "no image of the training list has a lesion" in caplog.text


def test_weights_verb_is_reached_by_the_command(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "show", str(data / "@home" / "model.safetensors")]) == 0
    assert "tensors" in capsys.readouterr().out
