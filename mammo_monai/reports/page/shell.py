"""The shell every page shares: head, styles, scripts; one file, nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

INTENDED_USE = (
    "It marks, it never diagnoses. Research software, not a medical device: every mark, and every place "
    "without one, needs a reader's own judgement."
)
PHANTOMS = "Synthetic images (phantoms): no patient's films."


def html_page(
    title: str, body: str, *, styles: Sequence[str] = (), scripts: Sequence[str] = (), head: str = ""
) -> str:
    """A whole HTML document with the shared style sheet and further ones, in light and dark.

    Args:
        body: HTML. title: plain text.
        styles: CSS after the shared sheet. scripts: JavaScript run once the body is there.
        head: HTML for the head.

    A name of other bytes than UTF-8, which no page can hold, is shown as `\\udcfc`.
    """
    style = stylesheet("page.css") + "".join(styles)
    code = "".join(f"<script>\n{text}</script>\n" for text in scripts)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
{head}<style>
{style}</style>
</head>
<body>
{body}
{code}</body>
</html>
"""
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def main_of(parts: Sequence[str]) -> str:
    """The parts of a page below each other, as what the page is about."""
    body = "\n".join(parts)
    return f"<main>\n{body}\n</main>"


def stylesheet(name: str) -> str:
    """The text of a style sheet or script of this package."""
    return files("mammo_monai.reports.assets").joinpath(name).read_text(encoding="utf-8")
