"""Classifiers of patches and of whole images, and the loss around them."""

from mammo_monai.networks.classifiers.classifier import ImageClassifier, image_classifier
from mammo_monai.networks.classifiers.patch import PatchNetwork, PatchSettings, patch_network
from mammo_monai.networks.classifiers.whole_image import (
    WholeImageNetwork,
    WholeImageSettings,
    whole_image_network,
)

__all__ = [
    "ImageClassifier",
    "PatchNetwork",
    "PatchSettings",
    "WholeImageNetwork",
    "WholeImageSettings",
    "image_classifier",
    "patch_network",
    "whole_image_network",
]
