"""Certificates for TLS on loopback, made anew for each run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mammo_monai.dicom.network import TlsFiles


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsFiles]:
    """Those of server, nameless (for another host) and client, of one authority; stranger, of another."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    def authority(name: str) -> None:
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        openssl("req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")

    def signed(name: str, by: str, host: str) -> TlsFiles:
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={host}\n")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem"),
        )
        return TlsFiles(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{by}.pem")

    authority("authority")
    authority("other")
    return {
        "server": signed("server", "authority", "IP:127.0.0.1"),
        "client": signed("client", "authority", "DNS:client"),
        "nameless": signed("nameless", "authority", "DNS:elsewhere.example.org"),
        "stranger": signed("stranger", "other", "IP:127.0.0.1"),
    }


@pytest.fixture
def folder_of(tmp_path: Path) -> Path:
    """An empty folder for files that are sent or fetched."""
    made = tmp_path / "files"
    made.mkdir()
    return made
