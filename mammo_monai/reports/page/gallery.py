"""The galleries of a report page: every missed lesion, false positive and found lesion as a crop.

They work without a script: a box ticked below a crop enlarges it, radio buttons narrow a gallery down.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from mammo_monai.reports.gallery.crops import Crop, crop_items, marks_svg, place_svg
from mammo_monai.reports.gallery.items import (
    GALLERY_ORDER,
    GalleryItem,
    GalleryKind,
    galleries,
    has_same_truth,
    shown_from,
    view_text,
)
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.image_tables import marks_boxes
from mammo_monai.schema import Manifest
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

MAX_CROPS = 2000
"""Crops on one page where no number per gallery is asked for; measured: some 10 kB each."""
_ON_PAPER = 18  # crops of a gallery that are printed, as gallery.css says
_EMPTY: Mapping[GalleryKind, str] = {
    "misses": "No lesion is missed at this operating point.",
    "false positives": "No false positive at this operating point.",
    "hits": "No lesion is found at this operating point.",
}
_NORMAL: Mapping[GalleryKind, str] = {
    "misses": "These images hold no lesion to miss.",
    "false positives": _EMPTY["false positives"],
    "hits": "These images hold no lesion to find.",
}
TITLES: Mapping[GalleryKind, str] = {
    "misses": "Missed lesions",
    "false positives": "False positives",
    "hits": "Found lesions",
}
_ONE: Mapping[GalleryKind, str] = {
    "misses": "Missed lesion",
    "false positives": "False positive",
    "hits": "Found lesion",
}
Galleries = Mapping[GalleryKind, Sequence[GalleryItem]]


def gallery_section(
    runs: Sequence[Run],
    manifest: Manifest | None,
    manifest_sha256: str | None,
    load_image: ImageLoader,
    *,
    fppi: float,
    per_gallery: int | None = None,
) -> str:
    """The section with one folding block per run; the first is open.

    Args:
        manifest_sha256: of the manifest given; a run scored on another one, with other images or lesions,
            gets a sentence instead.
        per_gallery: most crops in one gallery; None shows all, as far as `MAX_CROPS` reaches on the page,
            each gallery then cut to the same length. The page says what was left out.

    Raises:
        ValueError: `per_gallery` is negative.
        ManifestError: metrics that speak of lesions or detections their files do not hold.
    """
    if per_gallery is not None and per_gallery < 0:
        raise ValueError(f"per_gallery must be at least 0 (--per-gallery), got {per_gallery}.")
    why_none = [why_without_pictures(run, manifest, manifest_sha256, fppi=fppi) for run in runs]
    records = manifest.images() if manifest else ()
    every: list[Galleries] = [
        {} if why else galleries(run, records, fppi=fppi) for run, why in zip(runs, why_none, strict=True)
    ]
    limit = per_gallery
    if limit is None:
        limit = fair_limit([len(items) for each in every for items in each.values()], MAX_CROPS)
    chosen: list[Galleries] = [{kind: items[:limit] for kind, items in each.items()} for each in every]
    shown = [item for each in chosen for items in each.values() for item in items]
    crops = iter(crop_items(shown, load_image))
    blocks = []
    for number, run in enumerate(runs):
        body = f'<p class="quiet">{escape(why_none[number])}</p>'
        if not why_none[number]:
            body = _run_galleries(run, number, every[number], chosen[number], crops, fppi)
        elif manifest and marks_boxes(run):
            logger.warning("run %s: %s", run.name, why_none[number])
        opened = " open" if number == 0 else ""
        blocks.append(f'<details class="run"{opened}><summary>{escape(run.name)}</summary>{body}</details>')
    top = _LEGEND + _TOOLS if shown else ""
    return f'<section class="bare"><h2>Images</h2>{top}{"".join(blocks)}</section>'


def fair_limit(counts: Iterable[int], most: int) -> int:
    """The largest length to cut galleries to so that all of them together hold at most `most`.

    Galleries shorter than that stay whole and leave their room to the others.

    >>> fair_limit([10, 300, 300], 410), fair_limit([10, 20], 410)
    (200, 20)
    """
    left, sizes = most, sorted(counts)
    for n, size in enumerate(sizes):
        share = left // (len(sizes) - n)
        if size > share:
            return share
        left -= size
    return sizes[-1] if sizes else 0


_LEGEND = (
    '<p class="legend"><span class="lesion">lesion as annotated</span> <span class="hit">detection on a '
    'lesion</span> <span class="false-positive">false positive</span> <span class="near-miss">detection near '
    'a missed lesion</span> <span class="quiet">numbers are scores</span></p>'
)
_TOOLS = (
    '<p class="tools"><label><input type="checkbox" class="plain"> without marks</label> '
    '<span class="quiet">Choose a picture to enlarge it, again to make it small.</span></p>'
)


def why_without_pictures(
    run: Run, manifest: Manifest | None, manifest_sha256: str | None, *, fppi: float
) -> str:
    """Why a run's findings at an operating point cannot be shown; "" where they can."""
    if manifest is None:
        return "No pictures: the report was made without a manifest (--manifest)."
    reasons = (
        (not run.detections, "no detections.json lies beside these metrics."),
        (not marks_boxes(run), "this model scores whole images and marks no place."),
        (not run.metrics.get("images"), "these metrics list no images."),
        (run.point_at(fppi) is None, f"this run lists no operating point of {fppi:g} FPPI (--fppi)."),
    )
    if why := next((text for is_so, text in reasons if is_so), ""):
        return f"No pictures: {why}"
    scored = run.inputs.get("manifest_sha256")
    is_same_file = not scored or not manifest_sha256 or scored == manifest_sha256
    if not is_same_file and not has_same_truth(run, manifest.images()):
        return (
            "No pictures: this run was scored on another manifest than the one given, which lacks images of "
            "it or has other lesions."
        )
    return ""


def _run_galleries(
    run: Run, number: int, every: Galleries, chosen: Galleries, crops: Iterator[Crop], fppi: float
) -> str:
    score = shown_from(run, fppi)
    from_score = f"scores from {score:.4g}" if score < float("inf") else "nothing is shown there"
    blocks = [f'<p class="quiet">At the operating point of {fppi:g} FPPI: {from_score}.</p>']
    for kind in GALLERY_ORDER:
        if every[kind]:
            figures = [_figure(item, next(crops), _groups(every[kind])) for item in chosen[kind]]
            blocks.append(_gallery(kind, f"{number}-{kind[:1]}", every[kind], figures))
        else:
            none = _EMPTY[kind] if run.metrics["n_lesions"] else _NORMAL[kind]
            blocks.append(f'<h3>{TITLES[kind]}</h3><p class="quiet">{none}</p>')
    return "".join(blocks)


def _gallery(kind: GalleryKind, key: str, items: Sequence[GalleryItem], figures: Sequence[str]) -> str:
    n_images = len({item.record.record_id for item in items})
    count = f"all {len(items)}" if len(items) > 1 else "1"
    less = ""
    if len(figures) < len(items):
        count = f"{len(figures)} of {len(items)}"
        less = (
            f'<p class="quiet">{len(items) - len(figures)} more are left out to bound the size of this page; '
            "--per-gallery sets how many are shown.</p>"
        )
    printed = ""
    if len(figures) > _ON_PAPER:
        printed = f'<p class="quiet on-paper">The first {_ON_PAPER} are printed; the page holds the rest.</p>'
    return (
        f'<details class="gallery {kind.replace(" ", "-")}" open><summary><b>{TITLES[kind]}</b> '
        f"<small>{count}, on {counted(n_images, 'image')}; {GALLERY_ORDER[kind]}</small></summary>"
        f'{_filter(key, items)}<div class="crops" role="group" aria-label="{TITLES[kind]}">{"".join(figures)}'
        f"</div>{less}{printed}</details>"
    )


def _groups(items: Sequence[GalleryItem]) -> list[str]:
    return sorted({item.group for item in items})


def _filter(key: str, items: Sequence[GalleryItem]) -> str:
    """Radio buttons for the groups of a gallery, none where there is but one."""
    groups = _groups(items)
    if len(groups) < 2:
        return ""
    buttons = "".join(
        f'<label><input type="radio" name="only-{key}" value="{n}"{"" if n else " checked"}> '
        f"{escape(name)}</label>"
        for n, name in enumerate(["all", *groups])
    )
    return f'<div class="tools" role="radiogroup" aria-label="Show">{buttons}</div>'


def _figure(item: GalleryItem, crop: Crop, groups: Sequence[str]) -> str:
    record = item.record
    text = f"{_ONE[item.kind]}, {item.what}: {item.how}. {view_text(record)}, record {record.record_id}."
    shown, place = f'<p class="failure">{escape(crop.failure)}</p>', ""
    if crop.uri:
        shown = (
            f'<input type="checkbox" class="zoom" aria-label="Enlarge: {escape(text)}"><span class="look">'
            f'<img src="{crop.uri}" width="{crop.width}" height="{crop.height}" alt="{escape(text)}" '
            f'loading="lazy" decoding="async">{marks_svg(item, crop)}</span>'
        )
        place = place_svg(record, crop.region)
    return (
        f'<figure class="crop g{groups.index(item.group) + 1}">{shown}<figcaption><b>{escape(item.what)}</b>'
        f"<span>{escape(item.how)}</span>{place}"
        f"<span>{escape(view_text(record))} · <code>{escape(record.record_id)}</code></span>"
        "</figcaption></figure>"
    )
