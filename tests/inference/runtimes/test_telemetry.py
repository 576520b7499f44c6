"""Nothing phones home: openvino and nncf send usage statistics unless told not to."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

import pytest

from mammo_monai.inference.runtimes.openvino_model import silence_telemetry


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNCF_CI", raising=False)
    # Put back whatever `silence_telemetry` leaves there.
    monkeypatch.setitem(sys.modules, "openvino_telemetry", None)


def test_the_package_that_sends_cannot_be_imported_any_more() -> None:
    del sys.modules["openvino_telemetry"]
    silence_telemetry()
    with pytest.raises(ImportError):
        importlib.import_module("openvino_telemetry")
    assert os.environ["NNCF_CI"]


def test_one_that_was_imported_before_sends_nothing() -> None:
    sent: list[str] = []

    class Telemetry:
        def send_event(self, event: str) -> None:
            sent.append(event)

    package = ModuleType("openvino_telemetry")
    package.Telemetry = Telemetry  # type: ignore[attr-defined]
    sys.modules["openvino_telemetry"] = package
    silence_telemetry()
    Telemetry().send_event("used")
    assert sent == []
