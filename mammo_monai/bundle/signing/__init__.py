"""Signatures of packs in minisign's format: who packed a bundle, and that nobody changed it since."""

from mammo_monai.bundle.signing.keys import PublicKey, SecretKey, new_key, read_public_key, read_secret_key
from mammo_monai.bundle.signing.packs import (
    SIGNATURE_SUFFIX,
    SignatureError,
    Signed,
    pack_comment,
    sign_pack,
    verify_signature,
)
from mammo_monai.bundle.signing.publishers import add_publisher, publishers, remove_publisher

__all__ = [
    "SIGNATURE_SUFFIX",
    "PublicKey",
    "SecretKey",
    "SignatureError",
    "Signed",
    "add_publisher",
    "new_key",
    "pack_comment",
    "publishers",
    "read_public_key",
    "read_secret_key",
    "remove_publisher",
    "sign_pack",
    "verify_signature",
]
