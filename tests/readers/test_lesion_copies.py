"""Lesions that are there twice: one image's drawn again, one box on several images."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.lesion_copies import note_copied_lesions
from mammo_monai.records import Box, ImageRecord, Lesion

BOX = (510.0, 220.0, 610.0, 345.0)
NEIGHBOUR = (580.0, 240.0, 690.0, 365.0)
DOT = Lesion((9.5, 9.5, 10.5, 10.5), "3", "other", 4, contour=((10.0, 10.0),))


def image(number: int, *boxes: Box, size: tuple[int, int] = (800, 1000), label: int = 0) -> ImageRecord:
    lesions = [Lesion(box, str(row), label=label) for row, box in enumerate(boxes)]
    return ImageRecord(Path(f"{number}.png"), f"r{number}", f"p{number}", *size, lesions=(*lesions, DOT))


def codes(*records: ImageRecord) -> list[tuple[str, str]]:
    audit = Audit()
    note_copied_lesions(records, audit)
    return [(each.code, each.record_id) for each in audit.findings]


@pytest.mark.parametrize("shift", [0.4, 3.0, 15.0])
def test_a_mass_exported_twice_with_other_rounding_is_noted(shift: float) -> None:
    again = (BOX[0] + shift, BOX[1], BOX[2] + shift, BOX[3])
    assert codes(image(1, BOX, again), image(2)) == [("box-repeated", "r1")]


def test_masses_that_overlap_as_true_ones_do_are_no_finding() -> None:
    assert codes(image(1, BOX, NEIGHBOUR), image(2), image(3, (0.0, 0.0, 30.0, 40.0))) == []


def test_calcifications_may_lie_over_one_another() -> None:
    assert codes(image(1, BOX, (510.0, 220.0, 612.0, 345.0), label=1)) == []


def test_a_mask_of_noise_takes_no_memory() -> None:
    parts = [(x, y, x + 2.0, y + 2.0) for x in range(0, 780, 3) for y in range(0, 900, 30)]
    assert codes(image(1, *parts)) == []


@pytest.mark.parametrize(("size", "n_images"), [((800, 1000), 2), ((300, 400), 3)])
def test_a_box_that_was_filled_down_is_noted_once(size: tuple[int, int], n_images: int) -> None:
    box = (110.5, 120.0, 180.0, 190.25)
    films = [image(number, box, size=size) for number in range(n_images)]
    audit = Audit()
    note_copied_lesions([*films, image(9, (1.0, 2.0, 50.0, 60.0), size=size)], audit)
    assert [(each.code, each.record_id) for each in audit.findings] == [("lesion-copied", "")]
    assert f"1 box on {n_images} images, as on r0 and r1" in audit.findings[0].found
    assert codes(*films[1:]) == []


def test_one_box_twice_in_small_images_may_be_chance_and_dots_prove_nothing() -> None:
    small = [image(number, (10.0, 20.0, 31.0, 45.0), size=(60, 90)) for number in range(5)]
    assert codes(*small, image(6), image(7)) == []
