"""Whose bundles run here: the gate before every run, and the list of what the user has read and trusts."""

from mammo_monai.bundle.trust.gate import UntrustedBundleError, admitted
from mammo_monai.bundle.trust.snapshot import Snapshot, snapshot_of
from mammo_monai.bundle.trust.trusted_list import TrustedBundle, distrust, trust_bundle, trusted_bundles

__all__ = [
    "Snapshot",
    "TrustedBundle",
    "UntrustedBundleError",
    "admitted",
    "distrust",
    "snapshot_of",
    "trust_bundle",
    "trusted_bundles",
]
