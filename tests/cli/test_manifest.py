from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mammo_monai.cli import manifest as verb
from mammo_monai.errors import ManifestError
from mammo_monai.phantoms import write_phantoms
from mammo_monai.schema import read_manifest

PATTERN = r"(?P<patient>\d+)_(?P<laterality>LEFT|RIGHT)_(?P<view>CC|MLO)"


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["manifest", *map(str, arguments)])
    return int(parsed.run(parsed))


@pytest.fixture
def coco(tmp_path: Path) -> dict[str, Any]:
    """A set of 10 patients with two views each; every CC view has a mass."""
    names = [f"{patient:05d}_RIGHT_{view}.png" for patient in range(10) for view in ("CC", "MLO")]
    content: dict[str, Any] = {"annotations": [], "categories": [{"id": 0, "name": "Mass"}]}
    content["images"] = [
        {"id": n, "file_name": name, "width": 60, "height": 90} for n, name in enumerate(names)
    ]
    for n, name in enumerate(names):
        Image.new("L", (60, 90), n).save(tmp_path / name)
        if "CC" in name:
            content["annotations"].append({"id": n, "image_id": n, "category_id": 0, "bbox": [1, 2, 30, 40]})
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    return content


def test_coco_is_split_by_patient_and_counted(
    coco: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "m.json"
    code = run("coco", tmp_path / "boxes.json", "--images", tmp_path, "--name-pattern", PATTERN, "-o", out)
    assert code == 0
    assert capsys.readouterr().out.splitlines() == [
        "list        images  patients  masses  other lesions  normal images",
        "training    12      6         6       0              6",
        "validation  4       2         2       0              2",
        "test        4       2         2       0              2",
        "all lists   20      10        10      0              10",
        "",
        f"wrote {out}, and beside it audit.csv and audit.html",
        "findings: 0 repaired, 0 left out, 0 to look at",
    ]
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "audit.csv",
        "audit.html",
        "m.json",
        "m.salt",
    ]
    assert len(read_manifest(out).images()) == 20


def test_the_same_command_gives_the_same_manifest(coco: dict[str, Any], tmp_path: Path) -> None:
    command = ("coco", tmp_path / "boxes.json", "--images", tmp_path, "--name-pattern", PATTERN, "-o")
    run(*command, tmp_path / "m.json")
    first = (tmp_path / "m.json").read_bytes()
    run(*command, tmp_path / "m.json")
    assert (tmp_path / "m.json").read_bytes() == first


def test_coco_may_go_into_one_list(coco: dict[str, Any], tmp_path: Path) -> None:
    run("coco", tmp_path / "boxes.json", "--images", tmp_path, "--split", "test", "-o", tmp_path / "m.json")
    assert len(read_manifest(tmp_path / "m.json").test) == 20


def test_fractions_and_seed_choose_the_split(coco: dict[str, Any], tmp_path: Path) -> None:
    lists = []
    for seed in (1, 2):
        out = tmp_path / f"{seed}.json"
        (tmp_path / f"{seed}.salt").write_text("s")
        fractions = ("--fractions", 0.5, 0, 0.5, "--seed", seed, "--name-pattern", PATTERN)
        run("coco", tmp_path / "boxes.json", "--images", tmp_path, *fractions, "-o", out)
        manifest = read_manifest(out)
        assert (len(manifest.training), len(manifest.validation), len(manifest.test)) == (10, 0, 10)
        lists.append({record.patient_id for record in manifest.test})
    assert lists[0] != lists[1]


def test_an_image_with_a_fault_is_left_out_and_named(
    coco: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "00003_RIGHT_CC.png").unlink()
    command = ("coco", tmp_path / "boxes.json", "--images", tmp_path, "--name-pattern", PATTERN)
    assert run(*command, "-o", tmp_path / "m.json") == 1
    assert "findings: 0 repaired, 1 left out, 0 to look at" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "m.json")
    assert len(manifest.images()) == 19
    assert [(each.code, each.image) for each in manifest.quarantined] == [
        ("image-missing", tmp_path / "00003_RIGHT_CC.png")
    ]
    assert "m.json,image-missing," in (tmp_path / "audit.csv").read_text()
    for name in ("audit.csv", "audit.html"):
        assert "00003" not in (tmp_path / name).read_text()


def test_strict_writes_no_manifest_and_keeps_the_audit(coco: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "00003_RIGHT_CC.png").unlink()
    out = tmp_path / "out" / "m.json"
    with pytest.raises(ManifestError, match=r"00003_RIGHT_CC\.png\).*the image file is missing"):
        run("coco", tmp_path / "boxes.json", "--name-pattern", PATTERN, "--strict", "-o", out)
    assert not out.exists()
    assert "m.json,image-missing," in (out.parent / "audit.csv").read_text()
    assert "No manifest was written" in (out.parent / "audit.html").read_text()


def test_a_folds_file_fills_the_lists(coco: dict[str, Any], tmp_path: Path) -> None:
    from mammo_monai.cli import folds

    command = ("coco", tmp_path / "boxes.json", "--name-pattern", PATTERN)
    run(*command, "-o", tmp_path / "m.json")
    parser = argparse.ArgumentParser()
    folds.add_parser(parser.add_subparsers())
    made = ["folds", "make", str(tmp_path / "m.json"), "-o", str(tmp_path / "folds.json")]
    parsed = parser.parse_args(made)
    assert parsed.run(parsed) == 0
    tests = []
    for fold in range(1, 6):
        words = ("--folds", tmp_path / "folds.json", "--fold", fold, "-o", tmp_path / f"{fold}.json")
        assert run(*command, *words, "--same-ids-as", tmp_path / "m.json") == 0
        tests += [record.record_id for record in read_manifest(tmp_path / f"{fold}.json").test]
    assert sorted(tests) == sorted(record.record_id for record in read_manifest(tmp_path / "m.json").images())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--folds", "folds.json"), "--folds and --fold go together"),
        (("--fold", "1"), "--folds and --fold go together"),
        (("--split", "half", "--fractions", "0.5", "0", "0.5"), "--fractions goes with --split fractions"),
        (("--folds", "f.json", "--fold", "1", "--split", "half"), "--folds fills the lists"),
        (("--class", "mass=lump"), "lump"),
        (("--seed", "-1"), "seed must be at least 0, got -1"),
        (("--split", "official"), "this data set has no official split"),
    ],
)
def test_options_that_contradict_one_another_are_refused(
    words: tuple[str, ...], message: str, coco: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "m.json"
    with pytest.raises((ManifestError, ValueError), match=message):
        run("coco", tmp_path / "boxes.json", "--name-pattern", PATTERN, *words, "-o", out)
    assert not out.exists()


def test_a_manifest_is_checked_against_its_files(
    coco: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.json"
    run("coco", tmp_path / "boxes.json", "--name-pattern", PATTERN, "-o", out)
    before = out.read_bytes()
    assert run("check", out) == 0
    Image.new("L", (60, 90), 77).save(tmp_path / "00003_RIGHT_CC.png")
    capsys.readouterr()
    assert run("check", out) == 2
    assert "file-" in capsys.readouterr().out
    assert "m.json check,file-" in (tmp_path / "audit.csv").read_text()
    assert out.read_bytes() == before


@pytest.mark.parametrize("layout", ["cbis-ddsm", "inbreast"])
def test_phantoms_are_read_with_their_own_salt(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_phantoms(tmp_path / "phantoms", layout=layout, patients=3, seed=1, pixel_spacing_mm=1.0)
    out = tmp_path / "m.json"
    assert run(layout, root, "--validation-fraction", 0.3, "--seed", 2, "-o", out) == 0
    assert "all " in capsys.readouterr().out
    assert len(read_manifest(out).images()) == len(json.loads((root / "truth.json").read_text())["images"])
    assert not (tmp_path / "m.salt").exists()


@pytest.mark.parametrize(("option", "lesions"), [((), 20), (("0.5",), 20), (("0.2",), 10), (None, 10)])
def test_overlapping_lesions_are_merged_on_demand_and_noted(
    option: tuple[str, ...] | None, lesions: int, coco: dict[str, Any], tmp_path: Path
) -> None:
    second = [each | {"id": each["id"] + 100, "bbox": [16, 2, 30, 40]} for each in coco["annotations"]]
    coco["annotations"] += second  # IoU 1/3 with the first
    (tmp_path / "boxes.json").write_text(json.dumps(coco))
    out = tmp_path / "m.json"
    words = () if option == () else ("--merge-overlapping", *(option or ()))
    assert run("coco", tmp_path / "boxes.json", "--name-pattern", PATTERN, "-o", out, *words) == 0
    records = [record for record in read_manifest(out).images() if not record.is_normal]
    rows = [line.split(",") for line in (tmp_path / "audit.csv").read_text().splitlines()]
    changed = {row[2] for row in rows if row[1] == "lesions-merged"}
    assert sum(len(record.lesions) for record in records) == lesions
    assert changed == ({record.record_id for record in records} if lesions == 10 else set())
    if lesions == 10:
        assert {record.lesions[0].box for record in records} == {(1, 2, 46, 42)}


@pytest.mark.parametrize("word", ["1", "-0.1", "nan", "boxes.json"])
def test_an_iou_that_cannot_be_is_refused_before_anything_is_read(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("coco", "none.json", "--images", "none", "-o", "m.json", f"--merge-overlapping={word}")
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f"IOU must be at least 0 and below 1, got '{word}'; without IOU, give the option last" in said


def test_help_needs_no_heavy_import() -> None:
    code = "import sys, argparse, mammo_monai.cli.manifest as m; "
    code += "m.add_parser(argparse.ArgumentParser().add_subparsers()); "
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'pydicom', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
