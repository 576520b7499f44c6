"""MONAI Bundles as this package uses them: finding, running, checking, and where weights come from."""

from mammo_monai.bundle.check import check_bundle
from mammo_monai.bundle.explainer import BundleExplainer, bundle_explainer
from mammo_monai.bundle.find import bundle_names, find_bundle, refuse_to_write_into_installed
from mammo_monai.bundle.inspection import Inspection, inspect_bundle
from mammo_monai.bundle.lineage import initialised_network, model_description, training_lineage
from mammo_monai.bundle.marker import Marker, load_marker
from mammo_monai.bundle.packing import Packed, Verified, pack_bundle, verify_pack
from mammo_monai.bundle.parts import bundle_parts
from mammo_monai.bundle.publish import Publication, publish_bundle
from mammo_monai.bundle.published import weights_state
from mammo_monai.bundle.run import parse_overrides, path_value, run_bundle
from mammo_monai.bundle.transfer import (
    HttpOptions,
    Pulled,
    PullOptions,
    Pushed,
    pull_bundle,
    push_bundle,
)
from mammo_monai.bundle.trust import UntrustedBundleError, admitted, distrust, trust_bundle, trusted_bundles

__all__ = [
    "BundleExplainer",
    "HttpOptions",
    "Inspection",
    "Marker",
    "Packed",
    "Publication",
    "PullOptions",
    "Pulled",
    "Pushed",
    "UntrustedBundleError",
    "Verified",
    "admitted",
    "bundle_explainer",
    "bundle_names",
    "bundle_parts",
    "check_bundle",
    "distrust",
    "find_bundle",
    "initialised_network",
    "inspect_bundle",
    "load_marker",
    "model_description",
    "pack_bundle",
    "parse_overrides",
    "path_value",
    "publish_bundle",
    "pull_bundle",
    "push_bundle",
    "refuse_to_write_into_installed",
    "run_bundle",
    "training_lineage",
    "trust_bundle",
    "trusted_bundles",
    "verify_pack",
    "weights_state",
]
