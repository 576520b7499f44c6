"""The galleries of a PDF report: the first findings of each kind, marks drawn in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mammo_monai.reports.documents.pdf_report import PdfGallery, PdfPicture
from mammo_monai.reports.gallery.crops import CONTEXT, made_of_images
from mammo_monai.reports.gallery.items import GALLERY_ORDER, GalleryItem, GalleryKind, galleries, view_text
from mammo_monai.reports.page.gallery import TITLES, why_without_pictures
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.overlays import Mark, draw_overlay, region_around
from mammo_monai.reports.runs import Run
from mammo_monai.schema import Manifest

PER_GALLERY = 6
_SIZE = (420, 420)


def pdf_galleries(
    runs: Sequence[Run],
    manifest: Manifest | None,
    manifest_sha256: str | None,
    load_image: ImageLoader,
    *,
    fppi: float,
    per_gallery: int | None = None,
) -> tuple[PdfGallery, ...]:
    """A gallery for each run and kind of finding; runs whose findings cannot be shown have none.

    An image that cannot be read leaves its pictures out, with a warning.

    Args:
        manifest_sha256: of the manifest given. load_image: grey values of an image path, shape (H, W),
            float32 in [0, 1].
        per_gallery: pictures in each, `PER_GALLERY` if None: paper has no room for all.
    """
    limit = PER_GALLERY if per_gallery is None else per_gallery
    titles: list[str] = []
    chosen: list[Sequence[GalleryItem]] = []
    for run in runs:
        if manifest is None or why_without_pictures(run, manifest, manifest_sha256, fppi=fppi):
            continue
        every = galleries(run, manifest.images(), fppi=fppi)
        for kind in GALLERY_ORDER:
            titles.append(_title(run, kind, min(limit, len(every[kind])), len(every[kind]), fppi))
            chosen.append(every[kind][:limit])
    pictures = iter(
        made_of_images([item for items in chosen for item in items], load_image, _picture, lambda _: None)
    )
    found = [tuple(filter(None, [next(pictures) for _ in items])) for items in chosen]
    return tuple(PdfGallery(title, each) for title, each in zip(titles, found, strict=True) if each)


def _title(run: Run, kind: GalleryKind, n_shown: int, n_found: int, fppi: float) -> str:
    count = f"{n_shown} of {n_found}" if n_shown < n_found else str(n_found)
    return f"{run.name}: {TITLES[kind].lower()} at {fppi:g} FPPI ({count}; {GALLERY_ORDER[kind]})"


def _picture(pixels: NDArray[np.float32], item: GalleryItem) -> PdfPicture | None:
    height, width = pixels.shape
    marks = [Mark(lesion.box, "lesion") for lesion in item.lesions]
    marks += [
        Mark(each.box, each.kind, f"{each.score:.2f}") for each in item.marked if each.kind != "near miss"
    ]
    region = region_around(item.focus, width, height, factor=CONTEXT)
    drawn = draw_overlay(pixels, marks, size=_SIZE, region=region, line_px=3)
    place = f"{view_text(item.record)}, {item.record.record_id}"
    return PdfPicture(f"{item.what}: {item.how}. {place}", np.asarray(drawn))
