"""Marks the selected mammograms one after the other; one that fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mammo_monai.apps.deploy_selection import Instance
from mammo_monai.apps.deploy_summary import RunSummary
from mammo_monai.errors import MammoError
from mammo_monai.pace import Pace
from mammo_monai.records import Detections

logger = logging.getLogger(__name__)


class Marks(Protocol):
    """What marks: `mammo_monai.bundle.Marker`, or a stand-in."""

    def __call__(self, image: Path, *, record_id: str | None = None) -> Detections:
        """The marks of an image file, boxes in original pixels."""
        ...


@dataclass(frozen=True, eq=False)
class MarkedInstance:
    """A mammogram with its marks."""

    instance: Instance
    detections: Detections


def mark_instances(
    instances: Sequence[Instance], marker: Marks, summary: RunSummary
) -> tuple[MarkedInstance, ...]:
    """The marks of each mammogram that could be marked; `summary` notes the marks and the failures."""
    marked = []
    pace = Pace(logger, "marked")
    for done, instance in enumerate(instances, start=1):
        try:
            found = marker(instance.path, record_id=instance.record_id)
        except MammoError as error:
            summary.fail(instance.record_id, error, instance.path)
        else:
            summary.mark(instance.record_id, found)
            marked.append(MarkedInstance(instance, found))
        pace(done, len(instances))
    return tuple(marked)
