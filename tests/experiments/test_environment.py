"""The environment tells what a result may depend on, and nothing of who or where."""

from __future__ import annotations

import getpass
import json
import os
import socket
from pathlib import Path

import pytest

from mammo_monai import __version__
from mammo_monai.experiments.environment import environment, package_versions


def test_it_names_versions_processor_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = environment()
    assert found["software"] == f"mammo-monai {__version__}"
    assert found["packages"]["torch"].split(".")[0].isdecimal()
    assert found["cpu_count"] == os.cpu_count()
    assert found["threads"] >= 1
    assert found["variables"]["OMP_NUM_THREADS"] == "3"
    assert found["memory_gb"] > 0
    assert json.loads(json.dumps(found)) == found


def test_it_names_no_host_user_or_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_VARIABLE", "a secret")
    text = json.dumps(environment())
    user = getpass.getuser()
    assert socket.gethostname() not in text.replace(environment()["cpu"], "")
    assert f'"{user}"' not in text
    assert "a secret" not in text
    assert str(Path.home()) not in text


def test_packages_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["numpy>=1", "no-such-package-here>1", "Pillow ; extra == 'x'"]
    monkeypatch.setattr("mammo_monai.experiments.environment.requires", lambda _: names)
    assert list(package_versions()) == ["numpy", "Pillow"]


def test_other_systems_tell_less(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", nothing)
    monkeypatch.setattr("os.sysconf", nothing)
    monkeypatch.setattr("platform.processor", lambda: "a processor")
    monkeypatch.setattr("mammo_monai.experiments.environment.package_versions", dict)
    found = environment()
    assert (found["cpu"], found["memory_gb"]) == ("a processor", None)
