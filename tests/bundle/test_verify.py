"""Verifying: what changed on the way is caught, and a hostile zip is refused before anything is unpacked."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.bundle import find_bundle, pack_bundle, verify_pack
from mammo_monai.bundle.packing.bundle_files import Limits, open_bundle, sha256_in
from mammo_monai.bundle.packing.record import RECORD
from mammo_monai.bundle.packing.safe_names import clashes, is_bundle_name, name_fault
from mammo_monai.bundle.packing.unpack import unpack
from mammo_monai.errors import BundleError
from mammo_monai.files import sha256_of
from tests.bundle.packs import WEIGHTS, record_in, resealed, unzipped, zipped

Files = dict[str, bytes]
LICENCE, METADATA = "light/LICENSE", "light/configs/metadata.json"


def test_a_pack_verifies_as_zip_and_unpacked(pack: Path, tmp_path: Path) -> None:
    found = verify_pack(pack, sha256=sha256_of(pack).upper())
    assert found.faults == found.notes == ()
    assert found.sha256 == sha256_of(pack)
    with open_bundle(pack) as files:
        unpack(files, found.record, tmp_path / "light")
    folder = verify_pack(tmp_path / "light")
    assert folder.faults == folder.notes == ()
    assert folder.record == found.record
    assert folder.sha256 == sha256_of(tmp_path / "light" / RECORD)


def test_the_shipped_bundle_verifies(tmp_path: Path) -> None:
    made = pack_bundle("cbis_mass_detection", tmp_path / "shipped.zip")
    found = verify_pack(made.path)
    assert found.faults == found.notes == made.record.lineage[1:] == ()
    assert found.record.weights_sha256 == sha256_of(find_bundle("cbis_mass_detection") / WEIGHTS)


def test_a_recipe_without_weights_says_so(bundle: Path, tmp_path: Path) -> None:
    assert verify_pack(pack_bundle(bundle, tmp_path / "pack.zip").path).notes == (
        "no weights: a recipe to train.",
    )


def _changed(files: Files) -> Files:
    return {**files, LICENCE: files[LICENCE].replace(b"Apache", b"apache")}


def _longer(files: Files) -> Files:
    return {**files, LICENCE: files[LICENCE] + b" "}


def _added(files: Files) -> Files:
    return {**files, "light/docs/more.md": b"text"}


def _removed(files: Files) -> Files:
    return {name: content for name, content in files.items() if name != LICENCE}


def _left_out_of_record(files: Files) -> Files:
    return resealed(_removed(files))


def _code_resealed(files: Files) -> Files:
    return resealed({**files, "light/scripts/net.py": b"x = 1"})


def _film_resealed(files: Files) -> Files:
    return resealed({**files, "light/docs/film.dcm": b"DICM"})


def _weights_resealed(files: Files) -> Files:
    return resealed({**files, f"light/{WEIGHTS}": files[f"light/{WEIGHTS}"][:-1] + b"x"})


def _version_resealed(files: Files) -> Files:
    return resealed(files, version="9.9.9")


def _lineage_resealed(files: Files) -> Files:
    return resealed(files, lineage=({"bundle": "light", "parent": "another"},))


def _not_json_resealed(files: Files) -> Files:
    return resealed({**files, METADATA: b"{"})


def _list_resealed(files: Files) -> Files:
    return resealed({**files, METADATA: b"[]"})


def _renamed(files: Files) -> Files:
    return {name.replace("light/", "other/", 1): content for name, content in files.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_changed, "LICENSE has SHA-256"),
        (_longer, r"LICENSE has \d+ bytes, pack\.json says"),
        (_added, r"docs/more\.md is not in pack\.json: it was added"),
        (_removed, r"LICENSE is missing"),
        (_left_out_of_record, "LICENSE is needed, but not in"),
        (_code_resealed, r"scripts/net\.py does not belong"),
        (_film_resealed, r"docs/film\.dcm does not belong in a pack: an image"),
        (_weights_resealed, r"model\.safetensors has SHA-256 .*metadata\.json declares"),
        (_version_resealed, r"pack\.json says version 9\.9\.9"),
        (_lineage_resealed, "tells another lineage"),
        (_not_json_resealed, r"metadata\.json is not JSON"),
        (_list_resealed, "expected a JSON object"),
        (_renamed, "called other, the bundle was packed as light"),
    ],
)
def test_what_changed_is_caught(
    pack: Path, tmp_path: Path, change: Callable[[Files], Files], message: str
) -> None:
    found = verify_pack(zipped(tmp_path / "changed.zip", change(unzipped(pack))))
    assert any(re.search(message, fault) for fault in found.faults), found.faults


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"version": "0.1.0"', b'"version": "0.1.1"'), (b"mammo-monai 0", b"mammo-monai 1"), (b"{\n", b"{ \n")],
)
def test_a_changed_record_is_caught(pack: Path, tmp_path: Path, old: bytes, new: bytes) -> None:
    files = unzipped(pack)
    name = f"light/{RECORD}"
    assert old in files[name]
    with pytest.raises(BundleError, match="changed since it was written"):
        verify_pack(zipped(tmp_path / "changed.zip", {**files, name: files[name].replace(old, new, 1)}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"no", "not JSON"),
        (b"[]", "expected schema .* got 'list'"),
        (b'{"schema": "other"}', "got 'other'"),
        (b'{"schema": "mammo-monai/pack/1"}', "a field is missing or no such value"),
        (b"[" * 100_000, "not JSON|recursion"),
    ],
)
def test_a_record_that_is_none_is_refused(pack: Path, tmp_path: Path, text: bytes, message: str) -> None:
    files = {**unzipped(pack), f"light/{RECORD}": text}
    with pytest.raises(BundleError, match=message):
        verify_pack(zipped(tmp_path / "bad.zip", files))


def test_an_unpacked_pack_is_compared_too(pack: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "light"
    with open_bundle(pack) as files:
        unpack(files, record_in(unzipped(pack)), folder)
    (folder / "eval").mkdir()
    (folder / "eval" / "detections.json").write_text("{}")
    found = verify_pack(folder)
    assert found.faults == ()
    assert found.notes == ("1 file in eval/ or training/: of runs here, not of the pack.",)
    (folder / "docs" / "more.md").write_text("added")
    (folder / "LICENSE").unlink()
    (folder / "LICENSE").symlink_to("/etc/hostname")
    assert sorted(verify_pack(folder).faults) == [
        "LICENSE is a link or no regular file.",
        "docs/more.md is not in pack.json: it was added.",
    ]
    (folder / RECORD).unlink()
    with pytest.raises(BundleError, match=r"no pack\.json: not an unpacked pack"):
        verify_pack(folder)


def test_another_hash_and_no_file_are_refused(pack: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"expected SHA-256 {'0' * 64}, got [0-9a-f]{{64}}"):
        verify_pack(pack, sha256="0" * 64)
    with pytest.raises(BundleError, match="no such file or folder"):
        verify_pack(tmp_path / "none.zip")
    with pytest.raises(BundleError, match=r"no pack\.json: not made by"):
        verify_pack(zipped(tmp_path / "other.zip", {"light/LICENSE": b""}))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil", "leads out of the folder"),
        ("light/../../evil", "leads out of the folder"),
        ("/etc/evil", "absolute"),
        ("C:/evil", "absolute"),
        ("light\\..\\evil", "backslash"),
        ("light//evil", "empty part"),
        ("light/./evil", "empty part"),
        ("light/nul.txt", "not a file name on every system"),
        ("light/evil.", "not a file name on every system"),
        ("light/\u202egpj.exe", "control or invisible"),
        ("light/" + "a" * 300, "longer than"),
        ("other/evil", "expected one folder"),
        ("light/license", "entries of one name"),
        ("light/LICENSE/evil", "entries of one name"),
    ],
)
def test_a_hostile_name_is_refused(pack: Path, tmp_path: Path, name: str, message: str) -> None:
    hostile = zipped(tmp_path / "hostile.zip", {**unzipped(pack), name: b"evil"})
    with pytest.raises(BundleError, match=message):
        verify_pack(hostile)


def test_links_doubles_and_encrypted_entries_are_refused(pack: Path, tmp_path: Path) -> None:
    files = unzipped(pack)
    link = zipfile.ZipInfo("light/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path / "link.zip", files)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match="'light/link' is a link or a device"):
        verify_pack(path)
    path = zipped(tmp_path / "double.zip", files)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("light/LICENSE", "another")
    with pytest.raises(BundleError, match="entries of one name: light/LICENSE"):
        verify_pack(path)
    content = bytearray(pack.read_bytes())
    start = content.rfind(b"PK\x01\x02")
    content[start + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(content)
    with pytest.raises(BundleError, match="is encrypted"):
        verify_pack(tmp_path / "locked.zip")


def test_a_bomb_stops_at_the_size_it_says(pack: Path, tmp_path: Path) -> None:
    files = unzipped(pack)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("light/docs/bomb.md", b"\0" * 5_000_000)
    with pytest.raises(BundleError, match=r"MB unpacked, expected at most 1\.00 MB"):
        verify_pack(path, limits=Limits(n_bytes=1_000_000))
    with pytest.raises(BundleError, match="entries, expected at most 3"):
        verify_pack(path, limits=Limits(n_files=3))
    content = bytearray(path.read_bytes())
    start = content.rfind(b"PK\x01\x02")
    content[start + 24 : start + 28] = struct.pack("<I", 10)  # the size in the directory: a lie
    path.write_bytes(content)
    with open_bundle(path) as lying, pytest.raises(BundleError, match=r"cannot be read|not the 10 bytes"):
        sha256_in(lying, "docs/bomb.md")
    assert any("docs/bomb.md" in fault for fault in verify_pack(path).faults)


@pytest.mark.parametrize("keep", [0, 1, 30, 5000])
def test_a_truncated_or_foreign_file_is_no_zip(pack: Path, tmp_path: Path, keep: int) -> None:
    (tmp_path / "short.zip").write_bytes(pack.read_bytes()[:keep])
    with pytest.raises(BundleError, match="not a whole zip file"):
        verify_pack(tmp_path / "short.zip")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_flipped_byte_changes_what_is_unpacked_unseen(
    pack: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(pack.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "flipped.zip"
    path.write_bytes(content)
    try:
        found = verify_pack(path)
    except BundleError:
        return
    if not found.faults:  # a byte of the zip's own that means nothing here, such as a date
        assert unzipped(path) == unzipped(pack)


def _header(header: bytes, tail: bytes = b"\0" * 8) -> bytes:
    return len(header).to_bytes(8, "little") + header + tail


GOOD = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"short", "its header does not fit"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "its header does not fit"),
        (_header(b"not json"), "its header cannot be read"),
        (_header(b'{"a": 3}'), "its header cannot be read"),
        (_header(GOOD.replace(b"[2]", b"[3]")), "does not lie where its header says"),
        (_header(GOOD.replace(b"[0,8]", b"[4,12]")), "does not lie where its header says"),
        (_header(GOOD.replace(b"F32", b"O64")), "no known type"),
        (_header(GOOD, b"\0" * 9), "does not tell all its bytes"),
    ],
)
def test_damaged_weights_are_told(pack: Path, tmp_path: Path, content: bytes, message: str) -> None:
    extra = {**unzipped(pack), "light/models/dense_head.safetensors": content}
    found = verify_pack(zipped(tmp_path / "bad.zip", resealed(extra)))
    assert any(message in fault for fault in found.faults), found.faults


def test_whole_weights_of_a_second_file_pass(pack: Path, tmp_path: Path) -> None:
    extra = {**unzipped(pack), "light/models/dense_head.safetensors": _header(GOOD)}
    assert verify_pack(zipped(tmp_path / "good.zip", resealed(extra))).faults == ()


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (Path.touch, (self.path,))


def test_pickles_pass_with_tensors_only_and_are_never_run(pack: Path, tmp_path: Path) -> None:
    files, weights = unzipped(pack), tmp_path / "model.pt"

    def verified() -> tuple[tuple[str, ...], tuple[str, ...]]:
        extra = {**files, "light/models/model.pt": weights.read_bytes()}
        found = verify_pack(zipped(tmp_path / "pickle.zip", resealed(extra)))
        return found.faults, found.notes

    torch.save({"a": torch.ones(2)}, weights)
    assert verified() == ((), ("models/model.pt is a pickle: it is opened with weights_only.",))
    torch.save({"a": torch.ones(2), "epoch": 3}, weights)
    assert "holds more than tensors ('epoch')" in verified()[0][0]
    torch.save({"a": Trap(tmp_path / "sprung")}, weights)
    assert "models/model.pt: holds more than tensors" in verified()[0][0]
    assert not (tmp_path / "sprung").exists()


@given(st.text(max_size=30))
def test_a_name_without_fault_stays_in_its_folder(name: str) -> None:
    if name_fault(name) is None:
        path = Path("/home/x") / name
        assert path.resolve().is_relative_to("/home/x")
        assert path.resolve() != Path("/home/x")
    if is_bundle_name(name):
        assert name_fault(name) is None
        assert "/" not in name


@given(st.sets(st.sampled_from(["a", "A", "b", "a/b", "b/c", "B/c/d", "e"]), max_size=5))
def test_names_without_clash_are_as_many_files_on_every_system(names: set[str]) -> None:
    folded = {name.casefold() for name in names}
    parents = {name.rsplit("/", depth)[0] for name in folded for depth in range(1, name.count("/") + 1)}
    assert (clashes(names) == []) == (len(folded) == len(names) and not parents & folded)
