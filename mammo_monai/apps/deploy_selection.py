"""Which files of an input folder are mammograms to mark, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from mammo_monai.apps.deploy_summary import RunSummary
from mammo_monai.dicom.attributes import attributes_of
from mammo_monai.dicom.reading import (
    damage_refused,
    first_text,
    open_mammogram,
    presentation_intent,
    refuse_for_processing,
)
from mammo_monai.errors import DicomError
from mammo_monai.records import ViewPosition, record_id_of

SALT = "monai-deploy"
"""Record ids of a run follow from the SOP Instance UIDs, so they are the same in the next run."""

_UIDS = {
    "SOPInstanceUID": "SOP Instance UID (0008,0018)",
    "StudyInstanceUID": "Study Instance UID (0020,000D)",
    "SeriesInstanceUID": "Series Instance UID (0020,000E)",
}


@dataclass(frozen=True)
class SelectionRules:
    """Which mammograms are marked; those FOR PROCESSING never are.

    Attributes:
        views: of these views alone; empty takes all, those of unknown view too.
        intent_required: scanned films, which carry no Presentation Intent Type, are left out.
    """

    views: frozenset[ViewPosition] = field(default_factory=frozenset)
    intent_required: bool = False


@dataclass(frozen=True, eq=False)
class Instance:
    """One mammogram of the input folder: its header, without pixels, and its file."""

    path: Path
    header: Dataset
    record_id: str

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return first_text(self.header, "StudyInstanceUID")

    @property
    def series_uid(self) -> str:
        """Series Instance UID."""
        return first_text(self.header, "SeriesInstanceUID")


def instance_of(header: Dataset) -> Instance:
    """The instance behind a header that was read from a file and has a SOP Instance UID."""
    return Instance(Path(header.filename), header, record_id_of(first_text(header, "SOPInstanceUID"), SALT))


def load_instances(files: Iterable[Path], root: Path, summary: RunSummary) -> list[Instance]:
    """The single-frame mammograms among the files, in the order of their paths, each SOP instance once.

    What is none, cannot be read, has no UIDs or came before is left out with its reason in `summary`.

    Args:
        root: the input folder; a file without a SOP Instance UID is named by its path below it.
    """
    found: dict[str, Instance] = {}
    for path in sorted(files):
        record_id = record_id_of(path.relative_to(root).as_posix(), SALT)
        try:
            header = open_mammogram(path, headers_only=True)
            uid = _checked_uid(path, header)
        except DicomError as error:
            summary.leave_out(record_id, error, path)
            continue
        if uid in found:
            again = DicomError(f"{path}: its SOP Instance UID (0008,0018) stands in a file before.")
            summary.leave_out(record_id, again, path)
        else:
            found[uid] = instance_of(header)
    return list(found.values())


def why_left_out(instance: Instance, rules: SelectionRules) -> DicomError | None:
    """What the rules have against a mammogram; None where it is to be marked."""
    path, header = instance.path, instance.header
    try:
        refuse_for_processing(path, header)
        if rules.intent_required and presentation_intent(header) is None:
            raise DicomError(
                f"{path}: expected Presentation Intent Type (0008,0068) FOR PRESENTATION, got none. Scanned "
                "films have none; app.yaml takes them with intent_required: false."
            )
        view = attributes_of(path, header).view_position
        if rules.views and view not in rules.views:
            wanted = ", ".join(sorted(each.value for each in rules.views))
            raise DicomError(
                f"{path}: expected view {wanted}, got {view.value if view else 'none'}. app.yaml "
                "lists under views which ones are taken."
            )
    except DicomError as error:
        return error
    return None


def _checked_uid(path: Path, header: Dataset) -> str:
    with damage_refused(path):
        for keyword, name in _UIDS.items():
            if not first_text(header, keyword):
                raise DicomError(f"{path}: expected a {name}, got none: no result can be filed without it.")
        return first_text(header, "SOPInstanceUID")
