from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.geometry import check_boxes
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.inbreast.osirix import RegionOfInterest
from mammo_monai.readers.inbreast.regions import RegionReader
from mammo_monai.readers.tables import TableRow
from mammo_monai.records import ImageRecord, Lesion, label_of
from mammo_monai.schema import Action

CONTOUR = ((10.5, 20.25), (30.0, 18.0), (28.0, 44.5))
WIDTH, HEIGHT = 60, 90


def lesions(*regions: tuple[str, Any], audit: Audit | None = None) -> tuple[Lesion, ...]:
    record = ImageRecord(Path("a.dcm"), "0f", "p", WIDTH, HEIGHT, birads=4, pixel_spacing_mm=(0.07, 0.05))
    row = TableRow(Path("/secret/INbreast.csv"), 3, {})
    reader = RegionReader(record, row, Audit() if audit is None else audit)
    return reader.lesions([RegionOfInterest(name, tuple(points)) for name, points in regions])


@pytest.mark.parametrize(
    ("name", "expected", "label"),
    [
        ("Mass", "mass", 0),
        ("Calcification", "calcification", 1),
        ("Calcifications", "calcification", 1),
        ("Cluster", "calcification+cluster", 1),
        ("Asymmetry", "asymmetry", 2),
        ("Assymetry", "asymmetry", 2),
        ("Distortion", "distortion", 3),
        ("Architectural  distortion ", "distortion", 3),
        ("Spiculated Region", "other+spiculated region", 4),
        ("Spiculated region", "other+spiculated region", 4),
        ("Espiculated Region", "other+spiculated region", 4),
        ("Point 1", "other", 4),
        ("Point 3", "other", 4),
        ("Unnamed", "other", 4),
        ("", "other", 4),
    ],
)
def test_each_published_name_has_its_type(name: str, expected: str, label: int) -> None:
    audit = Audit()
    (lesion,) = lesions((name, CONTOUR), audit=audit)
    assert (lesion.type, lesion.label, lesion.birads) == (expected, label, 4)
    assert label_of(lesion.type) == label
    assert audit.findings == []


def test_a_name_of_its_own_is_other_and_stays_out_of_the_audit() -> None:
    audit = Audit()
    (lesion,) = lesions(("Jane Doe", CONTOUR), audit=audit)
    assert (lesion.type, lesion.label) == ("other", 4)
    (finding,) = audit.findings
    assert (finding.code, finding.action, finding.place) == (
        "region-unknown",
        Action.WARNED,
        "INbreast.csv row 3",
    )
    assert "Jane" not in finding.found


@pytest.mark.parametrize(
    ("points", "box"),
    [
        ([(4, 5)], (3.5, 4.5, 4.5, 5.5)),
        ([(4, 5), (9, 9)], (3.5, 4.5, 9.5, 9.5)),
        ([(0, 0)], (0, 0, 0.5, 0.5)),
        ([(60, 90)], (59.5, 89.5, 60, 90)),
        ([(60.75, 40)], (59.5, 39.5, 60, 40.5)),
    ],
)
def test_dots_are_kept_one_pixel_about_their_points_within_the_image(points: Any, box: Any) -> None:
    (lesion,) = lesions(("Calcification", points))
    assert lesion.box == box
    assert lesion.is_dot
    assert lesion.area_mm2 is None
    assert (lesion.type, lesion.label) == ("calcification", 1)


@pytest.mark.parametrize("points", [[(4, 5)], [(4, 5), (9, 9)], [(4, 5), (4, 7), (4, 9)]])
def test_masses_without_an_area_are_kept_as_other_with_a_warning(points: Any) -> None:
    audit = Audit()
    dot, mass = lesions(("Mass", points), ("mass ", CONTOUR), audit=audit)
    assert (dot.type, dot.label, dot.area_mm2) == ("other", 4, None)
    assert (mass.type, mass.label, mass.id) == ("mass", 0, "2")
    (finding,) = audit.findings
    assert (finding.code, finding.record_id, finding.action) == ("mass-is-dot", "0f", Action.WARNED)


def test_a_line_is_one_pixel_wide() -> None:
    (lesion,) = lesions(("Distortion", [(4, 5), (4, 7), (4, 9)]))
    assert lesion.box == (3.5, 5, 4.5, 9)


def test_a_region_without_points_is_left_out_and_said() -> None:
    audit = Audit()
    (lesion,) = lesions(("Mass", []), ("Mass", CONTOUR), audit=audit)
    assert lesion.id == "2"
    assert [each.code for each in audit.findings] == ["region-empty"]


def test_a_box_a_fraction_outside_is_cut_and_noted() -> None:
    audit = Audit()
    (lesion,) = lesions(("Mass", [(-0.5, 3), (20, 3), (20, 90.75)]), audit=audit)
    assert lesion.box == (0, 3, 20, 90)
    assert [(each.code, each.found, each.action) for each in audit.findings] == [
        ("box-clipped", "region 1 left the image by 0.75 px", Action.REPAIRED)
    ]


def test_a_mass_outside_the_image_is_the_images_fault() -> None:
    with pytest.raises(
        InvalidRecordError, match=r"row 3: region 1 .* leaves the image of 60 × 90 px"
    ) as fault:
        lesions(("Mass", [(4, 3), (62, 3), (20, 9)]))
    assert fault.value.code == "box-outside"


def test_another_region_outside_the_image_is_left_out_and_said() -> None:
    audit = Audit()
    (lesion,) = lesions(("Calcification", [(62, 3)]), ("Mass", CONTOUR), audit=audit)
    assert lesion.type == "mass"
    assert [each.code for each in audit.findings] == ["region-outside"]


def test_no_regions_make_no_lesions() -> None:
    assert lesions() == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Mass", "Calcification", "", "Cluster"]),
            st.lists(st.tuples(st.floats(-3, WIDTH + 3), st.floats(-3, HEIGHT + 3)), max_size=5),
        ),
        max_size=4,
    )
)
def test_every_lesion_can_stand_in_a_manifest_and_every_other_region_has_a_finding(regions: Any) -> None:
    audit = Audit()
    box_outside = ""
    try:
        found = lesions(*regions, audit=audit)
    except InvalidRecordError as error:
        box_outside = error.code
    if box_outside:
        assert box_outside == "box-outside"
        return
    check_boxes([lesion.box for lesion in found], width=WIDTH, height=HEIGHT)
    left_out = [each for each in audit.findings if each.code in ("region-empty", "region-outside")]
    assert len(found) + len(left_out) == len(regions)
