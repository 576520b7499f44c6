"""What all pages of one test run share: the warm server, the clients on the path, the store of worlds."""

from __future__ import annotations

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
    served = warm.shared_server(tmp_path_factory.getbasetemp())
    folder, clients = served.with_name("docs"), served / "bin"
    folder.mkdir(exist_ok=True)
    return Site(Store(folder / "parts", clients / "mammo-monai"), clients, folder / "cache")
