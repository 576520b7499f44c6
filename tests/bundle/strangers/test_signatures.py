"""Signatures of packs: what minisign checks, and every change of file, signature, comment or key refused."""

from __future__ import annotations

import base64
import stat
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.bundle import UntrustedBundleError, pull_bundle, push_bundle, trusted_bundles
from mammo_monai.bundle.packing.pack import pack_bundle
from mammo_monai.bundle.packing.record import PackedFile, parse_record
from mammo_monai.bundle.signing import (
    PublicKey,
    SecretKey,
    SignatureError,
    add_publisher,
    new_key,
    publishers,
    read_public_key,
    read_secret_key,
    remove_publisher,
    sign_pack,
    verify_signature,
)
from mammo_monai.bundle.signing.keys import _costs
from mammo_monai.bundle.transfer import PullOptions
from mammo_monai.bundle.transfer.signatures import signature_of
from mammo_monai.cli.main import main
from mammo_monai.errors import BundleError
from tests.bundle.light import edit
from tests.bundle.packs import file_server, publish_tiny

PASSPHRASE = "correct horse"
KEY = SecretKey(bytes(range(8)), bytes(range(32)))
OTHER = SecretKey(bytes(range(8)), bytes(range(1, 33)))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # A tenth of the work that opens a key, for the tests' time.
    monkeypatch.setattr("mammo_monai.bundle.signing.keys._OPS", 524288)
    monkeypatch.setattr("mammo_monai.bundle.signing.keys._MEMORY", 16777216)
    monkeypatch.setenv("MAMMO_MONAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def pack(tmp_path: Path, bundle: Path) -> Path:
    publish_tiny(bundle)
    (tmp_path / "out").mkdir()
    return pack_bundle(bundle, tmp_path / "out" / "light.zip").path


@pytest.fixture
def publisher(tmp_path: Path) -> PublicKey:
    (tmp_path / "site.pub").write_text(KEY.public.text())
    return add_publisher(tmp_path / "site.pub")


def signature(pack: Path) -> str:
    return sign_pack(pack, KEY).read_text()


def test_a_signature_holds_for_its_pack_and_key(pack: Path) -> None:
    signed = verify_signature(pack, signature(pack), [OTHER.public, KEY.public][1:])
    assert signed.key.id == "0706050403020100"
    assert signed.comment == "bundle:light version:0.1.0 file:light.zip"


def test_any_bit_of_the_signature_counts(pack: Path) -> None:
    text = signature(pack)
    lines = text.split("\n")
    signatures = {at: base64.b64decode(lines[at]) for at in (1, 3)}
    for at, raw in signatures.items():
        for position in range(0, len(raw) * 8, 5):
            flipped = bytearray(raw)
            flipped[position // 8] ^= 1 << position % 8
            changed = [*lines[:at], base64.b64encode(flipped).decode(), *lines[at + 1 :]]
            with pytest.raises(SignatureError):
                verify_signature(pack, "\n".join(changed), [KEY.public])


def test_any_letter_of_the_trusted_comment_counts(pack: Path) -> None:
    text = signature(pack)
    start = text.index("trusted comment: ", 20)
    for position in range(start, text.index("\n", start) + 1):
        changed = text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1 :]
        with pytest.raises(SignatureError):
            verify_signature(pack, changed, [KEY.public])


def test_any_byte_of_the_pack_counts(pack: Path) -> None:
    text, content = signature(pack), pack.read_bytes()
    for position in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[position] ^= 1
        pack.write_bytes(changed)
        with pytest.raises(SignatureError, match="the signature does not hold"):
            verify_signature(pack, text, [KEY.public])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "not a signature of minisign"),
        (lambda text: text + "more\n", "not a signature of minisign"),
        (lambda text: text.replace("\n", "\r\n"), "not a signature of minisign|damaged"),
        (lambda text: text * 1000, "not a signature of minisign"),
        (lambda text: text.replace("trusted comment", "comment"), "not a signature of minisign"),
        (lambda text: text.replace("\nRUQ", "\nRWQ", 1), "of the old form"),
        (lambda text: text.replace("\nRUQ", "\nAAQ", 1), "not known here"),
        (lambda text: text.replace("\nRUQ", "\n!!!", 1), "is damaged"),
        (lambda text: text.replace("\nRUQ", "\n", 1), "is damaged"),
    ],
)
def test_other_forms_are_refused(change: object, message: str, pack: Path) -> None:
    text = signature(pack)
    assert "\nRUQ" in text
    with pytest.raises(SignatureError, match=message):
        verify_signature(pack, change(text), [KEY.public])  # type: ignore[operator]


def test_another_key_of_the_same_name_is_refused(pack: Path, tmp_path: Path, publisher: PublicKey) -> None:
    with pytest.raises(SignatureError, match="the signature does not hold"):
        verify_signature(pack, signature(pack), [OTHER.public])
    with pytest.raises(SignatureError, match=r"signed with the key 0706050403020100; trusted are none"):
        verify_signature(pack, signature(pack), [])
    (tmp_path / "other.pub").write_text(OTHER.public.text())
    with pytest.raises(BundleError, match="as another key on the list"):
        add_publisher(tmp_path / "other.pub")


def test_a_secret_key_is_its_owners_and_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    public = new_key(path, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_secret_key(path, PASSPHRASE).public == public == read_public_key(tmp_path / "site.key.pub")
    assert "seed" not in repr(read_secret_key(path, PASSPHRASE))
    for wrong in ("", "correct horsf"):
        with pytest.raises(BundleError, match="another passphrase, or a damaged file"):
            read_secret_key(path, wrong)
    with pytest.raises(BundleError, match="is there already"):
        new_key(path, PASSPHRASE)
    with pytest.raises(BundleError, match="at least 8 characters"):
        new_key(tmp_path / "short.key", "short")


def test_a_key_without_its_public_half_gets_it_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    public = new_key(path, PASSPHRASE)
    (tmp_path / "site.key.pub").unlink()  # a kill between the two
    before = path.read_bytes()
    with pytest.raises(BundleError, match=r"site\.key: is there already"):
        new_key(path, "another passphrase")
    assert new_key(path, PASSPHRASE) == public == read_public_key(tmp_path / "site.key.pub")
    assert path.read_bytes() == before


def test_a_key_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    raw = b"EdScB2" + bytes(32) + (2**60).to_bytes(8, "little") + (2**50).to_bytes(8, "little") + bytes(104)
    (tmp_path / "huge").write_text(f"untrusted comment: x\n{base64.b64encode(raw).decode()}\n")
    with pytest.raises(BundleError, match="more than 2 GB of memory"):
        read_secret_key(tmp_path / "huge", PASSPHRASE)


def test_costs_are_those_of_libsodium() -> None:
    # crypto_pwhash_scryptsalsa208sha256's own limits: sensitive, as minisign takes, and interactive.
    assert _costs(33554432, 1073741824) == (2**20, 8, 1)
    assert _costs(524288, 16777216) == (2**14, 8, 1)


def test_a_list_of_publishers_shuts_out_what_is_unsigned(
    pack: Path, tmp_path: Path, publisher: PublicKey
) -> None:
    with pytest.raises(SignatureError, match=r"light 0\.1\.0: not signed, and only packs of trusted"):
        pull_bundle(str(pack), tmp_path / "bundles")
    sign_pack(pack, KEY)
    made = pull_bundle(str(pack), tmp_path / "bundles")
    assert made.signed is not None
    assert made.signed.key == publisher
    assert remove_publisher(publisher.id) == publisher
    assert publishers() == ()
    with pytest.raises(SignatureError, match="no publisher is trusted"):
        pull_bundle(str(pack), tmp_path / "bundles", PullOptions(is_signed=True))


def test_a_file_called_as_a_publishers_key_is_not_taken_for_it(
    tmp_path: Path, publisher: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The key's line is public: whoever can write to the folder that a user works in can name a file so.
    name = tmp_path / "share" / publisher.line()
    name.parent.mkdir(parents=True)  # base64 may hold slashes
    name.write_text(OTHER.public.text())
    monkeypatch.chdir(tmp_path / "share")
    assert publishers() == (publisher,)


def test_a_changed_pack_or_comment_is_not_pulled(pack: Path, tmp_path: Path, publisher: PublicKey) -> None:
    beside = sign_pack(pack, KEY)
    good = beside.read_text()
    beside.write_text(good.replace("version:0.1.0", "version:0.1.1"))
    with pytest.raises(SignatureError, match="the comment of the signature, was changed"):
        pull_bundle(str(pack), tmp_path / "bundles")
    assert not (tmp_path / "bundles" / "light").exists()


def test_an_older_version_is_not_taken_for_a_newer_one(
    pack: Path, bundle: Path, tmp_path: Path, publisher: PublicKey
) -> None:
    edit(bundle, lambda metadata: metadata.update(version="0.2.0"))
    newer = pack_bundle(bundle, tmp_path / "out" / "newer.zip").path
    for each in (newer, pack):
        sign_pack(each, KEY)
    pull_bundle(str(newer), tmp_path / "bundles")
    with pytest.raises(SignatureError, match=r"is version 0\.2\.0, the pack is the older 0\.1\.0"):
        pull_bundle(str(pack), tmp_path / "bundles", PullOptions(is_replacing=True))
    older = PullOptions(is_replacing=True, is_older_allowed=True)
    assert pull_bundle(str(pack), tmp_path / "bundles", older).verified.record.version == "0.1.0"


def test_a_signed_bundle_that_does_more_than_is_known_is_trusted_by_its_publisher(
    bundle: Path, tmp_path: Path, publisher: PublicKey
) -> None:
    publish_tiny(bundle)
    text = (
        (bundle / "configs" / "evaluate.json")
        .read_text()
        .replace("{", '{"odd": "$collections.Counter()",', 1)
    )
    (bundle / "configs" / "evaluate.json").write_text(text)
    pack = pack_bundle(bundle, tmp_path / "p.zip").path
    with pytest.raises((SignatureError, UntrustedBundleError)):
        pull_bundle(str(pack), tmp_path / "bundles")
    sign_pack(pack, KEY)
    pull_bundle(str(pack), tmp_path / "bundles")
    assert [each.reason for each in trusted_bundles()] == [f"signed by {publisher.id}"]


def test_push_takes_the_signature_along_and_pull_fetches_it(
    pack: Path, tmp_path: Path, publisher: PublicKey
) -> None:
    sign_pack(pack, KEY)
    push_bundle(pack, str(tmp_path / "share.zip"))
    assert pull_bundle(str(tmp_path / "share.zip"), tmp_path / "one").signed is not None
    with file_server() as server:
        push_bundle(pack, f"{server.url}/light.zip")
        assert "/light.zip.minisig" in server.files
        assert pull_bundle(f"{server.url}/light.zip", tmp_path / "two").signed is not None
        del server.files["/light.zip.minisig"]
        with pytest.raises(SignatureError, match="not signed"):
            pull_bundle(f"{server.url}/light.zip", tmp_path / "three")


def test_an_unpacked_pack_is_signed_by_its_record(pack: Path, tmp_path: Path, publisher: PublicKey) -> None:
    sign_pack(pack, KEY)
    folder = pull_bundle(str(pack), tmp_path / "one").folder
    assert sign_pack(folder, KEY) == folder / "pack.json.minisig"
    assert pull_bundle(str(folder), tmp_path / "two").signed is not None
    (folder / "pack.json.minisig").unlink()
    with pytest.raises(SignatureError, match="not signed"):
        pull_bundle(str(folder), tmp_path / "three")


def test_a_record_that_is_swapped_for_the_signed_one_is_not_taken(
    pack: Path, tmp_path: Path, publisher: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_pack(pack, KEY)
    folder = pull_bundle(str(pack), tmp_path / "one").folder
    sign_pack(folder, KEY)
    signed = (folder / "pack.json").read_bytes()
    record = parse_record(signed, "test")
    (folder / "LICENSE").write_bytes(b"another")
    files = {**record.files, "LICENSE": PackedFile(sha256(b"another").hexdigest(), 7)}
    (folder / "pack.json").write_text(replace(record, files=files).text())

    def swapped(*arguments: Any, **options: Any) -> Any:
        (folder / "pack.json").write_bytes(signed)
        return signature_of(*arguments, **options)

    monkeypatch.setattr("mammo_monai.bundle.transfer.pull.signature_of", swapped)
    with pytest.raises(SignatureError, match="does not hold"):
        pull_bundle(str(folder), tmp_path / "two")


def test_the_verbs_make_a_key_sign_and_verify(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAMMO_MONAI_PASSPHRASE", PASSPHRASE)
    key = tmp_path / "site.key"
    assert main(["bundle", "key", "new", "-o", str(key)]) == 0
    assert main(["bundle", "sign", str(pack), "--key", str(key)]) == 0
    assert main(["bundle", "verify", str(pack), "--public-key", f"{key}.pub"]) == 0
    assert "bundle:light version:0.1.0 file:light.zip" in capsys.readouterr().out
    (tmp_path / "word").write_text("something else\n")
    assert (
        main(["bundle", "sign", str(pack), "--key", str(key), "--passphrase-file", str(tmp_path / "word")])
        == 2
    )
    assert main(["bundle", "trust", "--publisher", f"{key}.pub"]) == 0
    assert main(["bundle", "trust", "--remove", read_public_key(Path(f"{key}.pub")).id]) == 0


# Made by minisign 0.11 with `-G` and `-S -t 'a comment'`, of a file with the six bytes "hello\n".
MINISIGN_KEY = "RWQ8xIwlORxwjrQXCHkzorX92x7EZpZVxPYoTsQoWVSeKKrmrg/ZFz5b"
MINISIGN_SIGNATURE = """untrusted comment: signature from minisign secret key
RUQ8xIwlORxwjszv0aGOPqnKdKhdyfjYrfmFvJnh8Zg+muMX+QLo4AXFrD+Pj7ePQHtiVWW6b+nKYVAkq53h2KSQLE0zlYQHpgU=
trusted comment: a comment
TBsH3JJAyDj0/Ui67QDZdpONWfikmr7RyXKQwep73eHu2sm+9AX4HWSQpJcI5Fs4WPLC0YctSNmWnLx9z/ZOCg==
"""


def test_what_minisign_signed_is_taken(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(b"hello\n")
    key = read_public_key(MINISIGN_KEY)
    signed = verify_signature(tmp_path / "hello.txt", MINISIGN_SIGNATURE, [key])
    assert (signed.key.id, signed.comment) == ("8E701C39258CC43C", "a comment")
    (tmp_path / "hello.txt").write_bytes(b"hullo\n")
    with pytest.raises(SignatureError, match="does not hold"):
        verify_signature(tmp_path / "hello.txt", MINISIGN_SIGNATURE, [key])
