"""Where patches are cut: positives by their centre, negatives drawn to balance them, by a seed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.data.patch_lesion_sites import background_centres, lesion_centres
from mammo_monai.data.patch_plan import BACKGROUND, PatchPlan, class_of_lesion
from mammo_monai.data.patch_regions import LesionRegion, Points, is_inside
from mammo_monai.errors import ManifestError
from mammo_monai.records import Boxes, ImageRecord
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
_DEALING = 1  # stream of the draws that concern all images together


@dataclass(frozen=True, slots=True)
class PatchSite:
    """One patch: its image, its centre in pixels of the prepared image, its class.

    Attributes:
        image_index: row of the image in the data set. lesion: its number in the record; None for background.
    """

    image_index: int
    x: float
    y: float
    class_index: int
    lesion: int | None = None

    @property
    def has_lesion(self) -> bool:
        """Whether it is not background; a loader's `lesion_fraction` balances by this."""
        return self.class_index != BACKGROUND


@dataclass(frozen=True, eq=False)
class SiteImage:
    """What choosing sites needs of an image; pixels are asked for only where negatives are drawn.

    Attributes:
        size: `(width, height)` of the prepared image. regions: its lesions there.
        breast_shares: share of non-zero pixels of the window at each of the centres (N, 2), shape (N,).
        candidates: boxes that look like masses, prepared pixels, shape (N, 4).
    """

    record: ImageRecord
    size: tuple[int, int]
    regions: tuple[LesionRegion, ...]
    breast_shares: Callable[[Points], NDArray[np.float64]]
    candidates: Callable[[], Boxes]


def grid_centres(size: tuple[int, int], plan: PatchPlan) -> Points:
    """Centres of all windows `stride_px` apart, row by row, shape (N, 2), `(x, y)`.

    >>> grid_centres((5, 8), PatchPlan(patch_px=4, stride_px=2)).tolist()
    [[2.0, 2.0], [2.0, 4.0], [2.0, 6.0]]
    """
    x, y = (_along(side, plan) for side in size)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def choose_sites(images: Sequence[SiteImage], plan: PatchPlan) -> list[PatchSite]:
    """The patches of a list of images, image by image; positives before background.

    What is drawn depends on the seed, the images' record ids and their order alone.

    Raises:
        ManifestError: no image has a lesion of a class, or negatives are to come from normals and there are
            none.
    """
    positives = [_positives(row, image, plan) for row, image in enumerate(images)]
    _report_lesions(images, positives, plan)
    if not any(positives):
        raise ManifestError(
            f"no patch: none of {counted(len(images), 'image')} has a lesion of the classes "
            f"{', '.join(plan.class_names[1:])} under a window of {plan.patch_px} px every {plan.stride_px} "
            "px. Look at the lesions in the manifest, or give smaller patch_px and stride_px."
        )
    if plan.scheme == "grid":
        negatives = _grid_negatives(images, positives, plan)
    else:
        negatives = _paired_negatives(images, positives, plan)
    sites = [site for pair in zip(positives, negatives, strict=True) for each in pair for site in each]
    count = sum(site.has_lesion for site in sites)
    logger.info(
        "patches: %d of lesions, %d of background, of %s",
        count,
        len(sites) - count,
        counted(len(images), "image"),
    )
    return sites


def generator_of(plan: PatchPlan, record: ImageRecord) -> np.random.Generator:
    """The stream of random numbers of one image: the same in any list, process and order."""
    digest = hashlib.sha256(record.record_id.encode("utf-8")).digest()
    return np.random.default_rng([plan.seed, int.from_bytes(digest[:8], "big")])


def _along(side: int, plan: PatchPlan) -> Points:
    half = plan.patch_px / 2
    if side < plan.patch_px:
        return np.array([half])
    if plan.windows == "inside":
        return np.arange(0, side - plan.patch_px + 1, plan.stride_px, dtype=np.float64) + half
    # Overhanging centres keep the lattice of those inside, which begins at half a patch.
    return np.arange(half % plan.stride_px, side, plan.stride_px, dtype=np.float64)


def _positives(row: int, image: SiteImage, plan: PatchPlan) -> list[PatchSite]:
    if plan.scheme != "grid":
        generator = generator_of(plan, image.record)
        return [
            PatchSite(row, float(x), float(y), class_index, region.number)
            for region, class_index in _of_classes(image, plan)
            for x, y in lesion_centres(region, image.size, plan, generator)
        ]
    centres = grid_centres(image.size, plan)
    owner = np.full(len(centres), -1)
    regions = _of_classes(image, plan)
    # The smallest lesion around a centre names it: it is the one the patch is about.
    for number, (region, _) in sorted(enumerate(regions), key=lambda each: -_box_area(each[1][0])):
        owner[is_inside(region.polygon, centres)] = number
    return [
        PatchSite(row, float(centres[at, 0]), float(centres[at, 1]), regions[of][1], regions[of][0].number)
        for at, of in enumerate(owner)
        if of >= 0
    ]


def _of_classes(image: SiteImage, plan: PatchPlan) -> list[tuple[LesionRegion, int]]:
    """Lesions that are no background, with their class."""
    known = [(each, class_of_lesion(each.lesion, plan.named_classes)) for each in image.regions]
    return [(each, class_index) for each, class_index in known if class_index]


def _grid_negatives(
    images: Sequence[SiteImage], positives: Sequence[list[PatchSite]], plan: PatchPlan
) -> list[list[PatchSite]]:
    is_normal = np.array([not _is_suspect(image, plan) for image in images])
    source = plan.negatives
    if source == "auto":
        source = "normals" if is_normal.any() else "same_images"
    if source == "normals" and not is_normal.any():
        raise ManifestError(
            f"negatives from normals: each of {counted(len(images), 'image')} has a lesion. Set negatives to "
            "same_images, or give normal images."
        )
    counts = np.array([len(each) for each in positives])
    generator = np.random.default_rng([plan.seed, _DEALING])
    used = is_normal if source == "normals" else counts > 0
    free = [
        _free_centres(image, plan, source) if use else np.zeros((0, 2))
        for image, use in zip(images, used, strict=True)
    ]
    wanted = _equal_shares(int(counts.sum()), is_normal, generator) if source == "normals" else counts
    dealt = _dealt(wanted, np.array([len(each) for each in free]), generator)
    logger.info("background from %s: %d of %d windows", source, dealt.sum(), sum(map(len, free)))
    if dealt.sum() < counts.sum():
        logger.warning(
            "only %d patches of background for %d of lesions: no more windows lie %g inside the breast. Give "
            "a smaller stride_px or min_breast.",
            dealt.sum(),
            counts.sum(),
            plan.min_breast,
        )
    return [_drawn(row, image, free[row], int(dealt[row]), plan) for row, image in enumerate(images)]


def _is_suspect(image: SiteImage, plan: PatchPlan) -> bool:
    """Whether it has a lesion of a class, or one whose class cannot be known."""
    return any(class_of_lesion(each.lesion, plan.named_classes) != BACKGROUND for each in image.regions)


def _free_centres(image: SiteImage, plan: PatchPlan, source: str) -> Points:
    """Centres of windows in the breast that lie in no lesion of a class or of an unknown one."""
    centres = grid_centres(image.size, plan)
    if source == "candidates":
        boxes = image.candidates()
        half = plan.patch_px / 2
        high = np.maximum(np.array(image.size) - half, half)
        centres = np.round(np.clip((boxes[:, :2] + boxes[:, 2:]) / 2, half, high) - half) + half
        centres = np.unique(centres, axis=0)
    is_free = np.ones(len(centres), dtype=bool)
    for region in image.regions:
        if class_of_lesion(region.lesion, plan.named_classes) != BACKGROUND:
            is_free &= ~is_inside(region.polygon, centres)
    centres = centres[is_free]
    return centres[image.breast_shares(centres) >= plan.min_breast]


def _equal_shares(
    count: int, is_normal: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.int64]:
    """P3's equation (1), n / N of each normal image; what the division leaves over goes to drawn ones."""
    rows = np.flatnonzero(is_normal)
    wanted = np.zeros(len(is_normal), dtype=np.int64)
    wanted[rows] = count // len(rows)
    wanted[generator.permutation(rows)[: count % len(rows)]] += 1
    return wanted


def _dealt(
    wanted: NDArray[np.int64], available: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """As many of each image as wanted; what some lack is taken from the others, one each in turn."""
    dealt = np.minimum(wanted, available)
    missing = int(min(wanted.sum(), available.sum()) - dealt.sum())
    while missing:
        rows = generator.permutation(np.flatnonzero(available > dealt))[:missing]
        dealt[rows] += 1
        missing -= len(rows)
    return dealt


def _drawn(row: int, image: SiteImage, centres: Points, count: int, plan: PatchPlan) -> list[PatchSite]:
    chosen = generator_of(plan, image.record).permutation(len(centres))[:count]
    return [PatchSite(row, float(x), float(y), BACKGROUND) for x, y in centres[np.sort(chosen)]]


def _paired_negatives(
    images: Sequence[SiteImage], positives: Sequence[list[PatchSite]], plan: PatchPlan
) -> list[list[PatchSite]]:
    """As many windows of background as lesion patches, of the same image; fewer where it has no more."""
    negatives = []
    for row, (image, own) in enumerate(zip(images, positives, strict=True)):
        free = np.zeros((0, 2))
        if own:
            free = background_centres(image.regions, grid_centres(image.size, plan), plan.patch_px)
            free = free[image.breast_shares(free) >= plan.min_breast]
        negatives.append(_drawn(row, image, free, len(own), plan))
    missing = sum(map(len, positives)) - sum(map(len, negatives))
    if missing:
        logger.warning(
            "%s of background missing: no window of these images lies in the breast and off all "
            "lesions. Give a smaller patch_px, stride_px or min_breast.",
            counted(missing, "patch"),
        )
    return negatives


def _report_lesions(
    images: Sequence[SiteImage], positives: Sequence[list[PatchSite]], plan: PatchPlan
) -> None:
    lesions = [each.lesion for image in images for each in image.regions]
    unknown = sum(class_of_lesion(each, plan.named_classes) is None for each in lesions)
    if unknown:
        logger.warning(
            "left out %d of %s: no mass and no calcification, or without a pathology.",
            unknown,
            counted(len(lesions), "lesion"),
        )
    found = sum(len({site.lesion for site in own}) for own in positives)
    all_ = sum(len(_of_classes(image, plan)) for image in images)
    if found < all_:
        logger.warning(
            "no patch of %d of %s: no window of %d px every %d px is centred in them. Smaller "
            "values, or windows=overhanging, reach more.",
            all_ - found,
            counted(all_, "lesion"),
            plan.patch_px,
            plan.stride_px,
        )


def _box_area(region: LesionRegion) -> float:
    x_min, y_min, x_max, y_max = region.box
    return (x_max - x_min) * (y_max - y_min)
