"""Chooses the findings a report shows, one by one: lesions missed, false positives, lesions found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError
from mammo_monai.geometry.boxes import box_iou
from mammo_monai.metrics.size_bands import size_band
from mammo_monai.records import MASS_LABEL, Box, Detections, ImageRecord, Lesion
from mammo_monai.reports.runs import Run

GalleryKind = Literal["misses", "false positives", "hits"]
MarkedAs = Literal["hit", "false positive", "near miss"]
GALLERY_ORDER: Mapping[GalleryKind, str] = {
    "misses": "highest score of a detection that touches the lesion first, then the largest",
    "false positives": "highest score first",
    "hits": "highest score first",
}
_SAME_OVERLAP = 1e-4  # of boxes that were written with two decimals
_BAND_NAMES = {"<2cm": "< 2 cm", ">=2cm": "≥ 2 cm", "unknown": "size unknown"}


@dataclass(frozen=True)
class Marked:
    """A detection to draw: original pixels, its score, and what it counts as at the operating point."""

    box: Box
    score: float
    kind: MarkedAs


@dataclass(frozen=True)
class GalleryItem:
    """One finding of one image, with all that is drawn near it.

    Attributes:
        focus: box the picture is about, original pixels.
        lesions: the scored ones of the image. marked: its detections at the operating point, and the near
            misses of its missed lesions.
        what: the finding itself, such as "mass, 10 mm, malignant". how: what was made of it, such as "no
            detection touches it".
        group: what readers may narrow a gallery down to: the size band of a lesion; of a false positive
            whether its image is normal.
        score: of the detection; of a missed lesion that of its near miss, None where nothing touches it.
        overlap: IoU of that detection with the lesion; of a false positive its largest with any.
    """

    kind: GalleryKind
    record: ImageRecord
    focus: Box
    lesions: tuple[Lesion, ...]
    marked: tuple[Marked, ...]
    what: str
    how: str
    group: str
    score: float | None
    overlap: float

    @property
    def size(self) -> float:
        """Longest side of the focus as a share of the image's: known with and without spacing."""
        sides = (self.focus[2] - self.focus[0], self.focus[3] - self.focus[1])
        return max(sides) / max(self.record.width, self.record.height)


def galleries(
    run: Run, records: Sequence[ImageRecord], *, fppi: float
) -> dict[GalleryKind, tuple[GalleryItem, ...]]:
    """Every finding of a run at the score of one operating point, in the order of `GALLERY_ORDER`.

    Lesions found only below that score count as missed. Scored images that `records` does not hold are
    passed over.

    Raises:
        ManifestError: the metrics speak of lesions or detections that their files do not hold.
    """
    items: dict[GalleryKind, list[GalleryItem]] = {kind: [] for kind in GALLERY_ORDER}
    score = shown_from(run, fppi)
    by_id = {record.record_id: record for record in records}
    for record_id, entry in (run.metrics.get("images") or {}).items():
        if record_id in by_id and record_id in run.detections:
            scene = _Scene(by_id[record_id], run.detections[record_id], entry, run.metrics["rule"], score)
            scene.check_positions()
            for item in scene.items():
                items[item.kind].append(item)
    return {kind: tuple(sorted(each, key=_order)) for kind, each in items.items()}


def has_same_truth(run: Run, records: Sequence[ImageRecord]) -> bool:
    """Whether the lesions of `records` are those the run was scored on, whatever file they come from.

    They are where every scored image is among them with as many lesions of the scored label, and every hit
    has the IoU that the metrics tell of.
    """
    by_id = {record.record_id: record for record in records}
    for record_id, entry in (run.metrics.get("images") or {}).items():
        if record_id not in by_id or record_id not in run.detections:
            return False
        scene = _Scene(by_id[record_id], run.detections[record_id], entry, run.metrics["rule"], 0.0)
        if not scene.has_scored_lesions():
            return False
    return True


def shown_from(run: Run, fppi: float) -> float:
    """Lowest score shown at an operating point; infinity where nothing may be shown."""
    point = run.point_at(fppi) or {}
    score = point.get("score")
    return float("inf") if score is None else float(score)


def view_text(record: ImageRecord) -> str:
    """Laterality and view position, such as `R MLO`; what is unknown is left out."""
    names = [each.value for each in (record.laterality, record.view_position) if each is not None]
    return " ".join(names) or "view unknown"


def _order(item: GalleryItem) -> tuple[float, float, str, Box]:
    score = float("-inf") if item.score is None else item.score
    return -score, -item.size, item.record.record_id, item.focus


@dataclass(frozen=True)
class _Scene:
    """One image with its entry of metrics.json, seen from a score upwards."""

    record: ImageRecord
    detections: Detections
    entry: Mapping[str, Any]
    rule: Mapping[str, Any]
    score: float

    def check_positions(self) -> None:
        """Refuses an entry that points past the record's lesions or the image's detections."""
        lesions = [*self.entry["misses"], *(hit["lesion"] for hit in self.entry["hits"])]
        marked = [*self.entry["false_positives"], *self.entry["double_hits"]]
        marked += [hit["detection"] for hit in self.entry["hits"]]
        if max(lesions, default=-1) >= len(self.record.lesions) or max(marked, default=-1) >= len(
            self.detections.boxes
        ):
            raise ManifestError(
                f"record {self.record.record_id}: the metrics speak of a lesion or detection that the "
                "manifest or the detections do not hold. They belong to other files: run evaluate again."
            )

    def has_scored_lesions(self) -> bool:
        """Whether the entry's lesions are the record's: by number, and by the overlap of the hits."""
        scored = [*self.entry["misses"], *(hit["lesion"] for hit in self.entry["hits"])]
        return sorted(scored) == self._scored and all(
            hit["detection"] < len(self.detections.boxes)
            and abs(self._overlaps(hit["lesion"])[hit["detection"]] - hit["overlap"]) < _SAME_OVERLAP
            for hit in self.entry["hits"]
        )

    def items(self) -> Iterator[GalleryItem]:
        """Every missed lesion, false positive and found lesion at the score."""
        shown = [hit for hit in self.entry["hits"] if hit["score"] >= self.score]
        late = {hit["lesion"]: hit["detection"] for hit in self.entry["hits"] if hit["score"] < self.score}
        near = {lesion: self._near_miss(lesion) for lesion in self.entry["misses"]} | late
        false = self._false_positives()
        kinds: dict[int, MarkedAs] = {n: "near miss" for n in near.values() if n is not None}
        kinds |= dict.fromkeys(false, "false positive") | {hit["detection"]: "hit" for hit in shown}
        drawn = tuple(self._marked(n, kind) for n, kind in kinds.items())
        yield from (self._missed(lesion, n, lesion in late, drawn) for lesion, n in near.items())
        yield from (self._false_positive(n, drawn) for n in false)
        yield from (self._hit(hit, drawn) for hit in shown)

    def _false_positives(self) -> list[int]:
        counted_on = self.rule.get("false_positives_on", "all")
        if counted_on == ("with_lesions" if self._is_normal else "normal"):
            return []
        false = list(self.entry["false_positives"])
        false += self.entry["double_hits"] if self.rule.get("count_double_hits") else []
        return [n for n in false if self.detections.scores[n] >= self.score]

    def _missed(
        self, number: int, near: int | None, is_late: bool, marked: tuple[Marked, ...]
    ) -> GalleryItem:
        lesion = self.record.lesions[number]
        if near is None:
            why = "no detection touches it" if len(self.detections.boxes) else "nothing marked on this image"
            score, overlap = None, 0.0
        else:
            score, overlap = float(self.detections.scores[near]), float(self._overlaps(number)[near])
            why = "found only at score" if is_late else "touched at score"
            why = f"{why} {score:.3f}, IoU {overlap:.2f}"
        words = (_lesion_text(lesion, self.record), why, self._band(lesion))
        return GalleryItem(
            "misses", self.record, lesion.box, self._lesions, marked, *words, score=score, overlap=overlap
        )

    def _false_positive(self, number: int, marked: tuple[Marked, ...]) -> GalleryItem:
        score, box = float(self.detections.scores[number]), self._box(number)
        overlap = max((float(self._overlaps(n)[number]) for n in self._scored), default=0.0)
        group = "normal image" if self._is_normal else "image with a lesion"
        touches = f", IoU {overlap:.2f} with a lesion" if overlap > 0 else ""
        words = (f"{_size_text(box, self.record)}, {group}", f"score {score:.3f}{touches}", group)
        return GalleryItem(
            "false positives", self.record, box, self._lesions, marked, *words, score=score, overlap=overlap
        )

    def _hit(self, hit: Mapping[str, Any], marked: tuple[Marked, ...]) -> GalleryItem:
        lesion, number = self.record.lesions[hit["lesion"]], hit["detection"]
        score, overlap = float(hit["score"]), float(self._overlaps(hit["lesion"])[number])
        how = f"score {score:.3f}, IoU {overlap:.2f}"
        words = (_lesion_text(lesion, self.record), how, self._band(lesion))
        focus = _union(lesion.box, self._box(number))
        return GalleryItem(
            "hits", self.record, focus, self._lesions, marked, *words, score=score, overlap=overlap
        )

    def _near_miss(self, number: int) -> int | None:
        """The highest-scored detection of the label that overlaps a lesion at all."""
        touches = (self._overlaps(number) > 0) & (self.detections.labels == self._label)
        rows = np.flatnonzero(touches)
        return int(rows[np.argmax(self.detections.scores[rows])]) if len(rows) else None

    def _overlaps(self, number: int) -> NDArray[np.float64]:
        """IoU of each detection with a lesion, under any hit rule."""
        lesion = np.array([self.record.lesions[number].box], dtype=np.float64)
        return np.asarray(box_iou(self.detections.boxes, lesion)[:, 0])

    def _marked(self, number: int, kind: MarkedAs) -> Marked:
        return Marked(self._box(number), float(self.detections.scores[number]), kind)

    def _box(self, number: int) -> Box:
        x_min, y_min, x_max, y_max = self.detections.boxes[number].tolist()
        return (x_min, y_min, x_max, y_max)

    def _band(self, lesion: Lesion) -> str:
        return _BAND_NAMES[size_band(lesion.box, self.record.pixel_spacing_mm)]

    @property
    def _label(self) -> int:
        return int(self.rule.get("label", MASS_LABEL))

    @property
    def _scored(self) -> list[int]:
        return [n for n, lesion in enumerate(self.record.lesions) if lesion.label == self._label]

    @property
    def _lesions(self) -> tuple[Lesion, ...]:
        return tuple(self.record.lesions[n] for n in self._scored)

    @property
    def _is_normal(self) -> bool:
        return not self._scored


def _union(box: Box, other: Box) -> Box:
    return (min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3]))


def _lesion_text(lesion: Lesion, record: ImageRecord) -> str:
    details = [f"{lesion.type}, {_size_text(lesion.box, record)}"]
    if lesion.pathology:
        details.append(lesion.pathology.lower().replace("_", " "))
    if lesion.birads is not None:
        details.append(f"BI-RADS {lesion.birads}")
    return ", ".join(details)


def _size_text(box: Box, record: ImageRecord) -> str:
    """Longest side in mm where spacing is known, else in pixels."""
    row, column = record.pixel_spacing_mm or (1.0, 1.0)
    unit = "px" if record.pixel_spacing_mm is None else "mm"
    return f"{max((box[2] - box[0]) * column, (box[3] - box[1]) * row):.0f} {unit}"
