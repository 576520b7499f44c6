"""Saliency: which pixels raised a score, by which method, and whether the map means anything."""

from mammo_monai.inference.saliency.check import SanityCheck, Similarity, sanity_check
from mammo_monai.inference.saliency.check_files import verdict
from mammo_monai.inference.saliency.explain import (
    ClassifierExplainer,
    DetectorExplainer,
    Explainer,
    Finding,
    Question,
    detection_target,
)
from mammo_monai.inference.saliency.frames import map_in_original
from mammo_monai.inference.saliency.methods import METHODS, MethodOptions, SaliencyMap, saliency_map
from mammo_monai.inference.saliency.run import FindingChoice, SaliencyRun, save_saliency
from mammo_monai.inference.saliency.targets import ClassScore, DetectionScore, ScoreTarget

__all__ = [
    "METHODS",
    "ClassScore",
    "ClassifierExplainer",
    "DetectionScore",
    "DetectorExplainer",
    "Explainer",
    "Finding",
    "FindingChoice",
    "MethodOptions",
    "Question",
    "SaliencyMap",
    "SaliencyRun",
    "SanityCheck",
    "ScoreTarget",
    "Similarity",
    "detection_target",
    "map_in_original",
    "saliency_map",
    "sanity_check",
    "save_saliency",
    "verdict",
]
