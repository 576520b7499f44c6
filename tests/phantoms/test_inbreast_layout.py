from __future__ import annotations

import json
import plistlib
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation

from mammo_monai.geometry import contour_box

NAME = re.compile(r"(\d{8})_([0-9a-f]{16})_MG_([LR])_(CC|ML)_ANON\.dcm")
ROI_KEYS = {
    *("Area", "Center", "Dev", "IndexInImage", "Max", "Mean", "Min", "Name", "NumberOfPoints"),
    *("Point_mm", "Point_px", "Total", "Type"),
}


def truth_of(root: Path) -> list[dict]:
    return json.loads((root / "truth.json").read_text())["images"]


def rois_of(root: Path, image: dict) -> list[dict]:
    path = root / "AllXML" / f"{Path(image['image']).name[:8]}.xml"
    if not path.exists():
        return []
    (content,) = plistlib.loads(path.read_bytes())["Images"]
    assert content["NumberOfROIs"] == len(content["ROIs"])
    return content["ROIs"]


def points_of(roi: dict) -> list[tuple[float, ...]]:
    return [tuple(float(value) for value in text.strip("()").split(", ")) for text in roi["Point_px"]]


def test_table_has_the_published_columns_and_a_row_per_image(digital_root: Path) -> None:
    header, *rows = (digital_root / "INbreast.csv").read_bytes().decode().split("\r\n")[:-1]
    assert header == "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
    truth = truth_of(digital_root)
    assert len(rows) == len(truth)
    for row, image in zip(rows, truth, strict=True):
        *removed, side, view, date, number, density, birads = row.split(";")
        assert removed == ["removed", "removed"]
        assert date == "201001"
        assert (side, view) == (image["laterality"], image["view_position"])
        assert Path(image["image"]).name.startswith(number)
        assert int(density) == image["breast_density"]
        assert birads in ("1", "2", "3", "4a", "4b", "4c", "5")
        worst = max((mass["birads"] for mass in image["masses"]), default=None)
        assert worst is None or birads.startswith(str(worst))


def test_file_names_match_side_view_and_patient(digital_root: Path) -> None:
    numbers = set()
    for image in truth_of(digital_root):
        number, patient, side, view = NAME.fullmatch(Path(image["image"]).name).groups()  # type: ignore[union-attr]
        numbers.add(number)
        assert (patient, side) == (image["patient_id"], image["laterality"])
        assert view == {"CC": "CC", "MLO": "ML"}[image["view_position"]]
    assert len(numbers) == len(truth_of(digital_root))


def test_images_carry_the_digital_tags(digital_root: Path) -> None:
    for image in truth_of(digital_root):
        dataset = pydicom.dcmread(digital_root / image["image"])
        assert dataset.SOPClassUID == DigitalMammographyXRayImageStorageForPresentation
        assert dataset.PresentationIntentType == "FOR PRESENTATION"
        assert (dataset.BitsAllocated, dataset.BitsStored) == (16, 14)
        assert list(dataset.ImagerPixelSpacing) == [image["pixel_spacing_mm"]] * 2
        assert (dataset.ImageLaterality, dataset.ViewPosition) == (
            image["laterality"],
            image["view_position"],
        )
        assert dataset.pixel_array.shape == (image["rows"], image["columns"])
        assert dataset.pixel_array.max() < 2**14


def test_voi_lut_reads_back_with_pydicom(digital_root: Path) -> None:
    kinds = defaultdict(int)
    for image in truth_of(digital_root):
        dataset = pydicom.dcmread(digital_root / image["image"])
        kinds[dataset.PhotometricInterpretation] += 1
        kinds["window"] += "WindowCenter" in dataset
        if "VOILUTSequence" in dataset:
            kinds["lut"] += 1
            shown = pydicom.pixels.apply_voi_lut(dataset.pixel_array, dataset)
            assert shown.max() > dataset.pixel_array.max() or dataset.VOILUTSequence[0].LUTDescriptor[2] == 12
    assert min(kinds[kind] for kind in ("MONOCHROME1", "MONOCHROME2", "window", "lut")) > 0


def test_xml_masses_have_the_boxes_of_the_truth(digital_root: Path) -> None:
    found = 0
    for image in truth_of(digital_root):
        masses = [roi for roi in rois_of(digital_root, image) if roi["Name"] == "Mass"]
        assert len(masses) == len(image["masses"])
        for roi, mass in zip(masses, image["masses"], strict=True):
            assert list(contour_box(points_of(roi))) == mass["contour_box"]
            np.testing.assert_allclose(mass["contour_box"], mass["mask_box"], atol=1.0)
            np.testing.assert_allclose(roi["Area"] * 100, mass["area_mm2"], rtol=1e-3)
            found += 1
    assert found > 4


def test_rois_have_the_originals_keys_and_stay_in_the_image(digital_root: Path) -> None:
    names = set()
    for image in truth_of(digital_root):
        for index, roi in enumerate(rois_of(digital_root, image)):
            names.add((roi["Name"], roi["Type"]))
            assert set(roi) == ROI_KEYS
            assert roi["IndexInImage"] == index
            assert roi["NumberOfPoints"] == len(roi["Point_px"]) == len(roi["Point_mm"])
            points = np.array(points_of(roi))
            assert points.min() >= 0
            assert (points <= [image["columns"], image["rows"]]).all()
    assert {("Mass", 15), ("Calcification", 19)} <= names


def test_an_image_without_findings_has_no_xml(digital_root: Path) -> None:
    bare = [i for i in truth_of(digital_root) if not i["masses"] and not i["calcifications"]]
    assert bare
    assert not any(rois_of(digital_root, image) for image in bare)
    assert len(list((digital_root / "AllXML").iterdir())) == len(truth_of(digital_root)) - len(bare)


def test_about_two_fifths_of_the_images_are_normal(digital_root: Path) -> None:
    images = truth_of(digital_root)
    normal = sum(not image["masses"] for image in images)
    # 24 breasts at 0.4: three standard deviations are 0.3.
    assert 0.1 < normal / len(images) < 0.7


def test_rows_that_are_no_list_are_refused(tmp_path: Path) -> None:
    from mammo_monai.phantoms.inbreast import write_inbreast_table

    with pytest.raises(TypeError, match="rows must be a list, got str"):
        write_inbreast_table(tmp_path, [{"rows": "x"}])
