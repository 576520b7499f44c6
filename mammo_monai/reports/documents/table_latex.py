"""The tables of a report as LaTeX (booktabs), one file for \\input in a paper."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from mammo_monai import __version__
from mammo_monai.errors import ManifestError
from mammo_monai.files import write_text_atomic
from mammo_monai.reports.page.report import ReportOptions
from mammo_monai.reports.runs import Run, warnings_of
from mammo_monai.reports.tables.table import Table
from mammo_monai.reports.tables.table_list import report_tables

# What LaTeX reads as commands, and what its text fonts lack or set as another sign.
_SIGNS = {
    **{"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%"},
    **{"_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "`": r"\textasciigrave{}"},
    **{
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "[": "{[}",
        "]": "{]}",
        "*": "{*}",
        '"': "''",
    },
    **{"–": "--", "—": "---", "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$"},
    **{"≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "→": r"$\rightarrow$", "…": r"\ldots{}"},
    **{"“": "``", "”": "''", "‘": "`", "’": "'", "²": r"\textsuperscript{2}", "ᵂ": r"\textsuperscript{W}"},
    **{"α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "μ": r"$\mu$", "σ": r"$\sigma$"},
}
_HEAD = """% {title}. Made by mammo-monai {version}.
% In the preamble: \\usepackage{{booktabs, graphicx}}"""
# The tabular is as wide as it is, or as the line where it is wider.
_FLOAT = r"""\begin{{table}}[htbp]
\centering
\caption{{{caption}}}
\label{{{label}}}
\small
\resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{%
\begin{{tabular}}{{@{{}}{form}@{{}}}}
\toprule
{header}
\midrule
{rows}\bottomrule
\end{{tabular}}}}{notes}
\end{{table}}
"""
_NOTES = r"""
\par\smallskip
\begin{{minipage}}{{\linewidth}}\footnotesize
{notes}
\end{{minipage}}"""


def write_latex(
    path: Path, runs: Sequence[Run], options: ReportOptions | None = None, *, label: str = "tab:mammo"
) -> None:
    """Writes every table of the report as a float with caption, label and notes.

    The file is ASCII but for Latin letters with accents, and needs booktabs and graphicx in the preamble. A
    table wider than the line is scaled down to it. Plots are not in it.

    Args:
        options: title (in a comment), banner and whether published figures are listed once more.
        label: what \\label of each table begins with; a number follows.

    Raises:
        ManifestError: there is no run.
        OSError: the file cannot be written.
    """
    if not runs:
        raise ManifestError("tables need at least one run: name a metrics.json, or a folder that holds one.")
    options = options or ReportOptions()
    parts = [_HEAD.format(title=_one_line(options.title), version=__version__)]
    parts += [f"% {_one_line(run.name)}: {_one_line(run.told)}" for run in runs if run.told]
    banners = [*([options.banner] if options.banner else []), *warnings_of(runs)]
    parts += [rf"\noindent\textbf{{{latex_text(each)}}}\par" for each in banners]
    tables = report_tables(runs, has_published=options.has_published)
    parts += [latex_table(table, label=f"{label}-{n}") for n, table in enumerate(tables, start=1)]
    write_text_atomic(Path(path), "\n".join(parts))


def latex_table(table: Table, *, label: str) -> str:
    """One float: caption above, the tabular no wider than the line, notes below.

    The first column and those of words are set left, those of figures right.
    """
    notes = "\n".join(rf"\par {latex_text(note)}" for note in table.footnotes)
    return _FLOAT.format(
        caption=latex_text(table.caption),
        label=label,
        form="".join("r" if is_right else "l" for is_right in table.figure_columns),
        header=_row(table.header),
        rows="".join(_row(row) + "\n" for row in table.rows),
        notes=_NOTES.format(notes=notes) if notes else "",
    )


def latex_text(text: str) -> str:
    r"""Text as LaTeX sets it; a letter of another script as its code point, since no text font may have it.

    >>> print(latex_text("90 % of R&D_1, ≥ 0.5 ± .1, --x"))
    90 \% of R\&D\_1, $\geq$ 0.5 $\pm$ .1, -{}-x
    >>> print(latex_text("\\emph{é} 中"))
    \textbackslash{}emph\{é\} {[}U+4E2D{]}
    """
    line = _one_line(unicodedata.normalize("NFC", text))
    # Two hyphens of a name stay two: LaTeX would draw a dash.
    return "".join(
        _sign(sign) + ("{}" if sign == after == "-" else "") for sign, after in pairwise(line + " ")
    )


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    is_latin = sign.isalpha() and unicodedata.name(sign, "").startswith("LATIN") and ord(sign) < 0x180
    if (sign.isascii() and sign.isprintable()) or is_latin:
        return sign
    return f"{{[}}U+{ord(sign):04X}{{]}}"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _row(cells: Sequence[str]) -> str:
    return " & ".join(latex_text(cell) for cell in cells) + r" \\"
