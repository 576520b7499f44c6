"""What all pages of one test run share: the warm server, the clients on the path, the store of worlds."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs import warm
from tests.docs.worlds import Store


@dataclass(frozen=True)
class Site:
    """What all pages of one test run share."""

    store: Store
    clients: Path
    cache: Path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The warm server and the store of worlds, one for all workers; the server ends with the test run."""
    base = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    folder = (base.parent if is_worker else base) / "docs"
    folder.mkdir(exist_ok=True)
    address = folder / "warm"
    with (folder / "warm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            warm.write_clients(folder / "bin", address)
            ends_with = os.getppid() if is_worker else os.getpid()
            warm.start_server(
                address, clients=folder / "bin", log=folder / "warm.log", until_gone=ends_with, timeout_s=600
            )
    return Site(Store(folder / "parts", folder / "bin" / "mammo-monai"), folder / "bin", folder / "cache")
