"""From the pixels a toolkit saw to those of the original image: marks of one image become its detections.

A size of the marked image that differs by one factor in both axes, but for the rounding of its sides, proves
that it was resized: boxes are scaled back. Boxes are cut at the border. Refused: any other size that was not
said with `--marked-size`, and a box that does not touch its image. Boxes without area stay: they are marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError
from mammo_monai.geometry.boxes import box_area, clip_boxes, scale_boxes
from mammo_monai.readers.foreign_detections.marks import WHOLE_IMAGE, ForeignImage, ForeignMark
from mammo_monai.records import Boxes, Detections, ImageRecord, label_of

Size = tuple[float, float]
_ROUNDING_PX = 0.01  # shares of six digits: what they overhang by was not marked
_SHARE = 1.5  # boxes whose corners all lie below are shares, of an image some thousand pixels wide


@dataclass(frozen=True)
class PlacedMarks:
    """Detections of one image, and what was done to get them.

    Attributes:
        is_rescaled: the toolkit marked another size of the image.
        n_clipped, n_empty, n_mostly_off: boxes cut at the border, without area, with less than half of
            it inside. n_repeated: marks that say what another one says. n_ignored: marks of no lesion.
        largest: the largest corner as the toolkit wrote it, 0 without a mark.
    """

    detections: Detections
    is_rescaled: bool = False
    n_clipped: int = 0
    n_empty: int = 0
    n_mostly_off: int = 0
    n_repeated: int = 0
    n_ignored: int = 0
    largest: float = 0.0


def placed_marks(
    image: ForeignImage | None, record: ImageRecord, *, marked_size: Size | None = None
) -> PlacedMarks:
    """The detections of an image; None is one that the toolkit does not name, it has no marks.

    Args:
        marked_size: width and height that every image was stretched to before it was marked.

    Raises:
        ManifestError: see the first lines of this file.
    """
    if image is None:
        return PlacedMarks(Detections(record.record_id, image=record.image))
    told = image.read()
    marks = [each for each in told if each.type is not None]
    scale_x, scale_y = _factors(image, record, marked_size) if marks else (1.0, 1.0)
    given = np.array([each.box for each in marks], dtype=np.float64).reshape(-1, 4)
    boxes = scale_boxes(given, scale_x, scale_y)
    _refuse_boxes_off(boxes, marks, image, record)
    inside = clip_boxes(boxes, record.width, record.height)
    return PlacedMarks(
        detections=Detections(
            record.record_id,
            inside,
            np.array([each.score for each in marks], dtype=np.float64),
            np.array([label_of(each.type) for each in marks if each.type], dtype=np.int64),
            record.image,
        ),
        is_rescaled=bool(marks) and image.size != WHOLE_IMAGE and (scale_x, scale_y) != (1.0, 1.0),
        n_clipped=_count(np.any(np.abs(inside - boxes) > _ROUNDING_PX, axis=1)),
        n_empty=_count(box_area(inside) == 0),
        n_mostly_off=_count(box_area(inside) < box_area(boxes) / 2),
        n_repeated=len(marks) - len({(each.box, each.score, each.type) for each in marks}),
        n_ignored=len(told) - len(marks),
        largest=0.0 if WHOLE_IMAGE in (image.size, marked_size) else float(np.abs(given).max(initial=0.0)),
    )


def are_shares(largest: float) -> bool:
    """Whether the largest corner of all marks is no pixel but a share of an image; 0 says nothing."""
    return 0 < largest <= _SHARE


def _count(is_so: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(is_so))


def _factors(image: ForeignImage, record: ImageRecord, marked_size: Size | None) -> tuple[float, float]:
    """From the marked image to the original one, along columns and rows."""
    size = image.size or marked_size or (record.width, record.height)
    if marked_size and size != marked_size:
        raise ManifestError(
            f"{image.source}: {image.title} was {_shown(size)} when it was marked, not {_shown(marked_size)} "
            "as --marked-size says. Leave that option out."
        )
    (width, height), own = size, (float(record.width), float(record.height))
    is_one_factor = abs(width / own[0] - height / own[1]) < 1 / own[0] + 1 / own[1]
    if size == own:
        return 1.0, 1.0
    if size == WHOLE_IMAGE or marked_size or is_one_factor:
        return own[0] / width, own[1] / height
    is_turned = (height, width) == own
    raise ManifestError(
        f"{image.source}: {image.title} was {_shown(size)} when it was marked, the manifest's image is "
        f"{_shown(own)} (width × height), and no one factor leads from one to the other. "
        + (
            "It was turned: turn the boxes back first."
            if is_turned
            else f"Was it stretched? Then say --marked-size {width:g} {height:g}. Was it cropped or padded? "
            "Then bring its boxes back first."
        )
    )


def _shown(size: Size) -> str:
    return f"{size[0]:g} × {size[1]:g} px"


def _refuse_boxes_off(
    boxes: Boxes, marks: Sequence[ForeignMark], image: ForeignImage, record: ImageRecord
) -> None:
    limits = np.array([record.width, record.height], dtype=np.float64)
    off = np.flatnonzero(np.any((boxes[:, :2] > limits) | (boxes[:, 2:] < 0), axis=1))
    if not len(off):
        return
    turned = boxes[off[0]][[1, 0, 3, 2]]
    swapped = np.all(turned[2:] <= limits) and np.all(turned[:2] >= 0)
    raise ManifestError(
        f"{image.place(marks[off[0]].number)}: box {boxes[off[0]].round(3).tolist()} does not touch the "
        f"image of {record.width} × {record.height} px (width × height); {len(off)} of {len(marks)} marks of "
        f"{image.title} do not. Are they in pixels of another size (--marked-size), or of another image?"
        + (" With x and y swapped it would lie inside." if swapped else "")
    )
