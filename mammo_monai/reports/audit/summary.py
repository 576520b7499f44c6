"""What a manifest holds, for a report: counts by list, patient and lesion, and the findings of its audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TypeVar

from mammo_monai.metrics.size_bands import size_band
from mammo_monai.records import ImageRecord, Lesion, Split
from mammo_monai.reports.audit.counts import list_table, published_table
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.tables.table import UNDEFINED, Table
from mammo_monai.schema import Action, Finding, Manifest, read_audit
from mammo_monai.words import counted

Row = TypeVar("Row")
Placed = tuple[ImageRecord, Lesion]
UNKNOWN = "unknown"
_DENSITY = {1: "a", 2: "b", 3: "c", 4: "d"}
_BANDS = {"<2cm": "< 2 cm", ">=2cm": "≥ 2 cm", "unknown": "no spacing"}
_WORST_FIRST = (Action.QUARANTINED, Action.WARNED, Action.REPAIRED)


def audit_summary_section(manifest: Manifest) -> str:
    """The section of a report on the data it was scored on."""
    tables = "".join(html_table(table) for table in audit_summary_tables(manifest))
    left_out = len(manifest.quarantined)
    note = ""
    if left_out:
        note = f'<p class="quiet">Left out of all lists: {counted(left_out, "image")} of the data set.</p>'
    made = [
        f"{name} {manifest.about[name]}" for name in ("layout", "split", "seed") if name in manifest.about
    ]
    how = f'<p class="quiet">{escape(", ".join(made))}.</p>' if made else ""
    return f'<section class="data"><h2>Data</h2>{tables}{note}{how}</section>'


def audit_summary_tables(manifest: Manifest, findings: Sequence[Finding] | None = None) -> list[Table]:
    """Counts by list, what is known of images and of lesions, published counts, findings by code.

    Args:
        findings: of the manifest's audit; None reads the audit.csv beside the manifest, where there is one.
    """
    found = findings_beside(manifest) if findings is None else findings
    tables = [
        list_table(manifest),
        image_table(manifest),
        lesion_table(manifest),
        published_table(manifest),
        findings_table(found) if found is not None else None,
    ]
    return [table for table in tables if table is not None]


def image_table(manifest: Manifest) -> Table:
    """Images by side, view, density, assessment and whether spacing is known; a column per list."""
    kinds: Mapping[str, Callable[[ImageRecord], str]] = {
        "laterality": lambda record: record.laterality.value if record.laterality else UNKNOWN,
        "view": lambda record: record.view_position.value if record.view_position else UNKNOWN,
        "BI-RADS density": lambda record: _DENSITY.get(record.breast_density or 0, UNKNOWN),
        "BI-RADS assessment": lambda record: UNKNOWN if record.birads is None else str(record.birads),
        "pixel spacing": lambda record: "known" if record.pixel_spacing_mm else UNKNOWN,
    }
    return _table("Images, by what is known of them", kinds, _lists(manifest))


def lesion_table(manifest: Manifest) -> Table | None:
    """Lesions by type, size band, pathology and assessment; a column per list; None without lesions."""
    kinds: Mapping[str, Callable[[Placed], str]] = {
        "type": lambda placed: placed[1].type,
        "longest side": lambda placed: _BANDS[size_band(placed[1].box, placed[0].pixel_spacing_mm)],
        "pathology": lambda placed: _words(placed[1].pathology),
        "BI-RADS assessment": lambda placed: UNKNOWN if placed[1].birads is None else str(placed[1].birads),
        "outline": _outline,
    }
    lists = {
        name: [(record, lesion) for record in records for lesion in record.lesions]
        for name, records in _lists(manifest).items()
    }
    return _table("Lesions as annotated", kinds, lists) if any(lists.values()) else None


def findings_table(findings: Sequence[Finding]) -> Table:
    """Findings of the audit by code, the most severe first, with what was done about them."""
    counts = Counter((finding.code, finding.action) for finding in findings)
    codes = sorted(
        {finding.code for finding in findings},
        key=lambda code: ([-counts[code, action] for action in _WORST_FIRST], code),
    )
    rows = tuple(
        (code, *(str(counts[code, action] or UNDEFINED) for action in _WORST_FIRST)) for code in codes
    )
    total = tuple(str(sum(finding.action is action for finding in findings)) for action in _WORST_FIRST)
    return Table(
        "Findings of the data audit, by code and what was done; audit.csv names each image",
        ("code", "left out", "warned of", "put right"),
        (*rows, ("all", *total)),
    )


def findings_beside(manifest: Manifest) -> list[Finding] | None:
    """The manifest's rows of the audit.csv beside it; None where it has none there.

    A table without rows of this manifest does not tell one without findings from one never audited.

    Raises:
        ManifestError: the file is no audit.csv.
    """
    if manifest.path is None:
        return None
    return read_audit(manifest.path.parent / "audit.csv").get(manifest.path.name)


def _table(
    caption: str, kinds: Mapping[str, Callable[[Row], str]], lists: Mapping[str, Sequence[Row]]
) -> Table:
    """A row for each value that occurs, what is unknown last; a column per list."""
    rows = []
    for kind, value_of in kinds.items():
        counts = {name: Counter(map(value_of, members)) for name, members in lists.items()}
        values = sorted(set().union(*counts.values()), key=lambda value: (value == UNKNOWN, value))
        rows += [
            (f"{kind}: {value}", *(str(counts[name][value] or UNDEFINED) for name in lists))
            for value in values
        ]
    rows.append(("in all", *(str(len(members)) for members in lists.values())))
    return Table(caption, ("", *lists), tuple(rows))


def _lists(manifest: Manifest) -> dict[str, Sequence[ImageRecord]]:
    """The lists that hold images, and all of them together where there are several."""
    lists: dict[str, Sequence[ImageRecord]] = {
        split.value: manifest.images(split) for split in Split if manifest.images(split)
    }
    if len(lists) != 1:
        lists["all lists"] = manifest.images()
    return lists


def _outline(placed: Placed) -> str:
    lesion = placed[1]
    if lesion.contour is None:
        return "box"
    return "dot" if lesion.is_dot else "contour"


def _words(code: str | None) -> str:
    return code.lower().replace("_", " ") if code else UNKNOWN
