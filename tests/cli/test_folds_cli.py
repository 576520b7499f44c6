from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.cli import folds as verb
from mammo_monai.errors import ManifestError
from mammo_monai.schema import Manifest, read_manifest, write_manifest
from mammo_monai.schema.folds import FOLD_SCHEMES, read_folds
from tests.readers.splits.fold_sets import manifest_of, two_views


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["folds", *map(str, arguments)])
    return int(parsed.run(parsed))


@pytest.fixture
def manifests(tmp_path: Path) -> list[Path]:
    """a.json: 5 patients with a mass, 5 without, two images each; b.json: 5 patients with a mass."""
    paths = []
    for tag, patients in (("a", two_views(5, 5)), ("b", two_views(5, 0))):
        manifest = manifest_of(tag, patients)
        images = (replace(r, image=tmp_path / "images" / tag / r.image.name) for r in manifest.training)
        paths.append(tmp_path / f"{tag}.json")
        write_manifest(paths[-1], Manifest(training=tuple(images)))
    return paths


def test_make_writes_folds_and_counts_them(
    manifests: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "folds.json"
    assert run("make", manifests[0], "--scheme", "kfold", "--seed", 1, "-o", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "fold  stage          list         images  with mass  masses  patients",
        "1     training       training         12          3       3         6",
        "1     training       validation        4          1       1         2",
        "1     training       test              4          1       1         2",
    ]
    command = "mammo-monai folds make a.json --scheme kfold --folds 5 --validation-fraction 0.2 --seed 1"
    assert lines[-2:] == [
        f"SHA-256 {read_folds(out).sha256}, made by: {command} -o folds.json",
        f"wrote {out}",
    ]
    assert len(lines) == 1 + 15 + 2


def test_the_same_command_writes_the_same_file_and_another_seed_another(
    manifests: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "folds.json"
    contents = []
    for seed in (1, 1, 2):
        run("make", *manifests, "--scheme", "s5", "--seed", seed, "-o", out)
        contents.append(out.read_bytes())
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize("scheme", FOLD_SCHEMES)
def test_every_scheme_is_made_and_each_of_its_stages_applied(
    scheme: str, manifests: list[Path], tmp_path: Path
) -> None:
    run("make", *manifests, "--scheme", scheme, "-o", tmp_path / "folds.json")
    for fold in read_folds(tmp_path / "folds.json").folds:
        for stage in fold.stages:
            out = tmp_path / f"{fold.name}_{stage.name}.json"
            command = (
                "--folds",
                tmp_path / "folds.json",
                "--fold",
                fold.name,
                "--stage",
                stage.name,
                "-o",
                out,
            )
            assert run("apply", *manifests, *command) == 0
            assert tuple(record.record_id for record in read_manifest(out).images()) == stage.record_ids()


def test_folds_and_fraction_are_options(manifests: list[Path], tmp_path: Path) -> None:
    run("make", *manifests, "--folds", 4, "--validation-fraction", 0.25, "-o", tmp_path / "folds.json")
    folds = read_folds(tmp_path / "folds.json")
    assert len(folds.folds) == 4
    assert folds.scheme.validation_fraction == 0.25


def test_apply_writes_an_ordinary_manifest_whose_paths_hold_from_its_own_folder(
    manifests: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("make", *manifests, "--scheme", "s3", "-o", tmp_path / "folds.json")
    capsys.readouterr()
    out = tmp_path / "deep" / "er" / "m.json"
    assert run("apply", *manifests[::-1], "--folds", tmp_path / "folds.json", "--fold", 2, "-o", out) == 0
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "2     training       training         26          9       9        13",
        "2     training       test              4          1       1         2",
    ]
    assert json.loads(out.read_text())["test"][0]["image"].startswith("../../images/a/")
    manifest = read_manifest(out)
    whole = {record.record_id: record for path in manifests for record in read_manifest(path).images()}
    for record in manifest.images():
        assert replace(record, patient_id="") == replace(whole[record.record_id], patient_id="")
    assert manifest.about["folds"] == {
        "sha256": read_folds(tmp_path / "folds.json").sha256,
        "scheme": "s3",
        "fold": "2",
        "stage": "training",
        "manifests": {"A": "a.json", "B": "b.json"},
    }
    assert manifest.about["seed"] == 0


def test_show_counts_images_without_manifests_and_more_with_them(
    manifests: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("make", *manifests, "--scheme", "s6", "-o", tmp_path / "folds.json")
    made = capsys.readouterr().out.splitlines()[:-1]
    assert run("show", tmp_path / "folds.json", *manifests) == 0
    assert capsys.readouterr().out.splitlines() == made
    assert run("show", tmp_path / "folds.json") == 0
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "1     pretraining-b  training         10          -       -         -",
        "1     training       training         16          -       -         -",
    ]


@pytest.mark.parametrize("action", ["make", "apply"])
def test_a_manifest_that_is_read_is_not_written_over(
    action: str, manifests: list[Path], tmp_path: Path
) -> None:
    run("make", *manifests, "-o", tmp_path / "folds.json")
    before = manifests[0].read_bytes()
    more = ("--folds", tmp_path / "folds.json", "--fold", 1) if action == "apply" else ()
    with pytest.raises(ManifestError, match=r"a\.json: would overwrite a manifest that is read"):
        run(action, *manifests, *more, "-o", manifests[0])
    assert manifests[0].read_bytes() == before


def test_changed_folds_are_refused_and_no_manifest_is_written(manifests: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    run("make", manifests[0], "-o", path)
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ManifestError, match=r"folds\.json: the folds were changed after they were made"):
        run("apply", manifests[0], "--folds", path, "--fold", 1, "-o", tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()


def test_schemes_offered_are_those_there_are() -> None:
    assert verb.SCHEMES == FOLD_SCHEMES


def test_a_folder_stands_for_the_manifest_in_it(
    manifests: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    write_manifest(folder / "manifest.json", read_manifest(manifests[0]))
    out = tmp_path / "folds.json"
    assert run("make", folder, "-o", out) == 0
    assert run("show", out, folder) == 0
    assert run("apply", folder, "--folds", out, "--fold", 1, "-o", tmp_path / "1.json") == 0
    assert len(read_manifest(tmp_path / "1.json").images()) == 20
    (folder / "manifest.json").rename(folder / "inbreast.json")
    with pytest.raises(ManifestError, match=r"holds manifest\.json\. Is it one of inbreast\.json\?"):
        run("make", folder, "-o", out)


def test_a_kept_test_list_stays_in_its_manifest_and_the_file_says_so(
    manifests: list[Path], tmp_path: Path
) -> None:
    whole = read_manifest(manifests[0])
    write_manifest(manifests[0], replace(whole, training=whole.training[:16], test=whole.training[16:]))
    out = tmp_path / "folds.json"
    assert run("make", manifests[0], "--folds", 4, "--keep-test", "-o", out) == 0
    assert read_folds(out).scheme.keeps_test
    assert run("apply", manifests[0], "--folds", out, "--fold", 1, "-o", tmp_path / "1.json") == 0
    kept = {record.record_id for record in read_manifest(manifests[0]).test}
    assert len(kept) == 4
    assert kept.isdisjoint(record.record_id for record in read_manifest(tmp_path / "1.json").images())
