"""One image's review: its marks with a reader's verdicts, and the rules a change must keep to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mammo_monai.errors import GeometryError, MammoError
from mammo_monai.geometry.boxes import check_boxes
from mammo_monai.records import LESION_LABELS, MASS_LABEL, Box, Detections

Verdict = Literal["accepted", "rejected"]
Source = Literal["model", "reader"]
Json = dict[str, Any]
MAX_MARKS = 5000
MAX_COMMENT = 2000
MAX_READER = 12
_MIN_SIDE_PX = 1.0


class ReviewError(MammoError):
    """A change to a review, or a review's file, that breaks the rules; the message says which."""


@dataclass(frozen=True)
class Mark:
    """A box on an image, by the model or by a reader.

    Attributes:
        id: "m1", "m2" … for the model's boxes by falling score, anything else for a reader's.
        box: original pixels, half-open; a reader may have moved it.
        score: the model's; None for a reader's own box.
        verdict: None where no reader has decided. A reader's own box is accepted.
    """

    id: str
    source: Source
    box: Box
    score: float | None
    label: int = MASS_LABEL
    verdict: Verdict | None = None
    comment: str = ""


@dataclass(frozen=True)
class ImageReview:
    """What readers made of one image.

    Attributes:
        revision: counts the saved changes, from 0, the model's marks alone; a change names the one it is of.
        is_reviewed: a reader has said that the image is done.
        threshold: score from which marks were shown when the image was last changed.
        reader: initials. changed_at: UTC, ISO 8601.
    """

    marks: tuple[Mark, ...] = ()
    is_reviewed: bool = False
    comment: str = ""
    reader: str = ""
    threshold: float = 0.0
    revision: int = 0
    changed_at: str = ""

    @property
    def accepted(self) -> tuple[Mark, ...]:
        """The marks a reader stands for, in order."""
        return tuple(mark for mark in self.marks if mark.verdict == "accepted")

    def undecided(self) -> tuple[Mark, ...]:
        """Marks shown at the threshold that have no verdict."""
        return tuple(
            mark
            for mark in self.marks
            if mark.verdict is None and (mark.score is None or mark.score >= self.threshold)
        )


def fresh_review(detections: Detections, threshold: float) -> ImageReview:
    """The review of an image nobody has looked at: the model's marks, highest score first."""
    order = np.argsort(-detections.scores, kind="stable")
    marks = (
        Mark(
            id=f"m{place}",
            source="model",
            box=_box(detections.boxes[n]),
            score=float(detections.scores[n]),
            label=int(detections.labels[n]),
        )
        for place, n in enumerate(order, start=1)
    )
    return ImageReview(tuple(marks), threshold=threshold)


def review_json(review: ImageReview) -> Json:
    """The review as JSON; `review_from_json` reads it back."""
    return {
        "revision": review.revision,
        "is_reviewed": review.is_reviewed,
        "reader": review.reader,
        "changed_at": review.changed_at,
        "threshold": review.threshold,
        "comment": review.comment,
        "marks": [{**vars(mark), "box": list(mark.box)} for mark in review.marks],
    }


def review_from_json(
    where: str, content: object, *, fresh: ImageReview, size: tuple[int, int]
) -> ImageReview:
    """A review sent by a page or read from a file, checked against the model's marks.

    Args:
        where: file or image, for messages. fresh: the image's `fresh_review`. size: width and height, px.

    Raises:
        ReviewError: fields missing or of another kind, a box outside the image, a mark of the model that is
            gone, new or has another score, a reader's box that is not accepted, or a reviewed image with an
            undecided mark.
    """
    item = _object(where, content)
    rows = item.get("marks")
    if not isinstance(rows, list) or len(rows) > MAX_MARKS:
        raise ReviewError(f"{where}: marks must be a list of at most {MAX_MARKS} boxes.")
    originals = {mark.id: mark for mark in fresh.marks}
    marks = tuple(_mark(f"{where}, mark {n}", row, originals, size) for n, row in enumerate(rows, start=1))
    _check_ids(where, marks, originals)
    review = ImageReview(
        marks=marks,
        is_reviewed=_flag(where, item, "is_reviewed"),
        comment=_text(where, item, "comment", MAX_COMMENT),
        reader=_text(where, item, "reader", MAX_READER),
        threshold=_number(where, item, "threshold"),
        revision=_count(where, item, "revision"),
        changed_at=_text(where, item, "changed_at", 40),
    )
    _check_done(where, review)
    return review


def saved(review: ImageReview, *, revision: int, changed_at: str) -> ImageReview:
    """The review under the number and time it is saved with."""
    return replace(review, revision=revision, changed_at=changed_at)


def _check_done(where: str, review: ImageReview) -> None:
    if not review.is_reviewed:
        return
    if not review.reader.strip():
        raise ReviewError(f"{where}: a reviewed image needs the reader's initials. Enter them, then mark it.")
    if undecided := len(review.undecided()):
        raise ReviewError(
            f"{where}: {undecided} of the marks shown have no verdict. Accept or reject them, or raise the "
            "slider, before the image counts as reviewed."
        )


def _check_ids(where: str, marks: Sequence[Mark], originals: Mapping[str, Mark]) -> None:
    ids = [mark.id for mark in marks]
    if len(set(ids)) != len(ids):
        raise ReviewError(f"{where}: two marks have the same id.")
    if missing := [each for each in originals if each not in ids]:
        raise ReviewError(
            f"{where}: the model's mark {missing[0]} is gone. Marks of the model are rejected, never deleted."
        )


def _mark(where: str, row: object, originals: Mapping[str, Mark], size: tuple[int, int]) -> Mark:
    item = _object(where, row)
    verdict, name = item.get("verdict"), _text(where, item, "id", 40)
    original = originals.get(name)
    if verdict not in (None, "accepted", "rejected"):
        raise ReviewError(f"{where}: verdict must be accepted, rejected or null, got {verdict!r:.40}.")
    if not name:
        raise ReviewError(f"{where}: expected an id.")
    if item.get("source") != ("model" if original else "reader"):
        raise ReviewError(f"{where}: {name} must come from the {'model' if original else 'reader'}.")
    if item.get("score") != (original.score if original else None):
        raise ReviewError(f"{where}: the score of {name} is the model's and cannot be changed.")
    if original is None and verdict != "accepted":
        raise ReviewError(f"{where}: a reader's own box is accepted; delete it instead.")
    label, labels = item.get("label"), [*LESION_LABELS.values(), *([original.label] if original else [])]
    if isinstance(label, bool) or not isinstance(label, int) or label not in labels:
        raise ReviewError(f"{where}: label must be one of {sorted(set(labels))}, got {label!r:.40}.")
    return Mark(
        id=name,
        source="model" if original else "reader",
        box=_checked_box(where, item.get("box"), original, size),
        score=original.score if original else None,
        label=label,
        verdict=verdict,
        comment=_text(where, item, "comment", MAX_COMMENT),
    )


def _checked_box(where: str, value: object, original: Mark | None, size: tuple[int, int]) -> Box:
    """A box inside the image, a pixel wide at least; the model's own box passes as it is."""
    if original is not None and value == list(original.box):
        return original.box
    try:
        rows: list[Any] = [value]  # check_boxes refuses whatever is no box
        row = check_boxes(rows, width=size[0], height=size[1])[0]
    except (GeometryError, IndexError) as error:
        raise ReviewError(f"{where}: {error}") from error
    if row[2] - row[0] < _MIN_SIDE_PX or row[3] - row[1] < _MIN_SIDE_PX:
        raise ReviewError(f"{where}: a box must be at least {_MIN_SIDE_PX:g} px wide and high.")
    return _box(row)


def _box(row: np.ndarray[Any, np.dtype[np.float64]]) -> Box:
    x_min, y_min, x_max, y_max = (float(each) for each in row)
    return x_min, y_min, x_max, y_max


def _object(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ReviewError(f"{where}: expected an object, got {type(value).__name__}.")
    return value


def _text(where: str, item: Mapping[str, Any], name: str, longest: int) -> str:
    value = item.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise ReviewError(f"{where}: {name} must be text of at most {longest} characters.")
    return value


def _flag(where: str, item: Mapping[str, Any], name: str) -> bool:
    value = item.get(name)
    if not isinstance(value, bool):
        raise ReviewError(f"{where}: {name} must be true or false, got {value!r:.40}.")
    return value


def _number(where: str, item: Mapping[str, Any], name: str) -> float:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ReviewError(f"{where}: {name} must be a finite number, got {value!r:.40}.")
    return float(value)


def _count(where: str, item: Mapping[str, Any], name: str) -> int:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ReviewError(f"{where}: {name} must be a whole number from 0, got {value!r:.40}.")
    return value
