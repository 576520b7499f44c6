"""What a run of the MONAI Deploy application did with every file, without patient data: summary.json."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.errors import MammoError, causes
from mammo_monai.files import write_json_atomic
from mammo_monai.records import Detections
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

SUMMARY = "summary.json"
SUMMARY_SCHEMA = "mammo-monai/deploy-summary/1"


@dataclass
class RunSummary:
    """Collects what became of each file; serves one run.

    Attributes:
        left_out: files that are not to be marked, by record id, with the reason. failed: mammograms to be
            marked that could not be, or whose result could not be written.
    """

    model: Mapping[str, object] = field(default_factory=dict)
    marks: dict[str, Detections] = field(default_factory=dict)
    results: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, record_id: str, why: Exception, path: Path) -> None:
        """Notes a file that is not to be marked."""
        self.left_out[record_id] = reason = reason_without(path, why)
        logger.warning("record %s left out: %s", record_id, reason)
        logger.debug("record %s is %s", record_id, path)

    def fail(self, record_id: str, why: Exception, path: Path) -> None:
        """Notes a mammogram that should have been marked."""
        reason = reason_without(path, why)
        self.failed.setdefault(record_id, []).append(reason)
        logger.error("record %s failed: %s", record_id, reason)
        logger.debug("record %s is %s", record_id, path)

    def mark(self, record_id: str, found: Detections) -> None:
        """Notes the marks of an image."""
        self.marks[record_id] = found

    def wrote(self, record_id: str, kind: str, file: Path) -> None:
        """Notes a result file of an image."""
        self.results.setdefault(record_id, {})[kind] = file.name

    @property
    def is_complete(self) -> bool:
        """Whether at least one image was marked, and every one that was to be, with all its results."""
        return bool(self.marks) and not self.failed

    @property
    def headline(self) -> str:
        """One line for the log."""
        n_marks = sum(len(each.scores) for each in self.marks.values())
        return (
            f"{counted(len(self.marks), 'image')} marked ({counted(n_marks, 'mark')}), "
            f"{len(self.failed)} failed, {counted(len(self.left_out), 'file')} left out"
        )

    def write(self, folder: Path) -> Path:
        """Writes summary.json; returns its path."""
        path = Path(folder) / SUMMARY
        write_json_atomic(path, self._content())
        return path

    def _content(self) -> dict[str, object]:
        return {
            "schema": SUMMARY_SCHEMA,
            "complete": self.is_complete,
            "model": dict(self.model),
            "counts": {
                "marked": len(self.marks),
                "failed": len(self.failed),
                "left_out": len(self.left_out),
            },
            "images": [
                {
                    "record_id": record_id,
                    "marks": len(found.scores),
                    "highest_score": max(map(float, found.scores), default=None),
                    "results": self.results.get(record_id, {}),
                }
                for record_id, found in self.marks.items()
            ],
            "failed": [{"record_id": name, "reasons": why} for name, why in self.failed.items()],
            "left_out": [{"record_id": name, "reason": why} for name, why in self.left_out.items()],
        }


def reason_without(path: Path, error: Exception) -> str:
    """An error's text without the file's path and name, which may hold a patient's.

    >>> reason_without(Path("in/Doe^Jane.dcm"), ValueError("in/Doe^Jane.dcm: expected MG, got CT."))
    'expected MG, got CT.'
    """
    root = _root(error)
    text = (str(root) or type(root).__name__).removeprefix(f"{path}: ")
    for name in (str(path.absolute()), str(path), path.name):
        text = text.replace(name, "the file")
    return text


def _root(error: Exception) -> BaseException:
    """The innermost error of this package: what a step makes of an error says again what its root says."""
    *_, root = [error, *(each for each in causes(error) if isinstance(each, MammoError))]
    return root
