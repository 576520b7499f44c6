"""Pairs of pictures of a comparison: the same image with the first detector's marks and with the second's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mammo_monai.metrics.matching import Matches
from mammo_monai.records import Box, ImageRecord, Lesion
from mammo_monai.reports.comparison.compared import Comparison, Detector, ImageChange
from mammo_monai.reports.gallery.cards import Card, CardPictures, render_cards
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.overlays import Mark, MarkKind
from mammo_monai.words import counted


@dataclass(frozen=True)
class CardPair:
    """One image as each detector marks it at the shared operating point, both about the same place.

    Attributes:
        finding: what changed, in words.
    """

    first: Card
    second: Card
    finding: str


@dataclass(frozen=True)
class Galleries:
    """Images that changed: most gained first, most lost first, and those where gains and losses cancel."""

    better: tuple[ImageChange, ...]
    worse: tuple[ImageChange, ...]
    even: tuple[ImageChange, ...]


def galleries_of(changes: Sequence[ImageChange]) -> Galleries:
    """The changes, ordered best first, in three groups, each with the largest change first."""
    return Galleries(
        better=tuple(each for each in changes if each.change > (0, 0)),
        worse=tuple(each for each in reversed(changes) if each.change < (0, 0)),
        even=tuple(each for each in changes if each.change == (0, 0)),
    )


def card_pair(comparison: Comparison, change: ImageChange) -> CardPair:
    """The two cards of an image, close-ups about the largest lesion that one alone found.

    Where false positives alone differ, the close-ups are about the one of highest score.
    """
    focus = _focus(comparison, change)
    first, second = (
        Card(
            record=change.record,
            focus=focus,
            marks=_marks(comparison, change, side),
            finding=_tally(change, n),
        )
        for n, side in enumerate(_sides(comparison))
    )
    return CardPair(first, second, _finding(comparison, change))


def render_pairs(
    pairs: Sequence[CardPair], load_image: ImageLoader
) -> list[tuple[CardPictures, CardPictures]]:
    """Pictures of both cards of each pair; every image is read once."""
    pictures = render_cards([card for pair in pairs for card in (pair.first, pair.second)], load_image)
    return list(zip(pictures[::2], pictures[1::2], strict=True))


def _sides(comparison: Comparison) -> tuple[tuple[Detector, Matches], tuple[Detector, Matches]]:
    return (comparison.first, comparison.pair.first), (comparison.second, comparison.pair.second)


def _marks(comparison: Comparison, change: ImageChange, side: tuple[Detector, Matches]) -> tuple[Mark, ...]:
    """The scored lesions, then the detector's hits and false positives from its score on."""
    detector, matches = side
    label = comparison.rule.label
    marks = [Mark(lesion.box, "lesion") for lesion in change.record.lesions if lesion.label == label]
    rows = np.flatnonzero((matches.image == change.image) & (matches.scores >= detector.marked.score))
    for row in rows.tolist():
        kind: MarkKind = "false positive" if detector.marked.is_false_positive[row] else "hit"
        # A further detection on a found lesion is neither, and is not drawn.
        if kind == "false positive" or matches.is_hit[row]:
            box = _box_of(detector, change.record, int(matches.index[row]))
            marks.append(Mark(box, kind, f"{matches.scores[row]:.2f}"))
    return tuple(marks)


def _focus(comparison: Comparison, change: ImageChange) -> Box:
    lesions = [change.record.lesions[n] for n in (*change.lost, *change.gained)]
    if lesions:
        return max(lesions, key=_area).box
    first, second = change.false_positives
    detector, matches = _sides(comparison)[int(second > first)]
    rows = np.flatnonzero(detector.marked.is_false_positive & (matches.image == change.image))
    worst = rows[np.argmax(matches.scores[rows])]
    return _box_of(detector, change.record, int(matches.index[worst]))


def _finding(comparison: Comparison, change: ImageChange) -> str:
    """What changed from the first detector to the second."""
    parts = [
        f"{counted(len(lesions), 'lesion')} found by {name} alone"
        for lesions, name in ((change.gained, comparison.second.name), (change.lost, comparison.first.name))
        if lesions
    ]
    more = change.false_positives[1] - change.false_positives[0]
    if more:
        by = comparison.second.name if more > 0 else comparison.first.name
        parts.append(f"{counted(abs(more), 'more false positive')} by {by}")
    return "; ".join(parts)


def _tally(change: ImageChange, side: int) -> str:
    lesions = "no lesion"
    if change.n_lesions:
        lesions = f"{change.n_found[side]} of {counted(change.n_lesions, 'lesion')} found"
    return f"{lesions}, {counted(change.false_positives[side], 'false positive')}"


def _box_of(detector: Detector, record: ImageRecord, index: int) -> Box:
    x_min, y_min, x_max, y_max = detector.detections[record.record_id].boxes[index].tolist()
    return (x_min, y_min, x_max, y_max)


def _area(lesion: Lesion) -> float:
    x_min, y_min, x_max, y_max = lesion.box
    return (x_max - x_min) * (y_max - y_min)
