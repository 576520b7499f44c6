"""Where a bundle is pushed to or pulled from: a folder, a URL, or a repository of the Hugging Face hub."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from mammo_monai.bundle.packing.record import RECORD
from mammo_monai.errors import BundleError

_HUB = re.compile(r"hf://([\w.\-]+/[\w.\-]+)(?:@([\w.\-/]+))?")
_PIN = re.compile(r"sha256=([0-9a-fA-F]{64})")


@dataclass(frozen=True)
class FolderPlace:
    """A folder that holds zips, or a zip, or a folder that a zip was unpacked to."""

    path: Path


@dataclass(frozen=True)
class UrlPlace:
    """A web address; `sha256` is what stood behind `#sha256=`."""

    url: str
    sha256: str | None = None

    @property
    def shown(self) -> str:
        """The address for people and logs, without what follows a question mark: that may be a key."""
        return shown_url(self.url)


@dataclass(frozen=True)
class HubPlace:
    """A model repository of the hub; `revision` is a branch, tag or commit, None the default branch."""

    repository: str
    revision: str | None = None


Place = FolderPlace | UrlPlace | HubPlace


def parse_place(text: str, *, is_http_allowed: bool = False) -> Place:
    """The place that a word of the command line means.

    Raises:
        BundleError: a scheme that is not known, plain http to another machine, a name or password in the URL,
            a fragment that is no SHA-256, or a repository without an owner.

    >>> parse_place("hf://clinic/masses@v1")
    HubPlace(repository='clinic/masses', revision='v1')
    """
    if text.startswith("hf://"):
        if not (found := _HUB.fullmatch(text)):
            raise BundleError(f"{text}: expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION.")
        return HubPlace(found[1], found[2])
    if "://" not in text:
        return FolderPlace(Path(text).expanduser())
    parts = _split(text)
    pin = _PIN.fullmatch(parts.fragment)
    if parts.fragment and not pin:
        raise BundleError(
            f"{shown_url(text)}: behind # only sha256= with 64 hexadecimal digits is understood."
        )
    url = urlunsplit(parts._replace(fragment=""))
    check_url(url, is_http_allowed=is_http_allowed)
    return UrlPlace(url, pin[1].lower() if pin else None)


def in_folder(place: FolderPlace) -> Path:
    """The zip, or the unpacked pack, that a folder's name stands for.

    Raises:
        BundleError: none, or several.
    """
    if place.path.is_file() or (place.path / RECORD).is_file():
        return place.path
    zips = sorted(place.path.glob("*.zip")) if place.path.is_dir() else []
    if len(zips) == 1:
        return zips[0]
    named = ", ".join(each.name for each in zips) or "none"
    raise BundleError(
        f"{place.path}: expected a pack, or a folder with one .zip, got {named}. Name the file."
    )


def check_url(url: str, *, is_http_allowed: bool = False) -> None:
    """Refuses addresses that are not https; http passes to this machine, or where it is allowed.

    Raises:
        BundleError: as `parse_place`.
    """
    parts = _split(url)
    shown = shown_url(url)
    if parts.username or parts.password:
        raise BundleError(
            f"{shown}: holds a name or password, which would end up in logs. Put a token into the "
            "environment, MAMMO_MONAI_TOKEN."
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BundleError(
            f"{shown}: expected a folder, https://…, or hf://OWNER/NAME, got {parts.scheme}://."
        )
    if parts.scheme == "http" and not (is_http_allowed or is_loopback(parts.hostname)):
        raise BundleError(
            f"{shown}: plain http can be read and changed on the way. Use https, or give --allow-http on a "
            "network you trust."
        )


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("127.0.0.1.example.org")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read by whoever shows it
    except ValueError as error:
        raise BundleError(f"{url.partition('?')[0].rpartition('@')[2]}: no such address: {error}.") from error
    return parts


def shown_url(url: str) -> str:
    """A URL without query, fragment, name and password."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))
