"""Phantom patients in the on-disk layout of CBIS-DDSM: case tables, one study per view, crop and ROI mask."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from mammo_monai.files import atomic_path
from mammo_monai.phantoms.acquisition import FILM_RIM_MM, film_look
from mammo_monai.phantoms.dicom_writer import image_dataset, write_image
from mammo_monai.phantoms.scene import MassTruth, Scene, draw_breast_cases, render_breast
from mammo_monai.phantoms.streams import Name, stream, uid_of
from mammo_monai.phantoms.texture import grid_over
from mammo_monai.phantoms.truth import Json, as_posix, image_truth
from mammo_monai.records import Laterality

COLUMNS = (
    "patient_id",
    "breast_density",
    "left or right breast",
    "image view",
    "abnormality id",
    "abnormality type",
    "mass shape",
    "mass margins",
    "assessment",
    "pathology",
    "subtlety",
    "image file path",
    "cropped image file path",
    "ROI mask file path",
)
TABLES = {"training": "mass_case_description_train_set.csv", "test": "mass_case_description_test_set.csv"}
CROP_MARGIN_MM = 3.0
_SIDE = {Laterality.LEFT: "LEFT", Laterality.RIGHT: "RIGHT"}
# In 92 of the 1318 rows of the real training table the mask column names the file of the crop.
_SWAPPED_SHARE = 92 / 1318


@dataclass(frozen=True, eq=False)
class _View:
    root: Path
    scene: Scene
    pixels: NDArray[np.uint16]
    patient: str
    names: tuple[Name, ...]
    split: str

    @property
    def label(self) -> str:
        part = "Training" if self.split == "training" else "Test"
        side = _SIDE[self.scene.case.laterality]
        return f"Mass-{part}_{self.patient}_{side}_{self.scene.view_position.value}"


def official_split(index: int) -> str:
    """Every fifth patient is in the official test table.

    >>> [official_split(index) for index in range(4)]
    ['training', 'test', 'training', 'training']
    """
    return "test" if index % 5 == 1 else "training"


def write_cbis_ddsm_patient(root: Path, seed: int, index: int, pixel_spacing_mm: float) -> Json:
    """Writes one patient's films; returns their table rows and truth."""
    key = (seed, "cbis-ddsm", index)
    rng = stream(*key, "layout")
    field = grid_over(float(rng.uniform(212, 240)), float(rng.uniform(138, 168)), pixel_spacing_mm)
    sides = [(side, int(rng.choice((1, 2, 3), p=(0.92, 0.06, 0.02)))) for side in Laterality]
    if rng.random() < 0.85:
        sides = [sides[int(rng.random() < 0.52)]]
    rows: list[list[str]] = []
    truths: list[Json] = []
    for case in draw_breast_cases(key, field, sides):
        for scene in render_breast(case, field, rim_mm=FILM_RIM_MM):
            names = (*case.key, scene.view_position.value, repr(pixel_spacing_mm))
            pixels = film_look(scene, stream(*case.key, scene.view_position.value, "film"))
            view = _View(root, scene, pixels, f"P_{index + 1:05d}", names, official_split(index))
            image, truth = _write_film(view)
            truths.append(truth)
            rows += [_write_mass(view, mass, number, image) for number, mass in enumerate(scene.masses, 1)]
    return {"split": official_split(index), "rows": rows, "images": truths}


def write_cbis_ddsm_tables(root: Path, patients: Sequence[Json]) -> None:
    """Writes both case tables as published: CRLF rows, an LF inside each quoted ROI path."""
    for split, name in TABLES.items():
        lines = [row for patient in patients if patient["split"] == split for row in _rows(patient)]
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)
        with atomic_path(root / name) as part:
            part.write_bytes(buffer.getvalue().encode("ascii"))


def _rows(patient: Json) -> list[list[str]]:
    rows = patient["rows"]
    if not isinstance(rows, list):
        raise TypeError(f"rows must be a list, got {type(rows).__name__}.")
    return rows


def _write_film(view: _View) -> tuple[str, Json]:
    path, dataset = _object(view, view.label, ("film",), "full mammogram images", "000000.dcm")
    write_image(path, dataset, view.pixels, bits_stored=16, rle=True)
    image = as_posix(path, view.root)
    truth = image_truth(
        view.scene,
        image=image,
        sop_instance_uid=str(dataset.SOPInstanceUID),
        patient_id=view.patient,
        split=view.split,
    )
    return image, truth


def _write_mass(view: _View, mass: MassTruth, number: int, image: str) -> list[str]:
    label, names = f"{view.label}_{number}", ("mass", number)
    crop, dataset = _object(view, label, names, "cropped images", "000000.dcm")
    write_image(crop, dataset, _cropped(view, mass), bits_stored=16, rle=True)
    full = np.zeros(view.pixels.shape, dtype=np.uint8)
    (row, column), (height, width) = mass.origin, mass.mask.shape
    full[row : row + height, column : column + width][mass.mask] = 255
    mask, dataset = _object(view, label, names, "ROI mask images", "000001.dcm")
    write_image(mask, dataset, full, bits_stored=8, rle=True)
    paths = [as_posix(crop, view.root), as_posix(mask, view.root)]
    if stream(*view.scene.case.key, view.scene.view_position.value, number, "swap").random() < _SWAPPED_SHARE:
        paths.reverse()
    plan = mass.plan
    findings = [plan.shape if plan.shape != "SPICULATED" else "IRREGULAR", plan.margin, str(plan.birads)]
    side, position = _SIDE[view.scene.case.laterality], view.scene.view_position.value
    about = [view.patient, str(view.scene.case.plan.density), side, position, str(number), "mass"]
    return [*about, *findings, plan.pathology, str(plan.subtlety), image, paths[0], paths[1] + "\n"]


def _cropped(view: _View, mass: MassTruth) -> NDArray[np.uint16]:
    margin = CROP_MARGIN_MM / view.scene.grid.spacing_mm
    x_min, y_min, x_max, y_max = mass.mask_box
    rows = slice(max(0, int(y_min - margin)), int(y_max + margin))
    return view.pixels[rows, max(0, int(x_min - margin)) : int(x_max + margin)]


def _object(
    view: _View, label: str, names: tuple[Name, ...], description: str, file_name: str
) -> tuple[Path, Dataset]:
    study, series = (uid_of(kind, *view.names, *names) for kind in ("study", "series"))
    instance = uid_of("instance", *view.names, *names, file_name)
    dataset = image_dataset(SecondaryCaptureImageStorage, instance, study, series)
    dataset.Modality, dataset.ConversionType, dataset.SeriesDescription = "MG", "WSD", description
    dataset.PatientName = dataset.PatientID = label
    dataset.SecondaryCaptureDeviceManufacturer = "mammo-monai phantoms"
    dataset.StudyID = "DDSM"
    dataset.InstanceNumber = int(file_name[:6]) + 1
    # The originals keep the view here, where the standard wants row and column directions.
    dataset.PatientOrientation = view.scene.view_position.value
    dataset.Laterality = view.scene.case.laterality.value
    return view.root / label / study / series / file_name, dataset
