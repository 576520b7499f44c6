"""audit.csv: what a reader repaired, left out or doubts; no path and no patient stands in it."""

from __future__ import annotations

import csv
import enum
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.files import write_text_atomic

AUDIT_COLUMNS = ("manifest", "code", "record_id", "place", "found", "action")


class Action(str, enum.Enum):
    """What was done about a finding."""

    REPAIRED = "repaired"
    QUARANTINED = "quarantined"
    WARNED = "warned"


@dataclass(frozen=True)
class Finding:
    """One row of audit.csv.

    Attributes:
        code: stable and short, for filters: "mask-missing".
        record_id: the image it concerns; "" where it concerns the whole data set.
        found: what was found, in words, without a path.
        place: a table of the data set and a row in it, "finding_annotations.csv row 12"; "" where there is
            none.
    """

    code: str
    record_id: str
    found: str
    action: Action
    place: str = ""


def read_audit(path: Path) -> dict[str, list[Finding]]:
    """The findings in audit.csv by the manifest's file name; none if there is no such file.

    Raises:
        ManifestError: other columns, or an action that is none; the file and row are named.
    """
    path = Path(path)
    if not path.is_file():
        return {}
    found: dict[str, list[Finding]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        if tuple(header := next(rows, [])) != AUDIT_COLUMNS:
            raise ManifestError(
                f"{path}: expected the columns {', '.join(AUDIT_COLUMNS)}, found "
                f"{', '.join(header) or 'nothing'}. Move that file away."
            )
        for number, row in enumerate(rows, start=1):
            manifest, finding = _finding(path, number, row)
            found.setdefault(manifest, []).append(finding)
    return found


def write_audit(path: Path, manifest_name: str, findings: Sequence[Finding]) -> None:
    """Writes the rows of one manifest into audit.csv; rows of other manifests in it stay.

    Args:
        path: audit.csv beside the manifest. manifest_name: the manifest's file name.
    """
    every = {**read_audit(path), manifest_name: findings}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(AUDIT_COLUMNS)
    for name, rows in every.items():
        writer.writerows((name, f.code, f.record_id, f.place, f.found, f.action.value) for f in rows)
    write_text_atomic(path, text.getvalue())


def _finding(path: Path, number: int, row: Sequence[str]) -> tuple[str, Finding]:
    try:
        manifest, code, record_id, place, found, action = row
        return manifest, Finding(code, record_id, found, Action(action), place)
    except ValueError:
        raise ManifestError(
            f"{path}, row {number}: expected {len(AUDIT_COLUMNS)} cells, the last one of "
            f"{', '.join(each.value for each in Action)}, got {list(row)!r:.120}. Move that file away."
        ) from None
