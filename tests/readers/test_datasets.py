from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.phantoms import LAYOUTS, write_phantoms
from mammo_monai.readers import (
    Audit,
    CocoOptions,
    FoldChoice,
    ManifestPlan,
    Reading,
    SplitScheme,
    make_manifest,
    needs_attention,
    read_dataset,
    save_manifest,
)
from mammo_monai.readers.splits.folds import make_folds, save_folds
from mammo_monai.readers.splits.folds_applied import apply_folds
from mammo_monai.readers.splits.transfer_setups import fold_scheme
from mammo_monai.records import ImageRecord, Split, record_id_of
from mammo_monai.schema import Action, Finding, Manifest, read_audit, read_manifest

BOX_OF_LAYOUT = {"cbis-ddsm": "mask_box", "inbreast": "contour_box"}


def image(number: int, patient: str) -> ImageRecord:
    return ImageRecord(Path(f"/data/{number}.dcm"), f"{number:016x}", patient, 60, 90)


def manifest_of(layout: str, root: Path, audit: Audit | None = None, **plan: Any) -> Manifest:
    return read_dataset(ManifestPlan(layout, root, **plan), Reading("phantoms", audit or Audit(strict=True)))


@pytest.fixture(scope="module", params=LAYOUTS)
def phantoms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    root = tmp_path_factory.mktemp(request.param) / "phantoms"
    write_phantoms(root, layout=request.param, patients=6, seed=4, pixel_spacing_mm=0.7)
    return request.param, root


@pytest.fixture
def coco_of(tmp_path: Path) -> Any:
    def write(patients: int) -> Path:
        images = [{"id": n, "file_name": f"{n}.png", "patient_id": f"p{n}"} for n in range(patients)]
        boxes = [{"id": n, "image_id": n, "category_id": 0, "bbox": [1, 2, 30, 40]} for n in range(patients)]
        for n in range(patients):
            Image.new("L", (60, 90), n).save(tmp_path / f"{n}.png")
        content = {"images": images, "annotations": boxes, "categories": [{"id": 0, "name": "mass"}]}
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        return tmp_path / "boxes.json"

    return write


def test_readers_find_exactly_the_truth_of_phantoms(phantoms: tuple[str, Path]) -> None:
    layout, root = phantoms
    truth = {
        record_id_of(each["sop_instance_uid"], "phantoms"): each
        for each in json.loads((root / "truth.json").read_text())["images"]
    }
    audit = Audit()
    manifest = manifest_of(layout, root, audit)
    assert audit.findings == []
    assert {record.record_id for record in manifest.images()} == set(truth)
    for record in manifest.images():
        expected = truth[record.record_id]
        boxes = [mass[BOX_OF_LAYOUT[layout]] for mass in expected["masses"]]
        masses = [lesion for lesion in record.lesions if lesion.label == 0]
        assert [list(mass.box) for mass in masses] == boxes
        assert record.image == root / expected["image"]
        assert (record.height, record.width) == (expected["rows"], expected["columns"])
        assert record.laterality == expected["laterality"]
        assert record.view_position == expected["view_position"]
        assert record.patient_id == expected["patient_id"]
        assert record.breast_density == expected["breast_density"]
        for lesion, mass in zip(masses, expected["masses"], strict=True):
            if layout == "cbis-ddsm":
                assert (lesion.pathology, lesion.birads) == (mass["pathology"], mass["birads"])
            else:
                assert lesion.area_mm2 == pytest.approx(mass["area_mm2"], abs=1e-3)


def test_phantom_manifests_survive_the_disk(phantoms: tuple[str, Path], tmp_path: Path) -> None:
    layout, root = phantoms
    manifest = manifest_of(layout, root)
    save_manifest(tmp_path / "m.json", manifest, Audit())
    assert read_manifest(tmp_path / "m.json").images() == manifest.images()
    assert read_manifest(tmp_path / "m.json").about == manifest.about


def test_phantom_images_reach_all_three_lists(phantoms: tuple[str, Path]) -> None:
    layout, root = phantoms
    manifest = manifest_of(layout, root, seed=1)
    assert all(manifest.images(name) for name in ("training", "validation", "test"))


def test_files_are_remembered_by_size_and_hash_unless_told_not_to(phantoms: tuple[str, Path]) -> None:
    layout, root = phantoms
    first = manifest_of(layout, root).images()[0]
    assert first.file_size == first.image.stat().st_size
    assert first.sha256 is not None
    without = manifest_of(layout, root, has_hashes=False).images()[0]
    assert (without.file_size, without.sha256) == (first.file_size, None)


def test_the_official_test_list_is_kept(cbis: Any) -> None:
    for n in range(1, 6):
        cbis.add(f"Mass-Training_P_0000{n}_LEFT_CC")
    cbis.add("Mass-Test_P_00009_LEFT_CC")
    manifest = manifest_of("cbis-ddsm", cbis.write_tables(), Audit(), validation_fraction=0.2)
    assert [record.patient_id for record in manifest.test] == ["P_00009"]
    assert (len(manifest.training), len(manifest.validation)) == (4, 1)
    assert (manifest.about["layout"], manifest.about["split"]) == ("cbis-ddsm", "official")
    assert manifest.about["published"]["counts"]["training images"] == 1231


def test_phantoms_are_not_held_against_published_counts(phantoms: tuple[str, Path]) -> None:
    assert "published" not in manifest_of(*phantoms).about


def test_a_manifest_of_phantoms_says_so_through_folds_and_joins(phantoms: tuple[str, Path]) -> None:
    made = manifest_of(*phantoms)
    assert made.is_phantom
    real = replace(made, about={"layout": phantoms[0]})
    assert not real.is_phantom
    assert replace(made, about={"manifests": {"A": dict(real.about), "B": dict(made.about)}}).is_phantom
    assert not replace(made, about={"manifests": {"A": dict(real.about)}}).is_phantom
    folds = make_folds([made], fold_scheme("kfold", 3))
    assert apply_folds(folds, [made], fold=folds.folds[0].name).is_phantom


def test_without_an_official_split_a_fifth_of_the_patients_is_for_testing(coco_of: Any) -> None:
    manifest = manifest_of("coco", coco_of(10), options=CocoOptions(), validation_fraction=0.3)
    assert [len(manifest.images(split)) for split in Split] == [5, 3, 2]


def test_a_scheme_one_list_or_a_fold_decide_the_lists(coco_of: Any, tmp_path: Path) -> None:
    root = coco_of(10)
    halves = manifest_of("coco", root, lists=SplitScheme("half", validation_fraction=0))
    assert [len(halves.images(split)) for split in Split] == [5, 0, 5]
    assert len(manifest_of("coco", root, lists=Split.VALIDATION).validation) == 10
    folds = make_folds([halves], fold_scheme("kfold", 5, None))
    save_folds(tmp_path / "folds.json", folds, [halves])
    third = manifest_of("coco", root, lists=FoldChoice(tmp_path / "folds.json", "3"))
    assert [len(third.images(split)) for split in Split] == [6, 2, 2]
    assert third.about["folds"]["fold"] == "3"
    assert third.about["layout"] == "coco"


def test_unknown_layouts_and_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"layout must be cbis-ddsm or inbreast or .*, got 'ddsm'"):
        ManifestPlan("ddsm", tmp_path)
    with pytest.raises(ManifestError, match="seed must be at least 0, got -1"):
        ManifestPlan("coco", tmp_path, seed=-1)


def test_a_data_set_without_a_usable_image_is_an_error_that_says_why(inbreast: Any) -> None:
    inbreast.add(cells="2;9")
    with pytest.raises(ManifestError, match=r"no image can be used.* 1 were left out, the first because "):
        manifest_of("inbreast", inbreast.write_table(), Audit())


def test_the_reason_told_is_that_of_an_image_left_out_not_of_a_warning(cbis: Any) -> None:
    cbis.add(assessment="9")  # the test table is empty, which is the first finding and no reason
    with pytest.raises(ManifestError, match=r"1 were left out, the first because 'assessment' must be"):
        manifest_of("cbis-ddsm", cbis.write_tables(), Audit())


def test_what_was_left_out_stands_in_the_manifest(inbreast: Any) -> None:
    inbreast.add()
    inbreast.add(10000002, cells="2;9")
    manifest = manifest_of("inbreast", inbreast.write_table(), Audit())
    assert len(manifest.images()) == 1
    assert [each.code for each in manifest.quarantined] == ["table-value"]


def test_a_leaking_manifest_is_not_written(tmp_path: Path) -> None:
    audit = Audit()
    audit.note("odd", "", "something")
    with pytest.raises(ManifestError, match="in one list only"):
        save_manifest(tmp_path / "m.json", Manifest((image(1, "a"),), (image(2, "a"),)), audit)
    assert [path.name for path in tmp_path.iterdir()] == ["audit.csv"]
    assert read_audit(tmp_path / "audit.csv")["m.json"] == audit.findings


def test_an_empty_manifest_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no image can be used"):
        save_manifest(tmp_path / "m.json", Manifest(), Audit())
    assert [path.name for path in tmp_path.iterdir()] == ["audit.csv"]


@pytest.mark.parametrize(("action", "expected"), [*zip(Action, (False, True, True), strict=True)])
def test_only_repairs_need_nobody(action: Action, expected: bool) -> None:
    assert (
        needs_attention([Finding("a", "", "b", Action.REPAIRED), Finding("c", "", "d", action)]) == expected
    )
    assert not needs_attention([])


def test_a_manifest_made_in_one_call_is_the_one_on_disk(phantoms: tuple[str, Path], tmp_path: Path) -> None:
    layout, root = phantoms
    path, audit = tmp_path / "manifest.json", Audit(strict=True)
    made = make_manifest(ManifestPlan(layout, root), path, audit=audit)
    assert made == read_manifest(path)
    by_steps = manifest_of(layout, root).images()
    assert [each.record_id for each in made.images()] == [each.record_id for each in by_steps]
    assert read_audit(tmp_path / "audit.csv").get("manifest.json", []) == audit.findings


def test_making_a_manifest_of_nothing_is_refused_and_writes_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError):
        make_manifest(ManifestPlan("inbreast", tmp_path / "empty"), tmp_path / "manifest.json")
    assert not (tmp_path / "manifest.json").exists()


def test_shares_for_pixels_are_refused_in_every_layout(vindr: Any, coco_of: Any) -> None:
    vindr.add("a1", box=(0.1, 0.2, 0.5, 0.6))
    vindr.add("a2")
    for name in ("a1", "a2"):
        vindr.add_image(name)
    audit = Audit()
    assert len(manifest_of("vindr", vindr.write_tables(), audit, lists=Split.TRAINING).training) == 1
    assert [each.code for each in audit.findings] == ["box-invalid"]
    boxes = coco_of(3)
    boxes.write_text(boxes.read_text().replace("[1, 2, 30, 40]", "[0.1, 0.2, 0.3, 0.3]"))
    with pytest.raises(
        ManifestError, match=r"3 were left out, the first because a box .* within the first pixel"
    ):
        manifest_of("coco", boxes, Audit())
