"""Writes the marks of a run as DICOM objects: whole files or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from mammo_monai.apps.deploy_marking import MarkedInstance
from mammo_monai.apps.deploy_summary import RunSummary
from mammo_monai.dicom.reading import open_mammogram
from mammo_monai.dicom.results import MarkedImage, ModelIdentity, build_result
from mammo_monai.errors import MammoError
from mammo_monai.files import atomic_path

PER_STUDY = "cad"
WITH_PIXELS = "sc"


def write_results(
    kind: str, marked: Sequence[MarkedInstance], model: ModelIdentity, folder: Path, summary: RunSummary
) -> None:
    """One object per image, of kind "cad" one per study, as `KIND-SOPINSTANCEUID.dcm` in the folder.

    The UID follows from the image and the model: a second run replaces the files of the first. An image or
    study whose object cannot be made fails in `summary`, and the others go on.

    Raises:
        OSError: the folder cannot be written, or the disk is full; what stands in it is whole.
    """
    for group in _groups(kind, marked):
        try:
            images = [_image(each, kind) for each in group]
            result = build_result(kind, images, model)
        except MammoError as error:
            for each in group:
                summary.fail(each.instance.record_id, error, each.instance.path)
            continue
        path = _write(kind, result, folder)
        for each in group:
            summary.wrote(each.instance.record_id, kind, path)


def _groups(kind: str, marked: Iterable[MarkedInstance]) -> list[list[MarkedInstance]]:
    if kind != PER_STUDY:
        return [[each] for each in marked]
    studies: dict[str, list[MarkedInstance]] = defaultdict(list)
    for each in marked:
        studies[each.instance.study_uid].append(each)
    return list(studies.values())


def _image(marked: MarkedInstance, kind: str) -> MarkedImage:
    instance = marked.instance
    source = open_mammogram(instance.path, headers_only=False) if kind == WITH_PIXELS else instance.header
    return MarkedImage(source, marked.detections)


def _write(kind: str, result: Dataset, folder: Path) -> Path:
    path = Path(folder) / f"{kind}-{result.SOPInstanceUID}.dcm"
    with atomic_path(path) as part:
        result.save_as(part, enforce_file_format=True)
    return path
