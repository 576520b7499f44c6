"""What of a finding may be told in public: roles of folders, nothing below them, no private words."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mammo_monai.doctor import places
from mammo_monai.doctor.findings import Finding, Level
from mammo_monai.doctor.hiding import at_home, for_others, without_places


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The places of this process, as the texts of these tests name them."""
    monkeypatch.setattr(places, "home", lambda: Path("/srv/anna"))
    monkeypatch.setattr(places, "here", lambda: Path("/rev/ward"))
    monkeypatch.setattr(places, "temporary", lambda: Path("/tmp"))
    monkeypatch.setattr(sys, "prefix", "/srv/anna/st-mary-films/.venv")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/rev/ward3-oncology/x is full", "[path] is full"),
        ("/rev/ward/x is full", "[here] is full"),
        ("in /rev/ward.", "in [here]."),
        ("in /mnt/tmp/x", "in [path]"),
        ("/srv/anna/st-mary-films/ward/a.dcm: gone", "[home]: gone"),
        ("/srv/anna/st-mary-films/.venv/lib/x.so: bad", "[environment]/lib/x.so: bad"),
        ("/srv/anna/st-mary-films/.venv/ward/x.so: bad", "[environment]: bad"),
        ("/srv/anna/st-mary-films/.venv/lib/../../ward", "[environment]"),
        ("/home/berta/ward and C:\\Users\\Berta Meier\\films\\x", "[home] and [home]"),
        ("/data/ward 3/anna mary/x.dcm, 3 GB", "[path], 3 GB"),
        ("/data/films (anna)/x: no", "[path]: no"),
        ("no such file: '/data/ward 3/anna mary'", "no such file: '[path]'"),
        ('no "/rev/ward/anna\'s film"', 'no "[here]"'),
        ("/ward-3: full", "[path]: full"),
        ("file:///data/anna, //server/share/anna", "[path], [path]"),
        ("~/films/anna or ~anna/films", "[home] or [home]"),
        ("12/16 of and/or, at 5 MB/s", "12/16 of and/or, at 5 MB/s"),
        ("curl https://download.pytorch.org/models/x.pth", "curl https://download.pytorch.org/models/x.pth"),
        ("docker run --shm-size=2g …, or --num_workers 0", "docker run --shm-size=2g …, or --num_workers 0"),
        ("pip install 'mammo-monai[decoders]'", "pip install 'mammo-monai[decoders]'"),
    ],
)
def test_of_a_path_the_role_of_its_folder_is_told(text: str, told: str) -> None:
    assert without_places(text) == told


@pytest.mark.usefixtures("known")
def test_private_words_go_with_what_lies_below_them() -> None:
    assert without_places("/data/ward 3/x/y: 9 GB", ("/data/ward 3",)) == "[hidden]: 9 GB"
    assert without_places("/srv/anna/ward 3: 9 GB", ("/srv/anna/ward 3",)) == "[home]: 9 GB"
    assert without_places("/data/node.json/x: odd", ("node.json",)) == "[path]: odd"


def test_without_home_and_current_folder_findings_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    finding = Finding("disk", "x", Level.OK, "/data/anna/films")
    assert for_others(finding).found == "[path]"
    assert at_home(finding) == finding


def test_where_no_temporary_file_can_be_made_findings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(places.tempfile, "gettempdir", full)
    assert places.temporary() is None
    assert without_places(f"{os.sep}data/anna") == "[path]"


def test_folders_that_may_not_be_entered_are_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(os.path, "isdir", lambda _: False)  # what later versions of pathlib ask
    assert not places.is_folder(Path("/root/x"))
    assert not places.is_file(Path("/root/x"))
