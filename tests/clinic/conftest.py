"""What clinic tests run against: a fixture skips with its reason where a program cannot be installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.real_films import film_records, why_no_films
from tests.clinic.orthanc_server import Orthanc, free_tcp_port, running_orthanc, why_no_orthanc

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
OHIF = ROOT / "build" / "clinic" / "node_modules" / "@ohif" / "app" / "dist"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
# Without a GPU: WebGL by software, as OHIF's viewport asks for it; without a network: no calls home.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for the session, with whatever the tests before left in it."""
    if reason := why_no_orthanc():
        pytest.skip(reason)
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def empty_orthanc(orthanc: Orthanc) -> Orthanc:
    """The session's Orthanc without an instance."""
    orthanc.clear()
    return orthanc


@pytest.fixture(scope="session")
def films() -> list[Path]:
    """The eight real films: RLE, 16 bits, four views of two patients, each view its own study."""
    if reason := why_no_films():
        pytest.skip(reason)
    return [record.image for record in film_records()]


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives free ports of 127.0.0.1."""
    return free_tcp_port


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """Gives the path of a program in .venv/bin or on the PATH, such as `program("dciodvfy")`, or skips."""

    def found(name: str) -> Path:
        own = ROOT / ".venv" / "bin" / name
        path = str(own) if own.is_file() else shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed: sh scripts/clinic/setup.sh says why")
        return Path(path)

    return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium driven by playwright; close the pages you open."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        pytest.skip("Chromium is not installed: sh scripts/clinic/setup.sh says why")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def ohif() -> Path:
    """The folder of OHIF's built pages."""
    if not (OHIF / "index.html").is_file():
        pytest.skip("OHIF is not there: sh scripts/clinic/setup.sh says why")
    return OHIF
