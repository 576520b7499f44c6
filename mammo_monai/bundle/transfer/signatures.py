"""The signature that lies beside a source of packs, and what it must be for the pack to be taken."""

from __future__ import annotations

import re
from pathlib import Path

from mammo_monai.bundle.packing.verify import Verified
from mammo_monai.bundle.published import METADATA, json_object
from mammo_monai.bundle.signing.packs import (
    MOST_BYTES,
    SIGNATURE_SUFFIX,
    SignatureError,
    Signed,
    check_comment,
    signature_text,
    signed_content,
    signed_file,
    verify_signature,
)
from mammo_monai.bundle.signing.publishers import publishers
from mammo_monai.bundle.transfer.http_files import HttpOptions, fetch_text
from mammo_monai.bundle.transfer.places import HubPlace, Place, UrlPlace, in_folder


def signature_of(place: Place, verified: Verified, http: HttpOptions, *, is_asked: bool) -> Signed | None:
    """The signature beside the source, if it is asked for; None where it is not.

    Raises:
        SignatureError: it is missing, or does not hold. BundleError: as `publishers`.
    """
    keys = publishers()
    if not (keys or is_asked):
        return None
    if not keys:
        raise SignatureError(
            "a signature is asked for, but no publisher is trusted: `mammo-monai bundle trust --publisher`."
        )
    text = _signature(place, http)
    if text is None:
        raise SignatureError(
            f"{verified.record.bundle} {verified.record.version}: not signed, and only packs of trusted "
            f"publishers are taken ({', '.join(each.id for each in keys)}). Ask its sender to sign it."
        )
    signed = verify_signature(verified.path, text, keys, content=signed_content(verified))
    check_comment(signed, verified.record)
    return signed


def _signature(place: Place, http: HttpOptions) -> str | None:
    if isinstance(place, UrlPlace):
        if "?" in place.url:
            return None
        return fetch_text(place.url + SIGNATURE_SUFFIX, http, limit=MOST_BYTES + 1)
    if isinstance(place, HubPlace):
        return None
    path = signed_file(in_folder(place))
    beside = path.with_name(path.name + SIGNATURE_SUFFIX)
    return signature_text(beside) if beside.is_file() else None


def refuse_older(folder: Path, verified: Verified) -> None:
    """Refuses a signed pack that is older than the bundle in `folder`: it may have faults mended since.

    Raises:
        SignatureError: it is. BundleError: metadata.json in `folder` is no JSON object.
    """
    path = folder / METADATA
    there = str(json_object(path).get("version")) if path.is_file() else ""
    new = verified.record.version
    versions = [re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", each) for each in (there, new)]
    numbers = [tuple(map(int, each.groups())) for each in versions if each]
    if len(numbers) == 2 and numbers[1] < numbers[0]:
        raise SignatureError(f"{folder}: is version {there}, the pack is the older {new}. --older takes it.")
