"""Each way a data set can change under its manifest is a finding with its own code; no change is none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.checking import FATAL_CODES, check_manifest, exit_code, salt_of, save_check
from mammo_monai.readers.file_hashes import with_file_hashes
from mammo_monai.readers.reading import Reading
from mammo_monai.records import ImageRecord, Laterality, Lesion, ViewPosition, record_id_of
from mammo_monai.schema import (
    Action,
    Finding,
    Manifest,
    Quarantined,
    read_audit,
    read_manifest,
    write_audit,
    write_manifest,
)

SALT = "s"
Writer = Callable[..., Path]


def breast(side: str, size: tuple[int, int] = (60, 90)) -> np.ndarray:
    """A bright half disc at the chest wall, grey inside; width and height of `size`."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    away = columns if side == "L" else width - 1 - columns
    inside = (rows - height / 2) ** 2 / (height / 2) ** 2 + away**2 / (0.6 * width) ** 2 < 1
    return np.where(inside, 900 + 10 * (rows % 7), 0).astype(np.uint16)


@pytest.fixture
def records(tmp_path: Path, dicom_writer: Writer) -> list[ImageRecord]:
    """Five patients, one image each; every other one is a right breast; the last has no lesion."""
    found = []
    for number in range(5):
        side = "LR"[number % 2]
        path = dicom_writer(
            tmp_path / "data" / f"{number}.dcm",
            breast(side) + np.uint16(number),
            ImageLaterality=side,
            ViewPosition="MLO",
            PixelSpacing=[0.07, 0.05],
            PatientName="Nobody",
        )
        uid = str(dcmread(path).SOPInstanceUID)
        found.append(
            ImageRecord(
                path,
                record_id_of(uid, SALT),
                f"patient-{number}",
                width=60,
                height=90,
                lesions=(Lesion((25, 40, 35, 50)),) if number < 4 else (),
                laterality=Laterality(side),
                view_position=ViewPosition.MLO,
                pixel_spacing_mm=(0.07, 0.05),
            )
        )
    return with_file_hashes(found, Reading(SALT))


def manifest_of(records: list[ImageRecord], **fields: object) -> Manifest:
    return Manifest(tuple(records[:2]), (records[2],), tuple(records[3:]), **fields)  # type: ignore[arg-type]


def checked(manifest: Manifest, salt: str | None = SALT, **options: object) -> list[Finding]:
    audit = Audit()
    check_manifest(manifest, salt=salt, audit=audit, **options)  # type: ignore[arg-type]
    assert not audit.quarantined
    assert {each.action for each in audit.findings if each.code != "display-reversed"} <= {Action.WARNED}
    return audit.findings


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(each.code, each.record_id) for each in findings]


@pytest.mark.parametrize("pixels", [False, True])
def test_an_unchanged_data_set_has_no_finding(records: list[ImageRecord], pixels: bool) -> None:
    calls: list[tuple[int, int]] = []
    found = checked(
        manifest_of(records),
        pixels=pixels,
        workers=2,
        on_progress=lambda done, all_: calls.append((done, all_)),
    )
    assert found == []
    assert exit_code(found) == 0
    assert calls == [(done, 5) for done in range(1, 6)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def rewrite(path: Path, **tags: object) -> None:
    dataset = dcmread(path)
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def flip(path: Path) -> None:
    dataset = dcmread(path)
    dataset.PixelData = np.ascontiguousarray(dataset.pixel_array[:, ::-1]).tobytes()
    dataset.save_as(path)


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "gone": (Path.unlink, ["file-missing"]),
    "a folder": (folder_instead, ["file-unreadable"]),
    "a link to itself": (link_to_itself, ["file-unreadable"]),
    "empty": (lambda path: path.write_bytes(b""), ["file-truncated"]),
    "cut": (cut, ["file-truncated"]),
    "text": (lambda path: path.write_text("Dear colleague,\n" * 50), ["file-unreadable"]),
    "for processing": (
        lambda path: rewrite(path, PresentationIntentType="FOR PROCESSING"),
        ["file-unreadable"],
    ),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"\0"), ["file-size-differs"]),
    "flipped": (flip, ["file-changed"]),
    "other side": (lambda path: rewrite(path, ImageLaterality="L"), ["file-changed", "laterality-differs"]),
    "other view": (lambda path: rewrite(path, ViewPosition="CC"), ["file-size-differs", "view-differs"]),
    "other spacing": (
        lambda path: rewrite(path, PixelSpacing=[0.07, 0.06]),
        ["file-changed", "spacing-differs"],
    ),
    "fewer rows": (lambda path: rewrite(path, Rows=89), ["file-changed", "image-size-differs"]),
    "other image": (
        lambda path: rewrite(path, SOPInstanceUID="1.2.3"),
        ["file-size-differs", "uid-differs"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_on_its_image_alone(records: list[ImageRecord], name: str) -> None:
    change, expected = CHANGES[name]
    change(records[3].image)
    found = checked(manifest_of(records), workers=2)
    assert codes(found) == [(code, records[3].record_id) for code in expected]
    assert exit_code(found) == 2
    for each in found:
        assert str(records[3].image.parent) not in each.found
        assert "Nobody" not in each.found
        assert "1.2." not in each.found


@pytest.mark.parametrize(
    ("name", "expected", "code"),
    [
        ("other side", ["laterality-differs"], 1),
        ("other view", ["view-differs"], 1),
        ("other spacing", ["spacing-differs"], 1),
        ("flipped", [], 0),
        ("longer", [], 0),
        ("other image", ["uid-differs"], 2),
    ],
)
def test_without_size_and_hash_the_header_is_all_that_tells(
    records: list[ImageRecord], name: str, expected: list[str], code: int
) -> None:
    records = [replace(each, file_size=None, sha256=None) for each in records]
    CHANGES[name][0](records[3].image)
    found = checked(manifest_of(records))
    assert [each.code for each in found] == expected
    assert exit_code(found) == code


def test_a_header_that_says_nothing_differs_from_nothing(records: list[ImageRecord]) -> None:
    bare = [replace(each, laterality=None, view_position=None, pixel_spacing_mm=None) for each in records]
    assert checked(manifest_of(bare)) == []
    rewrite(records[0].image, ImageLaterality="B", ViewPosition="SIO", PixelSpacing=None)
    found = checked(manifest_of([replace(each, file_size=None, sha256=None) for each in records]))
    assert found == []


def test_a_side_in_the_file_name_is_no_second_opinion(tmp_path: Path, dicom_writer: Writer) -> None:
    path = dicom_writer(tmp_path / "1_MG_L_ML_ANON.dcm", breast("R"))
    record = ImageRecord(path, "0f", "p", 60, 90, laterality=Laterality.RIGHT, view_position=ViewPosition.MLO)
    assert checked(Manifest(test=(record,)), salt=None) == []


def test_without_a_salt_identities_are_not_checked(records: list[ImageRecord]) -> None:
    rewrite(records[3].image, SOPInstanceUID="1.2.3")
    assert codes(checked(manifest_of(records), salt=None)) == [("file-size-differs", records[3].record_id)]


def test_the_salt_of_another_manifest_is_one_finding(records: list[ImageRecord]) -> None:
    (finding,) = checked(manifest_of(records), salt="another")
    assert (finding.code, finding.record_id) == ("salt-differs", "")
    assert "none of 5 record ids fits" in finding.found
    assert exit_code([finding]) == 1


def test_a_patient_in_two_lists_makes_a_manifest_unusable(records: list[ImageRecord]) -> None:
    records[3] = replace(records[3], patient_id="patient-0")
    found = checked(manifest_of(records))
    assert codes(found) == [("patient-in-two-lists", records[3].record_id)]
    assert f"stands in test, and in training with record {records[0].record_id}" in found[0].found
    assert "patient-0" not in found[0].found
    assert exit_code(found) == 2


def test_the_same_bytes_twice_are_a_warning_in_one_list_and_a_leak_in_two(records: list[ImageRecord]) -> None:
    records = [replace(each, file_size=None) for each in records]
    twin = {"image": records[0].image, "sha256": records[0].sha256}
    same_list = [records[0], replace(records[1], **twin), *records[2:]]  # type: ignore[arg-type]
    found = checked(manifest_of(same_list), salt=None)
    assert ("image-twice", records[1].record_id) in codes(found)
    assert exit_code([each for each in found if each.code == "image-twice"]) == 1
    two_lists = [*records[:4], replace(records[4], **twin)]  # type: ignore[arg-type]
    found = checked(manifest_of(two_lists), salt=None)
    assert codes(found) == [("image-in-two-lists", records[4].record_id)]
    assert exit_code(found) == 2


@pytest.mark.parametrize(
    ("code", "is_there", "is_mended"),
    [
        ("dicom-unusable", True, True),
        ("file-truncated", True, True),
        ("dicom-unusable", False, False),
        ("mask-missing", True, False),
    ],
)
def test_what_was_left_out_is_looked_at_again(
    records: list[ImageRecord], code: str, is_there: bool, is_mended: bool
) -> None:
    image = records[4].image
    if not is_there:
        cut(image)
    left_out = (
        Quarantined(records[4].record_id, code, image, "table.csv row 3"),
        Quarantined("0f", "image-missing", None),
    )
    found = checked(manifest_of(records[:4], quarantined=left_out))
    assert codes(found) == ([("quarantine-mended", records[4].record_id)] if is_mended else [])
    if is_mended:
        assert found[0].place == "table.csv row 3"
        assert f"left out for {code}" in found[0].found
        assert exit_code(found) == 1


def test_a_prepared_copy_is_looked_at_as_a_file_only(tmp_path: Path, records: list[ImageRecord]) -> None:
    copies = []
    for number, record in enumerate(records):
        path = tmp_path / f"{number}.png"
        Image.fromarray(breast("L", (20, 30)) + np.uint16(number)).save(path)
        size = path.stat().st_size
        copies.append(replace(record, image=path, file_size=size, sha256=None, prepared={"scale": 0.5}))
    assert checked(manifest_of(copies), pixels=True) == []
    cut(copies[0].image)
    copies[2].image.write_bytes(copies[2].image.read_bytes() + b"\0")
    copies[3].image.unlink()
    raw = bytearray(copies[4].image.read_bytes())
    raw[raw.index(b"IDAT") + 8] ^= 0xFF
    copies[4].image.write_bytes(raw)
    expected = [
        ("file-truncated", copies[0].record_id),
        ("file-size-differs", copies[2].record_id),
        ("file-missing", copies[3].record_id),
        ("file-unreadable", copies[4].record_id),
    ]
    assert codes(checked(manifest_of(copies), pixels=True)) == expected


def test_pictures_are_held_against_their_records_on_request(records: list[ImageRecord]) -> None:
    records = [replace(each, file_size=None, sha256=None) for each in records]
    many = [replace(records[0], record_id=f"{n:016x}", patient_id=f"q{n}") for n in range(10)]
    flip(records[3].image)
    rewrite(records[2].image, PixelData=bytes(60 * 90 * 2))
    records[1] = replace(records[1], lesions=(Lesion((0, 0, 3, 3)),))
    manifest = Manifest((*records[:2], *many), (records[2],), tuple(records[3:]))
    assert checked(manifest, salt=None) == []
    found = checked(manifest, salt=None, pixels=True, workers=2)
    assert codes(found) == [
        ("lesion-outside-breast", records[1].record_id),
        ("picture-constant", records[2].record_id),
        ("laterality-picture", records[3].record_id),
    ]
    assert exit_code(found) == 2


def test_films_scanned_from_the_other_face_are_one_finding(records: list[ImageRecord]) -> None:
    records = [replace(each, file_size=None, sha256=None) for each in records]
    for record in records[1:4]:
        flip(record.image)
    (finding,) = checked(manifest_of(records), pixels=True)
    assert (finding.code, finding.record_id) == ("display-reversed", "")
    assert exit_code([finding]) == 0


def test_a_single_film_that_shows_the_other_breast_is_told_by_its_record(records: list[ImageRecord]) -> None:
    records = [replace(each, file_size=None, sha256=None) for each in records]
    flip(records[3].image)
    (finding,) = checked(manifest_of(records), pixels=True)
    assert (finding.code, finding.record_id) == ("laterality-picture", records[3].record_id)
    assert exit_code([finding]) == 1


def test_pixels_that_cannot_be_decoded_are_found_on_request(records: list[ImageRecord]) -> None:
    records = [replace(each, file_size=None, sha256=None) for each in records]
    dataset = dcmread(records[3].image)
    dataset.compress("1.2.840.10008.1.2.5")  # RLE
    dataset.SOPInstanceUID = dcmread(records[3].image, stop_before_pixels=True).SOPInstanceUID
    dataset.save_as(records[3].image)
    raw = records[3].image.read_bytes()
    start = raw.rindex(b"\xfe\xff\x00\xe0") + 8
    records[3].image.write_bytes(raw[:start] + b"\xff" * 64 + raw[start + 64 :])
    assert checked(manifest_of(records)) == []
    assert codes(checked(manifest_of(records), pixels=True)) == [("file-unreadable", records[3].record_id)]


def test_the_log_names_the_files_of_a_few_findings(
    records: list[ImageRecord], caplog: pytest.LogCaptureFixture
) -> None:
    copies = [
        replace(records[0], record_id=f"{n:016x}", patient_id=f"q{n}", image=Path(f"/none/{n}.dcm"))
        for n in range(9)
    ]
    with caplog.at_level(logging.WARNING):
        checked(Manifest(training=tuple(copies)), salt=None)
    said = [each.getMessage() for each in caplog.records]
    assert len([each for each in said if "file-missing" in each]) == 5
    assert "/none/0.dcm: the image file is not there" in said[0]


def test_the_check_stands_in_audit_csv_beside_the_rows_of_the_reader(
    tmp_path: Path, records: list[ImageRecord]
) -> None:
    path = tmp_path / "m.json"
    write_manifest(path, manifest_of(records))
    write_audit(tmp_path / "audit.csv", "m.json", [Finding("box-clipped", "0f", "a box", Action.REPAIRED)])
    before = path.read_bytes()
    records[3].image.unlink()
    manifest = read_manifest(path)
    found = checked(manifest)
    assert save_check(manifest, found) == tmp_path / "audit.csv"
    rows = read_audit(tmp_path / "audit.csv")
    assert [each.code for each in rows["m.json"]] == ["box-clipped"]
    assert [each.code for each in rows["m.json check"]] == ["file-missing"]
    assert path.read_bytes() == before
    save_check(manifest, [])
    assert read_audit(tmp_path / "audit.csv").keys() == {"m.json"}
    with pytest.raises(ValueError, match="got one without a path"):
        save_check(manifest_of(records), [])


def test_the_salt_is_the_one_beside_or_the_phantoms_own_and_never_a_new_one(
    tmp_path: Path, records: list[ImageRecord]
) -> None:
    manifest = manifest_of(records, path=tmp_path / "out" / "m.json")
    assert salt_of(manifest_of(records)) is None
    assert salt_of(manifest) is None
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "m.salt").write_text("secret\n")
    assert salt_of(manifest) == "secret"
    (tmp_path / "data" / "phantoms.json").write_text('{"salt": "phantoms"}')
    assert salt_of(manifest) == "phantoms"
    (tmp_path / "data" / "phantoms.json").unlink()
    (tmp_path / "out" / "m.salt").write_text("")
    with pytest.raises(ManifestError, match="found an empty file"):
        salt_of(manifest)


def test_exit_code_is_2_for_fatal_1_for_odd_0_for_none() -> None:
    odd, fatal = (Finding(code, "0f", "x", Action.WARNED) for code in ("view-differs", "file-missing"))
    assert [exit_code(each) for each in ([], [odd], [odd, fatal])] == [0, 1, 2]
    assert "view-differs" not in FATAL_CODES


def test_lists_may_be_empty(records: list[ImageRecord]) -> None:
    assert checked(Manifest(test=tuple(records))) == []


@pytest.mark.parametrize(
    ("change", "found"), [(cut, "file-truncated"), (flip, "laterality-picture"), (None, "")]
)
def test_dicom_without_a_suffix_is_looked_at_as_dicom(
    records: list[ImageRecord], change: Callable[[Path], object] | None, found: str
) -> None:
    """Archives name files by their UID, or IM000001."""
    bare = []
    for number, record in enumerate(records):
        path = record.image.with_name(f"IM{number}")
        record.image.rename(path)
        if number == 1 and change:
            change(path)
        bare.append(replace(record, image=path, file_size=None, sha256=None))
    expected = [(found, bare[1].record_id)] if found else []
    assert codes(checked(manifest_of(bare), pixels=True)) == expected


def test_another_image_in_the_place_of_one_without_a_suffix_is_told(records: list[ImageRecord]) -> None:
    path = records[1].image.with_name("IM1")
    records[1].image.rename(path)
    rewrite(path, SOPInstanceUID="1.2.3")
    changed = [records[0], replace(records[1], image=path, file_size=None, sha256=None), *records[2:]]
    assert codes(checked(manifest_of(changed))) == [("uid-differs", records[1].record_id)]
