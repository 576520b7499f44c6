"""Pictures of mass probability maps: the film with its marks, and beside it the film under its map."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from mammo_monai.files import atomic_path
from mammo_monai.imaging.components import Map
from mammo_monai.inference.predict import detections_in_original
from mammo_monai.inference.probability_map import ProbabilityMapInferer
from mammo_monai.inference.saliency.files import film_in_original
from mammo_monai.inference.saliency.frames import map_in_original
from mammo_monai.records import Detections, Lesion
from mammo_monai.reports.pictures.overlays import Mark, draw_overlay
from mammo_monai.schema.model_line import model_line

logger = logging.getLogger(__name__)
PANEL_SIZE = (640, 960)
# Dark violet to pale yellow, brighter at every step: read without colour vision too. After "inferno".
_COLOURS = np.array(
    [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float64
)
_MOST_COVER = 0.75  # of the film, where the map is 1
_MAX_MARKS = 5
_SCALE_PX = 64  # width of the scale beside the map


def save_probability_maps(
    inferer: ProbabilityMapInferer,
    samples: Iterable[Mapping[str, Any]],
    folder: Path,
    *,
    lesions: Mapping[str, Sequence[Lesion]] | None = None,
    model: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Draws the map of every image as `<record_id>_map.png`, on the film in its original frame.

    The best five marks are drawn too. Scores are computed anew: a detections file holds no maps. Samples
    without a readable `image_path` raise.

    Args:
        samples: as `Predictor` takes them.
        lesions: by record id, where they are known.
        model: of the detections' file; the pictures' text `Software` says it in a line, and marks below its
            operating point are not drawn.

    Returns:
        The pictures, in the order of the samples.

    Raises:
        OSError: an image cannot be read, or a picture cannot be written.
        DicomError, ManifestError: as `film_in_original`.
    """
    pictures, told = [], PngInfo()
    device = next(inferer.classifier.network.parameters()).device
    if model is not None:
        told.add_itxt("Software", model_line(model))
    for sample in samples:
        image, record_id = sample["image"].to(device), str(sample["record_id"])
        grid = inferer.patch_probabilities(image)
        found = detections_in_original(
            sample, inferer.candidates(grid, image), min_area_mm2=inferer.min_area_mm2
        )
        values = map_in_original(inferer.map_of(grid, image).numpy(), sample["frame"])
        picture = draw_probability_map(
            film_in_original(Path(sample["image_path"])),
            values,
            [*_truth((lesions or {}).get(record_id, ())), *_marks(_shown(found, model or {}))],
        )
        path = folder / f"{record_id}_map.png"
        with atomic_path(path) as part:
            picture.save(part, format="PNG", pnginfo=told)
        pictures.append(path)
    logger.info("wrote %d probability maps to %s", len(pictures), folder)
    return pictures


def draw_probability_map(
    film: NDArray[np.float32],
    probabilities: Map,
    marks: Sequence[Mark],
    *,
    size: tuple[int, int] = PANEL_SIZE,
) -> Image.Image:
    """An RGB picture: left the film with marks, right the film under its map, and the scale from 0 to 1.

    Args:
        film: grey values (H, W) in [0, 1]. probabilities: (H, W) in [0, 1], of the same pixels.
        marks: boxes in those pixels.
        size: largest width and height of each half.

    Raises:
        ValueError: map and film differ in size.
    """
    if film.shape != probabilities.shape:
        raise ValueError(
            f"the map has {probabilities.shape[1]} × {probabilities.shape[0]} px (width × height), "
            f"the film {film.shape[1]} × {film.shape[0]}. Bring it into the film's frame (map_in_original)."
        )
    marked, plain = draw_overlay(film, marks, size=size), draw_overlay(film, [], size=size)
    shown = np.asarray(Image.fromarray(probabilities).resize(plain.size, Image.Resampling.BILINEAR))
    cover = (np.clip(shown, 0, 1) * _MOST_COVER)[..., None]
    under = np.asarray(plain, dtype=np.float64) * (1 - cover) + _coloured(shown) * cover
    picture = Image.new("RGB", (2 * plain.width + _SCALE_PX, plain.height))
    picture.paste(marked, (0, 0))
    picture.paste(Image.fromarray(np.round(under).astype(np.uint8)), (plain.width, 0))
    picture.paste(_scale(plain.height), (2 * plain.width, 0))
    return picture


def _coloured(values: Map) -> NDArray[np.float64]:
    steps = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(values, steps, channel) for channel in _COLOURS.T], axis=-1)


def _scale(height: int) -> Image.Image:
    """The colours of 1 (top) to 0, with their numbers."""
    column = np.linspace(1, 0, height, dtype=np.float32)[:, None]
    levels = np.broadcast_to(column, (height, _SCALE_PX // 3))
    scale = Image.new("RGB", (_SCALE_PX, height))
    scale.paste(Image.fromarray(np.round(_coloured(levels)).astype(np.uint8)), (4, 0))
    draw, font = ImageDraw.Draw(scale), ImageFont.load_default(size=14)
    for level in (1.0, 0.5, 0.0):
        y = min(max((1 - level) * height - 8, 0), max(height - 18, 0))
        draw.text((_SCALE_PX // 3 + 8, y), f"{level:.1f}", fill="#ffffff", font=font)
    return scale


def _shown(found: Detections, model: Mapping[str, Any]) -> Detections:
    """The marks that the model's operating point shows; all of them where it has none."""
    point = model.get("operating_point")
    if not isinstance(point, Mapping):
        return found
    is_shown = found.scores >= float(point["threshold"])
    return replace(
        found, boxes=found.boxes[is_shown], scores=found.scores[is_shown], labels=found.labels[is_shown]
    )


def _truth(lesions: Sequence[Lesion]) -> list[Mark]:
    return [Mark(lesion.box, "lesion") for lesion in lesions]


def _marks(found: Detections) -> list[Mark]:
    # Amber: whether a mark is right is not known here.
    return [
        Mark((box[0], box[1], box[2], box[3]), "hit", f"{score:.2f}")
        for box, score in zip(found.boxes[:_MAX_MARKS].tolist(), found.scores[:_MAX_MARKS], strict=True)
    ]
