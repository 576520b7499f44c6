from __future__ import annotations

import plistlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.inbreast import osirix
from mammo_monai.readers.inbreast.osirix import parse_point, read_regions

CONTOUR = ((10.5, 20.25), (30.0, 18.0), (28.0, 44.5))


def test_points_are_read_by_pattern() -> None:
    assert parse_point("( -1.5 , 2e1 )") == (-1.5, 20.0)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "(1, 2, 3)",
        "1, 2",
        "(1; 2)",
        "(nan, 1)",
        "(1e999, 1)",
        "(9**9, 1)",
        "(١, ٢)",
        "",
    ],
)
def test_anything_else_is_no_point(text: str) -> None:
    with pytest.raises(ValueError, match="expected a point"):
        parse_point(text)


@given(x=st.floats(-1e6, 1e6), y=st.floats(-1e6, 1e6))
def test_points_come_back_as_they_were_written(x: float, y: float) -> None:
    assert parse_point(f"({x!r}, {y!r})") == (x, y)


def test_regions_keep_file_order_and_names(inbreast: Any) -> None:
    path = inbreast.write_xml(7, [("Mass", CONTOUR), ("Asymmetry", [(1, 2)])])
    mass, asymmetry = read_regions(path)
    assert (mass.name, mass.points) == ("Mass", CONTOUR)
    assert (asymmetry.name, asymmetry.points) == ("Asymmetry", ((1.0, 2.0),))


def test_a_region_without_a_name_is_one(tmp_path: Path) -> None:
    path = tmp_path / "7.xml"
    path.write_bytes(plistlib.dumps({"Images": [{"ROIs": [{"Point_px": ["(1, 2)"]}]}]}))
    (region,) = read_regions(path)
    assert (region.name, region.points) == ("", ((1.0, 2.0),))


BILLION_LAUGHS = '<!DOCTYPE plist [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE plist [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
PARAMETER = '<!DOCTYPE plist [<!ENTITY % b SYSTEM "file:///etc/passwd"> %b;]>'


@pytest.mark.parametrize("declaration", [BILLION_LAUGHS, EXTERNAL, PARAMETER])
def test_entity_declarations_are_refused(tmp_path: Path, declaration: str) -> None:
    path = tmp_path / "bomb.xml"
    path.write_text(f"<?xml version='1.0'?>{declaration}<plist version='1.0'><string>&b;</string></plist>")
    with pytest.raises(
        ManifestError, match=r"bomb\.xml: .*it declares XML entities, which can expand without"
    ):
        read_regions(path)


def test_the_doctype_of_the_published_files_is_not_fetched(tmp_path: Path) -> None:
    path = tmp_path / "7.xml"
    path.write_bytes(
        plistlib.dumps({"Images": [{"ROIs": [{"Name": "Mass", "Point_px": ["(1, 2)"]}]}]}).replace(
            b"http://www.apple.com/DTDs", b"http://nowhere.invalid"
        )
    )
    assert b"<!DOCTYPE plist" in path.read_bytes()
    assert len(read_regions(path)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0\0",
        b"<plist><dict>",
        b"no xml at all",
        b"<plist><array/></plist>",
        b"<plist><string>Images</string></plist>",
        b"<plist><dict><key>Images</key><array><dict/></array></dict></plist>",
        b"<plist><dict><key>Images</key><integer>3</integer></dict></plist>",
        b"<plist><dict><key>Images</key><integer>" + b"9" * 5000 + b"</integer></dict></plist>",
        b"<plist><dict><key>Images</key><date>yesterday</date></dict></plist>",
        b"<plist><dict><key>Images</key><data>%%%</data></dict></plist>",
        b"<plist><dict><string>a value without a key</string></dict></plist>",
        b"<?xml version='1.0' encoding='klingon'?><plist/>",
        plistlib.dumps({"Images": [{"ROIs": []}]}, fmt=plistlib.FMT_BINARY),
        plistlib.dumps({"Images": [{"ROIs": [{"Point_px": "(1, 2)"}]}]}),
        plistlib.dumps({"Images": [{"ROIs": [{"Point_px": [3]}]}]}),
        plistlib.dumps({"Images": [{"ROIs": ["Mass"]}]}),
    ],
)
def test_other_content_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "10000001.xml"
    path.write_bytes(content)
    with pytest.raises(
        InvalidRecordError, match=r"10000001\.xml: not usable as OsiriX regions: .+Download"
    ) as e:
        read_regions(path)
    assert e.value.code == "xml-unusable"
    assert str(tmp_path) not in e.value.found


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecordError, match=r"1\.xml: not usable as OsiriX regions: No such file"):
        read_regions(tmp_path / "1.xml")


def test_a_file_too_large_for_contours_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osirix, "MAX_XML_BYTES", 100)
    path = tmp_path / "1.xml"
    path.write_bytes(b" " * 101)
    with pytest.raises(InvalidRecordError, match="expected at most 100 bytes, got 101"):
        read_regions(path)


def test_a_point_that_is_none_names_the_file(inbreast: Any) -> None:
    path = inbreast.write_xml(7, [("Mass", CONTOUR)])
    path.write_text(path.read_text().replace("(30.000000, 18.000000)", "(30.000000)"))
    with pytest.raises(ManifestError, match=r"7\.xml: .*expected a point '\(x, y\)', got '\(30\.000000\)'"):
        read_regions(path)


@given(data=st.data())
def test_damage_anywhere_is_one_error_or_other_regions(data: st.DataObject) -> None:
    from tempfile import TemporaryDirectory

    raw = bytearray(plistlib.dumps({"Images": [{"ROIs": [{"Name": "Mass", "Point_px": ["(1.5, 2)"] * 3}]}]}))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with TemporaryDirectory() as folder:
        path = Path(folder, "1.xml")
        path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
        with suppress(InvalidRecordError):
            regions = read_regions(path)
            assert all(len(point) == 2 for region in regions for point in region.points)
