"""Tables and contours of INbreast as people and spreadsheets leave them: read rightly, or a row."""

from __future__ import annotations

import os
import plistlib
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import dcmread

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.inbreast import read_inbreast
from mammo_monai.readers.reading import Reading
from mammo_monai.schema import Action
from tests.readers.conftest import CONTOUR, breast_film

NUMBER = "10000001"


def read(inbreast: Any) -> tuple[Any, Audit]:
    audit = Audit()
    return read_inbreast(inbreast.write_table(), Reading("s", audit)).records, audit


def codes(audit: Audit) -> list[str]:
    return [each.code for each in audit.findings]


@pytest.mark.parametrize("cells", ["D2;4a", "b;4a", "ACR 2;4a", "2.0;4A"])
def test_density_is_read_as_people_write_it(inbreast: Any, cells: str) -> None:
    inbreast.add(cells=cells)
    (record,), audit = read(inbreast)
    assert (record.breast_density, record.birads, codes(audit)) == (2, 4, [])


@pytest.mark.parametrize("acr", ["D5", "II", "DD2"])
def test_a_density_that_is_none_is_a_table_value(inbreast: Any, acr: str) -> None:
    inbreast.add(cells=f"{acr};4a")
    assert codes(read(inbreast)[1]) == ["table-value"]


@pytest.mark.parametrize("name", [".dcm", ".0", "_0123456789abcdef_MG_R_CC_ANON.dcm"])
def test_the_number_is_read_from_the_name_of_a_file(inbreast: Any, name: str) -> None:
    inbreast.add()
    inbreast.rows[0] = inbreast.rows[0].replace(NUMBER, NUMBER + name)
    records, audit = read(inbreast)
    assert (len(records), codes(audit)) == (1, [])


@pytest.mark.parametrize("row", ["TOTAL;;;;;4;;", ";;;;total;410;;108"])
def test_totals_in_the_column_of_file_names_are_no_image(inbreast: Any, row: str) -> None:
    inbreast.add()
    inbreast.rows.append(row)
    records, audit = read(inbreast)
    assert (len(records), codes(audit)) == (1, [])


def test_a_number_without_side_and_view_is_no_total(inbreast: Any) -> None:
    inbreast.add()
    inbreast.rows[0] = f";;;;;{NUMBER};2;4a"
    assert codes(read(inbreast)[1]) == ["table-value"]


def test_the_table_that_cannot_be_read_is_named(inbreast: Any) -> None:
    inbreast.add()
    inbreast.write_table()
    (inbreast.root / "INbreast.xls").write_bytes(b"")
    _, audit = read(inbreast)
    assert [(each.code, each.place) for each in audit.findings] == [("table-unusable", "INbreast.xls")]


def test_regions_of_an_image_without_findings_are_a_warning(inbreast: Any) -> None:
    inbreast.add(cells="2;1")
    records, audit = read(inbreast)
    assert (len(records[0].lesions), codes(audit)) == (1, ["finding-contradicted"])


def test_the_view_of_the_header_is_held_against_the_tables(inbreast: Any) -> None:
    inbreast.add(ViewPosition="MLO")
    inbreast.add(10000002, view="MLO", ViewPosition="ML")  # as the file names have it
    _, audit = read(inbreast)
    assert codes(audit) == ["header-differs"]
    assert "another view" in audit.findings[0].found


def lost_region(content: dict[str, Any]) -> None:
    content["Images"][0]["NumberOfROIs"] = 3


def lost_points(content: dict[str, Any]) -> None:
    content["Images"][0]["ROIs"][0]["NumberOfPoints"] = 40


def repeated(content: dict[str, Any]) -> None:
    content["Images"][0]["ROIs"] *= 2


def joined(content: dict[str, Any]) -> None:
    content["Images"].append({"NumberOfROIs": 0, "ROIs": []})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lost_region, "region-incomplete"),
        (lost_points, "region-incomplete"),
        (joined, "region-incomplete"),
        (repeated, "box-repeated"),
    ],
)
def test_contours_that_contradict_themselves_are_a_warning(
    inbreast: Any, change: Callable[[dict[str, Any]], None], code: str
) -> None:
    inbreast.add()
    path = inbreast.root / "AllXML" / f"{NUMBER}.xml"
    content = plistlib.loads(path.read_bytes())
    change(content)
    path.write_bytes(plistlib.dumps(content))
    records, audit = read(inbreast)
    assert (len(records), codes(audit)) == (1, [code])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_no_contour_file_and_nobody_waits_for_it(inbreast: Any) -> None:
    inbreast.add()
    path = inbreast.root / "AllXML" / f"{NUMBER}.xml"
    path.unlink()
    os.mkfifo(path)
    assert codes(read(inbreast)[1]) == ["xml-unusable"]


def test_folders_behind_links_are_looked_into(inbreast: Any) -> None:
    inbreast.add()
    images = inbreast.root / "AllDICOMs"
    images.rename(inbreast.root / "elsewhere")
    images.mkdir()
    (images / "here").symlink_to(inbreast.root / "elsewhere")
    (images / "circle").symlink_to(images)
    records, audit = read(inbreast)
    assert (len(records), codes(audit)) == (1, [])


def as_breast(inbreast: Any, side: str = "R", number: int = int(NUMBER)) -> None:
    """Gives the image of that number a breast against the chest wall, in place of one grey all over."""
    (path,) = (inbreast.root / "AllDICOMs").glob(f"{number}_*")
    dataset = dcmread(path)
    dataset.PixelData = breast_film(60, 90, side).tobytes()
    dataset.save_as(path)


RIGHT_MASS = ("Mass", ((40.0, 40.0), (52.0, 40.0), (46.0, 52.0)))
LEFT_MASS = ("Mass", ((2.0, 5.0), (9.0, 5.0), (6.0, 12.0)))


@pytest.mark.parametrize(("regions", "found"), [((RIGHT_MASS,), []), ((RIGHT_MASS, LEFT_MASS), ["1 of 2"])])
def test_a_mass_beside_the_breast_is_of_another_image(
    inbreast: Any, regions: tuple[Any, ...], found: list[str]
) -> None:
    inbreast.add(regions=regions)
    as_breast(inbreast)
    records, audit = read(inbreast)
    assert len(records[0].lesions) == len(regions)
    assert codes(audit) == ["lesion-outside-breast"] * len(found)
    assert all(start in each.found for start, each in zip(found, audit.findings, strict=True))


def test_points_with_x_for_y_are_beside_the_breast_or_the_image(inbreast: Any) -> None:
    for number, points in (
        (1, ((53, 5), (58, 5), (55, 8))),
        (2, ((50, 70), (52, 80), (54, 70))),
    ):
        swapped = [(y, x) for x, y in points]
        inbreast.add(number, (("Mass", swapped),))
        as_breast(inbreast, number=number)
    records, audit = read(inbreast)
    assert (len(records), codes(audit)) == (1, ["lesion-outside-breast", "box-outside"])


def test_what_is_no_mass_may_lie_anywhere(inbreast: Any) -> None:
    inbreast.add(regions=(RIGHT_MASS, ("Calcification", ((5.0, 5.0),))))
    as_breast(inbreast)
    assert codes(read(inbreast)[1]) == []


def test_an_image_with_a_mass_that_cannot_be_decoded_is_left_out(inbreast: Any) -> None:
    inbreast.add()
    (path,) = (inbreast.root / "AllDICOMs").glob("*.dcm")
    dataset = dcmread(path)
    dataset.BitsAllocated = 12
    dataset.save_as(path)
    records, audit = read(inbreast)
    assert (records, [each.action for each in audit.findings]) == ((), [Action.QUARANTINED])


def test_regions_without_points_are_no_contour(inbreast: Any) -> None:
    inbreast.add(regions=[("Mass", ()), ("Mass", ())], cells="2;4a")
    inbreast.add(10000002, cells="2;4a")
    inbreast.add(10000003, regions=[("Mass", ()), ("Mass", CONTOUR)], cells="2;4a")
    audit = Audit()
    records = read_inbreast(inbreast.write_table(), Reading("s", audit)).records
    assert [len(record.lesions) for record in records] == [1, 1]
    found = [(each.code, each.action) for each in audit.findings]
    assert found == [("contour-missing", Action.QUARANTINED), ("region-empty", Action.WARNED)]


def test_xml_files_of_another_name_are_counted(inbreast: Any, caplog: pytest.LogCaptureFixture) -> None:
    inbreast.add()
    root = inbreast.write_table()
    for name in ("10000001 (1).xml", "10000001 - Copy.XML", "._10000001.xml", "notes.txt"):
        (root / "AllXML" / name).write_bytes(b"")
    audit = Audit()
    read_inbreast(root, Reading("s", audit))
    (finding,) = audit.findings
    assert (finding.code, finding.found.split()[0]) == ("contour-unused", "2")
    assert "10000001 (1).xml: expected NUMBER.xml" in caplog.text
