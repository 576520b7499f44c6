"""The small pictures of an audit page, embedded in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from mammo_monai.processes import DIED, WorkerPool
from mammo_monai.reports.films.film import Film, film_of
from mammo_monai.reports.films.shown import Shown
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.thumbnails import PictureError, Thumbnail, load_any_image, make_thumbnail

SIZE_PX = 420  # twice the size on the page's usual card, for dense screens


def films_of(
    images: Sequence[Shown], *, workers: int = 1, load_image: ImageLoader = load_any_image
) -> dict[str, Film]:
    """The film of each image by its record id, the picture embedded; every file is read once.

    An image that cannot be shown has a film without a picture, whose note says why.
    """
    paths = list(dict.fromkeys(each.path for each in images if each.path is not None))
    with WorkerPool(partial(_tried, load_image), workers, lambda _: DIED) as pool:
        made = dict(zip(paths, pool.results(paths), strict=True))
    return {each.record_id: _film(each, made) for each in images}


def _tried(load_image: ImageLoader, path: Path) -> Thumbnail | str:
    try:
        return make_thumbnail(path, size_px=SIZE_PX, load_image=load_image)
    except PictureError as error:
        return str(error)


def _film(image: Shown, made: Mapping[Path, Thumbnail | str]) -> Film:
    if image.path is None:
        return Film(note="no file was found for it")
    thumbnail = made[image.path]
    if isinstance(thumbnail, str):
        return Film(note=thumbnail)
    data = base64.b64encode(thumbnail.jpeg).decode("ascii")
    return film_of(thumbnail, f"data:image/jpeg;base64,{data}", image.record)
