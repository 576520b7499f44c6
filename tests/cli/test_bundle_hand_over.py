"""The commands that hand a bundle over: what they print, their exit codes, and the way to the same marks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mammo_monai.cli.main import main
from mammo_monai.files import sha256_of
from mammo_monai.schema import read_detections
from tests.bundle.packs import FileServer, file_server, resealed, unzipped, zipped
from tests.dicom_factory import write_mammogram

BUNDLE = "cbis_mass_detection"


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "pack.zip"
    assert main(["bundle", "pack", BUNDLE, "-o", str(path)]) == 0
    return path


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


def _film(folder: Path) -> Path:
    """A right breast of 420 × 260 px with one bright disk."""
    rows, columns = np.mgrid[:420, :260]
    breast = ((rows - 200) / 190) ** 2 + ((columns - 260) / 180) ** 2 < 1
    disk = (rows - 230) ** 2 + (columns - 170) ** 2 < 22**2
    pixels = (breast * 5000 + (disk & breast) * 6000 + (rows * 7 + columns * 13) % 300).astype(np.uint16)
    return write_mammogram(folder / "film.dcm", pixels)


def test_a_bundle_that_went_by_a_server_marks_the_same(
    pack: Path, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "push", str(pack), f"{server.url}/bundles/"]) == 0
    place, pin = capsys.readouterr().out.splitlines()
    assert place == f"{server.url}/bundles/{BUNDLE}-0.1.0.zip: written"
    home = tmp_path / "bundles"
    source = f"{place.removesuffix(': written')}#sha256={pin.removeprefix('SHA-256 ')}"
    assert main(["bundle", "pull", source, "-o", str(home)]) == 0
    assert (
        capsys.readouterr().out == f"{home / BUNDLE}: {BUNDLE} 0.1.0, as packed\nSHA-256 {sha256_of(pack)}\n"
    )
    assert main(["bundle", "verify", str(home / BUNDLE)]) == 0
    film, marked = _film(tmp_path), []
    for bundle in (BUNDLE, str(home / BUNDLE)):
        output = tmp_path / f"{len(marked)}.json"
        assert main(["predict", str(film), "--bundle", bundle, "--device", "cpu", "-o", str(output)]) == 0
        marked.append(read_detections(output))
    (here,), (there,) = (each.detections for each in marked)
    assert len(here.boxes) > 0
    assert_array_equal(here.boxes, there.boxes)
    assert_array_equal(here.scores, there.scores)
    assert marked[0].model == marked[1].model
    assert main(["bundle", "verify", str(home / BUNDLE)]) == 0


def test_pack_says_what_it_wrote_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "pack", "inbreast_mass_detection", "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    path = tmp_path / "inbreast_mass_detection-0.1.0.zip"
    assert lines[0].startswith(f"{path}: inbreast_mass_detection 0.1.0, ")
    assert lines[1] == f"SHA-256 {sha256_of(path)}"
    assert main(["bundle", "verify", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(
        "lineage inbreast_mass_detection (weights unknown) from cbis_mass_detection (weights "
    )
    assert lines[3] == "no weights: a recipe to train."


def test_verify_names_every_fault(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {**unzipped(pack), f"{BUNDLE}/LICENSE": b"x", f"{BUNDLE}/docs/more.md": b"x"}
    assert main(["bundle", "verify", str(zipped(tmp_path / "changed.zip", changed))]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["docs/more.md", "LICENSE"]
    assert main(["bundle", "verify", str(pack), "--sha256", "0" * 64]) == 2
    assert "expected SHA-256 000" in capsys.readouterr().err
    assert main(["bundle", "verify", str(pack), "--sha256", sha256_of(pack)]) == 0


def test_inspect_lists_by_file_and_hides_no_letter(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "inspect", str(pack)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "configs/inference.json" in lines
    assert lines[-1].endswith("all on the list")
    hostile = {
        "b/configs/x.json": json.dumps({"a": "$tоrch.load('\x1b[2J')", "long": "$" + "1+" * 200}).encode()
    }
    path = zipped(tmp_path / "hostile.zip", hostile)
    assert main(["bundle", "inspect", str(path)]) == 1
    out = capsys.readouterr().out
    assert out.isascii() is False  # the sign for cut text, and nothing of the stranger's
    assert "t\\u043erch.load('\\u001b[2J')" in out
    assert "\x1b" not in out
    assert "! dangerous  expression a: " in out
    assert "2 not on the list of what is safe" in out
    assert main(["bundle", "inspect", str(path), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["is_safe"] is False
    assert [each["category"] for each in content["code"]] == ["dangerous", "unreadable"]


def test_pull_prints_strange_code_and_refuses_it(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{BUNDLE}/configs/evaluate.json"
    files = unzipped(pack)
    config = {**json.loads(files[name]), "extra": "$open('x')"}
    path = zipped(tmp_path / "strange.zip", resealed({**files, name: json.dumps(config).encode()}, BUNDLE))
    monkeypatch.chdir(tmp_path)
    assert main(["bundle", "pull", str(path)]) == 2
    err = capsys.readouterr().err
    assert "! dangerous  expression extra: $open('x')  (reaches open)" in err
    assert "give --trust if you do" in err
    assert not (tmp_path / "bundles" / BUNDLE).exists()
    assert main(["bundle", "pull", str(path), "--trust"]) == 0
    out = capsys.readouterr().out
    assert "$open('x')" in out
    assert "only accidents would be seen" in out
    assert main(["bundle", "pull", str(pack)]) == 2
    assert main(["bundle", "pull", str(pack), "--replace", "--sha256", sha256_of(pack)]) == 0
    assert f"the bundle that was there: {Path('bundles/.replaced')}" in capsys.readouterr().out


def test_a_place_that_cannot_be_is_one_line(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "push", str(pack), "http://example.org/x"]) == 2
    assert main(["bundle", "pull", "http://example.org/x", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 2
