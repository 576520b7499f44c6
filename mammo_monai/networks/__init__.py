"""Networks: the detector contract, RetinaNet on MONAI's parts, its weights, and what of it is trained."""

from mammo_monai.networks.contract import Classifier, Detector, Network, NetworkParts
from mammo_monai.networks.detector import DetectorSettings, retinanet_detector
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
    "MammoRetinaNet",
    "Network",
    "NetworkParts",
    "NetworkSettings",
    "TrainableParts",
    "TrainingSettings",
    "WeightsFile",
    "apply_freezing",
    "convert_file",
    "convert_state_dict",
    "initialise",
    "load_weights",
    "read_weights",
    "retinanet_detector",
    "retinanet_network",
    "save_weights",
    "training_settings",
]
