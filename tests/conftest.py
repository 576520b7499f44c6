"""Hypothesis settings of every test: the same examples in each run, and no clock, for machines are shared.

Logging is every test's own: the command and a bundle's logging.conf set levels and handlers for the whole
process, and a handler that stays would write into a stream that is closed when its test ends.
"""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "mammo_monai",
    max_examples=50,  # the suite's fifteen minutes; a test that needs more says so
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mammo_monai")


@pytest.fixture(autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads, or writes, which bundles and publishers the user trusts."""
    monkeypatch.setenv("MAMMO_MONAI_HOME", str(tmp_path_factory.getbasetemp() / "settings"))


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Gives back the levels and handlers that a test found."""
    loggers = [logging.getLogger(name) for name in (None, "mammo_monai")]
    before = [(each.level, each.disabled, each.propagate, list(each.handlers)) for each in loggers]
    yield
    for each, (level, disabled, propagate, handlers) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.handlers[:] = handlers
        each.disabled, each.propagate = disabled, propagate
