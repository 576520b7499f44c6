"""One report, four formats: chosen by name or suffix, before any work is done."""

from __future__ import annotations

import re
import zlib
from base64 import a85decode
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.reports import ReportOptions, read_run
from mammo_monai.reports.formats import format_of, write_report_as
from mammo_monai.schema import read_manifest
from tests.reports.scene import write_scene


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.html", "html"), ("a.HTM", "html"), ("a.pdf", "pdf"), ("a.csv", "csv"), ("a.tex", "latex")],
)
def test_the_suffix_tells_the_format(name: str, expected: str) -> None:
    assert format_of(Path(name)) == expected


def test_a_name_stands_above_the_suffix_and_other_names_are_refused() -> None:
    assert format_of(Path("a.txt"), "csv") == "csv"
    with pytest.raises(ValueError, match=r"format must be html, pdf, csv, latex, got 'docx'"):
        format_of(Path("a.html"), "docx")
    with pytest.raises(
        ValueError, match=r"a\.txt: expected a name that ends in \.html, .*, got \.txt\. Rename"
    ):
        format_of(Path("a.txt"))
    with pytest.raises(ValueError, match="got no suffix"):
        format_of(Path("report"))


def test_each_format_is_written(tmp_path: Path) -> None:
    folder = write_scene(tmp_path)
    run, manifest = read_run(folder / "run"), read_manifest(folder / "manifest.json")
    begins = {"html": b"<!doctype html>", "csv": b"run,fold,quantity", "latex": b"%", "pdf": b"%PDF-"}
    for name, begin in begins.items():
        if name == "pdf":
            pytest.importorskip("reportlab")
        path = tmp_path / f"report.{name}"
        write_report_as(path, [run], name=name, manifest=manifest)
        assert path.read_bytes().startswith(begin)


@pytest.mark.parametrize("name", ["html", "csv", "latex", "pdf"])
def test_each_format_says_which_model_marked(tmp_path: Path, name: str) -> None:
    run = read_run(write_scene(tmp_path) / "run")
    point = {"fppi": 0.5, "threshold": 0.3125}
    model = {"bundle": "mass", "version": "1.2.0", "weights_sha256": "ab" * 32, "software": "mammo-monai 9"}
    run = replace(run, metrics={**run.metrics, "model": {**model, "operating_point": point}})
    write_report_as(tmp_path / "report", [run], name=name)
    content = (tmp_path / "report").read_bytes()
    if name == "pdf":  # its pages are ASCII85 of zlib, their words parted where lines break
        pages = re.findall(rb"FlateDecode \] .*?stream\r?\n([!-u\s]*?)~>", content, re.DOTALL)
        content = b" ".join(zlib.decompress(a85decode(each)) for each in pages)
    for told in (b"1.2.0", b"abababababab", b"mammo-monai 9", b"0.3125"):
        assert told in content, told


def test_an_operating_point_no_run_lists_is_refused_with_those_there_are(tmp_path: Path) -> None:
    run = read_run(write_scene(tmp_path) / "run")
    with pytest.raises(
        ValueError, match=r"no run lists an operating point of 0\.7 .*there are 0\.25, .*, 4\. Choose"
    ):
        write_report_as(tmp_path / "r.html", [run], options=ReportOptions(fppi=0.7))
    with pytest.raises(ManifestError, match="at least one run"):
        write_report_as(tmp_path / "r.html", [])
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("name", ["html", "pdf"])
def test_a_negative_number_of_pictures_is_refused_in_every_format(tmp_path: Path, name: str) -> None:
    run = read_run(write_scene(tmp_path) / "run")
    with pytest.raises(ValueError, match=r"per_gallery must be at least 0 \(--per-gallery\), got -1"):
        write_report_as(tmp_path / f"r.{name}", [run], options=ReportOptions(per_gallery=-1))
    assert not (tmp_path / f"r.{name}").exists()
