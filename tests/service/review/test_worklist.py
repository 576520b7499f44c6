"""Which images are reviewed, where they lie and how they hang."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.schema import read_manifest, write_manifest
from mammo_monai.service.review import read_worklist
from tests.dicom_factory import write_mammogram
from tests.service.review.scene import HEIGHT, WIDTH, write_scene, write_scene_manifest


def test_images_hang_by_patient_right_before_left_and_cc_before_mlo(tmp_path: Path) -> None:
    worklist = read_worklist(write_scene(tmp_path), manifest=write_scene_manifest(tmp_path))
    assert [(image.patient, image.name) for image in worklist.images] == [
        (1, "R CC"),
        (1, "R MLO"),
        (1, "L CC"),
        (2, "View unknown"),
    ]
    assert [image.is_dicom for image in worklist.images] == [False, True, False, False]
    assert {(image.width, image.height) for image in worklist.images[:3]} == {(WIDTH, HEIGHT)}


def test_without_a_manifest_header_and_file_name_tell_side_and_view(tmp_path: Path) -> None:
    write_scene(tmp_path)
    worklist = read_worklist(tmp_path)  # the folder that holds detections.json
    assert [(image.record_id, image.name, image.patient) for image in worklist.images] == [
        ("rmlo", "R MLO", 1),
        ("lcc", "L CC", 0),
        ("rcc", "R CC", 0),
        ("lost", "View unknown", 0),
    ]
    assert worklist.images[1].path == tmp_path / "p_L_CC.png"  # named seen from the detections


def test_views_of_a_patient_whose_ids_end_with_side_and_view_hang_together(tmp_path: Path) -> None:
    for name in ("LEFT_CC", "LEFT_MLO"):
        write_mammogram(tmp_path / f"{name}.dcm", tags={"PatientID": f"Mass_P_7_{name}"})
    worklist = read_worklist(tmp_path)
    assert [(image.patient, image.name) for image in worklist.images] == [(1, "L CC"), (1, "L MLO")]


def test_a_folder_without_detections_lists_its_images_without_marks(tmp_path: Path) -> None:
    write_scene(tmp_path).unlink()
    worklist = read_worklist(tmp_path)
    assert [len(image.detections.boxes) for image in worklist.images] == [0, 0, 0]
    assert worklist.sha256 == ""
    with_manifest = read_worklist(tmp_path, manifest=write_scene_manifest(tmp_path))
    assert [image.record_id for image in with_manifest.images] == ["rcc", "rmlo", "lcc", "lost"]


def test_an_image_that_cannot_be_shown_says_why_without_naming_its_file(tmp_path: Path) -> None:
    source = write_scene(tmp_path)
    (tmp_path / "p_R_CC.png").write_bytes(b"no picture")
    (tmp_path / "r_mlo.dcm").write_bytes((tmp_path / "r_mlo.dcm").read_bytes()[:200])
    faults = {image.record_id: image.fault for image in read_worklist(source).images}
    assert faults == {
        "rmlo": "the DICOM file is damaged, cut short, not for presentation, or no mammogram",
        "rcc": "the file holds no image of a known format",
        "lost": "the file is not there",
        "lcc": "",
    }


def test_an_image_of_another_size_than_its_manifest_says_is_not_drawn_upon(tmp_path: Path) -> None:
    source, path = write_scene(tmp_path), write_scene_manifest(tmp_path)
    manifest = read_manifest(path)
    write_manifest(path, replace(manifest, test=tuple(replace(each, width=61) for each in manifest.test)))
    assert "another size" in read_worklist(source, manifest=path).images[0].fault


def test_prepared_copies_and_empty_folders_are_refused_with_a_remedy(tmp_path: Path) -> None:
    source, path = write_scene(tmp_path), write_scene_manifest(tmp_path)
    manifest = read_manifest(path)
    write_manifest(path, replace(manifest, test=tuple(replace(e, prepared={}) for e in manifest.test)))
    with pytest.raises(ManifestError, match="Give the manifest they were prepared from"):
        read_worklist(source, manifest=path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="holds no image"):
        read_worklist(tmp_path / "empty")
