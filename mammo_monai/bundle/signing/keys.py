"""Keys of packs, Ed25519, in minisign's files: the secret one encrypted with a passphrase.

Source: minisign's "File format" (jedisct1.github.io/minisign); RFC 8032 (Ed25519), RFC 7914 (scrypt).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b, scrypt
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mammo_monai.bundle.trust.own_folder import changing, write_private
from mammo_monai.errors import BundleError
from mammo_monai.files import write_text_atomic

_ED, _KDF, _CHECKSUM = b"Ed", b"Sc", b"B2"
# libsodium's "moderate" work in its own terms: scrypt with N = 2^17, r = 8, p = 1; 128 MiB, half a second.
_OPS, _MEMORY = 2**22, 2**27
_MOST_MEMORY = 2**31  # minisign's own keys take 1 GiB
_KEYNUM, _SECRET, _SUM, _SALT = 8, 64, 32, 32
_LINE = 56  # 42 bytes in base64
_MOST_BYTES = 10_000
MIN_PASSPHRASE = 8


@dataclass(frozen=True)
class PublicKey:
    """What checks signatures: 8 bytes that name the key, and its 32 bytes."""

    keynum: bytes
    key: bytes

    @property
    def id(self) -> str:
        """The name as minisign writes it: hexadecimal, last byte first."""
        return self.keynum[::-1].hex().upper()

    def line(self) -> str:
        """The key in a line: what people send each other."""
        return base64.b64encode(_ED + self.keynum + self.key).decode()

    def text(self) -> str:
        """The content of a .pub file."""
        return f"untrusted comment: minisign public key {self.id}\n{self.line()}\n"


@dataclass(frozen=True)
class SecretKey:
    """What signs; its bytes never show in a message."""

    keynum: bytes
    seed: bytes = field(repr=False)

    @property
    def signer(self) -> Ed25519PrivateKey:
        """The key for `cryptography`."""
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> PublicKey:
        """The other half."""
        return PublicKey(self.keynum, self.signer.public_key().public_bytes_raw())


def new_key(path: Path, passphrase: str) -> PublicKey:
    """Makes a key: the secret one at `path`, readable by this user alone, the public one at `path`.pub.

    A secret key without its public half, as a kill between the two leaves it, gets that half and stays, where
    the passphrase opens it.

    Raises:
        BundleError: a file is there already, or a passphrase of fewer than 8 characters.
        OSError: the folder cannot be written.
    """
    path = Path(path)
    public_path = public_path_of(path)
    with changing(path):
        if there := [each for each in (public_path, path) if each.exists()]:
            if there == [path] and (kept := _opened(path, passphrase)):
                write_text_atomic(public_path, kept.public.text())
                return kept.public
            raise BundleError(f"{there[-1]}: is there already, and a lost key is lost. Name another file.")
        if len(passphrase) < MIN_PASSPHRASE:
            raise BundleError(f"expected a passphrase of at least {MIN_PASSPHRASE} characters.")
        key = SecretKey(secrets.token_bytes(_KEYNUM), secrets.token_bytes(32))
        write_private(path, _secret_text(key, passphrase))
        write_text_atomic(public_path, key.public.text())
        return key.public


def _opened(path: Path, passphrase: str) -> SecretKey | None:
    """The key in a file, if it is one that this passphrase opens."""
    try:
        return read_secret_key(path, passphrase)
    except BundleError:
        return None


def public_path_of(path: Path) -> Path:
    """Where the public half of a key file lies."""
    return path.with_name(f"{path.name}.pub")


def read_secret_key(path: Path, passphrase: str) -> SecretKey:
    """The key in a file that `new_key` or `minisign -G` wrote.

    Raises:
        BundleError: no such key, a damaged one, or another passphrase.
    """
    raw = _decoded(Path(path))
    size = 6 + _SALT + 16 + _KEYNUM + _SECRET + _SUM
    if len(raw) != size or raw[:2] != _ED or raw[4:6] != _CHECKSUM:
        raise BundleError(
            f"{path}: not a secret key of minisign. Make one with `mammo-monai bundle key new`."
        )
    salt, rest = raw[6 : 6 + _SALT], raw[6 + _SALT :]
    ops, memory = (int.from_bytes(rest[at : at + 8], "little") for at in (0, 8))
    sealed = rest[16:]
    if raw[2:4] == _KDF:
        sealed = _mixed(sealed, _stream(passphrase, salt, ops, memory, str(path)))
    elif raw[2:4] != b"\0\0":
        raise BundleError(f"{path}: encrypted in a way that is not known here. Make a new key.")
    keynum, secret, found = sealed[:_KEYNUM], sealed[_KEYNUM:-_SUM], sealed[-_SUM:]
    if not hmac.compare_digest(found, _sum(keynum, secret)):
        raise BundleError(f"{path}: another passphrase, or a damaged file.")
    return SecretKey(keynum, secret[:32])


def read_public_key(source: Path | str) -> PublicKey:
    """The key in a .pub file, or in the line that stands there.

    Raises:
        BundleError: neither.
    """
    is_line = isinstance(source, str) and len(source) == _LINE and not Path(source).exists()
    return key_of_line(str(source)) if is_line else _public_key(_decoded(Path(source)), str(source))


def key_of_line(line: str) -> PublicKey:
    """The key in a line, whatever files there are: one in the current folder may be called as the line is.

    Raises:
        BundleError: it is none.
    """
    return _public_key(_base64(line, line), line)


def _public_key(raw: bytes, source: str) -> PublicKey:
    if len(raw) != 2 + _KEYNUM + 32 or raw[:2] != _ED:
        raise BundleError(f"{source}: not a public key of minisign: expected a .pub file, or the line in it.")
    return PublicKey(raw[2 : 2 + _KEYNUM], raw[2 + _KEYNUM :])


def _secret_text(key: SecretKey, passphrase: str) -> str:
    salt = secrets.token_bytes(_SALT)
    secret = key.seed + key.public.key
    plain = key.keynum + secret + _sum(key.keynum, secret)
    sealed = _mixed(plain, _stream(passphrase, salt, _OPS, _MEMORY, "new key"))
    costs = _OPS.to_bytes(8, "little") + _MEMORY.to_bytes(8, "little")
    raw = base64.b64encode(_ED + _KDF + _CHECKSUM + salt + costs + sealed).decode()
    return f"untrusted comment: minisign encrypted secret key\n{raw}\n"


def _sum(keynum: bytes, secret: bytes) -> bytes:
    return blake2b(_ED + keynum + secret, digest_size=_SUM).digest()


def _stream(passphrase: str, salt: bytes, ops: int, memory: int, where: str) -> bytes:
    n, r, p = _costs(ops, memory)
    if 128 * n * r > _MOST_MEMORY or p > 64:
        raise BundleError(f"{where}: opening it would take more than 2 GB of memory. Make a new key.")
    size = _KEYNUM + _SECRET + _SUM
    return scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=2**31 - 1, dklen=size)


def _costs(ops: int, memory: int) -> tuple[int, int, int]:
    """scrypt's N, r, p of libsodium's two limits.

    Source: libsodium, crypto_pwhash_scryptsalsa208sha256, pickparams.
    """
    ops, r = max(ops, 32768), 8
    most = ops // (r * 4) if ops < memory // 32 else memory // (r * 128)
    log_n = next((log for log in range(1, 63) if 2**log > most // 2), 63)
    if ops < memory // 32:
        return 2**log_n, r, 1
    return 2**log_n, r, min((ops // 4) // 2**log_n, 0x3FFFFFFF) // r


def _mixed(text: bytes, stream: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(text, stream, strict=True))


def _decoded(path: Path) -> bytes:
    if not path.is_file():
        raise BundleError(f"{path}: no such key file.")
    with path.open("rb") as stream:
        lines = stream.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()
    if len(lines) < 2 or not lines[0].startswith("untrusted comment:"):
        raise BundleError(f"{path}: not a key file of minisign: two lines, the first a comment.")
    return _base64(lines[1], str(path))


def _base64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BundleError(f"{where}: not a key of minisign: {error}.") from error
