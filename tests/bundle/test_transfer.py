"""Pushing and pulling: what arrives is what was sent, or does not appear; a kill is gone on from."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mammo_monai.bundle import (
    HttpOptions,
    PullOptions,
    UntrustedBundleError,
    pack_bundle,
    pull_bundle,
    push_bundle,
    verify_pack,
)
from mammo_monai.bundle.packing.record import RECORD
from mammo_monai.bundle.transfer import http_files, placing, progress
from mammo_monai.bundle.transfer.places import HubPlace, UrlPlace, parse_place
from mammo_monai.errors import BundleError
from mammo_monai.files import sha256_of
from tests.bundle.light import contents
from tests.bundle.packs import FileServer, file_server, publish_tiny, resealed, unzipped, zipped

PATH = "/bundles/light-0.1.0.zip"
HTTP = HttpOptions(timeout_s=20, pauses_s=(0.0, 0.0))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "bundles"


def options(**changes: object) -> PullOptions:
    return replace(PullOptions(http=HTTP), **changes)  # type: ignore[arg-type]  # fields of PullOptions


def left_over(home: Path) -> list[str]:
    return sorted(path.name for path in (home / ".pull").iterdir() if path.is_dir())


def test_a_bundle_goes_by_a_server_and_arrives_as_it_was(
    bundle: Path, pack: Path, server: FileServer, home: Path
) -> None:
    pushed = push_bundle(bundle, f"{server.url}/bundles/", http=HTTP)
    assert pushed.place == f"{server.url}{PATH}"
    assert not pushed.was_there
    assert server.files[PATH] == pack.read_bytes()
    assert server.files[f"{PATH}.sha256"].decode() == f"{pushed.sha256}  light-0.1.0.zip\n"
    shown: list[tuple[int, int]] = []
    made = pull_bundle(
        f"{pushed.place}#sha256={pushed.sha256}", home, options(show=lambda *at: shown.append(at))
    )
    assert made.folder == home / "light"
    assert made.is_pinned
    assert contents(home / "light") == {**contents(bundle), RECORD: unzipped(pack)[f"light/{RECORD}"]}
    assert verify_pack(home / "light").faults == ()
    assert shown[-1] == (len(pack.read_bytes()),) * 2
    assert left_over(home) == []
    assert push_bundle(pack, f"{server.url}/bundles", http=HTTP).was_there
    again = pull_bundle(pushed.place, home, options())
    assert again.was_there
    assert not again.is_pinned


def test_a_bundle_goes_by_a_folder(bundle: Path, pack: Path, tmp_path: Path, home: Path) -> None:
    share = tmp_path / "share"
    pushed = push_bundle(bundle, str(share))
    assert sorted(each.name for each in share.iterdir()) == ["light-0.1.0.zip", "light-0.1.0.zip.sha256"]
    assert push_bundle(pack, str(share)).was_there
    assert push_bundle(pack, str(share / "named.zip")).place == str(share / "named.zip")
    with pytest.raises(BundleError, match=r"one \.zip, got light-0\.1\.0\.zip, named\.zip\. Name the file"):
        pull_bundle(str(share), home)
    (share / "named.zip").unlink()
    assert pull_bundle(str(share), home).verified.sha256 == pushed.sha256
    moved = pull_bundle(str(home / "light"), tmp_path / "third")
    assert contents(moved.folder) == contents(home / "light")
    (share / "light-0.1.0.zip.sha256").write_text("0" * 64)
    with pytest.raises(BundleError, match=r"\.sha256 beside it says 0000"):
        pull_bundle(str(share), home)
    with pytest.raises(BundleError, match="got none"):
        pull_bundle(str(tmp_path / "nowhere"), home)


def test_another_pack_is_replaced_only_when_asked(
    bundle: Path, pack: Path, server: FileServer, tmp_path: Path
) -> None:
    for destination in (f"{server.url}/bundles", str(tmp_path / "share")):
        push_bundle(pack, destination, http=HTTP)
    publish_tiny(bundle, seed=1)
    for destination in (f"{server.url}/bundles", str(tmp_path / "share")):
        with pytest.raises(BundleError, match=r"is another file\. --replace"):
            push_bundle(bundle, destination, http=HTTP)
        made = push_bundle(bundle, destination, is_replacing=True, http=HTTP)
        assert not made.was_there
    assert server.files[PATH] == (tmp_path / "share" / "light-0.1.0.zip").read_bytes() != pack.read_bytes()


def test_a_server_that_refuses_is_told(pack: Path, server: FileServer, tmp_path: Path) -> None:
    server.takes_put = False
    with pytest.raises(BundleError, match=r"takes no files by PUT.*\(405"):
        push_bundle(pack, server.url, http=HTTP)
    server.takes_put = True
    server.files[f"{PATH}"] = b"x"
    with pytest.raises(BundleError, match=r"another file already; --replace .*\(412"):
        http_files.send(f"{server.url}{PATH}", pack, HTTP, is_replacing=False)
    server.status = [404, 403]
    with pytest.raises(BundleError, match="token is read from the environment, MAMMO_MONAI_TOKEN"):
        push_bundle(pack, server.url, http=HTTP)
    server.status = [404, 500]
    with pytest.raises(BundleError, match=r"did not take the file \(500"):
        push_bundle(pack, server.url, http=HTTP)
    bad = zipped(tmp_path / "bad.zip", {**unzipped(pack), "light/LICENSE": b"x"})
    with pytest.raises(BundleError, match="not as it was packed: LICENSE"):
        push_bundle(bad, server.url, http=HTTP)


def test_a_dropped_line_is_taken_up_where_it_broke(pack: Path, server: FileServer, home: Path) -> None:
    server.files[PATH] = pack.read_bytes()
    server.drop_after = [10_000, 5_000]
    pull_bundle(f"{server.url}{PATH}", home, options())
    ranges = [headers.get("Range") for method, path, headers in server.requests if path == PATH]
    assert ranges == [None, "bytes=10000-", "bytes=15000-"]
    assert all("If-Range" in headers for _, path, headers in server.requests[1:3] if path == PATH)


def test_what_came_is_kept_when_the_server_is_gone(pack: Path, server: FileServer, home: Path) -> None:
    server.files[PATH] = pack.read_bytes()
    server.drop_after = [10_000, 0, 0]
    with pytest.raises(BundleError, match="same command goes on from there"):
        pull_bundle(f"{server.url}{PATH}", home, options())
    assert not (home / "light").exists()
    server.requests.clear()
    pull_bundle(f"{server.url}{PATH}", home, options())
    assert server.requests[0][2]["Range"] == "bytes=10000-"
    assert verify_pack(home / "light").faults == ()


def test_a_server_error_is_tried_again_a_refusal_is_not(pack: Path, server: FileServer, home: Path) -> None:
    server.files[PATH] = pack.read_bytes()
    server.status = [503]
    assert pull_bundle(f"{server.url}{PATH}", home, options()).folder == home / "light"
    server.status = [503, 503, 503]
    with pytest.raises(BundleError, match="answers 503"):
        pull_bundle(f"{server.url}{PATH}", home, options())
    with pytest.raises(BundleError, match=r"/none\.zip: the server answers 404"):
        pull_bundle(f"{server.url}/none.zip?key=secret", home, options())
    assert sum(path.startswith("/none.zip") for _, path, _ in server.requests) == 1


def test_a_file_that_changed_meanwhile_is_fetched_anew(
    bundle: Path, pack: Path, server: FileServer, home: Path
) -> None:
    server.files[PATH] = pack.read_bytes()
    server.drop_after = [10_000, 0, 0]
    with pytest.raises(BundleError):
        pull_bundle(f"{server.url}{PATH}", home, options())
    publish_tiny(bundle, seed=1)
    new = pack_bundle(bundle, pack.with_name("new.zip"))
    server.files[PATH] = new.path.read_bytes()
    assert pull_bundle(f"{server.url}{PATH}", home, options()).verified.sha256 == new.sha256


def test_servers_without_ranges_or_lengths_serve_too(pack: Path, server: FileServer, home: Path) -> None:
    server.files[PATH] = pack.read_bytes()
    server.has_ranges, server.drop_after = False, [10_000]
    pull_bundle(f"{server.url}{PATH}", home, options())
    server.hides_length = True
    pull_bundle(f"{server.url}{PATH}", home / "more", options())
    assert contents(home / "light") == contents(home / "more" / "light")


def test_a_fetch_that_was_whole_is_not_repeated(pack: Path, server: FileServer, tmp_path: Path) -> None:
    server.files[PATH] = pack.read_bytes()
    part = tmp_path / "part.zip"
    for _ in range(2):
        http_files.fetch(f"{server.url}{PATH}", part, HTTP, lambda *_: None)
        assert part.read_bytes() == pack.read_bytes()
    server.files[PATH] = pack.read_bytes()[:100]
    http_files.fetch(f"{server.url}{PATH}", part, HTTP, lambda *_: None)
    assert part.read_bytes() == pack.read_bytes()[:100]


@pytest.mark.parametrize("length", [True, False])
def test_more_than_the_limit_is_refused(pack: Path, server: FileServer, home: Path, length: bool) -> None:
    server.files[PATH], server.hides_length = pack.read_bytes(), not length
    small = options(http=replace(HTTP, limit_bytes=1000))
    with pytest.raises(
        BundleError, match=r"--limit-gb allows more" if length else r"more came than 1\.00 kB"
    ):
        pull_bundle(f"{server.url}{PATH}", home, small)
    assert not (home / "light").exists()


@pytest.mark.parametrize("pin", ["sha256", "fragment", "beside"])
def test_another_hash_is_refused_and_forgotten(pack: Path, server: FileServer, home: Path, pin: str) -> None:
    server.files[PATH] = pack.read_bytes()
    url, wrong = f"{server.url}{PATH}", "0" * 64
    if pin == "beside":
        server.files[f"{PATH}.sha256"] = f"{wrong}  x\n".encode()
    with pytest.raises(BundleError, match=f"(expected SHA-256|says) {wrong}"):
        pull_bundle(
            f"{url}#sha256={wrong}" if pin == "fragment" else url,
            home,
            options(sha256=wrong if pin == "sha256" else None),
        )
    assert [path.name for path in home.rglob("*") if path.is_file()] == [f"{left_over(home)[0]}.lock"]
    with pytest.raises(BundleError, match="two SHA-256 are given"):
        pull_bundle(f"{url}#sha256={wrong}", home, options(sha256="1" * 64))
    with pytest.raises(BundleError, match="64 hexadecimal digits, got 'abc'"):
        pull_bundle(url, home, options(sha256="abc"))


def test_what_is_verified_of_a_share_is_what_is_unpacked(
    pack: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = zipped(tmp_path / "other.zip", resealed({**unzipped(pack), "light/docs/README.md": b"other"}))
    share = Path(shutil.copy(pack, tmp_path / "share.zip"))
    pin = sha256_of(share)

    def hashed_then_swapped(path: Path) -> str:
        found = sha256_of(path)
        shutil.copy(other, share)
        return found

    monkeypatch.setattr("mammo_monai.bundle.packing.verify.sha256_of", hashed_then_swapped)
    made = pull_bundle(str(share), home, options(sha256=pin))
    assert (made.folder / "docs" / "README.md").read_bytes() == unzipped(pack)["light/docs/README.md"]
    with pytest.raises(BundleError, match=rf"^{share}: expected SHA-256 {pin}"):
        pull_bundle(str(share), home, options(sha256=pin))


def test_a_changed_pack_never_appears(pack: Path, server: FileServer, home: Path, tmp_path: Path) -> None:
    changed = zipped(tmp_path / "changed.zip", {**unzipped(pack), "light/docs/more.md": b"x"})
    server.files[PATH] = changed.read_bytes()
    with pytest.raises(BundleError, match=r"(?s)not as it was packed.*docs/more\.md .*was added"):
        pull_bundle(f"{server.url}{PATH}", home, options())
    assert not (home / "light").exists()
    server.files[PATH] = pack.read_bytes()
    assert not pull_bundle(f"{server.url}{PATH}", home, options()).was_there


def test_unknown_code_needs_trust(pack: Path, server: FileServer, home: Path, tmp_path: Path) -> None:
    files = unzipped(pack)
    config = json.loads(files["light/configs/inference.json"])
    config["preprocessing"] = {
        "_target_": "strange.Transform",
        "x": f"$open({str(tmp_path / 'sprung')!r}, 'w')",
    }
    hostile = resealed({**files, "light/configs/inference.json": json.dumps(config).encode()})
    server.files[PATH] = zipped(tmp_path / "hostile.zip", hostile).read_bytes()
    with pytest.raises(
        UntrustedBundleError, match=r"light: 2 of its items are not on the list.*--trust"
    ) as stopped:
        pull_bundle(f"{server.url}{PATH}", home, options())
    outside = [(each.id, each.category) for each in stopped.value.inspection.outside]
    assert outside == [("preprocessing#_target_", "unknown"), ("preprocessing#x", "dangerous")]
    assert not (home / "light").exists()
    server.requests.clear()
    made = pull_bundle(f"{server.url}{PATH}", home, options(is_trusted=True))
    assert made.inspection.outside
    assert server.requests[0][2]["Range"]  # what had come was kept
    assert not (tmp_path / "sprung").exists()


def test_a_bundle_that_is_there_is_moved_aside_never_lost(
    bundle: Path, pack: Path, server: FileServer, home: Path
) -> None:
    server.files[PATH] = pack.read_bytes()
    url = f"{server.url}{PATH}"
    pull_bundle(url, home, options())
    (home / "light" / "eval").mkdir()
    (home / "light" / "eval" / "detections.json").write_text("{}")
    assert pull_bundle(url, home, options()).was_there  # results of runs are no change
    (home / "light" / "LICENSE").write_text("mine")
    with pytest.raises(BundleError, match=r"or was changed here\. --replace moves it aside"):
        pull_bundle(url, home, options())
    before = contents(home / "light")
    for number in (1, 2):
        (home / "light" / "LICENSE").write_text("mine")
        made = pull_bundle(url, home, options(is_replacing=True))
        assert made.replaced == home / ".replaced" / f"light-{number}"
    assert contents(home / ".replaced" / "light-1") == before
    assert verify_pack(home / "light").faults == ()


def killed(work: Callable[[], object]) -> None:
    """Runs `work` in a process of its own, which must die by SIGKILL."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_pull_killed_while_fetching_goes_on(pack: Path, server: FileServer, home: Path) -> None:
    big = pack.read_bytes()
    server.files[PATH] = big
    url = f"{server.url}{PATH}"

    def pull() -> None:
        http_files._BLOCK = 4096
        pull_bundle(url, home, options(show=lambda done, total: die() if done > 9000 else None))

    killed(pull)
    assert not (home / "light").exists()
    assert next(home.rglob("pack.zip")).stat().st_size > 4096
    server.requests.clear()
    pull_bundle(url, home, options())
    assert server.requests[0][2]["Range"].startswith("bytes=")
    assert verify_pack(home / "light").faults == ()
    assert left_over(home) == []


@pytest.mark.parametrize("moment", ["unpacking", "moved aside", "before cleaning"])
def test_a_pull_killed_while_it_puts_the_bundle_in_place_loses_nothing(
    bundle: Path, pack: Path, home: Path, moment: str
) -> None:
    pull_bundle(str(pack), home)
    publish_tiny(bundle, seed=1)
    new = pack_bundle(bundle, pack).path
    old = contents(home / "light")

    def pull() -> None:
        rename, n_files = Path.rename, [0]

        def dying_rename(self: Path, target: Path) -> Path:
            if self.parent.name == "unpacked":
                die()
            return rename(self, target)

        def dying_fsync(_: int) -> None:
            n_files[0] += 1
            if n_files[0] == 5:
                die()

        if moment == "unpacking":
            os.fsync = dying_fsync  # type: ignore[assignment]
        elif moment == "moved aside":
            Path.rename = dying_rename  # type: ignore[method-assign,assignment]
        else:
            placing.shutil = SimpleNamespace(rmtree=die)  # type: ignore[attr-defined]
        pull_bundle(str(new), home, options(is_replacing=True))

    killed(pull)
    kept = [path for path in (home / "light", home / ".replaced" / "light-1") if path.exists()]
    assert kept
    made = pull_bundle(str(new), home, options(is_replacing=True))
    assert made.verified.sha256 == sha256_of(new)
    assert verify_pack(home / "light").faults == ()
    assert any(contents(path) == old for path in (home / ".replaced").iterdir())
    assert left_over(home) == []


def test_two_pulls_of_one_source_wait_for_each_other(pack: Path, home: Path) -> None:
    with placing.work_folder(home.absolute(), "key"), pytest.raises(BundleError, match="another pull"):  # noqa: SIM117
        with placing.work_folder(home.absolute(), "key"):
            pass


def test_a_token_goes_to_the_server_and_not_where_it_redirects(
    pack: Path,
    server: FileServer,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MAMMO_MONAI_TOKEN", "s3cret-token")
    with file_server() as other, caplog.at_level("DEBUG"):
        other.files["/there.zip"] = pack.read_bytes()
        server.redirects[PATH] = f"{other.url}/there.zip"
        pull_bundle(f"{server.url}{PATH}?key=s3cret-key", home, options())
        assert server.requests[0][2]["Authorization"] == "Bearer s3cret-token"
        assert "Authorization" not in other.requests[0][2]
    assert "s3cret" not in caplog.text


def test_a_redirect_leads_to_no_file_and_no_plain_http_elsewhere(server: FileServer, home: Path) -> None:
    for target in ("http://example.org/x.zip", "file:///etc/passwd", "ftp://127.0.0.1/x"):
        server.redirects[PATH] = target
        with pytest.raises(BundleError, match=r"plain http|expected a folder|answers"):
            pull_bundle(f"{server.url}{PATH}", home, options())
    redirects = http_files._Redirects(is_http_allowed=True)
    request = http_files.urllib.request.Request("https://example.org/a.zip")
    with pytest.raises(BundleError, match="leads from https to http"):
        redirects.redirect_request(request, None, 302, "", None, "http://example.org/a.zip")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://example.org/x.zip", "plain http can be read"),
        ("https://user:pass@example.org/x.zip", "holds a name or password"),
        ("ftp://example.org/x.zip", r"expected a folder, https://…, or hf://OWNER/NAME, got ftp"),
        ("file:///etc/passwd", "expected a folder"),
        ("https://example.org/x.zip#md5=1", "behind # only sha256="),
        ("hf://name", "expected hf://OWNER/NAME"),
        ("hf://a/b/c", "expected hf://OWNER/NAME"),
    ],
)
def test_a_place_that_is_none_is_told_without_its_secrets(text: str, message: str) -> None:
    with pytest.raises(BundleError, match=message) as told:
        parse_place(text)
    assert "pass@" not in str(told.value)


def test_places_are_read() -> None:
    assert parse_place("hf://a/b@v1.0/x") == HubPlace("a/b", "v1.0/x")
    assert parse_place(f"https://x.org/a.zip#sha256={'A' * 64}") == UrlPlace("https://x.org/a.zip", "a" * 64)
    assert parse_place("http://x.org/a.zip", is_http_allowed=True) == UrlPlace("http://x.org/a.zip")
    assert UrlPlace("https://x.org:8443/a.zip?key=1").shown == "https://x.org:8443/a.zip"


def test_a_log_line_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 1.0, 11.0, 12.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    log = progress.TransferLog("fetching")
    with caplog.at_level("INFO", logger="mammo_monai"):
        for done in (50_000_000, 60_000_000, 61_000_000):
            log(done, 160_000_000)
        log(90_000_000, 0)
    assert [record.getMessage() for record in caplog.records] == [
        "fetching: 60.0 MB of 160 MB, 110 s left",
        "fetching: 90.0 MB",
    ]
