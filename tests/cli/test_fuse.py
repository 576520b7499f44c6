"""`predict` with several bundles, and `fuse`: members beside the output, calibrations asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mammo_monai.bundle import trust_bundle
from mammo_monai.bundle.trust import snapshot_of
from mammo_monai.cli import main as cli
from mammo_monai.inference import Predictor
from mammo_monai.schema import (
    read_detections,
)
from tests.cli.test_predict_verb import bundle, images
from tests.operating_points import write_points

__all__ = ["bundle", "images"]  # fixtures
WEIGHTS = {"bundle": "a" * 64, "other": "b" * 64}


@pytest.fixture(autouse=True)
def verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "VERBS", ("predict", "fuse"))


@pytest.fixture
def bundles(bundle: Path) -> list[Path]:
    """Two bundles with weights of known hashes; the second sees only bright masses. No calibration."""
    other = bundle.with_name("other")
    shutil.copytree(bundle, other)
    for each, threshold in ((bundle, 0.3), (other, 0.5)):
        path = each / "configs" / "inference.json"
        config = json.loads(path.read_text())
        config["evaluator"]["model"] = {"weights_sha256": "@weights", "bundle": str(each)}
        config |= {"weights": WEIGHTS[each.name], "threshold": threshold}
        path.write_text(json.dumps(config))
        trust_bundle(snapshot_of(each), "made by this test")
    return [bundle, other]


def calibrate(each: Path) -> None:
    write_points(each / "models" / "operating_points.json", weights_sha256=(WEIGHTS[each.name],))
    trust_bundle(snapshot_of(each), "made by this test")


@pytest.fixture
def calibrated(bundles: list[Path]) -> list[Path]:
    for each in bundles:
        calibrate(each)
    return bundles


def predict(images: list[Path], members: list[str], output: Path, *more: str) -> int:
    named = [word for each in members for word in ("--bundle", each)]
    return cli.main(["predict", *map(str, images[:2]), *named, "-o", str(output), *more])


@pytest.fixture
def members(calibrated: list[Path]) -> list[str]:
    return [str(each) for each in calibrated]


def test_an_ensemble_is_predicted_calibrated_and_fused(
    members: list[str], images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "d.json"
    assert predict(images, members, output, "--fuse", "wbf", "--overlays", str(tmp_path / "o")) == 0
    found = read_detections(output)
    # Image a has a brightness of .4, which the second does not see; b of .6, which both see.
    scores = [each.scores.tolist() for each in found.detections]
    assert scores == [pytest.approx([0.2], abs=1e-3), pytest.approx([0.6], abs=1e-3)]
    told = found.model["fusion"]
    assert (told["method"], told["min_iou"], told["calibrated"]) == ("wbf", 0.55, True)
    assert [each["weights_sha256"] for each in told["members"]] == ["a" * 64, "b" * 64]
    assert capsys.readouterr().out == (
        f"{output}: 2 images, 2 marks, 0 images failed, 2 models fused by wbf (IoU 0.55, calibrated)\n"
    )
    assert len(list((tmp_path / "o").iterdir())) == 2
    assert sorted(each.name for each in (tmp_path / "d.parts").iterdir()) == [
        "bundle.json",
        "bundle.key.json",
        "other.json",
        "other.key.json",
    ]


def test_a_finished_member_is_not_predicted_again(
    members: list[str], images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    run = Predictor.run

    def counted(self: Predictor) -> object:
        ran.append(self.output.stem)
        if ran == ["bundle", "other"]:
            raise KeyboardInterrupt  # between the members
        return run(self)

    monkeypatch.setattr(Predictor, "run", counted)
    output = tmp_path / "d.json"
    assert predict(images, members, output) == 130
    assert not output.exists()
    assert predict(images, members, output) == 0
    assert ran == ["bundle", "other", "other"]
    first = output.read_bytes()
    assert predict(images, members, output) == 0
    assert ran == ["bundle", "other", "other"]
    assert output.read_bytes() == first
    assert predict(images, members, output, "--other:threshold", "0.3") == 0
    assert ran == ["bundle", "other", "other", "other"]
    assert output.read_bytes() != first
    # Images that were refused are looked at once they are accepted.
    assert predict(images, members, output, "--accept", "implant") == 0
    assert ran[4:] == ["bundle", "other"]


def test_one_bundle_with_two_weights_makes_an_ensemble(
    bundles: list[Path], images: list[Path], tmp_path: Path
) -> None:
    weights = [tmp_path / f"{name}.safetensors" for name in ("fold1", "fold2")]
    for each in weights:
        each.touch()  # the bundle of this test never reads it
    named = [f"{bundles[0]}={each}" for each in weights]
    arguments = ("--uncalibrated", "--fuse", "clustering", "--fuse-weights", "1", "2", "--fuse-iou", "0.3")
    assert predict(images, named, tmp_path / "d.json", *arguments) == 0
    told = read_detections(tmp_path / "d.json").model["fusion"]
    assert [each["name"] for each in told["members"]] == ["bundle", "bundle-2"]
    assert [Path(each["weights_sha256"]).stem for each in told["members"]] == ["fold1", "fold2"]
    assert (told["method"], told["min_iou"], told["weights"]) == ("clustering", 0.3, [1, 2])
    assert told["calibrated"] is False


def test_weights_that_are_not_there_are_refused_before_anything_is_predicted(
    bundles: list[Path], images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for weights in ("gone.safetensors", ""):
        named = [str(bundles[0]), f"{bundles[1]}={weights}"]
        assert predict(images, named, tmp_path / "d.json", "--uncalibrated") == 2
        assert f"no weights file at {weights!r}. Name one after '='" in capsys.readouterr().err
    assert not (tmp_path / "d.parts").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--fppi", "0.25"], "choose points for the fused detections of validation images"),
        (["--weights", "w.safetensors"], "Give each its own: --bundle NAME=FILE"),
        (["--fuse-weights", "1"], "expected one weight for each of 2 models"),
        (["--fuse-iou", "1"], "the IoU to fuse at must be in [0, 1)"),
        (["--third:threshold", "0.2"], "--third:threshold: no member third: they are bundle, other."),
        (["--nonsense", "1"], "nonsense"),
        (["--other:nonsense", "1"], "nonsense"),
    ],
)
def test_what_does_not_hold_for_an_ensemble_is_refused_before_anything_is_predicted(
    members: list[str],
    images: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    assert predict(images, members, tmp_path / "d.json", *more) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "d.parts").exists()


def test_a_bundle_without_calibration_is_refused_before_anything_is_predicted(
    bundles: list[Path], images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(bundles[0])
    named = [str(each) for each in bundles]
    assert predict(images, named, tmp_path / "d.json") == 2
    assert "the scores of other have no calibration" in capsys.readouterr().err
    assert not (tmp_path / "d.parts").exists()
    assert predict(images, named, tmp_path / "d.json", "--uncalibrated") == 0
    assert "uncalibrated)" in capsys.readouterr().out


def test_fusion_options_need_several_bundles(
    members: list[str], images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(images, members[:1], tmp_path / "d.json", "--fuse", "nms") == 2
    assert "give --bundle once for each" in capsys.readouterr().err


def test_files_are_fused_by_the_bundles_they_name_or_by_given_points(
    calibrated: list[Path],
    members: list[str],
    images: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert predict(images, members, tmp_path / "d.json") == 0
    parts = [str(tmp_path / "d.parts" / f"{each.name}.json") for each in calibrated]
    fuse = ["fuse", *parts, "-o", str(tmp_path / "f.json")]
    capsys.readouterr()
    assert cli.main(fuse) == 0
    assert capsys.readouterr().out.endswith(
        "2 images, 2 models fused by wbf (IoU 0.55, calibrated), 0 failed\n"
    )
    boxes = [
        [each.boxes.tolist() for each in read_detections(tmp_path / name).detections]
        for name in ("d.json", "f.json")
    ]
    assert boxes[0] == boxes[1]
    points = [each / "models" / "operating_points.json" for each in calibrated]
    moved = [each.rename(tmp_path / f"{n}.json") for n, each in enumerate(points)]
    assert cli.main(fuse) == 2
    assert "no calibration for the scores of" in capsys.readouterr().err
    assert cli.main([*fuse, "--points", *map(str, moved)]) == 0
    assert cli.main([*fuse, "--points", str(moved[0])]) == 2
    assert "expected one file for each of 2 models, got 1" in capsys.readouterr().err
    shutil.rmtree(calibrated[1])
    assert cli.main(fuse) == 2
    assert cli.main([*fuse, "--uncalibrated"]) == 0


def test_a_model_is_not_fused_with_itself(
    members: list[str], images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(images, members, tmp_path / "d.json") == 0
    part = next((tmp_path / "d.parts").glob("*.json"))
    again = Path(shutil.copy(part, tmp_path / "again.json"))
    assert cli.main(["fuse", str(part), str(again), "-o", str(tmp_path / "f.json"), "--uncalibrated"]) == 2
    assert "again.json: the same detections as another member" in capsys.readouterr().err
    assert not (tmp_path / "f.json").exists()
