"""Chooses the images a report shows, worst first, and what is drawn and said on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mammo_monai.errors import ManifestError
from mammo_monai.geometry.boxes import box_iou
from mammo_monai.records import MASS_LABEL, Box, Detections, ImageRecord, Lesion
from mammo_monai.reports.overlays import Mark
from mammo_monai.reports.runs import Run

GalleryKind = Literal["misses", "false positives", "hits"]
GALLERY_ORDER: Mapping[GalleryKind, str] = {
    "misses": "largest lesion of its image first",
    "false positives": "highest score first",
    "hits": "lowest score first",
}


@dataclass(frozen=True)
class Card:
    """One image of a gallery: the finding it is shown for, all marks, and what to say of it.

    Attributes:
        focus: box the detail view is about, original pixels.
        badness: cards are shown from the highest down.
    """

    record: ImageRecord
    focus: Box
    marks: tuple[Mark, ...]
    finding: str
    badness: float


def galleries(
    run: Run, records: Sequence[ImageRecord], *, fppi: float
) -> dict[GalleryKind, tuple[Card, ...]]:
    """Cards of a run at the score of one operating point: what a reader would see there.

    An image stands once in each gallery it belongs to, for its worst finding. Lesions found only below that
    score count as missed.
    """
    cards: dict[GalleryKind, list[Card]] = {kind: [] for kind in GALLERY_ORDER}
    score = shown_from(run, fppi)
    by_id = {record.record_id: record for record in records}
    for record_id, entry in (run.metrics.get("images") or {}).items():
        if record_id in by_id and record_id in run.detections:
            scene = _Scene(by_id[record_id], run.detections[record_id], entry, run.metrics["rule"], score)
            scene.check_positions()
            for kind, findings in scene.findings().items():
                if findings:
                    cards[kind].append(max(findings, key=lambda card: card.badness))
    return {
        kind: tuple(sorted(each, key=lambda card: (-card.badness, card.record.record_id)))
        for kind, each in cards.items()
    }


def shown_from(run: Run, fppi: float) -> float:
    """Lowest score shown at an operating point; infinity where nothing may be shown."""
    point = run.point_at(fppi) or {}
    score = point.get("score")
    return float("inf") if score is None else float(score)


def view_text(record: ImageRecord) -> str:
    """Laterality and view position, such as `R MLO`; what is unknown is left out."""
    names = [each.value for each in (record.laterality, record.view_position) if each is not None]
    return " ".join(names) or "view unknown"


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

    def findings(self) -> dict[GalleryKind, list[Card]]:
        """Every missed lesion, false positive and hit as a card."""
        shown_hits = [hit for hit in self.entry["hits"] if hit["score"] >= self.score]
        late_hits = [hit for hit in self.entry["hits"] if hit["score"] < self.score]
        false = list(self.entry["false_positives"])
        false += self.entry["double_hits"] if self.rule.get("count_double_hits") else []
        false = [n for n in false if self.detections.scores[n] >= self.score]
        marks = self._marks(shown_hits, false)
        misses = [(lesion, self._near_miss(lesion)) for lesion in self.entry["misses"]]
        misses += [
            (hit["lesion"], f"marked only at score {hit['score']:.3f}, below the operating point")
            for hit in late_hits
        ]
        return {
            "misses": [self._missed(lesion, why, marks) for lesion, why in misses],
            "false positives": [self._false_positive(n, marks) for n in false],
            "hits": [self._hit(hit, marks) for hit in shown_hits],
        }

    def _marks(self, hits: Sequence[Mapping[str, Any]], false: Sequence[int]) -> tuple[Mark, ...]:
        label = self.rule.get("label", MASS_LABEL)
        marks = [Mark(lesion.box, "lesion") for lesion in self.record.lesions if lesion.label == label]
        marks += [Mark(self._box(hit["detection"]), "hit", f"{hit['score']:.2f}") for hit in hits]
        marks += [Mark(self._box(n), "false positive", f"{self.detections.scores[n]:.2f}") for n in false]
        return tuple(marks)

    def _missed(self, number: int, why: str, marks: tuple[Mark, ...]) -> Card:
        lesion = self.record.lesions[number]
        finding = f"Missed {_lesion_text(lesion, self.record)}: {why}"
        return Card(self.record, lesion.box, marks, finding, _share_of_image(lesion.box, self.record))

    def _false_positive(self, number: int, marks: tuple[Mark, ...]) -> Card:
        score = float(self.detections.scores[number])
        kind = "normal image" if self.record.is_normal else "image with a lesion"
        return Card(
            self.record, self._box(number), marks, f"False positive, score {score:.2f}; {kind}", score
        )

    def _hit(self, hit: Mapping[str, Any], marks: tuple[Mark, ...]) -> Card:
        lesion = self.record.lesions[hit["lesion"]]
        finding = (
            f"Found {_lesion_text(lesion, self.record)}, score {hit['score']:.2f}, IoU {hit['overlap']:.2f}"
        )
        return Card(self.record, lesion.box, marks, finding, -float(hit["score"]))

    def _near_miss(self, number: int) -> str:
        """What the model did there instead: the detection that overlaps the lesion most."""
        if not len(self.detections.boxes):
            return "nothing marked on this image"
        overlaps = box_iou(
            self.detections.boxes, np.array([self.record.lesions[number].box], dtype=np.float64)
        )[:, 0]
        best = int(overlaps.argmax())
        if not overlaps[best] > 0:
            return "no detection touches it"
        return f"best overlap IoU {overlaps[best]:.2f} at score {self.detections.scores[best]:.3f}"

    def _box(self, number: int) -> Box:
        x_min, y_min, x_max, y_max = self.detections.boxes[number].tolist()
        return (x_min, y_min, x_max, y_max)


def _lesion_text(lesion: Lesion, record: ImageRecord) -> str:
    details = [f"{lesion.type}, {_size_text(lesion.box, record)}"]
    if lesion.pathology:
        details.append(lesion.pathology.lower().replace("_", " "))
    if lesion.birads is not None:
        details.append(f"BI-RADS {lesion.birads}")
    return ", ".join(details)


def _size_text(box: Box, record: ImageRecord) -> str:
    unit = "px" if record.pixel_spacing_mm is None else "mm"
    return f"{_longest_side(box, record):.0f} {unit}"


def _share_of_image(box: Box, record: ImageRecord) -> float:
    """Longest side as a share of the image's: known with and without spacing."""
    return max(box[2] - box[0], box[3] - box[1]) / max(record.width, record.height)


def _longest_side(box: Box, record: ImageRecord) -> float:
    """In mm where spacing is known, else in pixels."""
    row, column = record.pixel_spacing_mm or (1.0, 1.0)
    return max((box[2] - box[0]) * column, (box[3] - box[1]) * row)
