"""The look of a PDF report: fonts, styles, pages with numbers, and tables as books set them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from mammo_monai.errors import MammoError
from mammo_monai.reports.tables.table import WILSON_MARK, Table

# Points. A4 with margins of 20 mm, 18 at the foot.
PAGE = (595.28, 841.89)
MARGIN, FOOT = 56.7, 51.0
WIDTH = PAGE[0] - 2 * MARGIN
HEIGHT = PAGE[1] - MARGIN - FOOT
_TABLE_SIZES = (8.5, 8.0, 7.5, 7.0, 6.5)
_GAP = 9.0  # between two columns
_PADDING = 6.0  # of reportlab's frame, inside its margins
_FONTS = {"Report": "", "Report-Bold": "Bol", "Report-Italic": "Italic", "Report-BoldItalic": "BolIta"}
Story = list[Any]


class ReportError(MammoError):
    """A report cannot be written in the format asked for."""


@dataclass(frozen=True)
class PageText:
    """What stands on every page: the document's title, and a sentence at the foot."""

    title: str
    foot: str


def render_pdf(make_story: Callable[[], Story], text: PageText) -> bytes:
    """The document as bytes; the same story gives the same bytes.

    Args:
        make_story: makes the flowables afresh; called twice, since page 1 names the number of pages.

    Raises:
        ReportError: reportlab is not installed; the message names the extra.
    """
    _register_fonts()
    _, n_pages = _build(make_story(), text, None)
    content, _ = _build(make_story(), text, n_pages)
    return content


def paragraph(text: str, style: str = "body") -> Any:
    """A paragraph in one of the styles: title, heading, body, notice, banner, note, small, code."""
    from reportlab.platypus import Paragraph  # noqa: PLC0415  # the extra pdf

    return Paragraph(_markup(text), _styles()[style])


def caption_paragraph(title: str, caption: str) -> Any:
    """A caption, its title such as "Table 3" in bold."""
    from reportlab.platypus import Paragraph  # noqa: PLC0415  # the extra pdf

    return Paragraph(f"<b>{_markup(title)}.</b> {_markup(caption)}", _styles()["caption"])


def table_flowables(table: Table, *, title: str) -> Story:
    """Caption, rules and rows, notes; columns that do not fit beside each other go below, the first repeated.

    Args:
        title: what stands before the caption, such as "Table 3".
    """
    from reportlab.platypus import KeepTogether, Spacer  # noqa: PLC0415  # the extra pdf

    parts = [_table(part, size) for part, size in _fitting(table)]
    notes = [paragraph(note, "note") for note in table.footnotes]
    flowables: Story = [caption_paragraph(title, table.caption)]
    for part in parts:
        flowables += [part, Spacer(1, 3)]
    return [KeepTogether([*flowables, *notes]), Spacer(1, 12)]


def column_widths(table: Table, size: float) -> list[float] | None:
    """Widths in points with which the columns fill no more than a line; None where no wrapping helps.

    Each column is as wide as its longest cell. Where all together are too wide, headings of figures break
    first; then every column gives way to its longest word, all in the same proportion. Figures never break.
    """
    _register_fonts()
    wanted, least, fitting = [], [], [0.0]
    for name, cells, is_figures in zip(table.header, _cells(table), table.figure_columns, strict=True):
        body = [_width(_glued(text), size) for text in cells]
        head = _width(_glued(name), size)
        words = [_width(word, size) for text in (name, *cells) for word in _glued(text).split(" ")]
        least.append(max([*words, *(body if is_figures else ())]) + _GAP)
        wanted.append((max([head, *body]) + _GAP, max([head * (0.6 if is_figures else 1.0), *body]) + _GAP))
    for widths in zip(*wanted, strict=True):
        fitting = [max(pair) for pair in zip(widths, least, strict=True)]
        if sum(fitting) <= WIDTH:
            return fitting
    if sum(least) > WIDTH:
        return None
    share = (WIDTH - sum(least)) / (sum(fitting) - sum(least))
    return [low + share * (high - low) for low, high in zip(least, fitting, strict=True)]


def _fitting(table: Table) -> list[tuple[Table, float]]:
    """The table in the largest size that fits; else its columns in several tables of the smallest."""
    for size in _TABLE_SIZES:
        if column_widths(table, size):
            return [(table, size)]
    parts, first = [], 1
    while first < len(table.header):
        last = first + 1
        while last < len(table.header) and column_widths(_of(table, first, last + 1), _TABLE_SIZES[-1]):
            last += 1
        parts.append((_of(table, first, last), _TABLE_SIZES[-1]))
        first = last
    return parts


def _of(table: Table, first: int, last: int) -> Table:
    """The first column, and those from `first` to before `last`."""
    rows = tuple((row[0], *row[first:last]) for row in table.rows)
    return Table(table.caption, (table.header[0], *table.header[first:last]), rows, notes=table.notes)


def _cells(table: Table) -> list[list[str]]:
    return [[row[n] for row in table.rows] for n in range(len(table.header))]


def _table(table: Table, size: float) -> Any:
    """Rules above, below and under the header; columns of figures set right."""
    from reportlab.lib.enums import TA_LEFT, TA_RIGHT  # noqa: PLC0415  # the extra pdf
    from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415
    from reportlab.platypus import Paragraph  # noqa: PLC0415
    from reportlab.platypus import Table as Grid  # noqa: PLC0415

    # A column no wrapping helps stands alone with the first, both as wide as half a line, words broken.
    widths = column_widths(table, size) or [WIDTH / len(table.header)] * len(table.header)

    def cell(text: str, column: int, font: str) -> Any:
        place = TA_RIGHT if table.figure_columns[column] else TA_LEFT
        style = ParagraphStyle("cell", fontName=font, fontSize=size, leading=size * 1.2, alignment=place)
        return Paragraph(_markup(text), style)

    lines = [[cell(text, n, "Report-Bold") for n, text in enumerate(table.header)]]
    lines += [[cell(text, n, "Report") for n, text in enumerate(row)] for row in table.rows]
    rules = [("LINEABOVE", (0, 0), (-1, 0), 0.9, "black"), ("LINEBELOW", (0, 0), (-1, 0), 0.5, "black")]
    rules.append(("LINEBELOW", (0, -1), (-1, -1), 0.9, "black"))
    padding = [(f"{side}PADDING", (0, 0), (-1, -1), 1.6) for side in ("TOP", "BOTTOM")]
    padding += [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), _GAP / 2)]
    padding += [("LEFTPADDING", (1, 0), (-1, -1), _GAP / 2), ("RIGHTPADDING", (-1, 0), (-1, -1), 0)]
    places = [("VALIGN", (0, 0), (-1, 0), "BOTTOM"), ("VALIGN", (0, 1), (-1, -1), "TOP")]
    return Grid(lines, colWidths=widths, repeatRows=1, hAlign="LEFT", style=[*rules, *padding, *places])


def _width(text: str, size: float) -> float:
    """In the heavier of both fonts, since headers are bold."""
    from reportlab.pdfbase.pdfmetrics import stringWidth  # noqa: PLC0415  # the extra pdf

    return float(stringWidth(text.replace(WILSON_MARK, "w"), "Report-Bold", size)) + 0.5


def _glued(text: str) -> str:
    """The text with spaces that do not break around ±, %, @ and arrows' heads.

    >>> _glued("0.9 ± 0.1 @ 1, 95 % CI").split(" ")
    ['0.9\\xa0±\\xa00.1\\xa0@\\xa01,', '95\\xa0%\\xa0CI']
    """
    return re.sub(r" (?=[±%@])|(?<=[±@→]) |(?<=%) (?=CI)", "\u00a0", text)


def _markup(text: str) -> str:
    """Escaped; signs that the font lacks as raised letters or code points."""
    from reportlab.pdfbase.pdfmetrics import getFont  # noqa: PLC0415  # the extra pdf

    known = getFont("Report").face.charToGlyph
    escaped = escape(_glued(text), quote=False).replace(WILSON_MARK, "<super>W</super>")
    return "".join(
        sign if ord(sign) in known or sign.isspace() else f"[U+{ord(sign):04X}]" for sign in escaped
    )


def _register_fonts() -> None:
    """STIX, which matplotlib brings along: set like a journal, with Greek letters and signs.

    Raises:
        ReportError: reportlab is not installed.
    """
    try:
        from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415  # the extra pdf
        from reportlab.pdfbase.ttfonts import TTFont  # noqa: PLC0415
    except ImportError as error:
        raise ReportError(
            "a PDF report needs the package reportlab, which is not installed. Run: "
            "pip install 'mammo-monai[pdf]', or write .html, .csv or .tex."
        ) from error
    if "Report" in pdfmetrics.getRegisteredFontNames():
        return
    from matplotlib import get_data_path  # noqa: PLC0415  # takes a second to import

    folder = Path(get_data_path()) / "fonts" / "ttf"
    for name, style in _FONTS.items():
        pdfmetrics.registerFont(TTFont(name, str(folder / f"STIXGeneral{style}.ttf")))
    names = dict(zip(("normal", "bold", "italic", "boldItalic"), _FONTS, strict=True))
    pdfmetrics.registerFontFamily("Report", **names)


def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415  # the extra pdf

    body = ParagraphStyle("body", fontName="Report", fontSize=10, leading=12.6, spaceAfter=5)

    def like(name: str, **changes: Any) -> Any:
        return ParagraphStyle(name, parent=body, **changes)

    bold: dict[str, Any] = {"fontName": "Report-Bold", "keepWithNext": 1}
    small: dict[str, Any] = {"fontSize": 8, "leading": 9.8}
    grey: dict[str, Any] = {"backColor": "#f0f0f2", "borderPadding": 5}
    return {
        "body": body,
        "title": like("title", **bold, fontSize=18, leading=22, spaceAfter=4),
        "heading": like("heading", **bold, fontSize=12.5, leading=15, spaceBefore=12, spaceAfter=6),
        "notice": like("notice", fontName="Report-Italic"),
        "banner": like("banner", fontName="Report-Bold", **grey, spaceBefore=6, spaceAfter=10),
        "caption": like("caption", fontSize=9.2, leading=11.4, spaceBefore=2, spaceAfter=4),
        "note": like("note", **small, spaceAfter=1.5, textColor="#333333"),
        "small": like("small", **small),
        "code": like("code", fontName="Courier", fontSize=7.5, leading=9.5),
    }


def _build(story: Story, text: PageText, n_pages: int | None) -> tuple[bytes, int]:
    """The document and its number of pages; the foot names that number once it is known."""
    from reportlab.platypus import SimpleDocTemplate  # noqa: PLC0415  # the extra pdf

    def foot(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont("Report", 8)
        canvas.setFillColor("#555555")
        canvas.drawString(MARGIN, FOOT - 22, text.foot)
        canvas.drawRightString(PAGE[0] - MARGIN, FOOT - 22, f"{document.page} / {n_pages or 0}")
        canvas.restoreState()

    stream = BytesIO()
    sides = {"leftMargin": MARGIN, "rightMargin": MARGIN, "topMargin": MARGIN, "bottomMargin": FOOT}
    margins = {side: width - _PADDING for side, width in sides.items()}
    document = SimpleDocTemplate(
        stream,
        pagesize=PAGE,
        invariant=1,
        title=text.title,
        author="mammo-monai",
        lang="en-GB",
        **margins,
    )
    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return stream.getvalue(), int(document.page)
