"""Two detections files compared on one manifest: figures, and the lesions and images that differ."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mammo_monai.errors import MammoError
from mammo_monai.files import content_sha256, sha256_of
from mammo_monai.metrics import (
    FrocRule,
    LesionApart,
    LesionCounts,
    MarkedAt,
    NamedDifference,
    PairedDifference,
    PairedMatches,
    area_differences,
    lesion_counts,
    lesions_apart,
    marked_at,
    marks_nothing,
    pair_detections,
    paired_differences,
)
from mammo_monai.metrics.matching import Matches
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.reports.runs import SourceFile
from mammo_monai.schema import (
    DetectionsFile,
    Manifest,
    check_detections,
    detections_format,
    read_detections,
    read_manifest,
)
from mammo_monai.schema.model_line import model_line

logger = logging.getLogger(__name__)

SHARED_FPPI = 1.0


@dataclass(frozen=True)
class Detector:
    """One side of a comparison: its detections by record id, and what it marks at the shared FPPI.

    Attributes:
        told: bundle, version, weights, software and operating point of what marked.
    """

    name: str
    file: SourceFile
    detections: dict[str, Detections]
    marked: MarkedAt
    told: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two detectors on the same images.

    Attributes:
        records: the images, in the order of the matches.
        differences: in mean sensitivity first, then at each operating point of the rule; empty where one of
            the two marks no place.
        areas: in JAFROC's figure of merit, and in AUC where these images define it.
        fppi: the operating point that both share where single lesions and images are compared.
        split: the list compared on; "" for all lists.
        is_synthetic: whether the images are known to be phantoms.
    """

    first: Detector
    second: Detector
    records: tuple[ImageRecord, ...]
    manifest: SourceFile
    pair: PairedMatches
    differences: tuple[PairedDifference, ...]
    rule: FrocRule
    fppi: float
    split: str = ""
    n_permutations: int = 0
    areas: tuple[NamedDifference, ...] = ()
    is_synthetic: bool = False

    @property
    def has_boxes(self) -> bool:
        """Whether both mark places; else only areas of whole images compare."""
        return bool(self.differences)

    @property
    def counts(self) -> LesionCounts:
        """Lesions by who found them at the shared operating point."""
        return lesion_counts(self.first.marked, self.second.marked)

    @property
    def apart(self) -> tuple[LesionApart, ...]:
        """Lesions that one detector alone found there."""
        return lesions_apart(self.pair, self.first.marked, self.second.marked)


@dataclass(frozen=True)
class ImageChange:
    """What differs on one image at the shared operating point, from the first detector to the second.

    Attributes:
        image: its number. n_lesions: scored ones. n_found: by the first, by the second.
        lost, gained: lesions only the first, only the second found; positions in the record.
        false_positives: of the first, of the second.
    """

    image: int
    record: ImageRecord
    n_lesions: int
    n_found: tuple[int, int]
    lost: tuple[int, ...]
    gained: tuple[int, ...]
    false_positives: tuple[int, int]

    @property
    def change(self) -> tuple[int, int]:
        """Lesions gained, then false positives saved: larger is better for the second detector."""
        first, second = self.false_positives
        return len(self.gained) - len(self.lost), first - second


@dataclass(frozen=True)
class CompareOptions:
    """What is compared, and how.

    Attributes:
        split: one list of the manifest; None for all. names: of the two detectors; None takes the models',
            else the files'.
        fppi: the shared operating point for lesions and images.
    """

    split: str | None = None
    names: Sequence[str] | None = None
    rule: FrocRule = field(default_factory=FrocRule)
    n_permutations: int = 1000
    fppi: float = SHARED_FPPI


def compare_files(
    first: Path, second: Path, manifest: Path, options: CompareOptions | None = None
) -> Comparison:
    """Compares two detections.json on a manifest; a folder stands for the detections.json in it.

    Detections of images in the manifest's other lists are left out.

    Raises:
        ManifestError: a file is not what its format promises, the two mark different images or one that the
            manifest does not hold, or a box does not touch its image.
        UndefinedMetricError: the list is empty, or holds no lesion.
        ValueError: `options.fppi` is not a positive number, or `options.names` are not two different ones.
    """
    options = options or CompareOptions()
    _reject_same_names(options.names)
    paths = [_detections_in(path) for path in (first, second)]
    content, files = read_manifest(manifest), [read_detections(path) for path in paths]
    for path, file in zip(paths, files, strict=True):
        check_detections(path, file, content.images(), manifest=manifest)
    records = content.images(options.split)
    rule = replace(options.rule, fppi=tuple(sorted({*options.rule.fppi, options.fppi})))
    detections = [_of_records(file, content, records) for file in files]
    try:
        pair = pair_detections(
            records, detections[0], detections[1], rule=rule, names=(str(paths[0]), str(paths[1]))
        )
    except MammoError as error:
        raise type(error)(f"{error} Manifest: {manifest}, {options.split or 'all lists'}.") from error
    marks_none, n_permutations = any(map(marks_nothing, detections)), options.n_permutations
    marked = [marked_at(each, options.fppi, rule=rule) for each in (pair.first, pair.second)]
    names = options.names or _names_of(files, (first, second))
    detectors = [
        Detector(name, _source(path), {each.record_id: each for each in found}, at, model_line(file.model))
        for name, path, file, found, at in zip(names, paths, files, detections, marked, strict=True)
    ]
    if detectors[0].file.sha256 == detectors[1].file.sha256:
        logger.warning("both detections files have the same content: nothing can differ. Check their names.")
    return Comparison(
        first=detectors[0],
        second=detectors[1],
        records=records,
        manifest=SourceFile(manifest.name, sha256_of(manifest)),
        pair=pair,
        differences=() if marks_none else paired_differences(pair, rule, n_permutations=n_permutations),
        rule=rule,
        fppi=options.fppi,
        split=options.split or "",
        n_permutations=n_permutations,
        areas=area_differences(records, *detections, rule=rule, n_permutations=n_permutations),
        is_synthetic=content.is_phantom,
    )


def _reject_same_names(names: Sequence[str] | None) -> None:
    if names and not len(names) == len(set(names)) == 2:
        raise ValueError(
            f"expected two different names (--name twice, for A and for B), got {', '.join(names)}."
        )


def image_changes(comparison: Comparison) -> tuple[ImageChange, ...]:
    """Images on which the two differ at the shared operating point, best change first, then by record id.

    An image differs where a lesion is found by one alone, or where false positives differ in number.
    """
    found = _found_by_image(comparison)
    false = [
        np.bincount(matches.image[marked.is_false_positive], minlength=len(comparison.records)).tolist()
        for matches, marked in _sides(comparison)
    ]
    changes = []
    for image, record in enumerate(comparison.records):
        rows = found.get(image, [])
        each = ImageChange(
            image=image,
            record=record,
            n_lesions=len(rows),
            n_found=(sum(first for _, first, _ in rows), sum(second for _, _, second in rows)),
            lost=tuple(lesion for lesion, first, second in rows if first and not second),
            gained=tuple(lesion for lesion, first, second in rows if second and not first),
            false_positives=(false[0][image], false[1][image]),
        )
        if each.lost or each.gained or each.change != (0, 0):
            changes.append(each)
    return tuple(sorted(changes, key=lambda each: (-each.change[0], -each.change[1], each.record.record_id)))


def _of_records(file: DetectionsFile, manifest: Manifest, records: Sequence[ImageRecord]) -> list[Detections]:
    """Without the images of the manifest's other lists; images of no list stay, to be refused."""
    left_out = {each.record_id for each in manifest.images()} - {each.record_id for each in records}
    return [each for each in file.detections if each.record_id not in left_out]


def _source(path: Path) -> SourceFile:
    return SourceFile(path.name, content_sha256(path))


def _names_of(files: Sequence[DetectionsFile], paths: Sequence[Path]) -> tuple[str, str]:
    """The models' names; where one has none the bare name of its file or folder; told apart by A and B."""
    first, second = (
        str(file.model.get("name") or (letter if path.stem in ("detections", "") else path.stem))
        for file, path, letter in zip(files, paths, "AB", strict=True)
    )
    return (first, second) if first != second else (f"{first} (A)", f"{second} (B)")


def _found_by_image(comparison: Comparison) -> dict[int, list[tuple[int, bool, bool]]]:
    """Of each image with lesions: position of each lesion, whether the first found it, and the second."""
    found: dict[int, list[tuple[int, bool, bool]]] = {}
    matches = comparison.pair.first
    columns = (
        matches.lesion_image,
        matches.lesion_index,
        comparison.first.marked.is_found,
        comparison.second.marked.is_found,
    )
    for image, lesion, first, second in zip(*(column.tolist() for column in columns), strict=True):
        found.setdefault(image, []).append((lesion, first, second))
    return found


def _sides(comparison: Comparison) -> tuple[tuple[Matches, MarkedAt], ...]:
    return (
        (comparison.pair.first, comparison.first.marked),
        (comparison.pair.second, comparison.second.marked),
    )


def _detections_in(path: Path) -> Path:
    """The detections of a run's folder; a file, or a folder of shards, is what it is."""
    return path / "detections.json" if path.is_dir() and detections_format(path) == "json" else path
