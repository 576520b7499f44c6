"""The user's list of publishers: public keys of those whose signed packs are taken."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.bundle.signing.keys import PublicKey, key_of_line, read_public_key
from mammo_monai.bundle.trust.own_folder import changing, own_file, read_private, write_private
from mammo_monai.errors import BundleError

_NAME = "publishers.txt"


def publishers() -> tuple[PublicKey, ...]:
    """The keys, oldest first; none where there is no list.

    Raises:
        BundleError: the file is damaged, or others may write it.
    """
    text = read_private(own_file(_NAME))
    return tuple(key_of_line(each) for each in (text or "").split())


def add_publisher(source: Path | str) -> PublicKey:
    """Puts a key on the list; from now on `pull` takes only packs that a key on the list signed.

    Raises:
        BundleError: not a public key, another key of the same name, or as `publishers`.
    """
    key = read_public_key(source)
    with changing(own_file(_NAME)):
        there = publishers()
        if any(each.keynum == key.keynum and each.key != key.key for each in there):
            raise BundleError(f"{source}: calls itself {key.id} as another key on the list. Ask who made it.")
        _write([*(each for each in there if each != key), key])
    return key


def remove_publisher(id: str) -> PublicKey:
    """Takes a key off the list, by its name of 16 hexadecimal digits.

    Raises:
        BundleError: none of that name, or as `publishers`.
    """
    with changing(own_file(_NAME)):
        there = publishers()
        found = next((each for each in there if each.id == id.upper()), None)
        if found is None:
            named = ", ".join(each.id for each in there) or "none"
            raise BundleError(f"{id}: no publisher of that name; there are {named}.")
        _write([each for each in there if each != found])
    return found


def _write(keys: list[PublicKey]) -> None:
    write_private(own_file(_NAME), "".join(f"{each.line()}\n" for each in keys))
