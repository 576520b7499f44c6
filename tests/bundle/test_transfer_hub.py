"""A hub repository, mimicked on loopback: what huggingface_hub asks of it, and what it must never be told."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mammo_monai.bundle import HttpOptions, PullOptions, pack_bundle, pull_bundle, push_bundle, verify_pack
from mammo_monai.bundle.packing.record import RECORD
from mammo_monai.errors import BundleError
from tests.bundle.light import contents
from tests.bundle.packs import FileServer, as_json, file_server, publish_tiny

pytest.importorskip("huggingface_hub")
REPOSITORY, SHA = "clinic/light", "c" * 40
Answer = tuple[int, dict[str, str], bytes]
JSON = {"Content-Type": "application/json"}


class Hub:
    """The endpoints of one model repository, in memory."""

    def __init__(self, server: FileServer) -> None:
        self.server = server
        self.files: dict[str, bytes] = {}
        self.created: list[dict[str, object]] = []
        api = f"/api/models/{REPOSITORY}"
        server.answers[("POST", "/api/repos/create")] = self.create
        # The hub looks at every README.md before it is committed.
        checked = as_json({"errors": [], "warnings": []})
        server.answers[("POST", "/api/validate-yaml")] = lambda _: (200, JSON, checked)
        server.answers[("POST", f"{api}/preupload/main")] = self.preupload
        server.answers[("POST", f"{api}/commit/main")] = self.commit
        for path in (api, f"{api}/revision/main", f"{api}/revision/{SHA}"):
            server.answers[("GET", path)] = self.info

    def create(self, body: bytes) -> Answer:
        self.created.append(json.loads(body))
        return 200, JSON, as_json({"url": f"{self.server.url}/{REPOSITORY}", "name": REPOSITORY})

    def preupload(self, body: bytes) -> Answer:
        asked = json.loads(body)["files"]
        told = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in asked]
        return 200, JSON, as_json({"files": told})

    def commit(self, body: bytes) -> Answer:
        for line in body.splitlines():
            each = json.loads(line)
            if each["key"] == "file":
                self.files[each["value"]["path"]] = base64.b64decode(each["value"]["content"])
            elif each["key"] == "deletedFile":
                del self.files[each["value"]["path"]]
        self.serve()
        told = {
            "success": True,
            "commitOid": SHA,
            "commitUrl": f"{self.server.url}/{REPOSITORY}/commit/{SHA}",
        }
        return 200, JSON, as_json(told)

    def info(self, _: bytes) -> Answer:
        siblings = [{"rfilename": name, "size": len(each)} for name, each in self.files.items()]
        return 200, JSON, as_json({"id": REPOSITORY, "sha": SHA, "siblings": siblings})

    def serve(self) -> None:
        for revision in (SHA, "main"):
            for name, content in self.files.items():
                headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": SHA}
                headers["Content-Length"] = str(len(content))
                for method in ("GET", "HEAD"):
                    answer = (200, headers, content)
                    path = f"/{REPOSITORY}/resolve/{revision}/{name}"
                    self.server.answers[(method, path)] = lambda _, answer=answer: answer  # type: ignore[misc]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with file_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_s3cret")
        yield Hub(server)


@pytest.fixture
def published(bundle: Path) -> Path:
    publish_tiny(bundle)
    return bundle


def test_a_bundle_goes_by_the_hub_and_arrives_as_it_was(hub: Hub, published: Path, tmp_path: Path) -> None:
    hub.files["stale.bin"] = b"somebody's"
    with pytest.raises(BundleError, match=r"holds 1 file of no pack, such as stale\.bin.*--replace"):
        push_bundle(published, f"hf://{REPOSITORY}")
    assert set(hub.files) == {"stale.bin"}
    pushed = push_bundle(published, f"hf://{REPOSITORY}", is_replacing=True)
    assert not pushed.was_there
    assert "private" in (hub.created[0].get("visibility"), *hub.created[0])  # older clients send a flag
    assert "stale.bin" not in hub.files
    assert hub.files["README.md"] == (published / "docs" / "README.md").read_bytes()
    made = pull_bundle(f"hf://{REPOSITORY}@main", tmp_path / "home")
    assert verify_pack(made.folder).faults == ()
    assert contents(made.folder) == {**contents(published), RECORD: hub.files[RECORD]}
    assert push_bundle(published, f"hf://{REPOSITORY}").was_there
    pinned = PullOptions(sha256=hashlib.sha256(hub.files[RECORD]).hexdigest())
    assert pull_bundle(f"hf://{REPOSITORY}", tmp_path / "home", pinned).was_there
    publish_tiny(published, seed=1)
    with pytest.raises(BundleError, match=r"holds another pack\. --replace"):
        push_bundle(published, f"hf://{REPOSITORY}")
    push_bundle(published, f"hf://{REPOSITORY}", is_replacing=True)
    assert hub.files["models/model.safetensors"] == (published / "models" / "model.safetensors").read_bytes()


def test_files_that_came_are_not_fetched_again(hub: Hub, published: Path, tmp_path: Path) -> None:
    push_bundle(published, f"hf://{REPOSITORY}")
    lost = hub.server.answers.pop(("GET", f"/{REPOSITORY}/resolve/{SHA}/models/model.safetensors"))
    home = tmp_path / "home"
    with pytest.raises(BundleError, match=f"hf://{REPOSITORY}: .*404"):
        pull_bundle(f"hf://{REPOSITORY}", home)
    assert not (home / "light").exists()
    hub.server.answers[("GET", f"/{REPOSITORY}/resolve/{SHA}/models/model.safetensors")] = lost
    hub.server.requests.clear()
    pull_bundle(f"hf://{REPOSITORY}", home)
    fetched = [path for method, path, _ in hub.server.requests if method == "GET" and "/resolve/" in path]
    assert not any(path.endswith("/LICENSE") for path in fetched)
    assert any(path.endswith("/model.safetensors") for path in fetched)


def test_a_repository_that_is_no_pack_or_too_large_is_refused(
    hub: Hub, published: Path, tmp_path: Path
) -> None:
    hub.files["config.json"] = b"{}"
    with pytest.raises(BundleError, match=r"no pack\.json: not pushed by"):
        pull_bundle(f"hf://{REPOSITORY}", tmp_path / "home")
    push_bundle(published, f"hf://{REPOSITORY}", is_replacing=True)
    small = PullOptions(http=HttpOptions(limit_bytes=1000))
    with pytest.raises(BundleError, match=r"expected at most 1\.00 kB"):
        pull_bundle(f"hf://{REPOSITORY}", tmp_path / "home", small)
    hub.files["LICENSE"] += b" "
    with pytest.raises(BundleError, match="LICENSE is missing, or not as long"):
        pull_bundle(f"hf://{REPOSITORY}", tmp_path / "home")
    changed = b"x" + hub.files["docs/data_license.txt"][1:]
    hub.files["LICENSE"] = hub.files["LICENSE"][:-1]
    hub.files["docs/data_license.txt"] = changed
    hub.serve()
    with pytest.raises(BundleError, match=r"(?s)not as it was packed.*docs/data_license\.txt has SHA-256"):
        pull_bundle(f"hf://{REPOSITORY}", tmp_path / "home")
    assert not (tmp_path / "home" / "light").exists()


def test_the_token_comes_from_the_environment_and_stays_out_of_messages(
    hub: Hub,
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("DEBUG", logger="mammo_monai"):
        push_bundle(published, f"hf://{REPOSITORY}")
        sent = {
            headers.get("authorization", headers.get("Authorization"))
            for _, _, headers in hub.server.requests
        }
        assert sent == {"Bearer hf_s3cret"}
        told = as_json({"error": "bad hf_s3cret"})
        hub.server.answers[("POST", "/api/repos/create")] = lambda _: (
            403,
            {**JSON, "X-Error-Message": "hf_s3cret"},
            told,
        )
        with pytest.raises(BundleError, match="HF_TOKEN") as refused:
            push_bundle(published, f"hf://{REPOSITORY}")
        assert "s3cret" not in str(refused.value)
    assert "s3cret" not in caplog.text
    monkeypatch.delenv("HF_TOKEN")
    hub.server.requests.clear()
    pull_bundle(f"hf://{REPOSITORY}", tmp_path / "home")
    assert not any(
        "authorization" in {name.lower() for name in headers} for _, _, headers in hub.server.requests
    )


def test_without_the_package_the_extra_is_named(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BundleError, match=r"pip install 'mammo-monai\[hub\]'"):
        push_bundle(published, f"hf://{REPOSITORY}")
    assert pack_bundle(published, published.parent / "x.zip").record.bundle == "light"
