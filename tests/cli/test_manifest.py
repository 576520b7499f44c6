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
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Manifest, read_manifest

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
        Image.new("L", (60, 90)).save(tmp_path / name)
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
        "list          images  normals  lesions  patients",
        "training          12        6        6         6",
        "validation         4        2        2         2",
        "test               4        2        2         2",
        "all               20       10       10        10",
        f"wrote {out}; audit.csv: 0 findings, 0 left out",
    ]
    assert sorted(path.name for path in out.parent.iterdir()) == ["audit.csv", "m.json", "m.salt"]
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


def test_faults_stop_unless_they_are_skipped(
    coco: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "00003_RIGHT_CC.png").unlink()
    command = ("coco", tmp_path / "boxes.json", "--images", tmp_path, "--name-pattern", PATTERN)
    with pytest.raises(ManifestError, match=r"00003_RIGHT_CC\.png\): the image file is missing"):
        run(*command, "-o", tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()
    assert run(*command, "--skip-invalid", "-o", tmp_path / "m.json") == 1
    assert "1 findings, 1 left out" in capsys.readouterr().out
    assert len(read_manifest(tmp_path / "m.json").images()) == 19
    assert "m.json,image-missing," in (tmp_path / "audit.csv").read_text()
    assert "00003" not in (tmp_path / "audit.csv").read_text()


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
    assert run("coco", tmp_path / "boxes.json", "--images", tmp_path, "-o", out, *words) == 0
    records = [record for record in read_manifest(out).images() if not record.is_normal]
    rows = [line.split(",") for line in (tmp_path / "audit.csv").read_text().splitlines()]
    changed = {row[2] for row in rows if row[1] == "lesions-merged"}
    assert sum(len(record.lesions) for record in records) == lesions
    assert changed == ({record.record_id for record in records} if lesions == 10 else set())
    if lesions == 10:
        assert {record.lesions[0].box for record in records} == {(1, 2, 46, 42)}


@pytest.mark.parametrize("layout", ["cbis-ddsm", "inbreast"])
def test_every_layout_can_merge(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = (Lesion((0, 0, 4, 4)), Lesion((2, 2, 6, 6)))
    made = Manifest(test=(ImageRecord(tmp_path / "a.png", "0f", "p", width=9, height=9, lesions=twice),))
    monkeypatch.setattr("mammo_monai.readers.read_dataset", lambda *args, **options: made)
    assert run(layout, tmp_path, "-o", tmp_path / "m.json", "--merge-overlapping") == 0
    assert read_manifest(tmp_path / "m.json").test[0].boxes.tolist() == [[0, 0, 6, 6]]


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
