from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless, SecondaryCaptureImageStorage

from mammo_monai.geometry import mask_box
from mammo_monai.phantoms.cbis_ddsm import TABLES, official_split

HEADER = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,"
    "mass margins,assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path"
)


def truth_of(root: Path) -> list[dict]:
    return json.loads((root / "truth.json").read_text())["images"]


def rows_of(root: Path, split: str) -> list[dict[str, str]]:
    with (root / TABLES[split]).open(newline="") as stream:
        return list(csv.DictReader(stream))


def all_rows(root: Path) -> list[dict[str, str]]:
    return [row for split in TABLES for row in rows_of(root, split)]


def test_tables_have_the_published_header_line_ends_and_breaks(film_root: Path) -> None:
    for split, name in TABLES.items():
        content = (film_root / name).read_bytes()
        rows = rows_of(film_root, split)
        assert content.startswith(HEADER.encode() + b"\r\n")
        assert content.count(b"\r\n") == len(rows) + 1
        assert content.count(b'\n"\r\n') == len(rows) > 0
        assert all(row["ROI mask file path"].endswith(".dcm\n") for row in rows)


def test_every_fifth_patient_is_in_the_test_table(film_root: Path) -> None:
    assert Counter(official_split(index) for index in range(100)) == {"training": 80, "test": 20}
    test_patients = {row["patient_id"] for row in rows_of(film_root, "test")}
    assert test_patients == {"P_00002", "P_00007"}
    assert not test_patients & {row["patient_id"] for row in rows_of(film_root, "training")}
    for image in truth_of(film_root):
        assert image["split"] == ("test" if image["patient_id"] in test_patients else "training")


def test_films_carry_the_originals_tags(film_root: Path) -> None:
    for image in truth_of(film_root):
        dataset = pydicom.dcmread(film_root / image["image"])
        assert dataset.SOPClassUID == SecondaryCaptureImageStorage
        assert dataset.file_meta.TransferSyntaxUID == RLELossless
        assert dataset.Modality == "MG"
        assert dataset.SOPInstanceUID == image["sop_instance_uid"]
        assert (dataset.BitsStored, dataset.PhotometricInterpretation) == (16, "MONOCHROME2")
        assert dataset[0x00200060].value == image["laterality"]
        assert dataset.PatientOrientation == image["view_position"]
        assert dataset.PatientID == Path(image["image"]).parts[0]
        absent = ("PixelSpacing", "ImagerPixelSpacing", "WindowCenter", "ImageLaterality", "ViewPosition")
        assert not [keyword for keyword in absent if keyword in dataset]
        assert dataset.pixel_array.shape == (image["rows"], image["columns"])
        assert image["rows"] > image["columns"]


def test_each_view_is_its_own_study_and_all_uids_differ(film_root: Path) -> None:
    datasets = [pydicom.dcmread(path, stop_before_pixels=True) for path in film_root.rglob("*.dcm")]
    instances = [dataset.SOPInstanceUID for dataset in datasets]
    films = [dataset for dataset in datasets if dataset.SeriesDescription == "full mammogram images"]
    assert len(set(instances)) == len(instances)
    assert len({dataset.StudyInstanceUID for dataset in films}) == len(films)


def test_masks_hold_the_boxes_of_the_truth(film_root: Path) -> None:
    truth = {image["image"]: image for image in truth_of(film_root)}
    for row in all_rows(film_root):
        image = truth[row["image file path"]]
        mass = image["masses"][int(row["abnormality id"]) - 1]
        paths = [film_root / row[key].strip() for key in ("ROI mask file path", "cropped image file path")]
        mask = next(d for d in map(pydicom.dcmread, paths) if d.SeriesDescription == "ROI mask images")
        pixels = mask.pixel_array
        assert pixels.shape == (image["rows"], image["columns"])
        assert set(np.unique(pixels)) == {0, 255}
        assert list(mask_box(pixels)) == mass["mask_box"]
        assert int((pixels > 0).sum()) == mass["mask_area_px"]
        assert row["subtlety"] == str(mass["subtlety"])
        assert row["image view"] == image["view_position"]
        assert row["left or right breast"][0] == image["laterality"]


def test_the_crop_shows_the_mass(film_root: Path) -> None:
    row = all_rows(film_root)[0]
    image = next(i for i in truth_of(film_root) if i["image"] == row["image file path"])
    x_min, y_min, x_max, y_max = (int(value) for value in image["masses"][0]["mask_box"])
    full = pydicom.dcmread(film_root / row["image file path"]).pixel_array
    folder = (film_root / row["cropped image file path"]).parent
    crop = pydicom.dcmread(folder / "000000.dcm").pixel_array
    margin = round(3.0 / image["pixel_spacing_mm"])
    found = full[max(0, y_min - margin) : y_max + margin, max(0, x_min - margin) : x_max + margin]
    assert (crop == found).all()


def test_every_film_shows_a_mass_and_every_breast_two_views(film_root: Path) -> None:
    images = truth_of(film_root)
    assert all(image["masses"] for image in images)
    views = Counter((image["patient_id"], image["laterality"]) for image in images)
    assert set(views.values()) == {2}
    assert {image["laterality"] for image in images} == {"L", "R"}


def test_rows_that_are_no_list_are_refused(tmp_path: Path) -> None:
    from mammo_monai.phantoms.cbis_ddsm import write_cbis_ddsm_tables

    with pytest.raises(TypeError, match="rows must be a list, got str"):
        write_cbis_ddsm_tables(tmp_path, [{"split": "test", "rows": "x"}])
