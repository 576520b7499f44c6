"""Detectors (RetinaNet, Faster R-CNN) and classifiers, their contracts, weights, and what is trained."""

from mammo_monai.networks.classifiers import (
    ImageClassifier,
    PatchNetwork,
    PatchSettings,
    WholeImageNetwork,
    WholeImageSettings,
    image_classifier,
    patch_network,
    whole_image_network,
)
from mammo_monai.networks.contract import Classifier, Detector, Network, NetworkParts
from mammo_monai.networks.detector import DetectorSettings, retinanet_detector
from mammo_monai.networks.faster_rcnn import FasterRCNNSettings, MammoFasterRCNN, faster_rcnn_network
from mammo_monai.networks.faster_rcnn_detector import faster_rcnn_detector
from mammo_monai.networks.faster_rcnn_layouts import convert_faster_rcnn
from mammo_monai.networks.faster_rcnn_stages import FasterRCNNDetectorSettings
from mammo_monai.networks.freezing import TrainableParts, TrainingSettings, apply_freezing, training_settings
from mammo_monai.networks.layouts import ConvertedWeights, convert_state_dict
from mammo_monai.networks.retinanet import MammoRetinaNet, NetworkSettings, retinanet_network
from mammo_monai.networks.weight_files import WeightsFile, read_weights
from mammo_monai.networks.weights import convert_file, initialise, load_weights, save_weights

__all__ = [
    "Classifier",
    "ConvertedWeights",
    "Detector",
    "DetectorSettings",
    "FasterRCNNDetectorSettings",
    "FasterRCNNSettings",
    "ImageClassifier",
    "MammoFasterRCNN",
    "MammoRetinaNet",
    "Network",
    "NetworkParts",
    "NetworkSettings",
    "PatchNetwork",
    "PatchSettings",
    "TrainableParts",
    "TrainingSettings",
    "WeightsFile",
    "WholeImageNetwork",
    "WholeImageSettings",
    "apply_freezing",
    "convert_faster_rcnn",
    "convert_file",
    "convert_state_dict",
    "faster_rcnn_detector",
    "faster_rcnn_network",
    "image_classifier",
    "initialise",
    "load_weights",
    "patch_network",
    "read_weights",
    "retinanet_detector",
    "retinanet_network",
    "save_weights",
    "training_settings",
    "whole_image_network",
]
