"""Packs and inspections on a terminal: nothing in a stranger's text moves the cursor or hides there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from mammo_monai.words import counted

if TYPE_CHECKING:
    from mammo_monai.bundle import Inspection, Pulled, Verified
    from mammo_monai.bundle.exporting import Exported
    from mammo_monai.bundle.inspection import Code

_WIDTH = 160


def verified_lines(found: Verified) -> list[str]:
    """Name, size, hash and lineage of a pack without faults."""
    from mammo_monai.bundle.packing.ancestry import lineage_text

    record = found.record
    n, size = len(record.files), sum(each.bytes for each in record.files.values()) / 1e6
    head = f"{found.path}: {record.bundle} {record.version}, as packed: {counted(n, 'file')}, {size:.1f} MB"
    return [head, f"SHA-256 {found.sha256}", f"lineage {lineage_text(record.lineage)}", *found.notes]


def inspection_lines(found: Inspection) -> list[str]:
    """All that would run, by file; what is not on the list of what is safe begins with `!`."""
    counts = ", ".join(f"{n} {category}" for category, n in found.counts.items()) or "nothing"
    verdict = f"{len(found.outside)} not on the list of what is safe" if found.outside else "all on the list"
    return [*_lines(found.codes), f"{found.bundle}: {counts}; {verdict}"]


def outside_lines(found: Inspection) -> list[str]:
    """What is not on the list of what is safe."""
    return _lines(found.outside)


def pulled_lines(made: Pulled) -> list[str]:
    """Where a bundle is now, and what is known of it."""
    lines = outside_lines(made.inspection)
    state = "was there already" if made.was_there else "as packed"
    lines.append(f"{made.folder}: {made.verified.record.bundle} {made.verified.record.version}, {state}")
    lines.append(f"SHA-256 {made.verified.sha256}")
    if made.replaced is not None:
        lines.append(f"the bundle that was there: {made.replaced}")
    if made.signed is not None:
        lines.append(f"signed with {made.signed.key.id}: {_shown(made.signed.comment)}")
    elif not made.is_pinned:
        lines.append("not compared with a SHA-256 from its sender (--sha256): only accidents would be seen.")
    return [*lines, *made.verified.notes]


def exported_lines(made: Exported) -> list[str]:
    """What was written, and how it compares with torch."""
    checks: Any = made.record.checks
    boxes, maps = checks["boxes"], checks["maps"]
    worst = max(each["largest_difference"] for each in maps)
    lines = [f"{made.model}: {made.record.engine} {made.record.precision}, record {made.record_path.name}"]
    lines.append(f"maps differ by {worst:.2g} at most, on {len(maps)} sizes")
    if boxes["matched"] is not None:
        text = f"IoU {boxes['min_iou']} with scores within {boxes['max_score_difference']}"
        lines.append(f"{boxes['matched']:.1%} of {counted(boxes['n_boxes'], 'box')} matched at {text}")
    lines.append(f"compared on {counted(checks['n_images'], 'image')} ({checks['images']})")
    for one, other in zip(
        *(checks.get("froc", {}).get(name, ()) for name in ("torch", "engine")), strict=True
    ):
        both = " against ".join(_sensitivity(each) for each in (other, one))
        lines.append(f"sensitivity @ {one['fppi']:g} FPPI: {both} by torch")
    return lines


def _sensitivity(point: Mapping[str, Any]) -> str:
    if point["sensitivity"] is None:
        return "undefined"
    return f"{point['sensitivity']:.3f} ({point['low']:.3f} to {point['high']:.3f})"


def _lines(codes: Sequence[Code]) -> list[str]:
    lines = []
    for file, group in groupby(codes, key=lambda each: each.file):
        lines.append(_shown(file))
        for each in group:
            mark = " " if each.is_safe else "!"
            where = f"{_shown(each.id)}: " if each.id else ""
            told = f"{where}{_shown(each.text)}  ({_shown(each.reason)})"
            lines.append(f"{mark} {each.category:10} {each.kind:10} {told}")
    return lines


def _shown(text: str) -> str:
    """ASCII, in one line: look-alike letters and control characters show as their codes."""
    plain = text if text.isascii() and text.isprintable() else json.dumps(text)[1:-1]
    return plain if len(plain) <= _WIDTH else f"{plain[:_WIDTH]}… ({len(plain)} characters)"
