"""The class of an image: with a lesion or without, malignant or not, or nobody knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.records import ImageRecord, Lesion, is_positive
from tests.reference import image_class_reference
from tests.strategies import records

IMAGE = ImageRecord(Path("a.png"), "a", "p", width=60, height=90)


def lesion(pathology: str | None = None, birads: int | None = None, label: int = 0) -> Lesion:
    return Lesion((0.0, 0.0, 4.0, 6.0), pathology=pathology, birads=birads, label=label)


@settings(max_examples=30, deadline=None)
@given(record=records(), label=st.integers(0, 2))
def test_an_image_with_a_lesion_of_the_label_is_positive(record: ImageRecord, label: int) -> None:
    assert is_positive(record, label=label) == (label in record.labels)


@settings(max_examples=30, deadline=None)
@given(record=records())
def test_malignancy_is_that_of_reading_the_rule_aloud(record: ImageRecord) -> None:
    told = [(each.pathology, each.birads) for each in record.lesions]
    assert is_positive(record, "malignant") == image_class_reference.is_malignant(told, record.birads)


@pytest.mark.parametrize(
    ("lesions", "birads", "expected"),
    [
        ([lesion("MALIGNANT"), lesion("BENIGN")], 1, True),
        ([lesion(" malignant ", label=1)], None, True),
        ([lesion("BENIGN_WITHOUT_CALLBACK")], 5, False),
        ([lesion("BENIGN"), lesion(birads=4)], None, True),
        ([lesion("BENIGN"), lesion()], None, None),
        ([lesion("unproven", birads=2)], None, False),
        ([lesion(birads=2)], 4, True),
        ([], 6, True),
        ([], 1, False),
        ([], 3, None),
        ([], 0, None),
        ([], None, None),
    ],
)
def test_pathology_comes_before_birads(
    lesions: list[Lesion], birads: int | None, expected: bool | None
) -> None:
    assert is_positive(replace(IMAGE, lesions=tuple(lesions), birads=birads), "malignant") is expected


def test_another_class_is_refused() -> None:
    with pytest.raises(ValueError, match="positive must be lesion or malignant, got 'benign'"):
        is_positive(IMAGE, "benign")  # type: ignore[arg-type]  # the fault
