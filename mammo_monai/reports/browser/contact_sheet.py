"""A contact sheet of a manifest: every image with its boxes, so that people look at their data.

Pages beyond the first, and all pictures, lie in a folder beside it. A page holds so few images that it opens
at once; filters count over all pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import MammoError
from mammo_monai.files import write_text_atomic
from mammo_monai.geometry import ImageFrame
from mammo_monai.processes import DIED, WorkerPool
from mammo_monai.records import ImageRecord
from mammo_monai.reports.browser.cards import card_html, facts_of
from mammo_monai.reports.browser.pages import Pages
from mammo_monai.reports.browser.selection import Selected, Selection, select_images
from mammo_monai.reports.films.film import Film, film_of
from mammo_monai.reports.films.shown import Shown
from mammo_monai.reports.page.shell import PHANTOMS
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.thumbnail_files import StoredThumbnail, ThumbnailRequest, stored_thumbnail
from mammo_monai.reports.pictures.thumbnails import load_any_image
from mammo_monai.schema import Finding, Manifest
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

FrameOf = Callable[[ImageRecord], ImageFrame]
_PREPARED = "Prepared copies: cropped, resized and turned as models see them; right breasts may be mirrored."


@dataclass(frozen=True)
class BrowserOptions:
    """How the pages are made.

    Attributes:
        per_page: images on one page. size_px: longer side of the pictures, which is also how far they can be
            enlarged.
        workers: processes that read images. command: how the page was made, without folders.
        frame_of: from the original image to the file, for records of prepared manifests; without it their
            boxes are not drawn.
        on_progress: called with (images done, images).
        load_image: grey values of an image path, shape (H, W), float32 in [0, 1].
    """

    title: str = "Images of a data set"
    per_page: int = 120
    size_px: int = 900
    workers: int = 1
    command: str = ""
    frame_of: FrameOf | None = None
    on_progress: Callable[[int, int], None] | None = None
    load_image: ImageLoader = load_any_image


@dataclass(frozen=True)
class Browsed:
    """What was written: pages, images shown of those that matched, and how many have no picture."""

    n_pages: int
    n_images: int
    n_matching: int
    n_without_picture: int


def write_data_browser(
    path: Path,
    manifest: Manifest,
    findings: Sequence[Finding] = (),
    *,
    selection: Selection | None = None,
    options: BrowserOptions | None = None,
) -> Browsed:
    """Writes the first page at `path`, all else into `<name>_files` beside it.

    Pictures made by an earlier run are used again, so a stopped run goes on where it was. The first page is
    written last. No path, file name or patient stands in the pages: record ids identify images, and patients
    are numbered.

    Args:
        findings: of the manifest's audit, named on the images they speak of.

    Raises:
        ManifestError: nothing to show. ValueError: less than one image on a page, or one worker, or a `path`
            that is no page's, such as the manifest's own.
        OSError: a page or picture cannot be written.
    """
    path, options = Path(path), options or BrowserOptions()
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path}: a page's name must end in .html. Give another output.")
    if options.per_page < 1 or options.size_px < 1:
        raise ValueError(
            f"per_page and size_px must be at least 1, got {options.per_page}, {options.size_px}."
        )
    selected = select_images(manifest, findings, selection or Selection())
    facts = [facts_of(each, selected.codes.get(each.record_id, ())) for each in selected.images]
    is_prepared = any(each.record and each.record.prepared is not None for each in selected.images)
    pages = Pages(
        path,
        facts,
        options.per_page,
        selected.n_matching,
        options.title,
        notes=((PHANTOMS,) if manifest.is_phantom else ()) + ((_PREPARED,) if is_prepared else ()),
        command=options.command,
    )
    pages.write_index()
    first, n_missing = "", 0
    for number, cards in enumerate(_cards_by_page(pages, selected, options), start=1):
        n_missing += sum(not has_picture for _, has_picture in cards)
        page = pages.html(number, "\n".join(card for card, _ in cards))
        if number == 1:
            first = page
        else:
            write_text_atomic(pages.file(number), page)
    write_text_atomic(path, first)
    pages.remove_stale()
    images, on_pages = counted(len(facts), "image"), counted(pages.count, "page")
    logger.info("wrote %s with %s on %s", path, images, on_pages)
    return Browsed(pages.count, len(facts), selected.n_matching, n_missing)


def _cards_by_page(
    pages: Pages, selected: Selected, options: BrowserOptions
) -> Iterator[list[tuple[str, bool]]]:
    """Cards of each page in turn, with whether there is a picture; no more than one page is in memory."""
    folder = pages.folder / "pictures"
    requests = (
        ThumbnailRequest(each.path, each.record_id, folder, options.size_px, options.load_image)
        for each in selected.images
    )
    cards: list[tuple[str, bool]] = []
    total = len(selected.images)
    with WorkerPool(stored_thumbnail, options.workers, lambda _: StoredThumbnail(failure=DIED)) as pool:
        for done, stored in enumerate(pool.results(requests), start=1):
            image = selected.images[done - 1]
            seen_from = (done - 1) // options.per_page + 1
            source = pages.beside(f"{folder.name}/{stored.name}", seen_from=seen_from)
            film = _film(image, stored, source, options)
            if stored.failure:
                logger.warning("record %s is shown without a picture: %s", image.record_id, stored.failure)
            cards.append((card_html(image, film, pages.facts[done - 1], selected), not stored.failure))
            if options.on_progress:
                options.on_progress(done, total)
            if len(cards) == options.per_page or done == total:
                yield cards
                cards = []


def _film(image: Shown, stored: StoredThumbnail, source: str, options: BrowserOptions) -> Film:
    if stored.thumbnail is None:
        return Film(note=stored.failure)
    frame = None
    if image.record is not None and image.record.prepared is not None and options.frame_of:
        try:
            frame = options.frame_of(image.record)
        except MammoError as error:
            logger.debug("record %s: %s", image.record_id, error)
    return film_of(stored.thumbnail, source, image.record, frame)
