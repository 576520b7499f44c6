"""Side and view told twice: what file name and DICOM header say beside what holds for the record.

Findings: laterality-differs, view-differs (warned).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mammo_monai.readers.annotations.annotated import Target
from mammo_monai.readers.categories import LATERALITIES, VIEWS
from mammo_monai.records import ImageRecord, Laterality, ViewPosition

# L and R alone may be anything: they name a side where a view stands beside them.
_SIDE = re.compile(r"(?P<side>LEFT|RIGHT)\d?|(?P<before>[LR])(?:CC|MLO)\d?|(?:CC|MLO)(?P<behind>[LR])\d?")
_VIEW = re.compile(r"(?:LEFT|RIGHT|[LR])?(?P<view>CC|MLO)[LR]?\d?")


def side_and_view_in_name(name: str) -> tuple[Laterality | None, ViewPosition | None]:
    """The side and the view that the words of a file name tell; None for none, or for several.

    >>> [each and each.value for each in side_and_view_in_name("P17_R_CC_2")]
    ['R', 'CC']
    >>> [each and each.value for each in side_and_view_in_name("left-mlo")]
    ['L', 'MLO']
    >>> side_and_view_in_name("R_17_cc1a"), side_and_view_in_name("LEFT_RIGHT")
    ((None, None), (None, None))
    """
    words = [word.upper() for word in re.split(r"[^A-Za-z0-9]+", name)]
    views = [match and match["view"] for match in map(_VIEW.fullmatch, words)]
    sides = set()
    for row, word in enumerate(words):
        match = _SIDE.fullmatch(word)
        if match:
            sides.add(LATERALITIES[match["side"] or match["before"] or match["behind"]])
        elif word in ("L", "R") and any(views[max(row - 1, 0) : row + 2]):
            sides.add(LATERALITIES[word])
    found = {VIEWS[view] for view in views if view}
    return sides.pop() if len(sides) == 1 else None, found.pop() if len(found) == 1 else None


def note_told_twice(record: ImageRecord, groups: Mapping[str, str], name: str, target: Target) -> None:
    """Notes a side or a view of the file name, or a view of the header, that the record's is not.

    Args:
        groups: what a name pattern found: it knows the name better than a guess. name: of the file, without
            its suffix.
    """
    side, view = side_and_view_in_name(name)
    if side and record.laterality and "laterality" not in groups and side is not record.laterality:
        found = f"the file name says {side.value}, the annotations or the header {record.laterality.value}"
        target.audit.note("laterality-differs", record.record_id, f"{found}: that one is kept")
    told = VIEWS.get(groups["view"].upper()) if "view" in groups else view
    others = {"the file name": told, "the DICOM header": target.header.view_position}
    for who, other in others.items():
        if other and record.view_position and _plain(other) not in (None, _plain(record.view_position)):
            found = f"{who} says {other.value}, the record {record.view_position.value}: that one is kept"
            target.audit.note("view-differs", record.record_id, found)


def _plain(view: ViewPosition) -> ViewPosition | None:
    """ML is what some call MLO; OTHER says nothing."""
    same = {ViewPosition.ML: ViewPosition.MLO, ViewPosition.OTHER: None}
    return same.get(view, view)
