"""Blocks that speak to a server are run as shown, against servers of this machine instead of those."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from mammo_monai.dicom.network import TlsFiles
from tests.bundle.packs import file_server
from tests.bundle.test_transfer_hub import REPOSITORY, Hub
from tests.dicom.network.archive_scp import ArchiveScp, image, report
from tests.dicom.network.conftest import certificates  # a fixture
from tests.dicom.network.web_server import WebServer
from tests.docs.running import Ran, page_environment, run_steps
from tests.docs.site import Site, site  # a fixture
from tests.docs.snippets import Page, read_page
from tests.docs.steps import write_steps
from tests.docs.worlds import ROOT

__all__ = ["certificates", "site"]
HERE = "tests/docs/test_shown_services.py"
RunPage = Callable[..., Ran]


@pytest.fixture
def run_page(site: Site, tmp_path: Path) -> RunPage:
    """Runs the blocks of a page that name this file, with hosts replaced, in a folder made ready before."""

    def run(
        name: str, replaced: Mapping[str, str], prepare: Callable[[Path], object], **variables: str
    ) -> Ran:
        page = _shown_here(read_page(ROOT / name), replaced)
        site.store.enter(page.world, tmp_path / "here")
        prepare(tmp_path / "here")
        steps = write_steps(page, tmp_path / "steps")
        environment = page_environment(tmp_path / "home", site.clients, site.cache)
        ran = run_steps(steps, tmp_path / "here", {**environment, **variables}, timeout_s=600)
        assert ran.code == 0, (
            f"{name}, block at line {ran.line}, ended with {ran.code}:\n{ran.output[-3000:]}"
        )
        return ran

    return run


def _shown_here(page: Page, replaced: Mapping[str, str]) -> Page:
    """The page with its blocks for this file alone; every replacement must hit one of them."""
    own = sorted((each for each in page.blocks if each.run_by == HERE), key=lambda each: not each.file)
    text = "".join(each.text for each in own)
    assert [old for old in replaced if old not in text] == []
    blocks = []
    for each in own:
        shown = each.text
        for old, new in replaced.items():
            shown = shown.replace(old, new)
        blocks.append(dataclasses.replace(each, text=shown, run_by=""))
    return dataclasses.replace(page, blocks=tuple(blocks))


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def saved(dataset: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def test_an_archive_is_spoken_to_as_shown(run_page: RunPage, certificates: dict[str, TlsFiles]) -> None:
    held = [image(1, n, PatientID="4711", Modality="MG") for n in range(2)]
    port, tls = free_port(), certificates["client"]

    def prepare(folder: Path) -> None:
        saved(report(), folder / "results" / "report.dcm")
        for name, path in (("hospital.pem", tls.ca), ("us.pem", tls.certificate), ("us.key", tls.key)):
            (folder / name).write_bytes(Path(str(path)).read_bytes())

    with (
        ArchiveScp(held=held, ae_title="PACS", destinations={"MAMMO_MONAI": port}) as archive,
        ArchiveScp(ae_title="PACS", tls=certificates["server"]) as secret,
        WebServer(held=held) as web,
    ):
        run_page(
            "docs/how-to/pacs.md",
            {
                "PACS@pacs.example.org:11112": str(archive.peer),
                "PACS@pacs.example.org:2762": str(secret.peer),
                "https://pacs.example.org/dicom-web": web.url,
                "0.0.0.0:11112": f"127.0.0.1:{port}",
            },
            prepare,
        )
    assert len(archive.stored) >= 2  # by the command and from Python
    assert len(web.stored) == 1
    assert secret.n_associations == 1


def test_a_pack_goes_over_a_server_and_the_hub_as_shown(run_page: RunPage, site: Site) -> None:
    with file_server() as server:
        hub = Hub(server)
        ran = run_page(
            "docs/how-to/hand-over.md",
            {"https://files.example.org/bundles/": f"{server.url}/bundles/", "my-clinic/masses": REPOSITORY},
            lambda folder: site.store.run(
                "bundle", "pack", "cbis_mass_detection", "-o", folder / "handover.zip"
            ),
            HF_ENDPOINT=server.url,
        )
    assert "cbis_mass_detection-0.1.0.zip" in ran.output
    assert hub.created


def test_a_node_is_checked_run_and_asked_as_shown(
    run_page: RunPage, certificates: dict[str, TlsFiles]
) -> None:
    """The node runs in the background from its start to the page's end."""
    tls, port, http = certificates["server"], free_port(), free_port()
    waits = f"until curl -sf http://127.0.0.1:{http}/health; do kill -0 $!; sleep 0.2; done"

    def prepare(folder: Path) -> None:
        for name, path in (("node.pem", tls.certificate), ("node.key", tls.key), ("hospital-ca.pem", tls.ca)):
            (folder / name).write_bytes(Path(str(path)).read_bytes())

    ran = run_page(
        "docs/how-to/pacs-node.md",
        {
            '"/var/lib/mammo-monai"': '"queue"',
            '"port": 11112': f'"port": {port}',
            '"limits": {': f'"http": {{"port": {http}}},\n "limits": {{',
            '"min_free_mb": 5000': '"min_free_mb": 1',
            "serve --config node.json": f"serve --config node.json > node.log 2>&1 & {waits}",
        },
        prepare,
    )
    assert "node.json: sound" in ran.output
    assert "the queue is empty" in ran.output


def test_a_signed_pack_is_pulled_as_shown(
    run_page: RunPage, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMO_MONAI_PASSPHRASE", "phantoms")
    name = "/bundles/cbis_mass_detection-0.1.0.zip"
    with file_server() as server:

        def prepare(folder: Path) -> None:
            key, pack = folder / "clinic.key", folder / "masses.zip"
            site.store.run("bundle", "pack", "cbis_mass_detection", "-o", pack)
            site.store.run("bundle", "key", "new", "-o", key)
            site.store.run("bundle", "sign", pack, "--key", key)
            (folder / "clinic.key.pub").rename(folder / "clinic.pub")
            server.files[name] = pack.read_bytes()
            server.files[f"{name}.minisig"] = (folder / "masses.zip.minisig").read_bytes()

        ran = run_page(
            "docs/how-to/strangers-bundles.md",
            {"https://files.example.org/bundles/masses-0.2.0": f"{server.url}{name.removesuffix('.zip')}"},
            prepare,
        )
    assert "cbis_mass_detection" in ran.output
