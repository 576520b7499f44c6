"""`mammo-monai prepare`, and a short training from what it made: the weights of a training from DICOM."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mammo_monai.cli import main as command
from mammo_monai.schema import read_manifest
from mammo_monai.transforms import image_recipe
from tests.data.prepared_sets import DIGITAL, phantom_manifest

BUNDLE = "coco_to_inbreast_mass_retinanet"
SMALL = [
    *("--size_px", "96", "--network_def#backbone", "resnet18", "--network_def#fpn_channels", "32"),
    *("--detector#size_divisible", "32", "--train#dataloader#batch_size", "2"),
]


@pytest.fixture(autouse=True)
def verb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The verb is known, and the levels that the command and bundles set do not outlive a test."""
    monkeypatch.setattr(command, "VERBS", tuple(dict.fromkeys((*command.VERBS, "prepare"))))
    ours, root = logging.getLogger("mammo_monai"), logging.getLogger()
    before = ours.level, root.level, list(root.handlers)
    yield
    ours.level, root.level, root.handlers = before
    logging.getLogger("mammo_monai").manager._clear_cache()  # type: ignore[attr-defined]  # levels were set


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom_manifest(tmp_path_factory.mktemp("phantoms"), DIGITAL)


def test_it_prints_what_is_there(phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prepare", str(phantoms), "--out", str(tmp_path / "out"), "--region", "global"]
    assert command.main([*words, "--size-px", "64"]) == 0
    total = len(read_manifest(phantoms).images())
    assert f"{tmp_path / 'out' / 'manifest.json'}: {total} images (0 kept)" in capsys.readouterr().out
    assert command.main([*words, "--size-px", "48"]) == 0
    assert f"stale copies: 0 deleted, {total} left (--prune deletes them)" in capsys.readouterr().out
    assert command.main([*words, "--size-px", "48", "--prune"]) == 0
    said = capsys.readouterr().out
    assert f"{total} images ({total} kept)" in said
    assert f"stale copies: {total} deleted, 0 left" in said


def test_images_left_out_make_exit_code_1(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = phantom_manifest(tmp_path, DIGITAL, patients=1)
    read_manifest(own).training[0].image.write_bytes(b"broken")
    assert command.main(["prepare", str(own), "--out", str(tmp_path / "out"), "--size-px", "64"]) == 1
    assert "1 image left out, see audit.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "fixed_spacing"], "needs spacing_mm from 0.01 to 10"),
        (["--region", "none", "--remove-pectoral"], "remove_pectoral needs a breast region"),
        (["--spacing-mm", "0.2"], "preset full_image does not use spacing_mm"),
        (["--region", "none", "--suppress-artifacts"], "suppress_artifacts needs a breast region"),
        (["--noise-px", "5"], "noise_px needs noise"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--bundle", "no_such_bundle"], "no_such_bundle"),
    ],
)
def test_wrong_options_are_one_line(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert command.main(["prepare", str(phantoms), "--out", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_bundle_names_the_recipe_and_options_change_it(phantoms: Path, tmp_path: Path) -> None:
    words = ["prepare", str(phantoms), "--out", str(tmp_path / "out"), "--bundle", BUNDLE]
    assert command.main([*words, "--size-px", "64"]) == 0
    record = read_manifest(tmp_path / "out" / "manifest.json").training[0]
    assert record.prepared is not None
    assert record.prepared["recipe"] == image_recipe(size_px=64, region="global").as_json()
    assert command.main([*words, "--size-px", "64", "--noise", "median", "--suppress-artifacts"]) == 0
    record = read_manifest(tmp_path / "out" / "manifest.json").training[0]
    assert record.prepared is not None
    treated = image_recipe(size_px=64, region="global", noise="median", suppress_artifacts=True)
    assert record.prepared["recipe"] == treated.as_json()


def test_training_from_copies_gives_the_weights_of_training_from_dicom(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prepare", str(phantoms), "--out", str(tmp_path / "out"), "--bundle", BUNDLE]
    assert command.main([*words, "--size-px", "96"]) == 0
    for name, manifest in (("copies", tmp_path / "out" / "manifest.json"), ("dicom", phantoms)):
        train = ["train", "--bundle", BUNDLE, "--manifest", str(manifest), "--init", "none", "--epochs", "1"]
        assert command.main([*train, "--output-dir", str(tmp_path / name), *SMALL]) == 0
    copies, dicom = (load_file(tmp_path / name / "model.safetensors") for name in ("copies", "dicom"))
    assert copies.keys() == dicom.keys()
    assert all(torch.equal(copies[name], dicom[name]) for name in dicom)
    out = str(tmp_path / "out")
    train = ["train", "--bundle", BUNDLE, "--manifest", out, "--init", "none", "--epochs", "1", *SMALL]
    assert command.main([*train, "--output-dir", str(tmp_path / "larger"), "--size_px", "128"]) == 2
    error = capsys.readouterr().err
    assert "prepared with version 1, preset full_image, size_px 96, region global" in error
    assert "--preset full_image --size-px 128 --region global" in error
