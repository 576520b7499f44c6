"""A report on runs in the format its file name asks for: HTML, PDF, CSV or LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from mammo_monai.files import sha256_of
from mammo_monai.reports.documents.pdf_gallery import pdf_galleries
from mammo_monai.reports.documents.pdf_report import write_pdf
from mammo_monai.reports.documents.table_csv import write_csv
from mammo_monai.reports.documents.table_latex import write_latex
from mammo_monai.reports.page.report import ReportOptions, write_report
from mammo_monai.reports.pictures.loading import load_display_image
from mammo_monai.reports.runs import Run, SourceFile, with_truth
from mammo_monai.schema import Manifest

ReportFormat = Literal["html", "pdf", "csv", "latex"]
SUFFIXES: Mapping[str, ReportFormat] = {
    ".html": "html",
    ".htm": "html",
    ".pdf": "pdf",
    ".csv": "csv",
    ".tex": "latex",
}


def format_of(path: Path, name: str | None = None) -> ReportFormat:
    """The format by name; by the file's suffix where none is given.

    Raises:
        ValueError: no such format, or a suffix that stands for none.

    >>> format_of(Path("report.tex")), format_of(Path("report.txt"), "csv")
    ('latex', 'csv')
    """
    names = tuple(dict.fromkeys(SUFFIXES.values()))
    if name is not None:
        found = next((each for each in names if each == name), None)
        if found is None:
            raise ValueError(f"format must be {', '.join(names)}, got {name!r}.")
        return found
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path}: expected a name that ends in {', '.join(SUFFIXES)}, got {suffix or 'no suffix'}. "
            f"Rename it, or say --format {'|'.join(names)}."
        )
    return SUFFIXES[suffix]


def write_report_as(
    path: Path,
    runs: Sequence[Run],
    *,
    name: str | None = None,
    manifest: Manifest | None = None,
    options: ReportOptions | None = None,
) -> None:
    """Writes the report; CSV and LaTeX hold the figures alone, without pictures.

    Args:
        name: of the format, as `format_of` takes it.

    Raises:
        ValueError: no such format, an operating point that no run lists, or fewer than no pictures.
        ManifestError: no run, or files that do not belong together.
        OSError: the file cannot be written.
    """
    chosen, options, runs = format_of(path, name), options or ReportOptions(), with_truth(runs, manifest)
    _check_point(runs, options.fppi)
    if options.per_gallery is not None and options.per_gallery < 0:
        raise ValueError(f"per_gallery must be at least 0 (--per-gallery), got {options.per_gallery}.")
    if chosen == "html":
        write_report(path, runs, manifest=manifest, options=options)
    elif chosen == "csv":
        write_csv(path, runs)
    elif chosen == "latex":
        write_latex(path, runs, options)
    else:
        _write_pdf(path, runs, manifest, options)


def _write_pdf(path: Path, runs: Sequence[Run], manifest: Manifest | None, options: ReportOptions) -> None:
    source = None
    if manifest is not None and manifest.path is not None:
        source = SourceFile(manifest.path.name, sha256_of(manifest.path))
    shown = pdf_galleries(
        runs,
        manifest,
        source.sha256 if source else None,
        load_display_image,
        fppi=options.fppi,
        per_gallery=options.per_gallery,
    )
    write_pdf(path, runs, options=options, galleries=shown, sources=[source] if source else [])


def _check_point(runs: Sequence[Run], fppi: float) -> None:
    known = sorted({point["fppi"] for run in runs for point in run.points})
    if fppi != ReportOptions.fppi and fppi not in known:
        raise ValueError(
            f"no run lists an operating point of {fppi:g} false positives per image; there are "
            f"{', '.join(f'{each:g}' for each in known)}. Choose one of these with --fppi."
        )
