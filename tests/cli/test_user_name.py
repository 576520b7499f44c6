"""A user without a name: MONAI is imported all the same."""

from __future__ import annotations

import getpass
import os

import pytest

from mammo_monai.cli.user_name import name_the_nameless


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 4242"), OSError("No username set")])
def test_a_user_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def unknown() -> str:
        raise error

    monkeypatch.setenv("LOGNAME", "")
    monkeypatch.setattr(getpass, "getuser", unknown)
    name_the_nameless()
    assert os.environ["LOGNAME"] == f"uid_{os.getuid()}"


def test_a_name_that_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "radiographer")
    name_the_nameless()
    assert os.environ["LOGNAME"] == "radiographer"
