"""What a manifest holds, list by list, beside what the data set's authors published."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mammo_monai.records import MASS_LABEL, ImageRecord, Split
from mammo_monai.reports.tables.table import UNDEFINED, Table
from mammo_monai.schema import Manifest

Counter = Callable[[Sequence[ImageRecord]], int]


@dataclass(frozen=True)
class Counts:
    """What a list of a manifest holds; a normal image has no lesion of any kind."""

    images: int
    patients: int
    masses: int
    other_lesions: int
    normals: int


def counts_of(images: Sequence[ImageRecord]) -> Counts:
    """Counts over some images of a manifest."""
    masses = _masses(images)
    return Counts(len(images), _patients(images), masses, _lesions(images) - masses, _normals(images))


def list_table(manifest: Manifest) -> Table:
    """Counts of each list that holds images, of all of them, and of the images left out."""
    named = [(split.value, manifest.images(split)) for split in Split]
    rows = [(name, counts_of(images)) for name, images in named if images]
    if len(rows) != 1:
        rows.append(("all lists", counts_of(manifest.images())))
    cells = [
        (name, *map(_grouped, (c.images, c.patients, c.masses, c.other_lesions, c.normals)))
        for name, c in rows
    ]
    if manifest.quarantined:
        cells.append(("left out", _grouped(len(manifest.quarantined)), *[UNDEFINED] * 4))
    header = ("list", "images", "patients", "masses", "other lesions", "normal images")
    return Table("What the manifest holds; normal images have no lesion of any kind", header, tuple(cells))


def published_table(manifest: Manifest) -> Table | None:
    """Published counts beside those found, with the difference; None where the manifest knows none.

    A count of one list is compared only under the data set's own split; there, images that a validation list
    took from the training images count as training. A count whose words are not known is shown alone.
    """
    published = manifest.about.get("published")
    counts = published.get("counts") if isinstance(published, Mapping) else None
    if not isinstance(counts, Mapping) or not counts:
        return None
    rows = tuple(_compared(manifest, str(name), value, counts) for name, value in counts.items())
    source = str(published.get("source") or "source not stated") if isinstance(published, Mapping) else ""
    return Table(f"Against the published counts: {source}", ("counted", "published", "found", ""), rows)


def _compared(
    manifest: Manifest, name: str, published: object, counts: Mapping[str, object]
) -> tuple[str, str, str, str]:
    if isinstance(published, bool) or not isinstance(published, int):
        return name, str(published), UNDEFINED, "not a number"
    split, counter = _meaning(name)
    if counter is None:
        return name, _grouped(published), UNDEFINED, "not counted here"
    if split is not None and not _is_official(manifest):
        return name, _grouped(published), UNDEFINED, "another split"
    found = counter(_images_of(manifest, split, counts))
    return name, _grouped(published), _grouped(found), _difference(found - published)


def _images_of(
    manifest: Manifest, split: Split | None, counts: Mapping[str, object]
) -> tuple[ImageRecord, ...]:
    has_validation = any(_meaning(str(name))[0] is Split.VALIDATION for name in counts)
    if split is Split.TRAINING and not has_validation:
        return manifest.training + manifest.validation
    return manifest.images(split)


def _is_official(manifest: Manifest) -> bool:
    return str(manifest.about.get("split", "official")).startswith("official")


def _difference(more: int) -> str:
    if not more:
        return "as published"
    return f"{_grouped(-more)} missing" if more < 0 else f"{_grouped(more)} more"


def _meaning(name: str) -> tuple[Split | None, Counter | None]:
    """The list and the count that words such as "test images with masses" ask for.

    >>> _meaning("training images")[0]
    <Split.TRAINING: 'training'>
    >>> _meaning("galaxies")
    (None, None)
    """
    words = re.sub(r"[^a-z ]+", " ", name.casefold()).split()
    lists = {"training": Split.TRAINING, "train": Split.TRAINING, "validation": Split.VALIDATION}
    lists["test"] = Split.TEST
    split = next((lists[word] for word in words if word in lists), None)
    asked = " ".join(word for word in words if word not in {*lists, "list", "set", "of", "the", "all"})
    counter = _COUNTERS.get(asked)
    return (split, counter) if counter else (None, None)


def _masses(images: Sequence[ImageRecord]) -> int:
    return sum(lesion.label == MASS_LABEL for record in images for lesion in record.lesions)


def _lesions(images: Sequence[ImageRecord]) -> int:
    return sum(len(record.lesions) for record in images)


def _patients(images: Sequence[ImageRecord]) -> int:
    return len({record.patient_id for record in images})


def _normals(images: Sequence[ImageRecord]) -> int:
    return sum(record.is_normal for record in images)


def _with_masses(images: Sequence[ImageRecord]) -> int:
    return sum(record.has_mass for record in images)


def _of_label(label: int) -> Counter:
    return lambda images: sum(lesion.label == label for record in images for lesion in record.lesions)


def _grouped(number: int) -> str:
    """Digits in threes from five digits on, as ISO 80000-1 sets them."""
    return f"{number:,}".replace(",", "\u202f") if number >= 10_000 else str(number)


_COUNTERS: Mapping[str, Counter] = {
    **dict.fromkeys(("images", "mammograms", "films"), len),
    **dict.fromkeys(("patients", "cases", "women"), _patients),
    "masses": _masses,
    **dict.fromkeys(("mass images", "images with masses", "images with a mass"), _with_masses),
    **dict.fromkeys(("normals", "normal images", "images without lesions"), _normals),
    **dict.fromkeys(("lesions", "findings"), _lesions),
    "other lesions": lambda images: _lesions(images) - _masses(images),
    "calcifications": _of_label(1),
    "asymmetries": _of_label(2),
    "distortions": _of_label(3),
}
