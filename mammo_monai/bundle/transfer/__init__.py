"""Packed bundles to other sites and back: folders, web servers, repositories of the Hugging Face hub."""

from mammo_monai.bundle.transfer.http_files import HttpOptions
from mammo_monai.bundle.transfer.pull import Pulled, PullOptions, pull_bundle
from mammo_monai.bundle.transfer.push import Pushed, push_bundle
from mammo_monai.bundle.trust import UntrustedBundleError

__all__ = [
    "HttpOptions",
    "PullOptions",
    "Pulled",
    "Pushed",
    "UntrustedBundleError",
    "pull_bundle",
    "push_bundle",
]
