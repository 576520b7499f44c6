"""What folders tell of list, patient and class, and what contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mammo_monai.schema import Action
from tests.readers.annotations.in_house import BOXES, InHouse, drawn

HEADER = "file,xmin,ymin,xmax,ymax"


@pytest.fixture
def site(tmp_path: Path) -> InHouse:
    return InHouse(tmp_path / "set")


def patients(site: InHouse, *names: str) -> list[str]:
    for name in names:
        site.png(name)
    rows = [f"{name},{','.join(map(str, BOXES[0]))}" for name in names]
    site.text("boxes.csv", "\n".join([HEADER, *rows]))
    return [record.patient_id for record in site.read(patients_are_public=True).values()]


@pytest.mark.parametrize(
    "exams", [("p1/2019", "p1/2021", "p2/2019"), ("p1/20190304", "p1/20210506", "p2/20180101")]
)
def test_folders_that_may_be_exams_are_noted(site: InHouse, exams: tuple[str, ...]) -> None:
    patients(site, *(f"{exam}/{number}.png" for exam in exams for number in (1, 2)))
    assert site.codes(Action.WARNED) == ["patient-from-folder"]
    assert "exams or views of the patients" in site.audit.findings[-1].found


def test_folders_of_patients_alone_or_below_one_site_are_repaired_as_before(site: InHouse) -> None:
    names = [f"site/p{number}/a{number}.png" for number in range(4)]
    assert patients(site, *names) == ["p0", "p1", "p2", "p3"]
    assert site.codes(Action.REPAIRED) == ["patient-from-folder"]
    assert "patient-from-folder" not in site.codes(Action.WARNED)


def test_many_patients_below_each_site_are_no_exams(site: InHouse) -> None:
    patients(site, *(f"{town}/{town}{n}/{town}{n}.png" for town in ("Bern", "Graz") for n in range(7)))
    assert "patient-from-folder" in site.codes(Action.REPAIRED)


@pytest.mark.parametrize("view", ["LCC", "R_MLO", "left cc", "MLO", "CC-R"])
def test_a_folder_of_a_view_is_no_patient(site: InHouse, view: str) -> None:
    assert patients(site, f"p1/{view}/a.png", f"p2/{view}/b.png", "p2/L/c.png") == ["p1", "p2", "p2"]
    assert site.codes() == ["patient-from-folder"]


def test_a_table_that_names_another_list_than_the_folder_is_noted(site: InHouse) -> None:
    for name in ("train/a.png", "test/b.png", "val/c.png"):
        site.png(name)
    cells = ",".join(map(str, BOXES[0]))
    rows = [f"train/a.png,{cells},train", f"test/b.png,{cells},train", f"val/c.png,{cells},"]
    site.text("boxes.csv", "\n".join([f"{HEADER},split", *rows]))
    data_set = site.data_set()
    assert "split-conflict" in site.codes(Action.WARNED)
    found = next(each.found for each in site.audit.findings if each.code == "split-conflict")
    assert found.startswith("1 image ")
    assert sorted(split.value for split in data_set.official.values()) == [
        "training",
        "training",
        "validation",
    ]


def mask(site: InHouse, name: str) -> None:
    path = site.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn(BOXES[:1])).save(path)


@pytest.mark.parametrize("folder", ["calcification", "pectoral", "normal"])
def test_masks_in_a_folder_of_another_class_are_noted(site: InHouse, folder: str) -> None:
    for name, each in (("a", "mass"), ("b", folder)):
        site.png(f"images/{name}.png")
        mask(site, f"masks/{each}/{name}.png")
    assert len(site.read(annotations=site.root / "masks")) == 2
    assert "class-unknown" in site.codes(Action.WARNED)
    assert f"'{folder}' (1)" in next(e.found for e in site.audit.findings if e.code == "class-unknown")


@pytest.mark.parametrize("folder", ["mass", "benign", "p17", "other"])
def test_masks_in_other_folders_are_not(site: InHouse, folder: str) -> None:
    site.png("images/a.png")
    mask(site, f"masks/{folder}/a.png")
    site.read(annotations=site.root / "masks")
    assert "class-unknown" not in site.codes()


def test_the_name_of_a_part_of_the_body_on_the_image_too_tells_no_class(site: InHouse) -> None:
    site.png("breast/images/a.png")
    mask(site, "breast/masks/a.png")
    site.read()
    assert "class-unknown" not in site.codes()


def test_classes_of_labels_with_names_are_not_told_by_folders(site: InHouse) -> None:
    site.png("images/calc/a.png")
    site.text("labels/calc/a.txt", "0 0.5 0.5 0.2 0.2")
    site.read()
    assert "class-unknown" in site.codes(Action.WARNED)
    site.text("labels/calc/classes.txt", "mass")
    site.read()
    assert "class-unknown" not in site.codes()
