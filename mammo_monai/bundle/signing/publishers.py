"""The user's list of publishers: public keys of those whose signed packs are taken."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.bundle.signing.keys import PublicKey, read_public_key
from mammo_monai.bundle.trust.own_folder import check_private, own_file, write_private
from mammo_monai.errors import BundleError

_NAME = "publishers.txt"


def publishers() -> tuple[PublicKey, ...]:
    """The keys, oldest first; none where there is no list.

    Raises:
        BundleError: the file is damaged, or others may write it.
    """
    path = own_file(_NAME)
    if not path.exists():
        return ()
    check_private(path)
    lines = path.read_text(encoding="ascii", errors="replace").split()
    return tuple(read_public_key(each) for each in lines)


def add_publisher(source: Path | str) -> PublicKey:
    """Puts a key on the list; from now on `pull` takes only packs that a key on the list signed.

    Raises:
        BundleError: not a public key, another key of the same name, or as `publishers`.
    """
    key = read_public_key(source)
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
    there = publishers()
    found = next((each for each in there if each.id == id.upper()), None)
    if found is None:
        named = ", ".join(each.id for each in there) or "none"
        raise BundleError(f"{id}: no publisher of that name; there are {named}.")
    _write([each for each in there if each != found])
    return found


def _write(keys: list[PublicKey]) -> None:
    write_private(own_file(_NAME), "".join(f"{each.line()}\n" for each in keys))
