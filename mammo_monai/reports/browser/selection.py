"""Which images of a manifest a browser shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mammo_monai.errors import ManifestError
from mammo_monai.records import ImageRecord, Split
from mammo_monai.reports.films.shown import Shown, shown_images
from mammo_monai.schema import Finding, Manifest

Only = Literal["lesions", "normals", "quarantined"]
Order = Literal["manifest", "patient", "lesions", "birads", "density"]
_UNKNOWN_LAST = -1


@dataclass(frozen=True)
class Selection:
    """What to show; all of it by default.

    Attributes:
        only: images with any lesion, images without one, or images left out.
        code: images with a finding of this code in audit.csv.
        limit: at most so many, from the front.
        order: as in the manifest; by patient; most lesions, highest BI-RADS or densest breast first.
    """

    split: Split | None = None
    only: Only | None = None
    code: str | None = None
    limit: int | None = None
    order: Order = "manifest"


@dataclass(frozen=True)
class Selected:
    """The images to show; `n_matching` counts those before the limit. codes: of findings, by record id."""

    images: tuple[Shown, ...]
    n_matching: int
    codes: Mapping[str, tuple[str, ...]]
    patients: Mapping[str, int]


def select_images(manifest: Manifest, findings: Sequence[Finding], selection: Selection) -> Selected:
    """The images asked for, in order.

    Raises:
        ManifestError: none is left, or no finding has the code.
        ValueError: a limit below 1.
    """
    if selection.limit is not None and selection.limit < 1:
        raise ValueError(f"limit must be at least 1, got {selection.limit}.")
    codes: dict[str, tuple[str, ...]] = {}
    for finding in findings:
        known = codes.get(finding.record_id, ())
        if finding.code not in known:
            codes[finding.record_id] = (*known, finding.code)
    every = shown_images(manifest)
    matching = [each for each in every if _is_asked_for(each, selection, codes.get(each.record_id, ()))]
    if not matching:
        raise ManifestError(_none_left(manifest, selection, {each.code for each in findings}))
    patients: dict[str, int] = {}
    for each in every:
        if each.record is not None:
            patients.setdefault(each.record.patient_id, len(patients) + 1)
    ordered = sorted(matching, key=_sorting(selection.order, patients))
    return Selected(tuple(ordered[: selection.limit]), len(matching), codes, patients)


def assessment_of(record: ImageRecord) -> int | None:
    """BI-RADS assessment of an image: its own, else the highest of its lesions; None where none is known."""
    of_lesions = [lesion.birads for lesion in record.lesions if lesion.birads is not None]
    return record.birads if record.birads is not None else max(of_lesions, default=None)


def _is_asked_for(image: Shown, selection: Selection, codes: Collection[str]) -> bool:
    if selection.split is not None and image.place != selection.split.value:
        return False
    if selection.code is not None and selection.code not in codes:
        return False
    if selection.only is None:
        return True
    if image.record is None:
        return selection.only == "quarantined"
    return selection.only == ("normals" if image.record.is_normal else "lesions")


def _sorting(order: Order, patients: Mapping[str, int]) -> Callable[[Shown], tuple[bool, float]]:
    """A sorting key that leaves equals in the order of the manifest, and images left out at the end."""
    values: dict[Order, Callable[[ImageRecord], float]] = {
        "manifest": lambda _: 0,
        "patient": lambda record: patients[record.patient_id],
        "lesions": lambda record: -len(record.lesions),
        "birads": lambda record: -_known(assessment_of(record)),
        "density": lambda record: -_known(record.breast_density),
    }
    value = values[order]
    return lambda image: (image.record is None, value(image.record) if image.record else 0)


def _known(value: int | None) -> int:
    return _UNKNOWN_LAST if value is None else value


def _none_left(manifest: Manifest, selection: Selection, codes: Collection[str]) -> str:
    where = f"{manifest.path}: " if manifest.path else ""
    if selection.code is not None and selection.code not in codes:
        known = ", ".join(sorted(codes)) or "none"
        return f"{where}no finding of code {selection.code!r} in audit.csv beside it. Codes there: {known}."
    asked = {
        "split": selection.split.value if selection.split else None,
        "only": selection.only,
        "findings": selection.code,
    }
    words = ", ".join(f"{name} {value}" for name, value in asked.items() if value) or "any"
    return f"{where}no image to show for: {words}. Ask for less, or for another list."
