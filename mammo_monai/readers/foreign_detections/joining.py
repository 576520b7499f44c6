"""Which image of a manifest each foreign image is: by record id, else by path, as annotations are joined.

Refused: a name that several images could be, an image that two foreign ones are, and, unless asked, marks of
images that are in no list of the manifest. No box is touched here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target
from mammo_monai.readers.annotations.joining import ImageNames, Joined, join
from mammo_monai.readers.foreign_detections.marks import ForeignImage
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.words import counted

_SHOWN = 5


@dataclass(frozen=True)
class JoinedMarks:
    """Foreign images by record id; `n_unknown` marks belong to images that the manifest does not hold."""

    by_record: Mapping[str, ForeignImage]
    n_unknown: int


def join_to_records(
    images: Sequence[ForeignImage], records: Sequence[ImageRecord], manifest: Path, *, ignore_unknown: bool
) -> JoinedMarks:
    """Joins foreign images to records.

    Args:
        records: of all lists. manifest: where they come from, for messages.

    Raises:
        ManifestError: see the first lines of this file.
    """
    by_id = {record.record_id: record for record in records}
    found: dict[str, ForeignImage] = {}
    unknown: list[ForeignImage] = []
    named: list[ForeignImage] = []
    for each in images:
        if each.record_id in by_id:
            _take(found, each.record_id, each, by_id)
        elif each.record_id and not each.names:
            unknown.append(each)
        else:
            named.append(each)
    joined = _by_name(named, records)
    by_path = {record.image: record.record_id for record in records}
    for path, annotated in joined.by_image.items():
        for one in annotated:
            _take(found, by_path[path], named[int(one.where)], by_id)
    unknown += [named[int(one.where)] for one in joined.unmatched]
    marked = [each for each in unknown if each.n_marks]
    if marked and not ignore_unknown:
        _refuse_unknown(marked, manifest)
    return JoinedMarks(found, sum(each.n_marks for each in marked))


def _by_name(images: Sequence[ForeignImage], records: Sequence[ImageRecord]) -> Joined:
    """Joined as annotations are, by what they are called; `where` holds each one's place in `images`."""
    root = Path(os.path.commonpath([record.image.parent for record in records]))
    names = ImageNames(root, [record.image for record in records])
    joined = join(names, [AnnotatedImage(each.names, str(n), _no_lesions) for n, each in enumerate(images)])
    for one, paths in joined.ambiguous:
        each = images[int(one.where)]
        if each.n_marks:
            shown = ", ".join(str(path.relative_to(root)) for path in paths[:_SHOWN])
            raise ManifestError(
                f"{each.source}: {each.title} may be any of {counted(len(paths), 'image')} of the manifest: "
                f"{shown}. Give names with their folders, or record ids."
            )
    return joined


def _no_lesions(_: Target) -> Sequence[Lesion]:
    return ()


def _take(
    found: dict[str, ForeignImage], record_id: str, each: ForeignImage, by_id: Mapping[str, ImageRecord]
) -> None:
    first = found.setdefault(record_id, each)
    if first is each:
        return
    if not each.n_marks or not first.n_marks:
        found[record_id] = each if each.n_marks else first
        return
    raise ManifestError(
        f"{by_id[record_id].image} ({record_id}): marked twice, as {first.title} of {first.source} and as "
        f"{each.title} of {each.source}. Give the marks of one run, each image under one name."
    )


def _refuse_unknown(marked: Sequence[ForeignImage], manifest: Path) -> None:
    shown = ", ".join(each.title for each in marked[:_SHOWN])
    more = f" and {len(marked) - _SHOWN} more" if len(marked) > _SHOWN else ""
    raise ManifestError(
        f"{marked[0].source}: marks of {counted(len(marked), 'image')} that {manifest} does not hold: {shown}"
        f"{more}. Give the manifest of these images, or leave such marks out: --ignore-unknown."
    )
