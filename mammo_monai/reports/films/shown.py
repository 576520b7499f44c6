"""The images of a manifest as pages show them: those of the lists, and those left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import Finding, Manifest

LEFT_OUT = "left out"


@dataclass(frozen=True)
class Shown:
    """An image a page can show.

    Attributes:
        place: the name of its list, or `LEFT_OUT`. path: None where no file was found.
        record: None for an image left out.
    """

    record_id: str
    place: str
    path: Path | None
    record: ImageRecord | None = None


def shown_images(manifest: Manifest) -> list[Shown]:
    """Every image in the order of the manifest, those left out last."""
    listed = [
        Shown(record.record_id, split.value, record.image, record)
        for split in Split
        for record in manifest.images(split)
    ]
    return listed + [Shown(each.record_id, LEFT_OUT, each.image) for each in manifest.quarantined]


def images_by_id(manifest: Manifest) -> dict[str, Shown]:
    """Images by record id; one that stands in a list and was left out a second time counts as there."""
    return {each.record_id: each for each in reversed(shown_images(manifest))}


def images_found(findings: Sequence[Finding], images: Mapping[str, Shown]) -> list[Shown]:
    """The images some findings speak of, each once, in the order of the findings."""
    ids = dict.fromkeys(finding.record_id for finding in findings)
    return [images[record_id] for record_id in ids if record_id in images]
