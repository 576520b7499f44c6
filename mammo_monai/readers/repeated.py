"""One image under two names: kept once if nothing contradicts it, else nobody can say which is true."""

from __future__ import annotations

import filecmp
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Action

_END_BYTES = 4096


def drop_repeated_records(records: Sequence[ImageRecord], audit: Audit) -> list[ImageRecord]:
    """The records with each record id once, in their order.

    Records of one id come from one SOPInstanceUID. The same bytes, patient, breast and view: one record with
    the lesions of all ("uid-repeated", repaired). Other bytes, or other words about the same bytes: all are
    left out ("uid-conflict"), because a patient might otherwise stand on two sides of a split.
    """
    groups: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        groups[record.record_id].append(record)
    kept: list[ImageRecord] = []
    for group in groups.values():
        if len(group) == 1:
            kept += group
        elif (conflict := _conflict(group)) is None:
            text = f"the same image stands {len(group)} times in the data set; one is kept"
            audit.note("uid-repeated", group[0].record_id, text, Action.REPAIRED)
            kept.append(_joined(group))
        else:
            for record in group:
                with audit.image(record.record_id, str(record.image), path=record.image):
                    remedy = f"Keep the right one of: {', '.join(str(each.image) for each in group)}."
                    raise InvalidRecordError("uid-conflict", str(record.image), conflict, remedy)
    return kept


def drop_same_pictures(records: Sequence[ImageRecord], audit: Audit) -> list[ImageRecord]:
    """The records without those whose files hold the same bytes.

    For pictures without a UID, of which `drop_repeated_records` knows nothing: all of a group are left out
    ("image-repeated"), because nobody can say whose film it is.
    """
    sizes = Counter(record.file_size for record in records)
    alike: dict[tuple[int | None, bytes], list[ImageRecord]] = defaultdict(list)
    for record in records:
        if sizes[record.file_size] > 1:  # uncompressed films of one scanner all have one size
            alike[record.file_size, ends_of(record.image)].append(record)
    found = {
        id(record)
        for group in alike.values()
        for record in group
        if any(other is not record and are_same_files([record.image, other.image]) for other in group)
    }
    for record in (each for each in records if id(each) in found):
        with audit.image(record.record_id, str(record.image), path=record.image):
            said, remedy = "another image of the data set has the same bytes", "Download both again."
            raise InvalidRecordError("image-repeated", str(record.image), said, remedy)
    return [record for record in records if id(record) not in found]


def ends_of(path: Path) -> bytes:
    """The first and last 4 KiB of a file: enough to tell most pictures of one size apart."""
    with path.open("rb") as stream:
        start = stream.read(_END_BYTES)
        stream.seek(-min(_END_BYTES, path.stat().st_size), os.SEEK_END)
        return start + stream.read(_END_BYTES)


def are_same_files(paths: Sequence[Path]) -> bool:
    """Whether all files hold the same bytes."""
    return all(
        path == paths[0] or (path.samefile(paths[0]) or filecmp.cmp(paths[0], path, shallow=False))
        for path in paths[1:]
    )


def _conflict(group: Sequence[ImageRecord]) -> str | None:
    if not are_same_files([record.image for record in group]):
        return f"{len(group)} different images have the same SOPInstanceUID"
    words = {(record.patient_id, record.laterality, record.view_position) for record in group}
    if len(words) > 1:
        return f"the same image stands {len(group)} times, with different patients, breasts or views"
    return None


def _joined(group: Sequence[ImageRecord]) -> ImageRecord:
    lesions: dict[tuple[object, ...], Lesion] = {}
    for lesion in (each for record in group for each in record.lesions):
        lesions.setdefault((lesion.box, lesion.type, lesion.contour), lesion)
    return replace(group[0], lesions=tuple(lesions.values()))
