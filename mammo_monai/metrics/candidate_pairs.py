"""Pairs of a detection and a lesion of one image, in the order in which they may be matched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.geometry.boxes import box_area
from mammo_monai.metrics.pooling import PooledImages
from mammo_monai.records import Boxes


@dataclass(frozen=True, eq=False)
class CandidatePairs:
    """Pairs of a detection and a lesion in the order in which they may be matched.

    Attributes:
        row: of the detection among the pooled ones, shape (P,). lesion: row of the lesion, shape (P,).
        image: number of their image, shape (P,), ascending.
        closeness: shape (P,): IoU, or whatever else is larger the nearer the two are.
    """

    row: NDArray[np.int64]
    lesion: NDArray[np.int64]
    image: NDArray[np.int64]
    closeness: NDArray[np.float64]

    def kept(self, is_kept: NDArray[np.bool_]) -> CandidatePairs:
        """Only some of the pairs, in the same order."""
        return CandidatePairs(
            self.row[is_kept], self.lesion[is_kept], self.image[is_kept], self.closeness[is_kept]
        )


def all_pairs(images: PooledImages) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of every detection and every lesion of its image, detection by detection."""
    lesions_in = np.bincount(images.lesion_image, minlength=images.n_images)
    first_lesion = np.cumsum(lesions_in) - lesions_in
    repeats = lesions_in[images.image]
    row = np.repeat(np.arange(len(images.image)), repeats)
    within = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return row, first_lesion[images.image[row]] + within


def ordered_pairs(
    images: PooledImages,
    row: NDArray[np.int64],
    lesion: NDArray[np.int64],
    closeness: NDArray[np.float64],
    *,
    takes_last: bool = False,
) -> CandidatePairs:
    """Pairs of rows, best first: in each image detections by score, each with its closest lesion first.

    Detections of equal scores stand in file order.

    Args:
        takes_last: of lesions equally close the last one comes first, as in COCO; else the first one.
    """
    # Rows of an image stand together, so the stable sort keeps file order among equal scores.
    rank = np.empty(len(images.scores), dtype=np.int64)
    rank[np.lexsort((-images.scores, images.image))] = np.arange(len(rank))
    order = np.lexsort((-lesion if takes_last else lesion, -closeness, rank[row]))
    row = row[order]
    return CandidatePairs(row, lesion[order], images.image[row], closeness[order])


def overlapping_pairs(images: PooledImages, *, takes_last: bool = False) -> CandidatePairs:
    """Every detection with every lesion of its image that it overlaps, as `ordered_pairs` by IoU."""
    row, lesion = all_pairs(images)
    overlap = paired_iou(images.boxes[row], images.lesion_boxes[lesion])
    touching = np.flatnonzero(overlap > 0)
    return ordered_pairs(images, row[touching], lesion[touching], overlap[touching], takes_last=takes_last)


def taken_in_turn(pairs: CandidatePairs) -> NDArray[np.int64]:
    """Places of the pairs that become matches when each detection in turn takes its first free lesion."""
    taken = [np.zeros(0, dtype=np.int64)]
    row, lesion, image = pairs.row, pairs.lesion, pairs.image
    place = np.arange(len(row))
    is_row_open = np.ones(row.max(initial=-1) + 1, dtype=bool)
    is_lesion_open = np.ones(lesion.max(initial=-1) + 1, dtype=bool)
    # The first pair left in an image is what one greedy step would take: a round settles one in every image.
    while len(place):
        first = np.flatnonzero(np.diff(image, prepend=-1))
        taken.append(place[first])
        is_row_open[row[first]] = False
        is_lesion_open[lesion[first]] = False
        is_open = is_row_open[row] & is_lesion_open[lesion]
        row, lesion, image, place = row[is_open], lesion[is_open], image[is_open], place[is_open]
    return np.concatenate(taken)


def paired_iou(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """IoU of boxes row by row, shape (N,); `geometry.boxes.box_iou` gives every pair instead.

    >>> paired_iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2]])).tolist()
    [0.5]
    """
    sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
    sides = np.maximum(sides, 0.0)
    intersection = sides[:, 0] * sides[:, 1]
    union = box_area(boxes) + box_area(others) - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))
