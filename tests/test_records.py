import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import MammoError
from mammo_monai.records import (
    LESION_LABELS,
    Detections,
    ImageRecord,
    Laterality,
    Lesion,
    Split,
    ViewPosition,
    label_of,
    record_id_of,
)
from tests.strategies import records


@given(record=records())
def test_boxes_and_labels_are_those_of_the_lesions_in_order(record: ImageRecord) -> None:
    assert record.boxes.shape == (len(record.lesions), 4)
    assert record.boxes.dtype == np.float64
    assert record.labels.dtype == np.int64
    for box, label, lesion in zip(record.boxes, record.labels, record.lesions, strict=True):
        assert tuple(box) == lesion.box
        assert label == lesion.label


@given(record=records())
def test_an_image_is_normal_when_it_has_no_lesion(record: ImageRecord) -> None:
    assert record.is_normal == (len(record.boxes) == 0)


def test_records_are_frozen() -> None:
    record = ImageRecord(Path("/a.dcm"), "0" * 16, "P1", width=30, height=40)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.width = 31  # type: ignore[misc]  # wrong on purpose


def test_detections_default_to_an_image_without_marks_and_share_nothing() -> None:
    one, other = Detections("a"), Detections("b")
    assert (one.boxes.shape, one.scores.shape, one.labels.shape) == ((0, 4), (0,), (0,))
    assert one.labels.dtype == np.int64
    assert one.boxes is not other.boxes


def test_the_enums_carry_the_words_of_dicom_and_of_the_manifest() -> None:
    assert [each.value for each in Laterality] == ["L", "R"]
    assert [each.value for each in ViewPosition] == ["CC", "MLO", "ML", "LM", "XCCL", "OTHER"]
    assert [each.value for each in Split] == ["training", "validation", "test"]


@given(identity=st.text(), salt=st.text())
def test_a_record_id_is_the_start_of_the_salted_hash(identity: str, salt: str) -> None:
    record_id = record_id_of(identity, salt)
    assert len(record_id) == 16
    assert hashlib.sha256(salt.encode() + identity.encode()).hexdigest().startswith(record_id)


def test_a_name_that_is_no_utf_8_has_a_record_id_of_its_bytes() -> None:
    name = b"film\xff.png".decode("utf-8", "surrogateescape")
    assert record_id_of(name, "s") == hashlib.sha256(b"sfilm\xff.png").hexdigest()[:16]


def test_a_record_id_depends_on_identity_and_salt() -> None:
    assert len({record_id_of(uid, salt) for uid in ("1.2", "1.3") for salt in ("a", "b")}) == 4


def test_every_error_of_the_package_is_one_kind() -> None:
    from mammo_monai import errors

    own = [each for each in vars(errors).values() if getattr(each, "__module__", "") == errors.__name__]
    own = [each for each in own if isinstance(each, type)]
    assert len(own) >= 8
    assert all(issubclass(each, MammoError) for each in own)


@pytest.mark.parametrize(("label", "has_mass"), [(0, True), (1, False), (3, False)])
def test_only_label_0_is_a_mass(label: int, has_mass: bool) -> None:
    lesion = Lesion((1, 2, 3, 4), label=label)
    record = ImageRecord(Path("/a.dcm"), "0" * 16, "P1", width=30, height=40, lesions=(lesion,))
    assert (record.has_mass, record.is_normal) == (has_mass, False)


@pytest.mark.parametrize(
    ("contour", "is_dot"),
    [(None, False), (((1.0, 2.0),), True), (((1.0, 2.0),) * 2, True), (((1.0, 2.0),) * 3, False)],
)
def test_one_or_two_points_are_a_dot(contour: tuple[tuple[float, float], ...] | None, is_dot: bool) -> None:
    assert Lesion((0, 0, 4, 4), contour=contour).is_dot == is_dot


@given(types=st.lists(st.sampled_from([*LESION_LABELS, "unheard of"]), min_size=1))
def test_a_lesion_of_several_types_has_the_first_label(types: list[str]) -> None:
    known = [label for name, label in LESION_LABELS.items() if name in types]
    if known:
        assert label_of("+".join(types)) == known[0]
        return
    with pytest.raises(ValueError, match=r"lesion type must be mass, calcification, .*got 'unheard of"):
        label_of("+".join(types))
