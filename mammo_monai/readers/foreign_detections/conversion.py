"""Another toolkit's marks as detections of a manifest's images: read, joined, placed, counted.

Detections are in pixels of the original images, in the manifest's order, one entry per image. Refused: a
manifest of prepared copies, a source without a mark on these images, and a list of images it was not run on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.foreign_detections.coco import read_coco_results
from mammo_monai.readers.foreign_detections.joining import JoinedMarks, join_to_records
from mammo_monai.readers.foreign_detections.marks import ForeignMarks
from mammo_monai.readers.foreign_detections.pickles import refuse_pickle
from mammo_monai.readers.foreign_detections.placing import PlacedMarks, are_shares, placed_marks
from mammo_monai.readers.foreign_detections.table import read_table_of_marks
from mammo_monai.readers.foreign_detections.yolo import read_yolo_predictions
from mammo_monai.records import MASS_LABEL, Detections, ImageRecord, Split
from mammo_monai.schema import Manifest, read_manifest
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

FormatName = Literal["coco", "csv", "yolo"]
_SHOWN = 5


@dataclass(frozen=True)
class ForeignSource:
    """Where marks come from and how to read them.

    Attributes:
        annotations: of COCO results, the COCO file of the images that were marked.
        category, classes: what the toolkit calls masses and other lesions; see `LesionTypes`.
        marked_size: width and height that every image was stretched to before it was marked.
        ignore_unknown: leave out marks of images that the manifest does not hold.
        name: of the model, for the detections; else the source's.
    """

    format: FormatName
    path: Path
    annotations: Path | None = None
    category: str = "mass"
    classes: Mapping[str, str] = field(default_factory=dict)
    marked_size: tuple[float, float] | None = None
    ignore_unknown: bool = False
    name: str | None = None


@dataclass(frozen=True)
class ForeignDetections:
    """Detections with the description of their model, and what was counted on the way.

    Attributes:
        n_unnamed: images that the source does not name at all; they have no mark.
        n_elsewhere: marks of images in other lists of the manifest. n_unknown: of images in none.
        score_range: lowest and highest score.
    """

    detections: tuple[Detections, ...]
    model: Mapping[str, object]
    placed: tuple[PlacedMarks, ...]
    n_unnamed: int
    n_elsewhere: int
    n_unknown: int

    @property
    def n_marks(self) -> int:
        """Marks of all labels."""
        return sum(len(each.scores) for each in self.detections)

    @property
    def n_masses(self) -> int:
        """Marks of label 0, those that are scored."""
        return sum(int((each.labels == MASS_LABEL).sum()) for each in self.detections)

    @property
    def n_unmarked(self) -> int:
        """Images with an empty entry."""
        return sum(not len(each.scores) for each in self.detections)

    @property
    def score_range(self) -> tuple[float, float]:
        """Lowest and highest score."""
        scores = [float(score) for each in self.detections for score in each.scores]
        return min(scores), max(scores)


def foreign_detections(
    source: ForeignSource, manifest_path: Path, split: Split | str | None = None
) -> ForeignDetections:
    """The detections of another toolkit on the images of a manifest.

    Scores stay as they are, in any range: FROC needs their order alone.

    Args:
        split: one list of the manifest; marks of the others are left out. None takes all lists.

    Raises:
        ManifestError: see the first lines of this file and of the others here.
    """
    for path in filter(None, (source.path, source.annotations)):
        _refuse_special(path)
    refuse_pickle(source.path)
    manifest = read_manifest(manifest_path)
    _refuse_copies(manifest_path, manifest.images())
    types = LesionTypes(source.category, _classes(source))
    foreign = _READERS[source.format](source, types)
    records = manifest.images(split)
    joined = join_to_records(
        foreign.images, manifest.images(), manifest_path, ignore_unknown=source.ignore_unknown
    )
    _check_coverage(source, foreign, joined, manifest, split)
    placed = tuple(
        placed_marks(joined.by_record.get(each.record_id), each, marked_size=source.marked_size)
        for each in records
    )
    ids = {each.record_id for each in records}
    made = ForeignDetections(
        tuple(each.detections for each in placed),
        _model(source, foreign),
        placed,
        n_unnamed=sum(each not in joined.by_record for each in ids),
        n_elsewhere=sum(each.n_marks for key, each in joined.by_record.items() if key not in ids),
        n_unknown=joined.n_unknown,
    )
    _check_marks(source, made, types)
    return made


def _classes(source: ForeignSource) -> Mapping[str, str]:
    """What classes mean; a category that is a number is a class's own."""
    is_number = source.category.isascii() and source.category.isdigit()
    return {source.category: "mass", **source.classes} if is_number else source.classes


def _refuse_special(path: Path) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ManifestError(
            f"{path}: expected a file or a folder, found a pipe, socket or device, which would wait for a "
            "writer and is read once. Write its content to a file first."
        )


def _refuse_copies(path: Path, records: Sequence[ImageRecord]) -> None:
    if any(record.prepared is not None for record in records):
        raise ManifestError(
            f"{path}: the manifest of prepared copies, which are cropped and resized. Mark the original "
            "images, and give the manifest that the copies were made of."
        )


def _check_coverage(
    source: ForeignSource,
    foreign: ForeignMarks,
    joined: JoinedMarks,
    manifest: Manifest,
    split: Split | str | None,
) -> None:
    """Refuses images that were surely not marked; warns of a whole list that nobody named."""
    records, named = manifest.images(split), joined.by_record.keys()
    missing = [record for record in records if record.record_id not in named]
    remedy = "Give the list that was marked: --split training, validation or test."
    if foreign.lists_all and missing:
        shown = ", ".join(str(record.image.name) for record in missing[:_SHOWN])
        raise ManifestError(
            f"{source.annotations or source.path}: lists the images that were marked, but not "
            f"{len(missing)} of the {len(records)} images of the manifest's lists ({shown}). {remedy}"
        )
    for each in Split if split is None else ():
        own = manifest.images(each)
        if 0 < len(own) < len(records) and named.isdisjoint(record.record_id for record in own):
            logger.warning(
                "%s names none of the %d images of the list %s: they count as images without a mark. %s",
                source.path,
                len(own),
                each.value,
                remedy,
            )


def _check_marks(source: ForeignSource, made: ForeignDetections, types: LesionTypes) -> None:
    audit = Audit()
    types.check(audit, str(source.path), has_masses=made.n_masses > 0)
    if not made.n_marks:
        ignored = sum(each.n_ignored for each in made.placed)
        raise ManifestError(
            f"{source.path}: expected marks on the {counted(len(made.detections), 'image')} asked for, found "
            f"none; {ignored} are of classes that are no lesion, {made.n_elsewhere} of images in other "
            f"lists, {made.n_unknown} of unknown images. Is it the right file, and the right --split?"
        )
    if are_shares(max(each.largest for each in made.placed)):
        raise ManifestError(
            f"{source.path}: expected boxes in pixels, but no corner of any is larger than "
            f"{max(each.largest for each in made.placed):g}. Are they shares of the image? Then multiply "
            "them by its width and height, or say --marked-size 1 1."
        )
    for finding in audit.findings:
        logger.warning("%s: %s", source.path, finding.found)
    if n_repeated := sum(each.n_repeated for each in made.placed):
        logger.warning(
            "%s: %d of %d marks repeat another one exactly; all are kept. Was the toolkit run twice into one "
            "place?",
            source.path,
            n_repeated,
            made.n_marks,
        )
    if n_off := sum(each.n_mostly_off for each in made.placed):
        logger.warning(
            "%s: %d of %d boxes lie outside their image by more than half. If that is not the detector's "
            "habit, they are in pixels of another size, or corners stand where width and height should.",
            source.path,
            n_off,
            made.n_marks,
        )


def _model(source: ForeignSource, foreign: ForeignMarks) -> Mapping[str, object]:
    """Which model, and where its marks were read from; names of files, no paths."""
    files = [{"name": name, "sha256": digest} for name, digest in foreign.files]
    about: dict[str, object] = {"format": source.format, "files": files}
    if source.marked_size:
        about["marked_size_px"] = list(source.marked_size)
    return {"name": source.name or source.path.resolve().name, "converted_from": about}


_READERS: Mapping[FormatName, Callable[[ForeignSource, LesionTypes], ForeignMarks]] = {
    "coco": lambda source, types: read_coco_results(source.path, types, source.annotations),
    "csv": lambda source, types: read_table_of_marks(source.path, types),
    "yolo": lambda source, types: read_yolo_predictions(source.path, types),
}
