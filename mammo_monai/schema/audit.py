"""audit.csv: what a reader repaired, left out or doubts; no path and no patient stands in it."""

from __future__ import annotations

import csv
import enum
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.files import could_not_write, write_text_atomic
from mammo_monai.locks import LockHeldError, file_lock

PATIENCE_S = 30.0  # for another command that writes its rows into the same file
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
        ManifestError: no text, other columns, or an action that is none; the file and row are named.
    """
    path = Path(path)
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return _findings(path, csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ManifestError(
            f"{path}: expected CSV in UTF-8, cannot be read: {reason}. Move that file away."
        ) from error


def write_audit(path: Path, manifest_name: str, findings: Sequence[Finding]) -> None:
    """Writes the rows of one manifest into audit.csv; rows of other manifests in it stay.

    Args:
        path: audit.csv beside the manifest. manifest_name: the manifest's file name.

    Raises:
        ManifestError: the file there is no audit, or another command has been writing it for long.
        OSError: it cannot be written.
    """
    with ExitStack() as stack:
        try:
            lock = file_lock(path.with_name(f".{path.name}.lock"), patience_s=PATIENCE_S, keeps_file=False)
            stack.enter_context(lock)
        except LockHeldError as error:
            raise ManifestError(f"{path}: {error.holder} is writing it. Wait until it ends.") from error
        except OSError as error:
            raise could_not_write(path, error) from error
        _write(path, {**read_audit(path), manifest_name: findings})


def _write(path: Path, every: Mapping[str, Sequence[Finding]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(AUDIT_COLUMNS)
    for name, rows in every.items():
        writer.writerows((name, f.code, f.record_id, f.place, f.found, f.action.value) for f in rows)
    write_text_atomic(path, text.getvalue())


def _findings(path: Path, rows: Iterator[list[str]]) -> dict[str, list[Finding]]:
    if tuple(header := next(rows, [])) != AUDIT_COLUMNS:
        raise ManifestError(
            f"{path}: expected the columns {', '.join(AUDIT_COLUMNS)}, found "
            f"{', '.join(header)[:300] or 'nothing'}. Move that file away."
        )
    found: dict[str, list[Finding]] = {}
    for number, row in enumerate(rows, start=1):
        manifest, finding = _finding(path, number, row)
        found.setdefault(manifest, []).append(finding)
    return found


def _finding(path: Path, number: int, row: Sequence[str]) -> tuple[str, Finding]:
    try:
        manifest, code, record_id, place, found, action = row
        return manifest, Finding(code, record_id, found, Action(action), place)
    except ValueError:
        raise ManifestError(
            f"{path}, row {number}: expected {len(AUDIT_COLUMNS)} cells, the last one of "
            f"{', '.join(each.value for each in Action)}, got {list(row)!r:.120}. Move that file away."
        ) from None
