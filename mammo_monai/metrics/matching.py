"""Which detection finds which lesion: the hit rules and the greedy order, for one image or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError
from mammo_monai.metrics.candidate_pairs import (
    CandidatePairs,
    all_pairs,
    ordered_pairs,
    overlapping_pairs,
    paired_iou,
    taken_in_turn,
)
from mammo_monai.metrics.pooling import PooledImages, pool_images
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.records import MASS_LABEL, Detections, Lesion

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
        is_double_hit: shape (N,): could hit only lesions that detections of higher rank had taken.
        lesion_image, lesion_index: of the M scored lesions, shape (M,), likewise.
        detection: shape (M,): row of the detection that hit the lesion, -1 if it was missed.
        counted_images: shape (n_images,): which images' false positives count; None where all do.

    Grouped to images, breasts or patients (`levels.group_lesions`), "lesion" reads "unit with lesions".
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
    counted_images: NDArray[np.bool_] | None = None

    @property
    def n_lesions(self) -> int:
        """Scored lesions in all images."""
        return len(self.detection)

    @property
    def is_counted(self) -> NDArray[np.bool_]:
        """Which images' false positives count and are divided by, shape (n_images,)."""
        return np.ones(self.n_images, dtype=bool) if self.counted_images is None else self.counted_images

    @property
    def is_hit(self) -> NDArray[np.bool_]:
        """Which detections found a lesion, shape (N,)."""
        return np.asarray(self.lesion != NOTHING)

    def is_false_positive(self, *, count_double_hits: bool = False) -> NDArray[np.bool_]:
        """Which detections count as false positives, shape (N,); double hits only when asked.

        None does on an image that is not counted.
        """
        is_false = ~self.is_hit & (count_double_hits | ~self.is_double_hit)
        return is_false if self.counted_images is None else is_false & self.counted_images[self.image]


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
    pairs = overlapping_pairs(images)
    return matches_in_turn(images, pairs.kept(pairs.closeness > min_iou))


def match_lesions(images: PooledImages, rule: FrocRule) -> Matches:
    """Detections and lesions matched by the hit rule; each lesion by itself, false positives of all images.

    Whatever makes a hit, candidates are taken by score as in `match_detections`. Among several free lesions
    that a candidate hits it takes the one it overlaps most ("iou"), the one whose centre is nearest in widths
    and heights of that lesion's box ("center": the same in pixels of any shape), or the one whose centre is
    nearest ("center_distance"); the first of equals. `levels.match_by_rule` counts as the whole rule says.

    Raises:
        ManifestError: `max_distance_mm` is given, and an image with lesions has no pixel spacing.
        ValueError: `max_distance_mm` is given, and the images were pooled without their records.
    """
    if rule.hit == "iou":
        return match_pooled(images, min_iou=rule.min_iou)
    row, lesion = all_pairs(images)
    is_hit, squared = _centre_hits(images, row, lesion, rule)
    matches = matches_in_turn(images, ordered_pairs(images, row[is_hit], lesion[is_hit], -squared[is_hit]))
    hits = np.flatnonzero(matches.is_hit)
    overlap = np.zeros(len(matches.scores))
    overlap[hits] = paired_iou(images.boxes[hits], images.lesion_boxes[matches.lesion[hits]])
    return replace(matches, overlap=overlap)


def matches_in_turn(images: PooledImages, pairs: CandidatePairs) -> Matches:
    """Matches from every pair that would be a hit, each detection taking its first free lesion in turn.

    `overlap` holds the closeness of the pairs.
    """
    taken = taken_in_turn(pairs)
    row, lesion = pairs.row[taken], pairs.lesion[taken]
    lesion_of = np.full(len(images.scores), NOTHING, dtype=np.int64)
    detection_of = np.full(len(images.lesion_image), NOTHING, dtype=np.int64)
    closeness_of = np.zeros(len(images.scores))
    is_candidate = np.zeros(len(images.scores), dtype=bool)
    is_candidate[pairs.row] = True
    lesion_of[row], detection_of[lesion], closeness_of[row] = lesion, row, pairs.closeness[taken]
    return Matches(
        n_images=images.n_images,
        scores=images.scores,
        image=images.image,
        index=images.index,
        lesion=lesion_of,
        overlap=closeness_of,
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
    return replace(
        matches,
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


def _centre_hits(
    images: PooledImages, row: NDArray[np.int64], lesion: NDArray[np.int64], rule: FrocRule
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which pairs are hits by where the detection's centre lies, and the square of the centres' distance.

    Squares compare as distances do, and whole and half pixels give them without rounding.
    """
    boxes, lesion_boxes = images.boxes[row], images.lesion_boxes[lesion]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    offset = centre - (lesion_boxes[:, :2] + lesion_boxes[:, 2:]) / 2
    sides = lesion_boxes[:, 2:] - lesion_boxes[:, :2]
    if rule.hit == "center":
        is_inside = (centre >= lesion_boxes[:, :2]) & (centre < lesion_boxes[:, 2:])
        return np.asarray(is_inside.all(axis=1)), ((offset / sides) ** 2).sum(axis=1)
    pixel = _pixel_sizes(images, is_needed=rule.max_distance_mm is not None)[images.image[row]]
    squared = ((offset * pixel) ** 2).sum(axis=1)
    if rule.max_distance_mm is not None:
        return squared <= rule.max_distance_mm**2, squared
    return squared < ((sides * pixel).max(axis=1) / 2) ** 2, squared


def _pixel_sizes(images: PooledImages, *, is_needed: bool) -> NDArray[np.float64]:
    """Width and height of a pixel of each image in mm, shape (n_images, 2); 1 where they are unknown."""
    sizes = np.ones((images.n_images, 2))
    if is_needed and not images.records:
        raise ValueError("max_distance_mm needs the images' pixel spacing: pool them with pool_records.")
    has_lesion = images.has_lesion
    for number, record in enumerate(images.records):
        if record.pixel_spacing_mm is not None:
            row_mm, column_mm = record.pixel_spacing_mm
            sizes[number] = column_mm, row_mm
        elif is_needed and has_lesion[number]:
            raise ManifestError(
                f"record {record.record_id}: max_distance_mm needs the image's pixel spacing, and "
                "pixel_spacing_mm is missing. Add it to the manifest, or score by another hit rule: iou, "
                "center, or center_distance without a limit in mm."
            )
    return sizes
