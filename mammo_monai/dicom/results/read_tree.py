"""Walks the content tree of a structured report."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from mammo_monai.dicom.results.codes import Code, code_of


def children(item: Dataset, name: Code | None = None, *, value_type: str | None = None) -> list[Dataset]:
    """Children of an item, all or those of a concept name or a value type."""
    return [
        each
        for each in item.get("ContentSequence") or ()
        if (name is None or code_of(each.get("ConceptNameCodeSequence")) == name.key)
        and (value_type is None or each.get("ValueType") == value_type)
    ]


def child(item: Dataset, name: Code) -> Dataset | None:
    """The first child of a concept name; None where there is none."""
    return next(iter(children(item, name)), None)


def tree_of(item: Dataset) -> Iterator[Dataset]:
    """An item and all below it, in reading order."""
    yield item
    for each in item.get("ContentSequence") or ():
        yield from tree_of(each)


def named(root: Dataset, name: Code) -> list[Dataset]:
    """All items of a concept name at or below `root`, in reading order."""
    return [each for each in tree_of(root) if code_of(each.get("ConceptNameCodeSequence")) == name.key]


def resolved(root: Dataset, item: Dataset) -> Dataset:
    """The item that a reference points to; an item that is no reference is itself.

    Raises:
        IndexError, AttributeError: it points outside the tree, or below an item without children.

    Source: DICOM PS3.3 C.17.3.2.5: positions among siblings, from 1, the root's first.
    """
    position = item.get("ReferencedContentItemIdentifier")
    if position is None:
        return item
    steps = [position] if isinstance(position, int) else list(position)
    target = root
    for step in steps[1:]:
        target = target.ContentSequence[int(step) - 1]
    return target


def number_in(item: Dataset | None) -> float:
    """The value of a NUM item, as exact as it is there; NaN where there is none."""
    for measured in (item.get("MeasuredValueSequence") or ()) if item is not None else ():
        value = measured.get("FloatingPointValue")
        return float(measured.NumericValue if value is None else value)
    return float("nan")
