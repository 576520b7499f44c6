"""A bundle as one file for another site: what travels, what proves it whole, and the check on arrival."""

from mammo_monai.bundle.packing.bundle_files import BundleFiles, open_bundle
from mammo_monai.bundle.packing.pack import Packed, pack_bundle
from mammo_monai.bundle.packing.record import RECORD, PackRecord
from mammo_monai.bundle.packing.verify import Verified, verify_pack

__all__ = [
    "RECORD",
    "BundleFiles",
    "PackRecord",
    "Packed",
    "Verified",
    "open_bundle",
    "pack_bundle",
    "verify_pack",
]
