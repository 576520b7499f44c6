"""Phantom patients in the on-disk layout of INbreast: AllDICOMs, OsiriX plists in AllXML, one table."""

from __future__ import annotations

import hashlib
import plistlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation as ForPresentation

from mammo_monai.files import atomic_path
from mammo_monai.geometry import contour_area_px
from mammo_monai.phantoms.acquisition import DIGITAL_RIM_MM, STORED_MAX, DigitalImage, digital_look
from mammo_monai.phantoms.dicom_writer import image_dataset, write_image
from mammo_monai.phantoms.distractors import Calcifications
from mammo_monai.phantoms.scene import Scene, draw_breast_cases, render_breast
from mammo_monai.phantoms.streams import stream, uid_of
from mammo_monai.phantoms.texture import Grid, grid_over
from mammo_monai.phantoms.truth import Json, as_posix, image_truth
from mammo_monai.records import Laterality, ViewPosition

COLUMNS = (
    "Patient ID",
    "Patient age",
    "Laterality",
    "View",
    "Acquisition date",
    "File Name",
    "ACR",
    "Bi-Rads",
)
TABLE = "INbreast.csv"
SMALL_FIELD_MM, LARGE_FIELD_MM = (232.96, 179.2), (285.88, 232.96)
"""The two detector fields of the originals: 3328 × 2560 and 4084 × 3328 pixels of 0.07 mm."""
NORMAL_BREAST_SHARE = 0.4
_POLYGON, _POINT = 15, 19
_VIEW_CODES = {
    ViewPosition.CC: ("399162004", "cranio-caudal"),
    ViewPosition.MLO: ("399368009", "medio-lateral oblique"),
}


def write_inbreast_patient(root: Path, seed: int, index: int, pixel_spacing_mm: float) -> Json:
    """Writes one patient's images and XML files; returns their table rows and truth."""
    key = (seed, "inbreast", index)
    rng = stream(*key, "layout")
    field = grid_over(*(LARGE_FIELD_MM if rng.random() < 0.2 else SMALL_FIELD_MM), pixel_spacing_mm)
    sides = [(side, int(rng.choice((1, 2), p=(0.9, 0.1)))) for side in Laterality]
    sides = [(side, 0 if rng.random() < NORMAL_BREAST_SHARE else count) for side, count in sides]
    if rng.random() < 0.12:
        sides = sides[:1]
    patient = hashlib.sha256(f"phantom {seed} {index}".encode()).hexdigest()[:16]
    rows: list[list[str]] = []
    truths: list[Json] = []
    for case in draw_breast_cases(key, field, sides):
        for scene in render_breast(case, field, rim_mm=DIGITAL_RIM_MM):
            number = f"{20_000_000 + index * 104 + 26 * (len(truths))}"
            truths.append(_write_view(root, scene, patient, number))
            rows.append(_table_row(scene, number))
    return {"rows": rows, "images": truths}


def write_inbreast_table(root: Path, patients: Sequence[Json]) -> None:
    """Writes the table of all images: semicolons, CRLF, patient columns "removed" as published."""
    lines = [";".join(COLUMNS)]
    for patient in patients:
        rows = patient["rows"]
        if not isinstance(rows, list):
            raise TypeError(f"rows must be a list, got {type(rows).__name__}.")
        lines += [";".join(row) for row in rows]
    with atomic_path(root / TABLE) as part:
        part.write_bytes("".join(f"{line}\r\n" for line in lines).encode("ascii"))


def _write_view(root: Path, scene: Scene, patient: str, number: str) -> Json:
    (root / "AllXML").mkdir(parents=True, exist_ok=True)
    names = (*scene.case.key, scene.view_position.value, repr(scene.grid.spacing_mm))
    image = digital_look(scene, stream(*scene.case.key, scene.view_position.value, "detector"))
    side = scene.case.laterality.value
    view = "CC" if scene.view_position is ViewPosition.CC else "ML"
    path = root / "AllDICOMs" / f"{number}_{patient}_MG_{side}_{view}_ANON.dcm"
    dataset = _dataset(scene, image, patient, names)
    rois = _rois(scene, image.pixels)
    if rois:
        for index, roi in enumerate(rois):
            roi["IndexInImage"] = index
        content = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}
        with atomic_path(root / "AllXML" / f"{number}.xml") as part:
            part.write_bytes(plistlib.dumps(content))
    write_image(path, dataset, image.pixels, bits_stored=14, rle=False)
    return image_truth(
        scene,
        image=as_posix(path, root),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        patient_id=patient,
        split=None,
    )


def _table_row(scene: Scene, number: str) -> list[str]:
    worst = max((mass.plan.birads for mass in scene.masses), default=2 if scene.calcifications else 1)
    suffix = stream(*scene.case.key, "birads").choice(("a", "b", "c")) if worst == 4 else ""
    position, side = scene.view_position.value, scene.case.laterality.value
    return [
        "removed",
        "removed",
        side,
        position,
        "201001",
        number,
        str(scene.case.plan.density),
        f"{worst}{suffix}",
    ]


def _dataset(scene: Scene, image: DigitalImage, patient: str, names: tuple[str | int, ...]) -> Dataset:
    study = uid_of("study", patient, repr(scene.grid.spacing_mm))
    dataset = image_dataset(ForPresentation, uid_of("instance", *names), study, uid_of("series", *names))
    dataset.ImageType = ["DERIVED", "PRIMARY", "", scene.case.laterality.name]
    dataset.Modality, dataset.PresentationIntentType = "MG", "FOR PRESENTATION"
    dataset.Manufacturer = "mammo-monai phantoms"
    dataset.PatientName = dataset.PatientID = "removed"
    dataset.ImageLaterality = scene.case.laterality.value
    dataset.ViewPosition = scene.view_position.value
    dataset.ViewCodeSequence = DicomSequence([_code(*_VIEW_CODES[scene.view_position])])
    is_left = scene.case.laterality is Laterality.LEFT
    foot = "FR" if scene.view_position is ViewPosition.MLO else ("R" if is_left else "L")
    dataset.PatientOrientation = ["A" if is_left else "P", foot]
    dataset.ImagerPixelSpacing = [scene.grid.spacing_mm] * 2
    dataset.PhotometricInterpretation = "MONOCHROME1" if image.is_monochrome1 else "MONOCHROME2"
    dataset.PresentationLUTShape = "INVERSE" if image.is_monochrome1 else "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", 1
    _add_voi(dataset, image)
    return dataset


def _add_voi(dataset: Dataset, image: DigitalImage) -> None:
    if image.window is not None:
        dataset.WindowCenter, dataset.WindowWidth = image.window
    if image.voi_lut is not None:
        item = Dataset()
        item.LUTDescriptor = [STORED_MAX + 1, 0, image.voi_lut_bits]
        item["LUTDescriptor"].VR = "US"
        item.add_new("LUTExplanation", "LO", "NORMAL")
        item.add_new("LUTData", "OW", image.voi_lut.astype("<u2").tobytes())
        dataset.VOILUTSequence = DicomSequence([item])


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _rois(scene: Scene, pixels: NDArray[np.uint16]) -> list[dict[str, object]]:
    rois = []
    for mass in scene.masses:
        (row, column), (height, width) = mass.origin, mass.mask.shape
        values = pixels[row : row + height, column : column + width][mass.mask]
        rois.append(_roi("Mass", mass.contour, values, scene.grid))
    for group in scene.calcifications:
        rois += _calcification_rois(group, scene.grid)
    return rois


def _calcification_rois(group: Calcifications, grid: Grid) -> list[dict[str, object]]:
    none = np.zeros(0, dtype=np.uint16)
    centres = group.points_mm / grid.spacing_mm
    rois = [_roi("Calcification", centre[None], none, grid) for centre in centres]
    if len(centres) >= 5 and np.ptp(group.points_mm, axis=0).max() < 20:
        middle, reach = centres.mean(axis=0), np.ptp(centres, axis=0) / 2 + 2 / grid.spacing_mm
        turn = np.arange(24) * (2 * np.pi / 24)
        around = middle + np.stack([np.cos(turn), np.sin(turn)], axis=1) * reach * np.sqrt(2)
        limits = np.array([grid.columns, grid.rows])
        rois.append(_roi("Cluster", np.clip(around, 0, limits), none, grid))
    return rois


def _roi(name: str, points: NDArray[np.float64], values: NDArray[np.uint16], grid: Grid) -> dict[str, object]:
    measured = [float(f(values)) if len(values) else 0.0 for f in (np.std, np.max, np.mean, np.min, np.sum)]
    nowhere = "(0.000000, 0.000000, 0.000000)"
    return {
        "Area": contour_area_px(points) * grid.spacing_mm**2 / 100,
        "Center": nowhere,
        **dict(zip(("Dev", "Max", "Mean", "Min", "Total"), measured, strict=True)),
        "IndexInImage": 0,
        "Name": name,
        "NumberOfPoints": len(points),
        "Point_mm": [nowhere] * len(points),
        "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points],
        "Type": _POINT if len(points) == 1 else _POLYGON,
    }
