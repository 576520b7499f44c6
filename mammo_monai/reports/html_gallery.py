"""The galleries of a report page: images with truth and detections, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from mammo_monai.records import ImageRecord
from mammo_monai.reports.gallery import GALLERY_ORDER, Card, GalleryKind, galleries, shown_from, view_text
from mammo_monai.reports.pictures import CardPictures, ImageLoader, Picture, render_cards
from mammo_monai.reports.runs import Run
from mammo_monai.schema import Manifest

Chosen = Mapping[GalleryKind, Sequence[Card]]
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


def gallery_section(
    runs: Sequence[Run],
    manifest: Manifest | None,
    manifest_sha256: str | None,
    load_image: ImageLoader,
    *,
    fppi: float,
    per_gallery: int,
) -> str:
    """The section with one folding block per run; the first is open.

    Args:
        manifest_sha256: of the manifest given; a run scored on another one gets a sentence instead.
    """
    blocks = []
    for number, run in enumerate(runs):
        why_none = _why_none(run, manifest, manifest_sha256)
        records = manifest.images() if manifest and not why_none else ()
        body = f'<p class="quiet">{escape(why_none)}</p>' if why_none else ""
        if not why_none:
            body = _run_galleries(run, records, load_image, fppi, per_gallery)
        opened = " open" if number == 0 else ""
        blocks.append(f'<details class="run"{opened}><summary>{escape(run.name)}</summary>{body}</details>')
    return f"""<section>
<h2>Images</h2>
<p class="legend"><span class="lesion">lesion as annotated</span>
<span class="hit">detection on a lesion</span> <span class="false-positive">false positive</span>
<span class="quiet">numbers are scores</span></p>
{"".join(blocks)}
</section>"""


def _why_none(run: Run, manifest: Manifest | None, manifest_sha256: str | None) -> str:
    if manifest is None:
        return "No pictures: the report was made without a manifest (--manifest)."
    if not run.detections:
        return "No pictures: no detections.json lies beside these metrics."
    if not run.metrics.get("images"):
        return "No pictures: these metrics list no images."
    scored = run.inputs.get("manifest_sha256")
    if scored and manifest_sha256 and scored != manifest_sha256:
        return "No pictures: this run was scored on another manifest than the one given."
    return ""


def _run_galleries(
    run: Run, records: Sequence[ImageRecord], load_image: ImageLoader, fppi: float, per_gallery: int
) -> str:
    every = galleries(run, records, fppi=fppi)
    chosen = {kind: every[kind][:per_gallery] for kind in GALLERY_ORDER}
    cards = [card for kind in GALLERY_ORDER for card in chosen[kind]]
    pictures = iter(render_cards(cards, load_image))
    score = shown_from(run, fppi)
    from_score = f"scores from {score:.4g}" if score < float("inf") else "nothing is shown there"
    blocks = [f'<p class="quiet">At the operating point of {fppi:g} FPPI: {from_score}.</p>']
    for kind, order in GALLERY_ORDER.items():
        if every[kind]:
            blocks.append(_gallery(kind, order, chosen[kind], len(every[kind]), pictures))
        else:
            none = _EMPTY[kind] if run.metrics["n_lesions"] else _NORMAL[kind]
            blocks.append(f'<h3>{kind.capitalize()}</h3><p class="quiet">{none}</p>')
    return "".join(blocks)


def _gallery(
    kind: GalleryKind, order: str, cards: Sequence[Card], n_images: int, pictures: Iterator[CardPictures]
) -> str:
    shown = f"{n_images} images" if n_images > 1 else "1 image"
    if len(cards) < n_images:
        shown = f"{len(cards)} of {shown}"
    figures = "".join(_card(card, kind, next(pictures)) for card in cards)
    return (
        f"<h3>{kind.capitalize()} <small>{shown}, {order}</small></h3>"
        f'<div class="cards" tabindex="0" role="group" aria-label="{kind}">{figures}</div>'
    )


def _card(card: Card, kind: GalleryKind, pictures: CardPictures) -> str:
    text = f"{view_text(card.record)}, record {card.record.record_id}. {card.finding}."
    if pictures.whole and pictures.detail:
        shown = (
            f'<div class="pictures"><span>{_img(pictures.whole, f"Whole image, {text}")}</span>'
            f"{_img(pictures.detail, f'Close-up, {text}')}</div>"
        )
    else:
        shown = f'<p class="failure">{escape(pictures.failure)}</p>'
    return (
        f'<figure class="card {kind.replace(" ", "-")}">{shown}<figcaption><b>{escape(card.finding)}</b>'
        f"<span>{escape(view_text(card.record))} · <code>{escape(card.record.record_id)}</code></span>"
        "</figcaption></figure>"
    )


def _img(picture: Picture, text: str) -> str:
    return (
        f'<img src="{picture.uri}" width="{picture.width // 2}" height="{picture.height // 2}" '
        f'alt="{escape(text)}" loading="lazy" decoding="sync">'
    )
