from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.phantoms import write_phantoms
from mammo_monai.readers import READERS, Audit, count_lists, read_dataset, save_manifest
from mammo_monai.readers.datasets import ListCounts
from mammo_monai.records import ImageRecord, Lesion, record_id_of
from mammo_monai.schema import Manifest, read_manifest

BOX_OF_LAYOUT = {"cbis-ddsm": "mask_box", "inbreast": "contour_box"}


def image(number: int, patient: str, *, lesions: int = 0) -> ImageRecord:
    found = (Lesion(box=(1, 2, 3, 4)),) * lesions
    return ImageRecord(Path(f"/data/{number}.dcm"), f"{number:016x}", patient, 60, 90, found)


@pytest.fixture(scope="module", params=list(READERS))
def phantoms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    root = tmp_path_factory.mktemp(request.param) / "phantoms"
    write_phantoms(root, layout=request.param, patients=6, seed=4, pixel_spacing_mm=0.7)
    return request.param, root


def test_readers_find_exactly_the_truth_of_phantoms(phantoms: tuple[str, Path]) -> None:
    layout, root = phantoms
    truth = {
        record_id_of(each["sop_instance_uid"], "phantoms"): each
        for each in json.loads((root / "truth.json").read_text())["images"]
    }
    audit = Audit()
    manifest = read_dataset(layout, root, salt="phantoms", audit=audit)
    assert audit.findings == []
    assert {record.record_id for record in manifest.images()} == set(truth)
    for record in manifest.images():
        expected = truth[record.record_id]
        boxes = [mass[BOX_OF_LAYOUT[layout]] for mass in expected["masses"]]
        assert record.boxes.tolist() == boxes
        assert record.labels.tolist() == [0] * len(boxes)
        assert record.image == root / expected["image"]
        assert (record.height, record.width) == (expected["rows"], expected["columns"])
        assert record.laterality == expected["laterality"]
        assert record.view_position == expected["view_position"]
        assert record.patient_id == expected["patient_id"]
        assert record.breast_density == expected["breast_density"]
        for lesion, mass in zip(record.lesions, expected["masses"], strict=True):
            if layout == "cbis-ddsm":
                assert (lesion.pathology, lesion.birads) == (mass["pathology"], mass["birads"])
            else:
                assert lesion.area_mm2 == pytest.approx(mass["area_mm2"], abs=1e-3)


def test_phantom_manifests_survive_the_disk(phantoms: tuple[str, Path], tmp_path: Path) -> None:
    layout, root = phantoms
    manifest = read_dataset(layout, root, salt="phantoms")
    save_manifest(tmp_path / "m.json", manifest, Audit())
    assert read_manifest(tmp_path / "m.json").images() == manifest.images()


def test_phantom_images_reach_all_three_lists(phantoms: tuple[str, Path]) -> None:
    layout, root = phantoms
    manifest = read_dataset(layout, root, salt="phantoms", seed=1)
    assert all(manifest.images(name) for name in ("training", "validation", "test"))


def test_the_official_test_list_is_kept(cbis: Any) -> None:
    for n in range(1, 6):
        cbis.add(f"Mass-Training_P_0000{n}_LEFT_CC")
    cbis.add("Mass-Test_P_00009_LEFT_CC")
    manifest = read_dataset("cbis-ddsm", cbis.write_tables(), salt="s", validation_fraction=0.2)
    assert [record.patient_id for record in manifest.test] == ["P_00009"]
    assert (len(manifest.training), len(manifest.validation)) == (4, 1)


def test_a_patient_of_both_official_tables_is_a_leak(cbis: Any) -> None:
    cbis.add("Mass-Training_P_00001_LEFT_CC")
    cbis.add("Mass-Test_P_00001_LEFT_MLO")
    with pytest.raises(ManifestError, match="1 patient stands in two"):
        read_dataset("cbis-ddsm", cbis.write_tables(), salt="s")


def test_one_table_of_two_is_enough_and_said(cbis: Any) -> None:
    cbis.add("Mass-Training_P_00001_LEFT_CC")
    (cbis.write_tables() / "mass_case_description_test_set.csv").unlink()
    audit = Audit()
    manifest = read_dataset("cbis-ddsm", cbis.root, salt="s", audit=audit)
    assert (len(manifest.training), len(manifest.test)) == (1, 0)
    assert [finding.code for finding in audit.findings] == ["table-missing"]


def test_unknown_layouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="layout must be cbis-ddsm or inbreast, got 'ddsm'"):
        read_dataset("ddsm", tmp_path, salt="s")


def test_a_data_set_without_a_usable_image_is_an_error(inbreast: Any) -> None:
    inbreast.add(cells="2;9")
    with pytest.raises(ManifestError, match="no image can be used"):
        read_dataset("inbreast", inbreast.write_table(), salt="s", audit=Audit(skip_invalid=True))


def test_a_leaking_manifest_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="in one list only"):
        save_manifest(tmp_path / "m.json", Manifest((image(1, "a"),), (image(2, "a"),)), Audit())
    assert list(tmp_path.iterdir()) == []


def test_counts_are_per_list_and_for_all() -> None:
    manifest = Manifest(
        training=(image(1, "a", lesions=2), image(2, "a")), validation=(), test=(image(3, "b", lesions=1),)
    )
    assert count_lists(manifest) == [
        ListCounts("training", images=2, normals=1, lesions=2, patients=1),
        ListCounts("validation", images=0, normals=0, lesions=0, patients=0),
        ListCounts("test", images=1, normals=0, lesions=1, patients=1),
        ListCounts("all", images=3, normals=1, lesions=3, patients=2),
    ]
