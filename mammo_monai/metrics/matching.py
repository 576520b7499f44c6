"""Which detection finds which lesion: the rule of protocol §5, for one image or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.geometry.boxes import box_area
from mammo_monai.metrics.pooling import PooledImages, pool_images
from mammo_monai.records import MASS_LABEL, Boxes, Detections, Lesion

NOTHING = -1


@dataclass(frozen=True, eq=False)
class Matches:
    """Scored detections and lesions of a set of images, and which found which.

    Attributes:
        n_images: all images looked at, normal ones included.
        scores: of the N scored detections, shape (N,).
        image, index: shape (N,): number of the image, and position in that image's `Detections`.
        lesion: shape (N,): row of the lesion that the detection hit, -1 if none.
        overlap: shape (N,): IoU with that lesion, 0 if none.
        is_double_hit: shape (N,): overlaps only lesions that detections of higher rank had taken.
        lesion_image, lesion_index: of the M scored lesions, shape (M,), likewise.
        detection: shape (M,): row of the detection that hit the lesion, -1 if it was missed.
    """

    n_images: int
    scores: NDArray[np.float64]
    image: NDArray[np.int64]
    index: NDArray[np.int64]
    lesion: NDArray[np.int64]
    overlap: NDArray[np.float64]
    is_double_hit: NDArray[np.bool_]
    lesion_image: NDArray[np.int64]
    lesion_index: NDArray[np.int64]
    detection: NDArray[np.int64]

    @property
    def n_lesions(self) -> int:
        """Scored lesions in all images."""
        return len(self.detection)

    @property
    def is_hit(self) -> NDArray[np.bool_]:
        """Which detections found a lesion, shape (N,)."""
        return np.asarray(self.lesion != NOTHING)

    def is_false_positive(self, *, count_double_hits: bool = False) -> NDArray[np.bool_]:
        """Which detections count as false positives, shape (N,); double hits only when asked."""
        return ~self.is_hit & (count_double_hits | ~self.is_double_hit)


def match_detections(
    detections: Detections, lesions: Sequence[Lesion], *, min_iou: float = 0.2, label: int = MASS_LABEL
) -> Matches:
    """Which of one image's detections hit which of its lesions.

    Candidates are taken by score, highest first, equal scores in file order. A candidate takes the still free
    lesion it overlaps most among those with IoU strictly above `min_iou` (the first of equals). One that
    overlaps only taken lesions is a double hit. Detections and lesions of other labels have no row.

    Raises:
        GeometryError: a box is reversed or not finite.
        ManifestError: a score is not finite, or boxes, scores and labels differ in number.

    Source: protocol §5; the FROC counting of Bunch et al., 1977.

    >>> found = Detections("a", np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [40, 0, 50, 10]]),
    ...     scores=np.array([0.6, 0.9, 0.3]), labels=np.zeros(3, dtype=np.int64))
    >>> matches = match_detections(found, [Lesion(box=(0.0, 0.0, 10.0, 10.0))])
    >>> matches.lesion.tolist(), matches.is_double_hit.tolist(), matches.is_false_positive().tolist()
    ([-1, 0, -1], [True, False, False], [False, False, True])
    """
    return match_pooled(pool_images([detections], [lesions], label=label), min_iou=min_iou)


def match_pooled(images: PooledImages, *, min_iou: float = 0.2) -> Matches:
    """As `match_detections`, over all pooled images at once."""
    row, lesion, overlap = _pairs_above(images, min_iou)
    lesion_of = np.full(len(images.scores), NOTHING, dtype=np.int64)
    detection_of = np.full(len(images.lesion_image), NOTHING, dtype=np.int64)
    overlap_of = np.zeros(len(images.scores))
    is_candidate = np.zeros(len(images.scores), dtype=bool)
    is_candidate[row] = True
    rank = np.empty(len(images.scores), dtype=np.int64)
    rank[np.lexsort((-images.scores, images.image))] = np.arange(len(rank))  # stable: file order among equals
    order = np.lexsort((lesion, -overlap, rank[row]))
    row, lesion, overlap = row[order], lesion[order], overlap[order]
    # The first pair left in each image is its highest candidate with a free lesion, and the best such lesion:
    # what one greedy step would take. So a round settles one lesion in every image.
    while len(row):
        first = np.flatnonzero(np.diff(images.image[row], prepend=-1))
        lesion_of[row[first]] = lesion[first]
        overlap_of[row[first]] = overlap[first]
        detection_of[lesion[first]] = row[first]
        is_open = (lesion_of[row] == NOTHING) & (detection_of[lesion] == NOTHING)
        row, lesion, overlap = row[is_open], lesion[is_open], overlap[is_open]
    return Matches(
        n_images=images.n_images,
        scores=images.scores,
        image=images.image,
        index=images.index,
        lesion=lesion_of,
        overlap=overlap_of,
        is_double_hit=is_candidate & (lesion_of == NOTHING),
        lesion_image=images.lesion_image,
        lesion_index=images.lesion_index,
        detection=detection_of,
    )


def restrict_lesions(matches: Matches, is_kept: NDArray[np.bool_]) -> Matches:
    """The same detections and false positives with only some of the lesions, shape (M,), left to be found.

    A detection that hit a lesion now left out counts as nothing: neither hit nor false positive.
    """
    # -1 (no hit, missed) reads the last entry of these tables: -1 again.
    rows = np.append(np.where(is_kept, np.cumsum(is_kept) - 1, NOTHING), NOTHING)
    lesion = rows[matches.lesion]
    is_counted = ~matches.is_hit | (lesion != NOTHING)
    places = np.append(np.cumsum(is_counted) - 1, NOTHING)
    return Matches(
        n_images=matches.n_images,
        scores=matches.scores[is_counted],
        image=matches.image[is_counted],
        index=matches.index[is_counted],
        lesion=lesion[is_counted],
        overlap=matches.overlap[is_counted],
        is_double_hit=matches.is_double_hit[is_counted],
        lesion_image=matches.lesion_image[is_kept],
        lesion_index=matches.lesion_index[is_kept],
        detection=places[matches.detection[is_kept]],
    )


def _pairs_above(
    images: PooledImages, min_iou: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Rows of detections and of lesions of the same image with IoU above the limit, and that IoU."""
    lesions_in = np.bincount(images.lesion_image, minlength=images.n_images)
    first_lesion = np.cumsum(lesions_in) - lesions_in
    repeats = lesions_in[images.image]
    row = np.repeat(np.arange(len(images.image)), repeats)
    within = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    lesion = first_lesion[images.image[row]] + within
    overlap = _paired_iou(images.boxes[row], images.lesion_boxes[lesion])
    is_above = overlap > min_iou
    return row[is_above], lesion[is_above], overlap[is_above]


def _paired_iou(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """IoU of boxes row by row, shape (N,); `geometry.boxes.box_iou` gives every pair instead."""
    sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
    sides = np.maximum(sides, 0.0)
    intersection = sides[:, 0] * sides[:, 1]
    union = box_area(boxes) + box_area(others) - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))
