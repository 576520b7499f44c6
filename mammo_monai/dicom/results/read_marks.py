"""Reads marks back from reports and segmentations, in the frame of `records`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage, SegmentationStorage

from mammo_monai.dicom.bounded import read_bounded
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.identity import ModelIdentity
from mammo_monai.dicom.results.read_facts import identity_in, is_reviewed_in, named_values
from mammo_monai.dicom.results.read_tree import child, children, named, number_in, resolved
from mammo_monai.errors import DicomError
from mammo_monai.records import LESION_LABELS, Box, Boxes

_OTHER = LESION_LABELS["other"]
_FINDING_LABELS: Mapping[tuple[str, str], int] = {
    code.key: label
    for table in (codes.FINDING_CODES, codes.CAD_FINDING_CODES)
    for label, code in table.items()
}


@dataclass(frozen=True, eq=False)
class ReadMarks:
    """Marks of one image as a result holds them.

    Attributes:
        source_uid: SOP Instance UID of the image. boxes: shape (N, 4), stored pixels.
        scores: shape (N,), in [0, 1]; NaN where the object holds none. A CAD report holds one certainty:
            where that is a probability, it stands here too.
        labels: shape (N,), 0 = mass; a finding without a word in `LESION_LABELS` is "other".
        model: what the object says of the model.
        probabilities: shape (N,); None where the certainties are not calibrated.
        is_reviewed: a person has edited the marks.
    """

    source_uid: str
    boxes: Boxes
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    model: ModelIdentity
    probabilities: NDArray[np.float64] | None = None
    is_reviewed: bool = False


@dataclass(frozen=True)
class _Mark:
    source_uid: str
    box: Box
    label: int
    score: float = float("nan")
    probability: float = float("nan")


def read_marks(source: Path | str | Dataset) -> tuple[ReadMarks, ...]:
    """Marks of an SR (TID 1500), a Mammography CAD SR (TID 4000) or a SEG of ours, one entry per image.

    Images the object refers to without a mark are there with none. Reports of other systems are read too:
    regions that are no closed POLYLINE are left out, a certainty is a score. A SEG is read by its segments'
    descriptions, which hold the boxes to the fraction of a pixel.

    Raises:
        DicomError: missing, damaged, or another object; a region without an image; a SEG of another system.
    """
    name, dataset = _opened(source)
    with damage_refused(name, "a whole report or segmentation", "It is damaged: copy it again."):
        reader = _reader_of(name, dataset)
        marks: dict[str, list[_Mark]] = {uid: [] for uid in _referenced(dataset)}
        for each in reader(name, dataset):
            marks.setdefault(each.source_uid, []).append(each)
        model, is_reviewed = identity_in(dataset), is_reviewed_in(dataset)
        return tuple(
            _of_image(uid, its_marks, model, is_reviewed=is_reviewed) for uid, its_marks in marks.items()
        )


def _opened(source: Path | str | Dataset) -> tuple[Path, Dataset]:
    if isinstance(source, Dataset):
        return Path(first_text(source, "SOPInstanceUID") or "data set"), source
    path = Path(source)
    if not path.is_file():
        raise DicomError(f"{path}: expected a DICOM report or segmentation, found no such file.")
    with damage_refused(path):
        return path, read_bounded(path, name=path, headers_only=True)


def _reader_of(name: Path, dataset: Dataset) -> Callable[[Path, Dataset], list[_Mark]]:
    sop_class = first_text(dataset, "SOPClassUID")
    if sop_class == SegmentationStorage:
        return _segments
    root = codes.code_of(dataset.get("ConceptNameCodeSequence"))
    if sop_class == MammographyCADSRStorage or root == codes.CAD_REPORT.key:
        return _cad_findings
    if root == codes.MEASUREMENT_REPORT.key:
        return _measurement_groups
    kind = first_text(dataset, "Modality") or "no modality"
    raise DicomError(
        f"{name}: expected an SR of TID 1500, a Mammography CAD SR or a SEG, got {kind} with SOP class "
        f"{sop_class or 'none'}. Overlays and captures hold no boxes to read back: give one of the reports."
    )


def _measurement_groups(name: Path, dataset: Dataset) -> list[_Mark]:
    marks = []
    groups = [
        group
        for measurements in children(dataset, codes.IMAGING_MEASUREMENTS)
        for group in children(measurements, codes.MEASUREMENT_GROUP)
    ]
    for group in groups:
        certainty = child(group, codes.CERTAINTY)
        method = None if certainty is None else child(certainty, codes.MEASUREMENT_METHOD)
        is_probability = method is not None and _value_of(method) == codes.BY_PROBABILITY.key
        value, score = number_in(certainty) / 100, number_in(child(group, codes.SCORE))
        finding = child(group, codes.FINDING)
        label = _OTHER if finding is None else _FINDING_LABELS.get(_value_of(finding), _OTHER)
        for region in children(group, value_type="SCOORD"):
            box = _box(region)
            if box is not None:
                marks.append(
                    _Mark(
                        _image_uid(name, dataset, region),
                        box,
                        label,
                        score=score if is_probability or not np.isnan(score) else value,
                        probability=value if is_probability else float("nan"),
                    )
                )
    return marks


def _cad_findings(name: Path, dataset: Dataset) -> list[_Mark]:
    marks = []
    for item in named(dataset, codes.SINGLE_IMAGE_FINDING):
        value = number_in(child(item, codes.CERTAINTY)) / 100
        parameters = [first_text(each, "TextValue") for each in children(item, codes.ALGORITHM_PARAMETERS)]
        is_probability = named_values(parameters).get("certainty") == codes.BY_PROBABILITY.value
        region = child(item, codes.OUTLINE)
        box = None if region is None else _box(region)
        if region is not None and box is not None:
            marks.append(
                _Mark(
                    _image_uid(name, dataset, region),
                    box,
                    _FINDING_LABELS.get(_value_of(item), _OTHER),
                    score=value,
                    probability=value if is_probability else float("nan"),
                )
            )
    return marks


def _segments(name: Path, dataset: Dataset) -> list[_Mark]:
    uids = _referenced(dataset)
    marks = []
    for segment in dataset.SegmentSequence:
        values = named_values(first_text(segment, "SegmentDescription").splitlines())
        if "box" not in values:
            if first_text(segment, "SegmentLabel") == codes.NOTHING_MARKED:
                continue
            raise DicomError(
                f"{name}: expected segments that describe their boxes, got one without: it comes from "
                "another system. `mammo-monai manifest` reads its masks as annotations."
            )
        x_min, y_min, x_max, y_max = map(float, values["box"].split(","))
        marks.append(
            _Mark(
                uids[0],
                (x_min, y_min, x_max, y_max),
                _FINDING_LABELS.get(codes.code_of(segment.SegmentedPropertyTypeCodeSequence), _OTHER),
                score=float(values.get("score", "nan")),
                probability=float(values.get("probability", "nan")),
            )
        )
    return marks


def _of_image(uid: str, marks: Sequence[_Mark], model: ModelIdentity, *, is_reviewed: bool) -> ReadMarks:
    probabilities = np.array([each.probability for each in marks], dtype=np.float64)
    is_calibrated = len(marks) > 0 and not np.isnan(probabilities).all()
    return ReadMarks(
        source_uid=uid,
        boxes=np.array([each.box for each in marks], dtype=np.float64).reshape(-1, 4),
        scores=np.array([each.score for each in marks], dtype=np.float64),
        labels=np.array([each.label for each in marks], dtype=np.int64),
        model=model,
        probabilities=probabilities if is_calibrated else None,
        is_reviewed=is_reviewed,
    )


def _box(region: Dataset) -> Box | None:
    """Bounds of a closed POLYLINE; None of any other graphic, such as a line that measures a length."""
    points = np.array(region.get("GraphicData") or [], dtype=np.float64).reshape(-1, 2)
    is_closed = len(points) > 3 and bool((points[0] == points[-1]).all())
    if first_text(region, "GraphicType") != "POLYLINE" or not is_closed:
        return None
    (x_min, y_min), (x_max, y_max) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return (x_min, y_min, x_max, y_max)


def _image_uid(name: Path, dataset: Dataset, region: Dataset) -> str:
    """The image a region is selected from, by value or by its place in the tree."""
    for item in children(region):
        target = resolved(dataset, item)
        for image in target.get("ReferencedSOPSequence") or ():
            return first_text(image, "ReferencedSOPInstanceUID")
    raise DicomError(
        f"{name}: expected every region to be selected from an image, got one that is not. Its box "
        "belongs to no image: export the report again."
    )


def _value_of(item: Dataset) -> tuple[str, str]:
    return codes.code_of(item.get("ConceptCodeSequence"))


def _referenced(dataset: Dataset) -> list[str]:
    """UIDs of the images that a report has as evidence, or that a segmentation is made of."""
    series = [
        each
        for study in dataset.get("CurrentRequestedProcedureEvidenceSequence") or ()
        for each in study.get("ReferencedSeriesSequence") or ()
    ]
    series += dataset.get("ReferencedSeriesSequence") or ()
    return [
        first_text(image, "ReferencedSOPInstanceUID")
        for each in series
        for keyword in ("ReferencedSOPSequence", "ReferencedInstanceSequence")
        for image in each.get(keyword) or ()
    ]
