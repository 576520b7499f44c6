"""Certificates for TLS on loopback, made anew for each run."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from mammo_monai.dicom.network import TlsFiles


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsFiles]:
    """Those of server, nameless (for another host) and client, of one authority; stranger, of another."""
    folder = tmp_path_factory.mktemp("tls")

    def signed(name: str, authority: trustme.CA, host: str) -> TlsFiles:
        files = TlsFiles(*(folder / f"{name}.{part}" for part in ("pem", "key", "ca")))
        leaf = authority.issue_cert(host)
        leaf.cert_chain_pems[0].write_to_path(files.certificate)
        leaf.private_key_pem.write_to_path(files.key)
        authority.cert_pem.write_to_path(files.ca)
        return files

    authority, other = trustme.CA(), trustme.CA()
    return {
        "server": signed("server", authority, "127.0.0.1"),
        "client": signed("client", authority, "client.example.org"),
        "nameless": signed("nameless", authority, "elsewhere.example.org"),
        "stranger": signed("stranger", other, "127.0.0.1"),
    }


@pytest.fixture
def folder_of(tmp_path: Path) -> Path:
    """An empty folder for files that are sent or fetched."""
    made = tmp_path / "files"
    made.mkdir()
    return made
