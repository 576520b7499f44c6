"""Samples, data sets and loaders: from a manifest to batches, the same again after a resume."""

from mammo_monai.data.dataset import EpochIndex, MammogramDataset
from mammo_monai.data.expansion import TrainingView, training_views
from mammo_monai.data.image_classes import chosen_patients, load_image_samples
from mammo_monai.data.loader import EpochDataLoader, EpochSampler, data_loader
from mammo_monai.data.manifests import manifest_path
from mammo_monai.data.mass_free import mass_free_rectangle, mass_free_view
from mammo_monai.data.mass_free_set import MassFreeSet, write_mass_free_set
from mammo_monai.data.mixing import mixed, mixup, mosaic
from mammo_monai.data.pasting import copy_paste
from mammo_monai.data.patch_plan import PatchPlan
from mammo_monai.data.patches import PatchDataset, patch_dataset, patch_transforms
from mammo_monai.data.preparation import PreparedSet, prepare_manifest
from mammo_monai.data.samples import load_samples, records_of, sample_of, sample_of_file

__all__ = [
    "EpochDataLoader",
    "EpochIndex",
    "EpochSampler",
    "MammogramDataset",
    "MassFreeSet",
    "PatchDataset",
    "PatchPlan",
    "PreparedSet",
    "TrainingView",
    "chosen_patients",
    "copy_paste",
    "data_loader",
    "load_image_samples",
    "load_samples",
    "manifest_path",
    "mass_free_rectangle",
    "mass_free_view",
    "mixed",
    "mixup",
    "mosaic",
    "patch_dataset",
    "patch_transforms",
    "prepare_manifest",
    "records_of",
    "sample_of",
    "sample_of_file",
    "training_views",
    "write_mass_free_set",
]
