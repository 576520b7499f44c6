"""Patches of mammograms with their classes: a data set for classifiers, cut from whole images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.transforms import Compose
from torch.utils.data import Dataset

from mammo_monai.data.patch_cutting import PatchAugment, cut_patch, draw_placement
from mammo_monai.data.patch_images import KeptImage, breast_shares, keep_images, remembered
from mammo_monai.data.patch_plan import PatchPlan
from mammo_monai.data.patch_regions import lesion_regions
from mammo_monai.data.patch_sites import PatchSite, SiteImage, choose_sites
from mammo_monai.data.samples import load_samples, records_of
from mammo_monai.errors import ManifestError
from mammo_monai.imaging import candidate_regions
from mammo_monai.records import Boxes, ImageRecord, Split
from mammo_monai.transforms import CandidateRegionsd, NormaliseIntensityd, PrepareMammogramd, image_recipe
from mammo_monai.transforms.intensity import IntensityMethod
from mammo_monai.transforms.sample import MAX_16_BIT
from mammo_monai.words import counted

if TYPE_CHECKING:
    from typing import Unpack  # of Python 3.11; annotations are not evaluated, so 3.10 runs

    from mammo_monai.transforms.recipe import RecipeOptions

Sample = dict[str, Any]


class PatchDataset(Dataset[Sample]):
    """Patches with their class; augmentation is seeded from (seed, epoch, index), as `MammogramDataset`'s is.

    An item: `image` float32 (1, p, p) in [0, 1], `class_index` int64 scalar (0 = background), `record_id`,
    `patient_id`, `site`, the patch's centre `(x, y)` in original pixels.

    Args:
        images: see `keep_images`. records: of the same images. sites: see `choose_sites`.
        augment: "p3" or "none", see `draw_placement`.
        seed: of the augmentation; that of the sites is the plan's.

    Raises:
        ValueError: `augment` is no kind of augmentation, or images and records differ in number.
    """

    def __init__(
        self,
        images: Sequence[KeptImage],
        records: Sequence[ImageRecord],
        sites: Sequence[PatchSite],
        *,
        plan: PatchPlan,
        augment: PatchAugment = "none",
        seed: int = 0,
    ) -> None:
        if len(images) != len(records):
            n_images = counted(len(images), "image")
            raise ValueError(f"expected one record per image, got {len(records)} for {n_images}.")
        draw_placement(augment, np.random.default_rng(0))  # refuses what is none
        self.images, self.records, self.sites = list(images), list(records), tuple(sites)
        self.plan = plan
        self.augment: PatchAugment = augment
        self.seed = seed
        self.epoch = 0

    @property
    def views(self) -> tuple[PatchSite, ...]:
        """What `data_loader` balances by: each knows whether it has a lesion."""
        return self.sites

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, background first."""
        return self.plan.class_names

    def __len__(self) -> int:
        return len(self.sites)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of items asked for by a plain index; an `EpochIndex` brings its own."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {int(index)} is outside a data set of {len(self)} patches.")
        position, epoch = int(index) % len(self), getattr(index, "epoch", self.epoch)
        site = self.sites[position]
        kept, record = self.images[site.image_index], self.records[site.image_index]
        placement = draw_placement(self.augment, np.random.default_rng([self.seed, epoch, position]))
        at = kept.frame.to_original(np.array([[site.x, site.y, site.x, site.y]]))[0]
        return {
            "image": cut_patch(kept.pixels(), (site.x, site.y), self.plan.patch_px, placement),
            "class_index": torch.tensor(site.class_index, dtype=torch.int64),
            "record_id": record.record_id,
            "patient_id": record.patient_id,
            "site": (float(at[0]), float(at[1])),
        }


def patch_dataset(
    path: str | Path,
    split: Split | str | None = None,
    *,
    transform: Compose,
    plan: PatchPlan | None = None,
    augment: PatchAugment = "none",
    seed: int = 0,
    cache_dir: str | Path | None = None,
    prepare_workers: int = 1,
) -> PatchDataset:
    """The patches of a list of a manifest.

    Args:
        path, split: see `load_samples`.
        transform: see `patch_transforms`.
        plan: which windows; None: P3's.
        augment, seed: see `PatchDataset`.
        cache_dir, prepare_workers: see `keep_images`.

    Raises:
        ManifestError: see `load_samples` and `choose_sites`. MammoError: an image cannot be prepared.
        OSError: the cache cannot be written.
    """
    plan = plan or PatchPlan()
    samples = load_samples(path, split)
    by_id = records_of(path, split)
    records = [by_id[each["record_id"]] for each in samples]
    images = keep_images(samples, transform, cache_dir=cache_dir, workers=prepare_workers)
    try:
        sites = choose_sites([_site_image(*each, plan) for each in zip(images, records, strict=True)], plan)
    except ManifestError as error:
        raise ManifestError(f"{path}, {getattr(split, 'value', split) or 'all lists'}: {error}") from error
    return PatchDataset(images, records, sites, plan=plan, augment=augment, seed=seed)


def patch_transforms(
    *, intensity: IntensityMethod = "range", candidates: int = 0, **recipe: Unpack[RecipeOptions]
) -> Compose:
    """From a sample of `load_samples` to the whole image that patches are cut from, or a map is made of.

    Args:
        intensity: see `NormaliseIntensityd`; P3 finds global contrast normalisation best, which a patch
            network with `contrast="patch"` makes itself.
        candidates: find so many of `CandidateRegionsd`, for a plan with those negatives; 0 finds them when a
            plan asks.
        recipe: see `image_recipe`; the preset is "sections", the breast at original resolution (P3), unless
            given: the others resize it.

    Raises:
        ValueError: see `image_recipe`.
    """
    options: RecipeOptions = {"preset": "sections"}
    options.update(recipe)
    prepared = image_recipe(**options)
    found = [CandidateRegionsd(candidates)] if candidates else []
    return Compose([PrepareMammogramd(prepared), NormaliseIntensityd(intensity), *found])


def _site_image(kept: KeptImage, record: ImageRecord, plan: PatchPlan) -> SiteImage:
    height, width = kept.shape
    return SiteImage(
        record,
        (width, height),
        lesion_regions(record, kept.frame),
        lambda centres: breast_shares(kept, centres, plan.patch_px),
        partial(_candidates, kept, record),
    )


def _candidates(kept: KeptImage, record: ImageRecord) -> Boxes:
    """What a transform has found in the image, else what is found now and kept."""
    return (
        kept.candidates
        if kept.candidates is not None
        else remembered(kept, "candidates", partial(_searched, kept, record))
    )


def _searched(kept: KeptImage, record: ImageRecord) -> Boxes:
    pixels = kept.pixels()
    if not pixels.any():
        return np.zeros((0, 4))
    image = pixels.astype(np.float32) / np.float32(MAX_16_BIT)
    boxes, _ = candidate_regions(image, pixels > 0, pixel_spacing_mm=_spacing_mm(kept, record))
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def _spacing_mm(kept: KeptImage, record: ImageRecord) -> tuple[float, float] | None:
    """`(row, column)` spacing of the prepared image's pixels."""
    if record.pixel_spacing_mm is None:
        return None
    x_min, y_min, x_max, y_max = kept.frame.to_original(np.array([[0.0, 0.0, 1.0, 1.0]]))[0]
    row, column = record.pixel_spacing_mm
    return row * abs(y_max - y_min), column * abs(x_max - x_min)
