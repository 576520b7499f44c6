"""A node's configuration: strictly read, each fault located and named."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.service.node import NodeSettings, SettingsError, read_settings
from mammo_monai.service.node.settings import Http, Keeping, Limits, Marking, Receiving, Rules, Sending
from tests.service.node.films import settings, settings_file


def test_paths_start_at_the_file(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        marking={"weights": "w.safetensors"},
        receiving={"tls": {"certificate": "node.pem", "key": "/etc/node.key"}},
    )
    assert found.folder == tmp_path / "node"
    assert found.marking.weights == tmp_path / "w.safetensors"
    assert found.receiving.tls is not None
    assert found.receiving.tls.certificate == tmp_path / "node.pem"
    assert found.receiving.tls.key == Path("/etc/node.key")
    assert found.receiving.tls.ca is None


def test_a_bundle_folder_beside_the_file_is_meant(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    assert settings(tmp_path, marking={"bundle": "own"}).marking.bundle == str(tmp_path / "own")
    assert settings(tmp_path, marking={"bundle": "known"}).marking.bundle == "known"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": ["sr"]}, r"node\.json: unknown key 'kind'; did you mean 'kinds'\?"),
        ({"zebra": 1}, r"unknown key 'zebra'\. Known are folder, marking"),
        ({"marking": {"settle": 3}}, r"marking: unknown key 'settle'; did you mean 'settle_s'\?"),
        ({"marking": {"settle_s": "soon"}}, r"marking, settle_s: expected a number, got 'soon'"),
        ({"marking": {"tries": 1.5}}, r"marking, tries: expected a whole number, got 1\.5"),
        ({"marking": {"tries": True}}, "expected a whole number, got True"),
        ({"marking": {"tries": 0}}, "marking: tries must be at least 1, got 0"),
        ({"marking": {"timeout_s": 0}}, "timeout_s must be above 0"),
        ({"marking": {"settle_at_most_s": 0.1}}, r"settle_at_most_s must be at least 0\.2"),
        ({"marking": {"factory": "no colon"}}, "factory must be module:function"),
        ({"marking": {"overrides": []}}, r"overrides: expected an object \{…\}, got \[\]"),
        ({"kinds": "sr"}, r"kinds: expected a list \[…\], got 'sr'"),
        ({"kinds": ["sr", 1]}, r"kinds\[1\]: expected a text, got 1"),
        ({"kinds": ["pdf"]}, "kinds must be some of sr, cad, gsps, sc, seg"),
        ({"kinds": ["sr", "sr"]}, "each once"),
        ({"receiving": {"ae_title": "A" * 17}}, "AE title of 1 to 16"),
        ({"receiving": {"port": 70000}}, "port must be 0 to 65535"),
        ({"receiving": {"calling_ae_titles": []}}, "calling_ae_titles must name somebody"),
        ({"receiving": {"peers": []}}, "peers must name somebody"),
        ({"receiving": {"peers": [{"ae_title": "A"}], "calling_ae_titles": ["A"]}}, "not both"),
        ({"receiving": {"peers": [{"ae_title": "A" * 17}]}}, "AE title of 1 to 16"),
        ({"receiving": {"peers": [{"ae_title": "A", "network": "1.2.3.4"}]}}, "did you mean 'networks'"),
        ({"receiving": {"peers": [{"ae_title": "A", "networks": ["10.1.0.7/16"]}]}}, "has host bits set"),
        ({"receiving": {"networks": ["pacs"]}}, "must be an address or CIDR such as 10.1.0.0/16, got 'pacs'"),
        ({"receiving": {"peers": [{"ae_title": "A", "certificate": "sha256:12"}]}}, "64 hexadecimal digits"),
        ({"receiving": {"peers": [{"ae_title": "A", "certificate": "pacs"}]}}, "only with tls and its ca"),
        ({"receiving": {"anybody": True, "calling_ae_titles": ["A"]}}, "true contradicts calling_ae_titles"),
        ({"receiving": {"anybody": True, "networks": ["::1"]}}, "true contradicts networks"),
        ({"receiving": {"max_associations": 0}}, "max_associations must be at least 1"),
        ({"limits": {"max_instance_mb": 0}}, "max_instance_mb must be above 0"),
        ({"limits": {"max_receiving_mb": 100}}, "max_receiving_mb must be at least 500"),
        ({"receiving": {"host": None}}, "host: expected a text, got nothing"),
        ({"receiving": {"require_called_ae_title": 1}}, "expected true or false, got 1"),
        ({"rules": {"study_not_before": "1.1.2020"}}, "must be a day, YYYY-MM-DD"),
        ({"rules": {"study_not_before": "2020-02-30"}}, "must be a day, YYYY-MM-DD, got '2020-02-30'"),
        ({"http": {"port": 70000}}, "http: port must be 0 to 65535, got 70000"),
        ({"destinations": []}, "destinations must be one or more"),
        ({"destinations": [{"name": "a"}]}, r"destinations\[0\]: a destination has either a peer or"),
        ({"destinations": [{"peer": "A@b:1"}]}, r"destinations\[0\]: needs 'name'"),
        ({"destinations": ["A@b:1"]}, r"destinations\[0\]: expected an object"),
        ({"destinations": [{"name": "a", "peer": "nowhere"}]}, "AETITLE@host:port"),
        ({"destinations": [{"name": "a b", "peer": "A@b:1"}]}, "name has letters, digits"),
        (
            {"destinations": [{"name": "a", "dicomweb": "http://b", "commitment": True}]},
            "commitment needs a peer",
        ),
        ({"sending": {"retry_most_s": 0.1}}, r"retry_most_s must be at least 0\.2"),
        ({"limits": {"max_waiting": 0}}, "max_waiting must be at least 1"),
        ({"keeping": {"done_h": -1}}, "done_h must be at least 0"),
        ({"http": {"host": "0.0.0.0"}}, r"host must be one of 127\.0\.0\.1"),
        ({"commitment_peers": ["A"]}, "AETITLE@host:port"),
    ],
)
def test_a_fault_is_named_where_it_is(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_settings(settings_file(tmp_path, **changes))


def test_what_is_no_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="found nothing there"):
        read_settings(tmp_path / "none.json")
    (tmp_path / "node.json").write_text("folder: x")
    with pytest.raises(SettingsError, match="expected JSON"):
        read_settings(tmp_path / "node.json")
    (tmp_path / "node.json").write_text("{}")
    with pytest.raises(SettingsError, match="needs 'folder', 'marking', 'destinations'"):
        read_settings(tmp_path / "node.json")


SERVER = {"certificate": "a", "key": "b"}
MUTUAL = {**SERVER, "ca": "c"}
ADDRESSED, PINNED = {"ae_title": "A", "networks": ["10.1.0.0/16"]}, {"ae_title": "B", "certificate": "b.org"}


@pytest.mark.parametrize(
    "receiving",
    [
        {},
        {"calling_ae_titles": ["A"]},  # anybody can say an AE title
        {"peers": [{"ae_title": "A"}]},
        {"peers": [ADDRESSED, {"ae_title": "B"}]},  # one that nothing is known of is enough
        {"networks": ["10.1.0.0/16"]},
        {"tls": SERVER},  # encrypted, and nobody is known
        {"calling_ae_titles": ["A"], "tls": SERVER},
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "node.example.org", ""])
def test_a_door_to_the_network_needs_proof_of_who_comes(
    tmp_path: Path, host: str, receiving: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match="nothing proves who sends: an AE title alone does not"):
        settings(tmp_path, receiving={"host": host, **receiving})
    assert settings(tmp_path, receiving={"host": "127.0.0.1", **receiving}).warnings == ()


@pytest.mark.parametrize(
    "receiving",
    [
        {"calling_ae_titles": ["A"], "networks": ["10.1.0.0/16"]},
        {"peers": [ADDRESSED]},
        {"peers": [{"ae_title": "B"}], "networks": ["fd00::/8"]},
        {"peers": [ADDRESSED, PINNED], "tls": MUTUAL},
        {"tls": MUTUAL},
    ],
)
def test_addresses_or_certificates_are_proof(tmp_path: Path, receiving: dict[str, Any]) -> None:
    assert settings(tmp_path, receiving={"host": "0.0.0.0", **receiving}).warnings == ()


def test_a_door_open_to_anybody_is_said_in_so_many_words(tmp_path: Path) -> None:
    (warning,) = settings(tmp_path, receiving={"host": "0.0.0.0", "anybody": True}).warnings
    assert "whoever reaches the port may send" in warning


def test_the_example_of_the_documentation_is_one(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "pacs-node.md"
    (example,) = re.findall(r"```json\n(.*?)```", page.read_text(), flags=re.DOTALL)
    (tmp_path / "node.json").write_text(example)
    found = read_settings(tmp_path / "node.json")
    assert found.warnings == ()
    assert found.destinations[0].commitment


@pytest.mark.parametrize("kind", [NodeSettings, Receiving, Rules, Marking, Sending, Limits, Keeping, Http])
def test_the_documentation_names_every_key(kind: type) -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "pacs-node.md").read_text()
    for field in dataclasses.fields(kind):
        if field.name not in ("factory", "sending", "limits", "keeping", "http", "commitment_timeout_s"):
            assert re.search(rf"\b{field.name}\b", page), field.name
