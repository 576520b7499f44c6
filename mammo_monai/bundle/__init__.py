"""MONAI Bundles as this package uses them: finding, running, checking, and where weights come from."""

from mammo_monai.bundle.check import check_bundle
from mammo_monai.bundle.explainer import BundleExplainer, bundle_explainer
from mammo_monai.bundle.find import bundle_names, find_bundle
from mammo_monai.bundle.lineage import initialised_network, model_description, training_lineage
from mammo_monai.bundle.marker import Marker, load_marker
from mammo_monai.bundle.parts import bundle_parts
from mammo_monai.bundle.publish import Publication, publish_bundle
from mammo_monai.bundle.published import weights_state
from mammo_monai.bundle.run import parse_overrides, path_value, run_bundle

__all__ = [
    "BundleExplainer",
    "Marker",
    "Publication",
    "bundle_explainer",
    "bundle_names",
    "bundle_parts",
    "check_bundle",
    "find_bundle",
    "initialised_network",
    "load_marker",
    "model_description",
    "parse_overrides",
    "path_value",
    "publish_bundle",
    "run_bundle",
    "training_lineage",
    "weights_state",
]
