"""Packing: the same bundle gives the same bytes, patient data stay, a bundle with faults is refused."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import mammo_monai
from mammo_monai.bundle import pack_bundle
from mammo_monai.bundle.packing import pack as packing
from mammo_monai.bundle.packing import wheel as wheels
from mammo_monai.bundle.packing.ancestry import ancestry
from mammo_monai.bundle.packing.record import RECORD
from mammo_monai.errors import BundleError
from mammo_monai.files import sha256_of
from tests.bundle.light import edit, metadata_of
from tests.bundle.packs import WEIGHTS, publish_tiny, record_in, unzipped


@pytest.fixture
def published(bundle: Path) -> Path:
    publish_tiny(bundle)
    return bundle


def test_the_same_bundle_packs_to_the_same_bytes(published: Path, tmp_path: Path) -> None:
    first = pack_bundle(published, tmp_path / "first.zip")
    copy = Path(shutil.copytree(published, tmp_path / "other" / "light"))
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    second = pack_bundle(copy, tmp_path / "second.zip")
    assert first.sha256 == second.sha256 == sha256_of(tmp_path / "second.zip")
    publish_tiny(copy, seed=1)
    assert pack_bundle(copy, tmp_path / "third.zip").sha256 != first.sha256


def test_the_record_comes_first_and_has_the_hash_of_every_file(published: Path, tmp_path: Path) -> None:
    made = pack_bundle(published, tmp_path)
    assert made.path == tmp_path / "light-0.1.0.zip"
    files = unzipped(made.path)
    assert next(iter(files)) == f"light/{RECORD}"
    record = record_in(files)
    hashes = {name: hashlib.sha256(files[f"light/{name}"]).hexdigest() for name in record.files}
    assert hashes == {name: each.sha256 for name, each in record.files.items()}
    assert {f"light/{name}" for name in (RECORD, *record.files)} == set(files)
    assert {"LICENSE", "docs/README.md", "docs/data_license.txt", WEIGHTS} <= set(record.files)
    assert record.weights_sha256 == sha256_of(published / WEIGHTS)
    assert record.made_with == f"mammo-monai {mammo_monai.__version__}"
    with zipfile.ZipFile(made.path) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_patient_data_results_and_checkpoints_stay(published: Path, tmp_path: Path) -> None:
    schema = {"schema": "mammo-monai/manifest/1", "test": [{"image": "smith_john.dcm"}]}
    datalist = {"training": [{"image": "smith_john.dcm", "box": []}]}
    strays: dict[str, tuple[bytes, str]] = {
        "docs/smith_john.dcm": (b"\0" * 128 + b"DICM", "an image"),
        "docs/picture.png": (b"\x89PNG", "an image"),
        "docs/film.txt": (b"\0" * 128 + b"DICM", "not text"),
        "docs/latin.md": (b"\xe9\xff", "not text"),
        "configs/manifest.json": (json.dumps(schema).encode(), "names images"),
        "configs/datalist.json": (json.dumps(datalist).encode(), "names images"),
        "eval/detections.json": (b"{}", "results of a run"),
        "training/model.safetensors": (b"", "results of a run"),
        "models/checkpoint_last.pt": (b"", "checkpoint"),
        "models/checkpoint.safetensors": (b"", "checkpoint"),
        "models/best.pt": (b"", "another name|no configuration reads"),
        "audit.csv": (b"", "no part of a bundle"),
        ".hidden": (b"", "no part of a bundle"),
    }
    for name, (content, _) in strays.items():
        (published / name).parent.mkdir(exist_ok=True)
        (published / name).write_bytes(content)
    made = pack_bundle(published, tmp_path / "pack.zip")
    assert set(made.left_out) == set(strays)
    for name, (_, reason) in strays.items():
        assert any(each in made.left_out[name] for each in reason.split("|"))
    whole = (tmp_path / "pack.zip").read_bytes()
    assert b"smith_john" not in whole
    assert b"DICM" not in whole


def test_a_pack_of_a_pulled_pack_is_the_same(published: Path, tmp_path: Path) -> None:
    first = pack_bundle(published, tmp_path / "first.zip")
    (published / RECORD).write_bytes(unzipped(first.path)[f"light/{RECORD}"])
    again = pack_bundle(published, tmp_path / "again.zip")
    assert again.sha256 == first.sha256
    assert again.left_out == {}


def _link(bundle: Path) -> None:
    (bundle / "docs" / "more.md").symlink_to("/etc/hostname")


def _linked_folder(bundle: Path) -> None:
    (bundle / "scripts").symlink_to(bundle.parent)


def _code(bundle: Path) -> None:
    (bundle / "scripts").mkdir()
    (bundle / "scripts" / "net.py").write_text("x = 1")


def _no_licence(bundle: Path) -> None:
    (bundle / "LICENSE").unlink()


def _other_weights(bundle: Path) -> None:
    (bundle / WEIGHTS).write_bytes((bundle / WEIGHTS).read_bytes()[:-1] + b"x")


def _undeclared(bundle: Path) -> None:
    edit(bundle, lambda metadata: metadata.pop("weights_sha256"))


def _no_limits(bundle: Path) -> None:
    card = bundle / "docs" / "README.md"
    card.write_text(card.read_text().replace("## Limits", "## Other"))


def _pickled_code(bundle: Path) -> None:
    (bundle / "models" / "model.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")


def _own_ancestor(bundle: Path) -> None:
    edit(bundle, lambda metadata: metadata["lineage"].update(parent="light"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_link, r"docs/more\.md is a link .*remove the link"),
        (_linked_folder, "scripts is a link"),
        (_code, r"scripts/net\.py is code"),
        (_no_licence, "LICENSE is missing"),
        (_other_weights, r"SHA-256 [0-9a-f]{64}, configs/metadata\.json declares"),
        (_undeclared, "not declared in .*bundle publish"),
        (_no_limits, "does not say the limits"),
        (_pickled_code, r"models/model\.pt: (holds more than tensors|damaged)"),
        (_own_ancestor, "light is among its own ancestors"),
    ],
)
def test_a_bundle_with_faults_is_refused(
    published: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(published)
    with pytest.raises(BundleError, match=f"(?s){message}"):
        pack_bundle(published, tmp_path / "pack.zip")
    assert not (tmp_path / "pack.zip").exists()


def test_all_faults_are_told_at_once_and_a_name_must_be_one(published: Path, tmp_path: Path) -> None:
    _no_licence(published)
    _no_limits(published)
    odd = published.rename(published.with_name("my bundle"))
    with pytest.raises(BundleError, match=r"(?s)3 faults:\n'my bundle' is no name.*LICENSE.*limits"):
        pack_bundle(odd, tmp_path / "pack.zip")


def test_nothing_is_written_on_a_full_disk(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(packing, "write_archive", full)
    with pytest.raises(OSError, match=r"could not write .*pack\.zip: No space left"):
        pack_bundle(published, tmp_path / "out" / "pack.zip")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_changes_while_it_is_packed_is_noticed(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = packing.write_archive

    def late(path: Path, folder: str, files: dict[str, Path | bytes], *, first: str) -> None:
        (published / "docs" / "README.md").write_text("another")
        write(path, folder, files, first=first)

    monkeypatch.setattr(packing, "write_archive", late)
    with pytest.raises(BundleError, match=r"changed while it was packed: docs/README\.md"):
        pack_bundle(published, tmp_path / "pack.zip")
    assert not (tmp_path / "pack.zip").exists()


def test_the_lineage_follows_the_parents_whose_weights_are_those(published: Path) -> None:
    child = Path(shutil.copytree(published, published.with_name("child")))
    parent_weights = metadata_of(published)["weights_sha256"]
    own = publish_tiny(child, seed=2)
    start = {"parent": "light", "parent_weights_sha256": parent_weights, "init": "light"}
    edit(child, lambda metadata: metadata["lineage"].update(start))
    chain = ancestry(child)
    assert [(each["bundle"], each["weights_sha256"]) for each in chain] == [
        ("child", own),
        ("light", parent_weights),
    ]
    assert chain[1]["init"] == "imagenet"
    publish_tiny(published, seed=3)  # the parent went on: its new origin is not the child's
    chain = ancestry(child)
    assert chain[1] == {"bundle": "light", "weights_sha256": parent_weights, "parent": None}
    edit(child, lambda metadata: metadata["lineage"].update(parent="lost"))
    assert ancestry(child)[1]["bundle"] == "lost"


def _wheel(folder: Path, version: str = mammo_monai.__version__) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"mammo_monai-{version}-py3-none-any.whl"
    path.write_bytes(b"wheel")
    return path


def test_a_wheel_travels_with_the_versions_the_bundle_needs(published: Path, tmp_path: Path) -> None:
    given = _wheel(tmp_path / "wheels")
    made = pack_bundle(published, tmp_path / "pack.zip", wheel=given)
    files = unzipped(made.path)
    assert files[f"light/wheel/{given.name}"] == b"wheel"
    lines = files["light/wheel/requirements.txt"].decode().splitlines()
    assert lines[1] == f"./{given.name}"
    assert f"torch=={metadata_of(published)['pytorch_version']}" in lines
    assert not any(line.startswith("mammo-monai==") for line in lines)
    assert pack_bundle(published, tmp_path / "again.zip", wheel=given).sha256 == made.sha256


def test_a_wheel_of_another_version_is_refused(published: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected a wheel of this version, mammo_monai-"):
        pack_bundle(published, tmp_path / "pack.zip", wheel=_wheel(tmp_path / "wheels", "0.0.1"))


def test_a_wheel_is_built_from_a_checkout_or_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def build(command: list[str], **_: object) -> object:
        commands.append(command)
        _wheel(Path(command[command.index("--outdir") + 1]))
        return type("Done", (), {"returncode": 0, "stdout": "", "stderr": ""})

    monkeypatch.setattr(wheels.subprocess, "run", build)
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda name: name)
    built = wheels.own_wheel(tmp_path / "built")
    assert built.parent == tmp_path / "built"
    assert "--no-isolation" in commands[0]
    failed = type("Done", (), {"returncode": 1, "stdout": "", "stderr": "x\nno network"})
    monkeypatch.setattr(wheels.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(BundleError, match="could not be built: no network"):
        wheels.own_wheel(tmp_path / "empty")
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(
        wheels.mammo_monai, "__file__", str(tmp_path / "site" / "mammo_monai" / "__init__.py")
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"none in dist/\. Give it with --wheel FILE"):
        wheels.own_wheel(tmp_path / "empty")
    found = _wheel(tmp_path / "dist")
    assert wheels.own_wheel(tmp_path / "empty").name == found.name
