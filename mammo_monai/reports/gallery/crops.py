"""Small pictures of findings: a grey JPEG of the original pixels near a box, with its marks as SVG over it.

The pixels stay untouched below the marks, which are sharp at any size and can be switched off.
"""

from __future__ import annotations

import base64
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.pace import Pace
from mammo_monai.records import Box, ImageRecord, Lesion
from mammo_monai.reports.gallery.items import GalleryItem, Marked
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.overlays import region_around
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

Made = TypeVar("Made")


class OfImage(Protocol):
    """What a picture is made for: a gallery's item, or a card."""

    @property
    def record(self) -> ImageRecord:
        """Of the image."""
        ...


Item = TypeVar("Item", bound=OfImage)
CROP_PX = 384  # twice the size on the page, and enough to be enlarged
CONTEXT = 2.5  # side of a crop in longest sides of its box
_QUALITY = 80
_SVG_CLASSES = {"hit": "hit", "false positive": "false-positive", "near miss": "near-miss"}


@dataclass(frozen=True)
class Crop:
    """A region of an image as a JPEG in a data URI, or why there is none.

    Attributes:
        region: original pixels. width, height: of the JPEG; never more than the region has.
    """

    uri: str = ""
    region: Box = (0.0, 0.0, 0.0, 0.0)
    width: int = 0
    height: int = 0
    failure: str = ""


def crop_items(
    items: Sequence[GalleryItem], load_image: ImageLoader, *, clock: Callable[[], float] = time.monotonic
) -> list[Crop]:
    """The crop of each item, in order; see `made_of_images`."""
    return made_of_images(
        items,
        load_image,
        lambda pixels, item: crop_around(pixels, item.focus),
        lambda why: Crop(failure=why),
        clock=clock,
    )


def made_of_images(
    items: Sequence[Item],
    load_image: ImageLoader,
    make: Callable[[NDArray[np.float32], Item], Made],
    failed: Callable[[str], Made],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> list[Made]:
    """What `make` gives for each item, in order; every image is read once and let go before the next one.

    An image that cannot be read, or has another size than its record says, gives what `failed` makes of a
    sentence that says so, and a warning by its record id: the figures of the report do not depend on it.

    Args:
        load_image: grey values of an image path, shape (H, W), float32 in [0, 1].
        make: of these grey values and an item.
    """
    made: dict[int, Made] = {}
    by_image: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        by_image.setdefault(item.record.record_id, []).append(number)
    for numbers in _told(list(by_image.values()), clock):
        made |= _made_of_image({number: items[number] for number in numbers}, load_image, make, failed)
    return [made[number] for number in range(len(items))]


def crop_around(pixels: NDArray[np.float32], box: Box) -> Crop:
    """The square about a box, `CONTEXT` times its longest side, cut at the image's borders.

    It keeps every original pixel unless that takes more than `CROP_PX`; then it is made smaller.

    Args:
        pixels: shape (H, W), in [0, 1].
    """
    height, width = pixels.shape
    x_min, y_min, x_max, y_max = region_around(box, width, height, factor=CONTEXT)
    left, top, right, bottom = int(x_min), int(y_min), math.ceil(x_max), math.ceil(y_max)
    grey = np.clip(pixels[top:bottom, left:right] * 255.0 + 0.5, 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    scale = min(1.0, CROP_PX / max(picture.size))
    if scale < 1.0:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    stream = BytesIO()
    picture.save(stream, format="JPEG", quality=_QUALITY, optimize=True)
    uri = f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
    region = (float(left), float(top), float(right), float(bottom))
    return Crop(uri, region, picture.width, picture.height)


def marks_svg(item: GalleryItem, crop: Crop) -> str:
    """What lies in the crop, in original pixels: contours of lesions, else boxes; detections with scores.

    Every line stands twice, a dark one below: they show on bright tissue and on black.
    """
    x_min, y_min, x_max, y_max = crop.region
    side = max(x_max - x_min, y_max - y_min)
    shapes = [(_outline(lesion, side), "lesion") for lesion in item.lesions]
    shapes += [(_rectangle(each.box), _SVG_CLASSES[each.kind]) for each in item.marked]
    lines = "".join(
        f'<path class="under" d="{path}"/><path class="{name}" d="{path}"/>' for path, name in shapes
    )
    texts = "".join(_score(each, crop.region) for each in item.marked if _meets(each.box, crop.region))
    return (
        f'<svg viewBox="{x_min:.0f} {y_min:.0f} {x_max - x_min:.0f} {y_max - y_min:.0f}" aria-hidden="true" '
        f'font-size="{0.06 * side:.1f}">{lines}{texts}</svg>'
    )


def place_svg(record: ImageRecord, region: Box) -> str:
    """A sketch of where the crop lies: the image as a frame, the crop as a filled square in it."""
    scale = 1000 / max(record.width, record.height)
    width, height = round(record.width * scale), round(record.height * scale)
    x, y, right, bottom = (round(edge * scale) for edge in region)
    return (
        f'<svg class="place" viewBox="0 0 {width} {height}" aria-hidden="true">'
        f'<path d="M0 0H{width}V{height}H0z"/><path class="here" d="M{x} {y}H{right}V{bottom}H{x}z"/></svg>'
    )


def _made_of_image(
    items: dict[int, Item],
    load_image: ImageLoader,
    make: Callable[[NDArray[np.float32], Item], Made],
    failed: Callable[[str], Made],
) -> dict[int, Made]:
    pixels = _pixels_of(next(iter(items.values())).record, load_image)
    if isinstance(pixels, str):
        return dict.fromkeys(items, failed(pixels))
    return {number: make(pixels, item) for number, item in items.items()}


def _pixels_of(record: ImageRecord, load_image: ImageLoader) -> NDArray[np.float32] | str:
    """The image, or a sentence that says why it cannot be shown."""
    try:
        pixels = load_image(record.image)
    except Exception as error:  # decoders raise whatever they meet in damaged bytes
        logger.warning(
            "record %s is shown without pictures: the image could not be read (%s). The gallery goes on.",
            record.record_id,
            type(error).__name__,
        )
        logger.debug("%s: %s", record.image, error)
        return "The image could not be read."
    height, width = pixels.shape
    if record.prepared is not None:
        failure = "The image is a prepared copy: give the manifest of the original images."
    elif (width, height) != (record.width, record.height):
        failure = f"The image has {width} × {height} px, its record says {record.width} × {record.height}."
    else:
        return pixels
    logger.warning("record %s is shown without pictures: %s", record.record_id, failure)
    return failure


def _told(groups: Sequence[list[int]], clock: Callable[[], float]) -> Iterator[list[int]]:
    """Each group in turn; the log says now and then how many are done, and how long the rest will take."""
    begun, pace = clock(), Pace(logger, "pictures of", clock=clock)
    for done, group in enumerate(groups, start=1):
        yield group
        pace(done, len(groups))
    logger.info("pictures of %s in %.0f s", counted(len(groups), "image"), clock() - begun)


def _outline(lesion: Lesion, side: float) -> str:
    """The contour without points closer than a hundredth of the crop's side; the box of a dot or box."""
    if lesion.contour is None or lesion.is_dot:
        return _rectangle(lesion.box)
    kept = [lesion.contour[0]]
    for x, y in lesion.contour[1:]:
        if math.hypot(x - kept[-1][0], y - kept[-1][1]) >= side / 100:
            kept.append((x, y))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in kept) + "z"


def _score(marked: Marked, region: Box) -> str:
    """The score above its box, or as near as the crop has room."""
    x_min, y_min, x_max, y_max = region
    side = max(x_max - x_min, y_max - y_min)
    x = max(x_min, min(marked.box[0], x_max - 0.16 * side))
    y = max(y_min + 0.06 * side, min(marked.box[1] - 0.015 * side, y_max))
    return f'<text class="{_SVG_CLASSES[marked.kind]}" x="{x:.0f}" y="{y:.0f}">{marked.score:.2f}</text>'


def _rectangle(box: Box) -> str:
    x_min, y_min, x_max, y_max = box
    return f"M{x_min:.1f} {y_min:.1f}H{x_max:.1f}V{y_max:.1f}H{x_min:.1f}z"


def _meets(box: Box, region: Box) -> bool:
    return box[0] < region[2] and box[2] > region[0] and box[1] < region[3] and box[3] > region[1]
