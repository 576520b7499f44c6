"""Hypothesis strategies for the things this package talks about; every image is non-square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.records import Box, Boxes, Detections, ImageRecord, Laterality, Lesion, ViewPosition

MAX_SIDE = 6000
"""px; the largest mammogram in use is about 5928 px high."""

Size = tuple[int, int]


def image_sizes(min_side: int = 4, max_side: int = MAX_SIDE) -> st.SearchStrategy[Size]:
    """`(width, height)` in pixels, never square: a swapped axis must show."""
    side = st.integers(min_side, max_side)
    return st.tuples(side, side).filter(lambda size: size[0] != size[1])


@st.composite
def boxes_inside(draw: st.DrawFn, size: Size) -> Box:
    """One box with an area of at least 1/16 px², inside an image of `size`, on a grid of quarter pixels.

    The grid keeps sums and differences exact in float64, as annotations of whole pixels are.
    """
    low_high = []
    for side in size:
        low = draw(st.integers(0, side * 4 - 1))
        low_high.append((low / 4, draw(st.integers(low + 1, side * 4)) / 4))
    (x_min, x_max), (y_min, y_max) = low_high
    return x_min, y_min, x_max, y_max


@st.composite
def valid_boxes(
    draw: st.DrawFn, size: Size = (MAX_SIDE, MAX_SIDE - 1), min_boxes: int = 0, max_boxes: int = 6
) -> Boxes:
    """Boxes inside an image of `size`, shape (N, 4) float64; none is a case."""
    rows = draw(st.lists(boxes_inside(size), min_size=min_boxes, max_size=max_boxes))
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


@st.composite
def crowded_boxes(draw: st.DrawFn, max_boxes: int = 8) -> Boxes:
    """Boxes in an image so small (9 × 7 px) that many of them overlap."""
    return draw(valid_boxes((9, 7), max_boxes=max_boxes))


@st.composite
def frames(draw: st.DrawFn, max_steps: int = 5) -> ImageFrame:
    """A frame of up to `max_steps` crops (reaching outside too), flips and scalings by 1/8 to 8."""
    frame = ImageFrame(*draw(image_sizes(min_side=16)))
    for kind in draw(st.lists(st.sampled_from([Crop, Flip, Scale]), max_size=max_steps)):
        width, height = frame.size
        if kind is Flip:
            frame = frame.then(Flip(width))
        elif kind is Crop:
            corner = draw(st.integers(-50, width - 1)), draw(st.integers(-50, height - 1))
            frame = frame.then(Crop(*corner, draw(st.integers(8, width + 100)), draw(st.integers(8, height))))
        else:
            to = [draw(st.integers(max(8, side // 8), min(side * 8, MAX_SIDE))) for side in (width, height)]
            frame = frame.then(Scale(width, height, to[0], to[1]))
    return frame


@st.composite
def lesions(draw: st.DrawFn, size: Size) -> Lesion:
    """A lesion inside an image of `size`, with and without its optional facts."""
    x_min, y_min, x_max, y_max = box = draw(boxes_inside(size))
    outline = ((x_min, y_min), (x_max, y_min), (x_max, y_max))
    return Lesion(
        box=box,
        id=draw(st.text(max_size=8)),
        label=draw(st.integers(0, 3)),
        area_mm2=draw(st.none() | st.floats(0.01, 1e4)),
        contour=draw(st.sampled_from([None, outline])),
        pathology=draw(st.sampled_from([None, "MALIGNANT", "BENIGN"])),
        birads=draw(st.none() | st.integers(0, 6)),
        subtlety=draw(st.none() | st.integers(1, 5)),
    )


@st.composite
def records(draw: st.DrawFn, folder: Path = Path("/data")) -> ImageRecord:
    """An image record below `folder`; normal images, right breasts and unknown facts are cases."""
    size = draw(image_sizes())
    name = draw(st.text("abcäÖ _-1", min_size=1, max_size=8)).strip(" ") or "a"
    spacing = st.floats(0.01, 1.0)
    return ImageRecord(
        image=folder / f"{name}.dcm",
        record_id=draw(st.text("0123456789abcdef", min_size=16, max_size=16)),
        patient_id=draw(st.text(min_size=1, max_size=8)),
        width=size[0],
        height=size[1],
        lesions=tuple(draw(st.lists(lesions(size), max_size=3))),
        laterality=draw(st.none() | st.sampled_from(Laterality)),
        view_position=draw(st.none() | st.sampled_from(ViewPosition)),
        pixel_spacing_mm=draw(st.none() | st.tuples(spacing, spacing)),
        breast_density=draw(st.none() | st.integers(1, 4)),
        birads=draw(st.none() | st.integers(0, 6)),
        source=draw(st.text(max_size=12)),
        file_size=draw(st.none() | st.integers(0, 2**40)),
        sha256=draw(st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)),
        prepared=draw(st.none() | st.just({"key": "00ff", "recipe": {"size_px": 600}})),
    )


@st.composite
def detections(draw: st.DrawFn, record_id: str = "0123456789abcdef") -> Detections:
    """Detections on one image, in no order, with equal scores likely; none is a case."""
    boxes = draw(valid_boxes((640, 480)))
    scores = draw(st.lists(st.integers(0, 10), min_size=len(boxes), max_size=len(boxes)))
    labels = draw(st.lists(st.integers(0, 2), min_size=len(boxes), max_size=len(boxes)))
    return Detections(
        record_id,
        boxes,
        np.array(scores, dtype=np.float64) / 10,
        np.array(labels, dtype=np.int64),
        draw(st.sampled_from([None, Path("/data/a.dcm")])),
    )
