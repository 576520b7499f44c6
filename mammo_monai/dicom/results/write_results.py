"""Writes results of a detections.json as files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

from mammo_monai.dicom.results.build import build_result, header_refused
from mammo_monai.dicom.results.identity import ModelIdentity, model_identity
from mammo_monai.dicom.results.marked_image import MarkedImage
from mammo_monai.dicom.results.secondary_capture import LONGER_SIDE_PX
from mammo_monai.dicom.results.sources import Sources, find_sources
from mammo_monai.errors import DicomError
from mammo_monai.files import atomic_path
from mammo_monai.records import Detections
from mammo_monai.schema import DetectionsFile

logger = logging.getLogger(__name__)

# A person looks at a handful of marks; more come from a file in which no threshold was applied.
_MANY_MARKS = 10


@dataclass(frozen=True)
class WriteOptions:
    """How results are written.

    Attributes:
        sources: a manifest or a folder of images; None takes the detections' own paths.
        reviewed, observer, longer_side_px: as in `build_result`.
        on_progress: called with (done, total).
    """

    sources: Path | None = None
    reviewed: bool = False
    observer: str | None = None
    longer_side_px: int | None = LONGER_SIDE_PX
    on_progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True)
class WrittenResults:
    """What was written, and what was not.

    Attributes:
        files: in the order of the detections. n_marks: in them.
        failed: record ids of the images without a result, with the reason.
    """

    files: tuple[Path, ...]
    n_marks: int
    failed: Mapping[str, str]


def at_least(content: DetectionsFile, score: float) -> DetectionsFile:
    """The boxes of at least this score, with the threshold noted.

    A threshold above that of the file's operating point makes it another one, with unknown false positives.

    Raises:
        ValueError: the score is not in [0, 1].
    """
    if not 0 <= score <= 1:
        raise ValueError(f"the lowest score must be from 0 to 1, got {score:g}.")
    before = model_identity(content.model).threshold
    model = dict(content.model)
    if before is None or score > before:
        model["operating_point"] = {"threshold": score}
    return DetectionsFile(tuple(_kept(each, score) for each in content.detections), model)


def write_results(
    kind: str, content: DetectionsFile, folder: Path, options: WriteOptions | None = None
) -> WrittenResults:
    """Writes one result per image, for "cad" one per study, as `folder/<record id>_<kind>.dcm`.

    Images that cannot have one are named in the outcome; the others are written. A file is replaced as a
    whole or not at all.

    Raises:
        OSError: the folder cannot be written. ValueError: as `build_result`.
        DicomError, ManifestError: as `find_sources`; of a single image they stand in the outcome.
    """
    options = options or WriteOptions()
    _warn_of_many(content.detections)
    sources, model = find_sources(options.sources), model_identity(content.model)
    created = datetime.now()
    failed: dict[str, str] = {}
    opened = _opened(kind, content.detections, sources, failed, options)
    files, n_marks = [], 0
    for images in _by_study(opened) if kind == "cad" else ([each] for each in opened):
        try:
            path = _write(kind, images, model, folder, options, created)
        except DicomError as error:
            failed.update((each.detections.record_id, str(error)) for each in images)
            continue
        files.append(path)
        n_marks += sum(len(each.detections.boxes) for each in images)
    return WrittenResults(tuple(files), n_marks, failed)


def _opened(
    kind: str,
    detections: Iterable[Detections],
    sources: Sources,
    failed: dict[str, str],
    options: WriteOptions,
) -> Iterator[MarkedImage]:
    """The images one by one, so that one picture at a time is in memory; failures are noted."""
    every = list(detections)
    for done, each in enumerate(every, start=1):
        try:
            yield sources.marked(each, with_pixels=kind == "sc")
        except DicomError as error:
            failed[each.record_id] = str(error)
        if options.on_progress is not None:
            options.on_progress(done, len(every))


def _by_study(images: Iterable[MarkedImage]) -> list[list[MarkedImage]]:
    studies: dict[str, list[MarkedImage]] = {}
    for each in images:
        studies.setdefault(str(each.source.get("StudyInstanceUID", "")), []).append(each)
    return list(studies.values())


def _write(  # all of them are of one call of write_results
    kind: str,
    images: list[MarkedImage],
    model: ModelIdentity,
    folder: Path,
    options: WriteOptions,
    created: datetime,
) -> Path:
    result = build_result(
        kind,
        images,
        model,
        reviewed=options.reviewed,
        observer=options.observer,
        created=created,
        longer_side_px=options.longer_side_px,
    )
    name = f"{images[0].detections.record_id}_{kind}.dcm"
    if Path(name).name != name:
        raise DicomError(f"{name}: expected a record id that can name a file, got one with a path in it.")
    path = Path(folder) / name
    encoded = BytesIO()
    with header_refused(images[0].detections.record_id):
        result.save_as(encoded, enforce_file_format=True)
    with atomic_path(path) as part:
        part.write_bytes(encoded.getbuffer())
    return path


def _kept(each: Detections, score: float) -> Detections:
    is_kept = each.scores >= score
    probabilities = None if each.probabilities is None else each.probabilities[is_kept]
    return replace(
        each,
        boxes=each.boxes[is_kept],
        scores=each.scores[is_kept],
        labels=each.labels[is_kept],
        probabilities=probabilities,
    )


def _warn_of_many(detections: Sequence[Detections]) -> None:
    n_marks = sum(len(each.boxes) for each in detections)
    if n_marks > _MANY_MARKS * len(detections):
        logger.warning(
            "%.0f marks per image: more than a person looks at. Keep those of an operating point with "
            "--fppi N, or of a lowest score with --min-score.",
            n_marks / len(detections),
        )
