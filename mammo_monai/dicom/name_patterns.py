"""Side and view written into free text: patient ids, series descriptions, file names.

Text is the last resort and is read narrowly: a lone letter or a lone "ML" may be anybody's initials, so a
single-letter side counts only beside a view, and a view only beside a side.
"""

from __future__ import annotations

import re

from mammo_monai.records import Laterality, ViewPosition

_START, _END = r"(?<![A-Z0-9])", r"(?![A-Z0-9])"
_SIDE, _VIEW, _GAP = r"(LEFT|RIGHT|L|R)", r"(XCCL|MLO|CC|ML|LM)", r"[\s_\-.]*"
_SIDE_THEN_VIEW = re.compile(_START + _SIDE + _GAP + _VIEW + _END)
_VIEW_THEN_SIDE = re.compile(_START + _VIEW + r"[\s_\-.]+" + _SIDE + _END)
_SIDE_WORD = re.compile(_START + r"(LEFT|RIGHT)" + _END)
_VIEW_WORD = re.compile(_START + r"(XCCL|MLO|CC)" + _END)


def laterality_in_text(text: str) -> Laterality | None:
    """The side a text names: "LEFT", "RIGHT", or "L", "R" beside a view; None if it names none or both.

    >>> laterality_in_text("Mass-Test_P_00820_RIGHT_MLO").value, laterality_in_text("MG_L_CC").value
    ('R', 'L')
    >>> laterality_in_text("L. Smith") is None
    True
    """
    text = text.upper()
    sides = {match[0] for match in _pairs(text)} | {match[0] for match in _SIDE_WORD.findall(text)}
    if len(sides) != 1:
        return None
    return Laterality.LEFT if sides == {"L"} else Laterality.RIGHT


def view_position_in_text(text: str, *, alone: bool = False) -> ViewPosition | None:
    """The view a text names beside a side ("LEFT_CC", "RMLO"); None if it names none or several.

    Args:
        text: any text; case does not matter.
        alone: accept CC, MLO and XCCL without a side, as descriptions written by the machine use them.

    >>> view_position_in_text("20586908_MG_R_CC_ANON").value
    'CC'
    >>> view_position_in_text("CC-1023") is None
    True
    """
    text = text.upper()
    views = {view for _, view in _pairs(text)}
    if alone:
        views |= set(_VIEW_WORD.findall(text))
    return ViewPosition(views.pop()) if len(views) == 1 else None


def _pairs(text: str) -> list[tuple[str, str]]:
    """(L or R, view) for every side beside a view; side first is looked for first, as "R_CC_L" is "R CC"."""
    pairs = [(side[0], view) for side, view in _SIDE_THEN_VIEW.findall(text)]
    return pairs or [(side[0], view) for view, side in _VIEW_THEN_SIDE.findall(text)]
