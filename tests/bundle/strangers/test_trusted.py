"""The list of what the user trusts: by every byte of a bundle, written and read for its owner alone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from mammo_monai.bundle import (
    UntrustedBundleError,
    admitted,
    distrust,
    pull_bundle,
    run_bundle,
    trust_bundle,
    trusted_bundles,
)
from mammo_monai.bundle.packing.pack import pack_bundle
from mammo_monai.bundle.signing import publishers
from mammo_monai.bundle.transfer import PullOptions
from mammo_monai.bundle.trust import snapshot_of
from mammo_monai.bundle.trust.own_folder import own_file
from mammo_monai.cli.main import main
from mammo_monai.errors import BundleError
from tests.bundle.packs import publish_tiny
from tests.bundle.strangers.attacks import stranger


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAMMO_MONAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Runs something that is not on the list, and does no harm."""
    return stranger(tmp_path, {"x": {"_target_": "collections.Counter"}, "run": ["$@x"]}, tmp_path / "marker")


def test_a_trusted_bundle_runs_until_any_of_its_files_changes(foreign: Path) -> None:
    (foreign / "models").mkdir()
    (foreign / "models" / "model.safetensors").write_bytes(b"weights")
    trust_bundle(snapshot_of(foreign), "read")
    run_bundle(foreign, "train", "run", {})
    for name in ("models/model.safetensors", "configs/evaluate.json", "docs/new.md"):
        path = foreign / name
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((before or b"") + b" ")
        with pytest.raises(UntrustedBundleError, match="Its files are not those that you trusted"):
            admitted(foreign)
        path.unlink() if before is None else path.write_bytes(before)
        assert admitted(foreign)[1] is True


def test_results_of_runs_change_nothing(foreign: Path) -> None:
    trust_bundle(snapshot_of(foreign), "read")
    (foreign / "eval").mkdir()
    (foreign / "eval" / "metrics.json").write_text("{}")
    assert admitted(foreign)[1] is True


@pytest.mark.parametrize("name", ["training/net.py", "logs/net.so", "runs/deep/net.PY"])
def test_code_among_results_is_told_and_counts_for_trust(foreign: Path, name: str) -> None:
    # A trusted run searches the bundle's folder for modules: `runs.net` would be found there.
    trust_bundle(snapshot_of(foreign), "read")
    (foreign / name).parent.mkdir(parents=True)
    (foreign / name).write_text("")
    with pytest.raises(UntrustedBundleError, match="not those that you trusted") as told:
        admitted(foreign)
    assert (name, "script") in [(each.file, each.kind) for each in told.value.inspection.outside]


def test_trust_is_taken_back_by_name_or_hash(foreign: Path) -> None:
    entry = trust_bundle(snapshot_of(foreign), "read")
    assert trust_bundle(snapshot_of(foreign), "read again").content_sha256 == entry.content_sha256
    assert [each.reason for each in trusted_bundles()] == ["read again"]
    assert distrust(entry.content_sha256) == 1
    with pytest.raises(UntrustedBundleError):
        admitted(foreign)
    with pytest.raises(
        BundleError, match=r"stranger: not on the list of trusted bundles, which names nothing"
    ):
        distrust("stranger")


def test_the_list_is_for_its_owner_alone(foreign: Path, home: Path) -> None:
    trust_bundle(snapshot_of(foreign), "read")
    path = own_file("trusted_bundles.json")
    assert path.parent == home
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(foreign.parent) not in path.read_text()
    path.chmod(0o666)
    with pytest.raises(BundleError, match="others could have written it"):
        admitted(foreign)


def test_a_list_that_is_a_link_or_a_pipe_is_not_read(foreign: Path, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "elsewhere.json").write_text("{}")
    path = home / "trusted_bundles.json"
    path.symlink_to(home / "elsewhere.json")
    with pytest.raises(BundleError, match="others could have written it"):
        admitted(foreign)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(BundleError, match="others could have written it"):
        admitted(foreign)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, foreign: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MAMMO_MONAI_HOME")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    for door in (lambda: admitted(foreign), publishers):
        with pytest.raises(BundleError, match=r"this user has no home\. Set MAMMO_MONAI_HOME"):
            door()


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"schema": "x"}', '{"schema": "mammo-monai/trusted-bundles/1"}']
)
def test_a_damaged_list_trusts_nobody(content: str, foreign: Path, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "trusted_bundles.json").write_text(content)
    (home / "trusted_bundles.json").chmod(0o600)
    with pytest.raises(BundleError, match=r"trusted_bundles\.json: not a list of trusted bundles"):
        admitted(foreign)


def test_settings_lie_where_the_system_keeps_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MAMMO_MONAI_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert own_file("x") == tmp_path / "xdg" / "mammo-monai" / "x"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert own_file("x") == tmp_path / ".config" / "mammo-monai" / "x"
    monkeypatch.setattr("sys.platform", "darwin")
    assert own_file("x") == tmp_path / "Library" / "Application Support" / "mammo-monai" / "x"


def test_the_verb_shows_then_trusts_lists_and_removes(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "trust", str(foreign)]) == 0
    shown = capsys.readouterr().out
    assert "! unknown    target     x#_target_: collections.Counter" in shown
    assert "trusted: stranger, files " in shown
    assert main(["bundle", "trust", "--list"]) == 0
    assert "read by hand" in capsys.readouterr().out
    assert main(["bundle", "trust", "--remove", "stranger"]) == 0
    capsys.readouterr()
    assert main(["bundle", "trust", "--list"]) == 0
    assert capsys.readouterr().out == "nothing is trusted but what is known\n"


def test_what_was_pulled_with_trust_runs(tmp_path: Path, bundle: Path) -> None:
    publish_tiny(bundle)
    config = json.loads((bundle / "configs" / "train.json").read_text())
    config["odd"] = {"_target_": "collections.Counter"}
    (bundle / "configs" / "train.json").write_text(json.dumps(config))
    pack = pack_bundle(bundle, tmp_path / "p.zip").path
    with pytest.raises(UntrustedBundleError):
        pull_bundle(str(pack), tmp_path / "bundles")
    pulled = pull_bundle(str(pack), tmp_path / "bundles", PullOptions(is_trusted=True))
    assert admitted(pulled.folder)[1] is True
