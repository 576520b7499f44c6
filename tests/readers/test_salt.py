from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.parts import part_name
from mammo_monai.readers import dataset_salt, salt_beside


def test_a_new_salt_is_kept_secret_and_used_again(tmp_path: Path) -> None:
    salt = salt_beside(tmp_path / "new" / "manifest.json")
    path = tmp_path / "new" / "manifest.salt"
    assert path.read_text().strip() == salt
    assert len(salt) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert salt_beside(tmp_path / "new" / "manifest.json") == salt
    assert [each.name for each in path.parent.iterdir()] == ["manifest.salt"]


def test_manifests_have_salts_of_their_own(tmp_path: Path) -> None:
    assert salt_beside(tmp_path / "a.json") != salt_beside(tmp_path / "b.json")


def test_whoever_comes_second_takes_the_first_salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def link_late(source: Path, target: Path) -> None:
        target.write_text("of another process\n")
        link(source, target)

    monkeypatch.setattr(os, "link", link_late)
    assert salt_beside(tmp_path / "m.json") == "of another process"
    assert [each.name for each in tmp_path.iterdir()] == ["m.salt"]


def test_file_systems_without_links_get_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert (tmp_path / "m.salt").exists() is False
    salt = salt_beside(tmp_path / "m.json")
    assert (tmp_path / "m.salt").read_text().strip() == salt


def test_an_empty_salt_is_not_replaced_in_silence(tmp_path: Path) -> None:
    (tmp_path / "m.salt").write_text("\n")
    with pytest.raises(ManifestError, match=r"m\.salt: expected a salt, found an empty file"):
        salt_beside(tmp_path / "m.json")


@pytest.mark.parametrize("name", ["", "file.json"])
def test_phantoms_publish_theirs(tmp_path: Path, name: str) -> None:
    (tmp_path / "phantoms.json").write_text('{"salt": "phantoms"}')
    (tmp_path / "file.json").write_text("{}")
    assert dataset_salt(tmp_path / name, tmp_path / "out" / "m.json") == "phantoms"
    assert not (tmp_path / "out").exists()


def test_other_data_get_the_salt_beside_the_manifest(tmp_path: Path) -> None:
    assert dataset_salt(tmp_path, tmp_path / "m.json") == salt_beside(tmp_path / "m.json")


def test_no_salt_is_left_for_data_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="nowhere: no such file or folder"):
        dataset_salt(tmp_path / "nowhere", tmp_path / "m.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_phantoms_without_a_salt_are_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "phantoms.json").write_text(text)
    with pytest.raises(ManifestError, match=r"phantoms\.json: expected JSON with a field 'salt'"):
        dataset_salt(tmp_path, tmp_path / "m.json")


def test_a_manifest_may_share_the_record_ids_of_another(tmp_path: Path) -> None:
    root, first, second = tmp_path / "images", tmp_path / "m.json", tmp_path / "fold" / "m.json"
    root.mkdir()
    salt = dataset_salt(root, first)
    assert dataset_salt(root, second, like=first) == salt
    assert dataset_salt(root, second) == salt
    assert second.with_suffix(".salt").read_text() == first.with_suffix(".salt").read_text()
    assert stat.S_IMODE(second.with_suffix(".salt").stat().st_mode) == 0o600


def test_a_salt_is_never_replaced_by_another(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    salts = [dataset_salt(tmp_path, manifest) for manifest in (first, second)]
    with pytest.raises(ManifestError, match=r"b\.salt: holds another salt than .*a\.salt\. Write"):
        dataset_salt(tmp_path, second, like=first)
    assert [salt_beside(manifest) for manifest in (first, second)] == salts


def test_a_manifest_without_salt_cannot_be_followed(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone\.salt: no such file; expected the salt of gone\.json"):
        dataset_salt(tmp_path, tmp_path / "b.json", like=tmp_path / "gone.json")
    assert not (tmp_path / "b.salt").exists()


def test_a_secret_half_that_a_kill_left_goes_with_the_next_run(tmp_path: Path) -> None:
    (tmp_path / part_name("m.salt")).write_text("half a secret")
    dataset_salt(tmp_path, tmp_path / "m.json")
    assert [each.name for each in tmp_path.iterdir()] == ["m.salt"]
    assert (tmp_path / "m.salt").stat().st_mode & 0o777 == 0o600


def test_a_salt_that_a_kill_left_under_two_names_has_one_after_the_next_run(tmp_path: Path) -> None:
    salt = salt_beside(tmp_path / "m.json")
    (tmp_path / part_name("m.salt")).hardlink_to(tmp_path / "m.salt")
    assert salt_beside(tmp_path / "m.json") == salt
    assert [each.name for each in tmp_path.iterdir()] == ["m.salt"]
