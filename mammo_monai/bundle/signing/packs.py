"""Signs packs and checks their signatures: Ed25519 over BLAKE2b-512, as `minisign -S` and `-V` do.

Source: minisign's "File format", the prehashed form `ED`. The older `Ed` is refused: a signature of it could
be taken for one over a hash.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mammo_monai.bundle.packing.record import RECORD, PackRecord
from mammo_monai.bundle.packing.verify import Verified, verify_pack
from mammo_monai.bundle.signing.keys import PublicKey, SecretKey, read_public_key
from mammo_monai.bundle.signing.publishers import publishers
from mammo_monai.errors import BundleError
from mammo_monai.files import write_text_atomic

SIGNATURE_SUFFIX = ".minisig"
MOST_BYTES = 10_000
_PREHASHED, _LEGACY = b"ED", b"Ed"
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "
_COMMENT = re.compile(r"bundle:(\S+) version:(\S+) file:([^\t]+)")
_BLOCK = 1 << 20


class SignatureError(BundleError):
    """A pack has no signature, or not one that holds."""


@dataclass(frozen=True)
class Signed:
    """A signature that holds: whose, and the comment that it covers."""

    key: PublicKey
    comment: str


def sign_pack(pack: Path, key: SecretKey) -> Path:
    """Writes the signature of a pack beside it: of a zip, or of the pack.json in an unpacked one.

    pack.json holds the hash of every other file, so that its signature is that of the whole folder.

    Raises:
        BundleError: not a pack, or not as it was packed.
    """
    verified = verify_pack(pack)
    if verified.faults:
        raise BundleError(f"{pack}: not as it was packed: {verified.faults[0]} Pack it again.")
    path = signed_file(pack)
    comment = pack_comment(verified.record, path.name)
    target = path.with_name(path.name + SIGNATURE_SUFFIX)
    write_text_atomic(target, _signature_text(key, _digest(path), comment))
    return target


def signed_file(pack: Path) -> Path:
    """What of a pack is signed: the zip itself, or a folder's pack.json."""
    return Path(pack) / RECORD if Path(pack).is_dir() else Path(pack)


def pack_comment(record: PackRecord, name: str) -> str:
    """What a signature says of its pack: an older version under a newer name is seen."""
    return f"bundle:{record.bundle} version:{record.version} file:{name}"


def signed_content(verified: Verified) -> bytes | None:
    """What is signed of an unpacked pack, as it was read when the pack was verified; None for a zip."""
    return verified.record.text().encode() if verified.path.is_dir() else None


def verify_signature(
    pack: Path, text: str, keys: Sequence[PublicKey], *, content: bytes | None = None
) -> Signed:
    """The signature in the text of a .minisig file, if one of the keys made it over this very pack.

    Args:
        content: of the signed file, as it was read before; None reads it.

    Raises:
        SignatureError: another format, key, file or comment.
    """
    path = signed_file(pack)
    raw, comment, over_all = _parsed(text, path)
    algorithm, keynum, signature = raw[:2], raw[2:10], raw[10:]
    if algorithm == _LEGACY:
        raise SignatureError(
            f"{path}: its signature is of the old form, not over a hash. Ask for one of `minisign -S` 0.10 "
            "or newer, or of `mammo-monai bundle sign`."
        )
    if algorithm != _PREHASHED:
        raise SignatureError(f"{path}: its signature is of a form that is not known here.")
    key = next((each for each in keys if each.keynum == keynum), None)
    if key is None:
        known = ", ".join(each.id for each in keys) or "none"
        raise SignatureError(
            f"{path}: signed with the key {keynum[::-1].hex().upper()}; trusted are {known}. Ask its sender "
            "for the public key by another way than the file, then `mammo-monai bundle trust --publisher`."
        )
    checker = Ed25519PublicKey.from_public_bytes(key.key)
    try:
        checker.verify(signature, _digest(path) if content is None else _digest_of(content))
        checker.verify(over_all, signature + comment.encode())
    except InvalidSignature as error:
        raise SignatureError(
            f"{path}: the signature does not hold: the file, or the comment of the signature, was changed. "
            "Do not use it; get the pack again."
        ) from error
    return Signed(key, comment)


def check_comment(signed: Signed, record: PackRecord) -> None:
    """Refuses a signature made for another bundle or version than the pack holds.

    Raises:
        SignatureError: the comment names another.
    """
    named = _COMMENT.fullmatch(signed.comment)
    if named and (named[1], named[2]) != (record.bundle, record.version):
        raise SignatureError(
            f"{record.bundle} {record.version}: its signature is for {named[1]} {named[2]}. Get both again."
        )


def checked_pack(verified: Verified, signature: Path | None, public_key: str | None) -> Signed:
    """The signature of a pack that was verified, by a key that is named or one of the publishers.

    Args:
        signature: its file; None is the one beside the pack. public_key: a file or line; None takes those on
            the list.

    Raises:
        SignatureError: none, or not one that holds. BundleError: no such key.
    """
    path = signed_file(verified.path)
    where = signature or path.with_name(path.name + SIGNATURE_SUFFIX)
    if not where.is_file():
        raise SignatureError(f"{where}: no signature there. Ask the sender for it, or name it.")
    keys = publishers() if public_key is None else (read_public_key(public_key),)
    signed = verify_signature(verified.path, signature_text(where), keys, content=signed_content(verified))
    check_comment(signed, verified.record)
    return signed


def signature_text(path: Path) -> str:
    """The text of a signature's file, cut where no signature reaches."""
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1).decode("utf-8", "replace")


def _signature_text(key: SecretKey, digest: bytes, comment: str) -> str:
    signature = key.signer.sign(digest)
    over_all = key.signer.sign(signature + comment.encode())
    first = base64.b64encode(_PREHASHED + key.keynum + signature).decode()
    return (
        f"{_UNTRUSTED}signature from minisign secret key {key.public.id}\n{first}\n"
        f"{_TRUSTED}{comment}\n{base64.b64encode(over_all).decode()}\n"
    )


def _parsed(text: str, path: Path) -> tuple[bytes, str, bytes]:
    lines = text.split("\n")
    is_whole = len(lines) == 5 and not lines[4] and len(text) <= MOST_BYTES
    if not is_whole or not (lines[0].startswith(_UNTRUSTED) and lines[2].startswith(_TRUSTED)):
        raise SignatureError(f"{path}: not a signature of minisign beside it: expected its four lines.")
    try:
        first, over_all = (base64.b64decode(lines[at], validate=True) for at in (1, 3))
    except (binascii.Error, ValueError) as error:
        raise SignatureError(f"{path}: its signature is damaged: {error}. Get it again.") from error
    # More than one text stands for the same bytes: only the usual one is taken.
    usual = [base64.b64encode(each).decode() for each in (first, over_all)]
    if (len(first), len(over_all)) != (74, 64) or usual != [lines[1], lines[3]]:
        raise SignatureError(f"{path}: its signature is damaged: not as long as one. Get it again.")
    return first, lines[2].removeprefix(_TRUSTED), over_all


def _digest_of(content: bytes) -> bytes:
    return blake2b(content, digest_size=64).digest()


def _digest(path: Path) -> bytes:
    digest = blake2b(digest_size=64)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.digest()
