"""Phantom trees broken on purpose, in the ways real downloads are broken, so that each fault is known.

Every image gets one fault at most: what a reader says about it then has one cause. Faults of tables and of
the whole tree concern no single image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mammo_monai.phantoms import broken_contours, broken_files, broken_masks, broken_tables
from mammo_monai.phantoms.streams import stream
from mammo_monai.phantoms.written_tree import PhantomImage, images_of

_OfImage = Mapping[str, Callable[[PhantomImage], str]]

_ANY_LAYOUT: _OfImage = MappingProxyType(
    {
        "truncated-dicom": broken_files.truncate,
        "zero-byte-file": broken_files.empty,
        "text-for-dicom": broken_files.replace_by_text,
        "missing-image": broken_files.remove,
        "mirrored-pixels": broken_files.mirror,
        "duplicate-same-bytes": broken_files.duplicate,
        "duplicate-other-bytes": broken_files.duplicate_with_other_pixels,
        "wrong-laterality": broken_tables.name_other_side,
    }
)
_OF_IMAGE: Mapping[str, _OfImage] = MappingProxyType(
    {
        "cbis-ddsm": {
            **_ANY_LAYOUT,
            "swapped-crop-and-mask": broken_tables.swap_crop_and_mask,
            "missing-mask": broken_masks.remove,
            "all-zero-mask": broken_masks.empty,
            "mask-other-size": broken_masks.enlarge,
            "mask-other-field": broken_masks.cut,
        },
        "inbreast": {
            **_ANY_LAYOUT,
            "missing-contours": broken_contours.remove,
            "xml-bomb": broken_contours.plant_bomb,
            "dot-only-contours": broken_contours.shrink_to_dots,
        },
    }
)
# In this order: a table is rewritten as it was read before its delimiter or its line breaks change.
_OF_TREE: Mapping[str, Callable[[Path], str]] = MappingProxyType(
    {
        "other-delimiter": broken_tables.change_delimiter,
        "unknown-delimiter": broken_tables.take_unknown_delimiter,
        "other-line-breaks": broken_tables.change_line_breaks,
        "truncated-table": broken_tables.cut_short,
        "byte-order-mark": broken_tables.add_byte_order_mark,
        "extra-files": broken_files.litter,
    }
)
FAULTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {layout: (*faults, *_OF_TREE) for layout, faults in _OF_IMAGE.items()}
)
"""The faults of each layout: those of single images, then those of tables and of the whole tree."""


@dataclass(frozen=True)
class PlantedFault:
    """What was broken.

    Attributes:
        name: as in `FAULTS`. change: what was done, in words.
        image: path of the full image relative to the root, POSIX; "" where no single image is concerned.
        sop_instance_uid: of that image; with the phantoms' salt it gives the record id.
    """

    name: str
    change: str
    image: str = ""
    sop_instance_uid: str = ""


def break_phantoms(root: Path, *, layout: str, faults: Iterable[str], seed: int = 0) -> list[PlantedFault]:
    """Breaks a phantom data set in place; truth.json and phantoms.json stay as they were.

    Images with a mass are drawn by the seed, one for each fault of a single image, no image twice and, as far
    as there are enough patients, no patient twice. Call it once on a tree.

    Args:
        layout: of the phantoms, "cbis-ddsm" or "inbreast".
        faults: names in `FAULTS[layout]`, in any order.

    Raises:
        ValueError: an unknown layout or fault, or more faults than images with a mass.
        ManifestError: no phantoms below `root`.
    """
    root, names = Path(root), list(dict.fromkeys(faults))
    _check(layout, names)
    of_image = [name for name in names if name in _OF_IMAGE[layout]]
    images = [image for image in _drawn(images_of(root), seed) if image.layout == layout]
    if len(images) < len(of_image):
        raise ValueError(
            f"{len(of_image)} faults need as many images with a mass, the {layout} phantoms in {root} have "
            f"{len(images)}. Write more patients, or name the phantoms' own layout."
        )
    planted = [
        PlantedFault(name, _OF_IMAGE[layout][name](image), image.name, image.sop_instance_uid)
        for name, image in zip(of_image, images, strict=False)
    ]
    return planted + [PlantedFault(name, plant(root)) for name, plant in _OF_TREE.items() if name in names]


def _check(layout: str, names: Iterable[str]) -> None:
    if layout not in FAULTS:
        raise ValueError(f"layout must be {' or '.join(FAULTS)}, got {layout!r}.")
    unknown = [name for name in names if name not in FAULTS[layout]]
    if unknown:
        raise ValueError(
            f"faults of {layout} are {', '.join(FAULTS[layout])}; got {', '.join(map(repr, unknown))}."
        )


def _drawn(images: list[PhantomImage], seed: int) -> list[PhantomImage]:
    """Images with a mass, shuffled; the first one of every patient before any second one."""
    order = stream(seed, "faults").permutation(len(images))
    seen: dict[str, int] = {}
    rank = []
    for position in order:
        image = images[position]
        if image.masses:
            seen[image.patient_id] = seen.get(image.patient_id, 0) + 1
            rank.append((seen[image.patient_id], image))
    return [image for _, image in sorted(rank, key=lambda each: each[0])]
