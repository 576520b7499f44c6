"""Turns results back into detections."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mammo_monai.dicom.attributes import read_attributes
from mammo_monai.dicom.results.identity import ModelIdentity
from mammo_monai.dicom.results.read_marks import ReadMarks, read_marks
from mammo_monai.dicom.results.sources import find_sources
from mammo_monai.errors import DicomError
from mammo_monai.records import Detections, record_id_of
from mammo_monai.schema import DetectionsFile

logger = logging.getLogger(__name__)

_DRAWN_SCORE = 1.0


def marks_as_detections(paths: Sequence[Path], *, sources: Path | None = None) -> DetectionsFile:
    """The marks of results as detections, with the model they name.

    Args:
        sources: a manifest or a folder of images: record ids and paths are then those of the images. Without,
            ids are derived from the SOP Instance UIDs.

    Raises:
        DicomError: a file that holds no marks, two that hold marks of the same image, or of several models.
        DicomError, ManifestError: as `find_sources`.
    """
    marks = [(path, each) for path in paths for each in read_marks(path)]
    seen: dict[str, Path] = {}
    for path, each in marks:
        if each.source_uid in seen:
            raise DicomError(
                f"{path}: expected marks of images that no other file has, got an image that "
                f"{seen[each.source_uid]} has too. Give one kind of result, of one model."
            )
        seen[each.source_uid] = path
    models = dict.fromkeys(each.model for _, each in marks)
    if len(models) > 1:
        names = ", ".join(f"{each.name} {each.version} at {each.threshold}" for each in models)
        raise DicomError(f"{paths[0]} and others: expected marks of one model, got {names}. Read each alone.")
    images = _images_by_uid(sources)
    model = _described(next(iter(models))) if models else {}
    return DetectionsFile(tuple(_detections(each, images) for _, each in marks), model)


def _images_by_uid(place: Path | None) -> dict[str, tuple[str | None, Path]]:
    """Record id (None below a folder) and path of every DICOM image, by SOP Instance UID."""
    sources = find_sources(place)
    found: dict[str, tuple[str | None, Path]] = {}
    named = [(record.record_id, record.image) for record in sources.records.values()]
    for record_id, path in named + [(None, path) for same in sources.files.values() for path in same]:
        try:
            found[read_attributes(path).sop_instance_uid] = (record_id, path)
        except DicomError as error:
            logger.debug("left out: %s", error)
    return found


def _described(model: ModelIdentity) -> dict[str, object]:
    """A model as `model_identity` reads it."""
    point = {"threshold": model.threshold, "fppi": model.fppi}
    known = {name: value for name, value in point.items() if value is not None}
    about = {
        "bundle": model.name,
        "version": model.version,
        "weights_sha256": model.weights_sha256,
        "software": model.software,
        "operating_point": known,
    }
    return {name: value for name, value in about.items() if value}


def _detections(marks: ReadMarks, images: Mapping[str, tuple[str | None, Path]]) -> Detections:
    """Boxes that a person drew have no score; a file of detections needs one: they are certain."""
    record_id, image = images.get(marks.source_uid, (None, None))
    is_drawn = np.isnan(marks.scores)
    probabilities = marks.probabilities
    if probabilities is not None:
        probabilities = np.where(np.isnan(probabilities), _DRAWN_SCORE, probabilities)
    return Detections(
        record_id or record_id_of(marks.source_uid, ""),
        marks.boxes,
        np.where(is_drawn, _DRAWN_SCORE, marks.scores),
        marks.labels,
        image,
        probabilities,
    )
