"""Sources of results, made in memory: a digital mammogram that is whole, and films with holes."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_monai.dicom.results import MarkedImage, ModelIdentity
from mammo_monai.records import Detections
from tests.dicom_factory import code_item, grey_ramp, mammogram_dataset

MODEL = ModelIdentity("mass_bundle", "1.2.0", "ab" * 32, "mammo-monai 0.1.0", 0.31, 0.5)
STUDY, SERIES = "1.2.826.0.1.3680043.8.498.7", "1.2.826.0.1.3680043.8.498.8"
# Fractions that float32 holds, and one that it does not.
BOXES = np.array([[3.25, 2.5, 20.75, 11.0], [0.0, 0.1, 30.0, 40.0]])
SCORES = np.array([0.8312, 0.4])


def digital_mammogram(
    shape: tuple[int, int] = (40, 30), uid: str = "1.2.826.0.1.3680043.8.498.9", **tags: object
) -> Dataset:
    """A right MLO as a modality writes it, with all that the IOD asks for; a tag of None is taken away.

    Source: DICOM PS3.3 A.27 (Digital Mammography X-Ray Image).
    """
    dataset = mammogram_dataset(grey_ramp(shape), bits_stored=14)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    whole: dict[str, object] = {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "StudyDate": "20200102",
        "StudyTime": "101500",
        "ContentDate": "20200102",
        "ContentTime": "101600",
        "AcquisitionDate": "20200102",
        "AcquisitionTime": "101600",
        "AccessionNumber": "A1",
        "StudyID": "S1",
        "SeriesNumber": 1,
        "InstanceNumber": 4,
        "PatientName": "Müller^Jürgen",
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientBirthDate": "19500607",
        "PatientSex": "F",
        "PatientAge": "069Y",
        "ReferringPhysicianName": "",
        "Manufacturer": "maker",
        "InstitutionName": "clinic",
        "ImageType": ["DERIVED", "PRIMARY"],
        "PatientOrientation": ["P", "FL"],
        "ImageLaterality": "R",
        "ViewPosition": "MLO",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "PixelIntensityRelationship": "LIN",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "WindowCenter": "8000",
        "WindowWidth": "12000",
        "ImagerPixelSpacing": ["0.07", "0.07"],
        "PixelSpacing": ["0.065", "0.065"],
        "PixelSpacingCalibrationType": "GEOMETRY",
        "PixelSpacingCalibrationDescription": "at the breast",
        "DetectorType": "DIRECT",
        "PositionerType": "MAMMOGRAPHIC",
        "OrganExposed": "BREAST",
        "BreastImplantPresent": "NO",
        "AcquisitionContextSequence": Sequence(),
        "ViewCodeSequence": _view(),
        "AnatomicRegionSequence": code_item("76752008"),
    }
    for keyword, value in {**whole, **tags}.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def detections(
    boxes: np.ndarray = BOXES, scores: np.ndarray = SCORES, *, record_id: str = "a1b2", **fields: object
) -> Detections:
    """Marks of one image, all masses unless `labels` says otherwise."""
    given: dict[str, object] = {"labels": np.zeros(len(boxes), dtype=np.int64), **fields}
    return Detections(record_id, boxes, scores, **given)  # type: ignore[arg-type]  # fields of Detections


def marked(source: Dataset | None = None, found: Detections | None = None) -> MarkedImage:
    """A digital mammogram with two marks, unless given."""
    return MarkedImage(source or digital_mammogram(), found or detections())


def nothing_marked(record_id: str = "a1b2") -> Detections:
    """An image in which nothing was marked."""
    return Detections(record_id)


def _view() -> Sequence:
    view = code_item("399368009")
    view[0].CodeMeaning = "medio-lateral oblique"
    view[0].ViewModifierCodeSequence = Sequence()
    return view
