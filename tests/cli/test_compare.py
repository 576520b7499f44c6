"""The verb compare, run in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.cli.main import main
from tests.reports.comparison.scene import write_pair


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pair(tmp_path)


def call(folder: Path, *more: object, first: str = "a.json") -> int:
    words = ("compare", folder / first, folder / "b.json", "--manifest", folder / "manifest.json")
    quick = ("--bootstrap", 40, "--permutations", 20)
    return main([str(each) for each in (*words, *quick, *more)])


def test_it_prints_the_tables_and_writes_nothing_unasked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())
    assert call(folder, "--split", "test") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        "Lesion sensitivity by false positives per image; difference = model b − model a"
    )
    assert lines[1].split("  ")[0] == "FPPI"
    assert lines[2].startswith("mean .25–4  0.667    0.667")
    assert "found by model a   2                 2" in lines
    assert sum(line.endswith(("0.400  –", "0.800  –", "0.700  –", "0.350  –")) for line in lines) == 4
    assert sorted(folder.iterdir()) == before


def test_it_writes_page_and_csv(folder: Path) -> None:
    page = folder / "out" / "compare.html"
    more = ("-o", page, "--csv", folder / "c.csv", "--name", "one", "--name", "two", "--banner", "Made.")
    assert call(folder, *more, "--fppi", 0.5, "--min-iou", 0.3, "--count-double-hits", "--seed", 4) == 0
    text = page.read_text()
    assert "<h1>two against one</h1>" in text
    assert ">Made.</p>" in text
    assert (
        "mammo-monai compare a.json b.json --manifest manifest.json --fppi 0.5 --min-iou 0.3 --label 0 "
        "--bootstrap 40 --permutations 20 --seed 4 --count-double-hits --name one --name two --banner Made. "
        "-o compare.html"
    ) in text
    assert (folder / "c.csv").read_text().startswith("fppi,first,second,difference,low,high,p_value,note\n")


def test_errors_are_one_line_and_leave_nothing_behind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = folder / "compare.html"
    for more, expected in (
        (("--name", "one"), "expected two different names"),
        (("--name", "one", "--name", "two", "--name", "one"), "expected two different names"),
        (("--split", "training"), "the split is empty"),
        (("--label", 3), "without a lesion of the scored label"),
        (("--fppi", -1), "fppi must be"),
        (("--permutations", -1), "n_permutations must be 0 or more"),
        (("--min-iou", 2), "min_iou must be at least 0 and below 1, got 2"),
    ):
        assert call(folder, "-o", page, *more) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("mammo-monai compare: ")
        assert expected in error
    assert call(folder, "-o", page, first="none.json") == 2
    assert "none.json" in capsys.readouterr().err
    assert not page.exists()


@pytest.mark.parametrize("option", ["-o", "--csv"])
def test_no_input_is_overwritten(folder: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "a.json").read_bytes()
    assert call(folder, option, folder / "a.json") == 2
    assert "a.json: would overwrite a file that is read. Give another output." in capsys.readouterr().err
    assert (folder / "a.json").read_bytes() == before
