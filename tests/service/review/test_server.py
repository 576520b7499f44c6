"""The page's server over HTTP: what it answers, what it refuses, and what it never tells."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest

from mammo_monai import files
from mammo_monai.service.review import Guard, ReviewServer, open_review, read_worklist
from mammo_monai.service.review.guard import is_local
from mammo_monai.service.review.pixels import read_grey
from tests.service.review.scene import (
    HEIGHT,
    WIDTH,
    Client,
    accepted,
    own_box,
    write_scene,
    write_scene_manifest,
)


def test_the_page_is_one_document_that_may_load_nothing_else(client: Client) -> None:
    status, page, headers = client(
        "GET", f"/?token={client.server.guard.token}", headers={"X-Review-Token": None}
    )
    text = page.decode()
    policy = headers["Content-Security-Policy"]
    assert status == 200
    assert "never diagnoses" in text
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " src=" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert headers["Cache-Control"] == "no-store"


def test_the_worklist_says_what_is_known_and_done_and_names_no_file_and_no_patient(
    client: Client, tmp_path: Path
) -> None:
    status, answer, _ = client("GET", "/api/worklist")
    assert status == 200
    assert [
        (row["patient"], row["name"], row["n_marks"], row["is_reviewed"]) for row in answer["images"]
    ] == [
        (1, "R CC", 0, False),
        (1, "R MLO", 3, False),
        (1, "L CC", 1, False),
        (2, "View unknown", 1, False),
    ]
    assert answer["threshold"] == 0.3
    assert answer["points"] == [{"threshold": 0.3, "fppi": 1.0}]
    told = json.dumps([answer, *(client("GET", f"/api/images/{n}")[1] for n in range(4))])
    assert not [word for word in ("anna", "berta", "patient-7", str(tmp_path), ".dcm") if word in told]


def test_patient_ids_are_told_only_where_they_are_asked_for(tmp_path: Path, folder: Path) -> None:
    worklist = read_worklist(write_scene(tmp_path), manifest=write_scene_manifest(tmp_path))
    with open_review(worklist, folder, shows_patients=True) as session:
        assert [row["patient_id"] for row in session.overview()["images"]] == [
            "anna",
            "patient-7",  # the header's own: a manifest's is a hash
            "anna",
            "berta",
        ]
        assert session.overview()["made_by"].startswith("some_marker 1.0, weights unknown")


def test_a_change_is_on_disk_when_it_is_answered(client: Client, folder: Path) -> None:
    _, image, _ = client("GET", "/api/images/1")
    assert image["model_boxes"] == {"m1": [30, 50, 55, 80], "m2": [5, 10, 25, 40], "m3": [1, 1, 9, 9]}
    content = accepted(image["review"], comment="seen twice")
    content["marks"].append(own_box([10, 10, 20, 20]))
    status, saved, _ = client("PUT", "/api/images/1", content)
    assert (status, saved["revision"], len(saved["marks"])) == (200, 1, 4)
    assert json.loads((folder / "marks" / "rmlo.json").read_text())["comment"] == "seen twice"
    row = client("GET", "/api/worklist")[1]["images"][1]
    assert (row["is_reviewed"], row["n_accepted"], row["revision"]) == (True, 4, 1)


def test_of_two_windows_the_second_is_told_what_the_first_saved(client: Client) -> None:
    first = client("GET", "/api/images/1")[1]["review"]
    assert client("PUT", "/api/images/1", {**first, "reader": "AB"})[0] == 200
    status, answer, _ = client("PUT", "/api/images/1", {**first, "reader": "CD"})
    assert status == 409
    assert "changed in another window by AB" in answer["error"]
    assert answer["current"]["reader"] == "AB"
    assert client("GET", "/api/images/1")[1]["review"]["reader"] == "AB"


@pytest.mark.parametrize("level", [0, 1, 6])
def test_grey_values_come_as_16_bit_numbers_with_their_size_and_window(
    client: Client, tmp_path: Path, level: int
) -> None:
    status, raw, headers = client("GET", f"/api/images/1/pixels?level={level}")
    width, height = (-(-side // 2**level) for side in (WIDTH, HEIGHT))
    assert status == 200
    assert headers["X-Size"] == f"{width} {height}"
    assert headers["X-Range"] == "0 16383"
    values = np.frombuffer(raw, dtype="<u2").reshape(height, width)
    if level == 0:
        np.testing.assert_array_equal(values, read_grey(tmp_path / "images" / "r_mlo.dcm").values)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/api/images/4", None, 404, "there are 4 images; no number 5"),
        ("GET", "/api/images/3/pixels", None, 422, "Image 4 cannot be shown: the file is not there"),
        ("GET", "/api/images/0/pixels?level=7", None, 422, "level must lie in"),
        ("GET", "/api/images/0/pixels?level=-1", None, 422, "level must be a whole number"),
        ("GET", "/../../etc/passwd", None, 404, "no such page"),
        ("PUT", "/api/worklist", {}, 404, "no such page"),
        ("POST", "/api/images/0", {}, 404, "no such page"),
        ("PUT", "/api/images/0", b"{", 422, "expected JSON, got something else"),
        ("PUT", "/api/images/0", b"[" * 100_000, 422, "expected JSON, got something else"),
        ("PUT", "/api/images/0", {}, 422, "marks must be a list"),
        ("PUT", "/api/images/9", {}, 404, "no number 10"),
        ("POST", "/api/export", {"kinds": ["pdf"]}, 422, "kinds must be among coco, detections, sr"),
        ("POST", "/api/export", {"kinds": 3}, 422, "kinds must be a list"),
        ("POST", "/api/export", [1], 422, "kinds must be a list"),
    ],
)
def test_what_cannot_be_answered_says_why(
    client: Client, method: str, path: str, body: object, status: int, message: str
) -> None:
    found, answer, _ = client(method, path, body)
    assert (found, message in answer["error"]) == (status, True), answer


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Length": "many"}, {"Content-Length": "9999999999"}],
)
def test_a_body_of_another_kind_or_size_is_not_read(client: Client, headers: dict[str, str]) -> None:
    status, answer, _ = client("PUT", "/api/images/0", None, headers={"Content-Length": "2", **headers})
    assert status == 422
    assert "expected JSON of at most" in answer["error"]


def test_a_request_cut_short_changes_nothing(client: Client, folder: Path) -> None:
    token, port = client.server.guard.token, client.server.port
    head = (
        f"PUT /api/images/0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Review-Token: {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        assert b"cut short" in connection.makefile("rb").read()
    assert not (folder / "marks").exists()


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X-Review-Token": None}, "token is missing"),
        ({"X-Review-Token": "guessed"}, "token is missing or of an earlier start"),
        ({"X-Review-Token": "ä"}, "token"),
        ({"Host": None}, "Host header names another server"),
        ({"Host": "evil.example"}, "Host header names another server"),
        ({"Host": "127.0.0.1:1"}, "Host header names another server"),
        ({"Host": "[::1"}, "Host header names another server"),
        ({"Origin": "http://evil.example"}, "another origin"),
        ({"Origin": "null"}, "another origin"),
        ({"Sec-Fetch-Site": "cross-site"}, "another site"),
        ({"Sec-Fetch-Site": "same-site"}, "another site"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/images/0/pixels"), ("PUT", "/api/images/0")])
def test_other_pages_and_other_users_are_refused(
    client: Client, folder: Path, method: str, path: str, headers: dict[str, str | None], message: str
) -> None:
    body = client("GET", "/api/images/0")[1]["review"] if method == "PUT" else None
    status, answer, sent = client(method, path, body, headers)
    assert status == 403
    assert message in answer["error"]
    assert "Access-Control-Allow-Origin" not in sent
    assert not (folder / "marks").exists()


def test_the_page_itself_needs_the_token(client: Client) -> None:
    assert client("GET", "/")[0] == 403
    assert client("GET", "/?token=guessed")[0] == 403


def test_the_pages_own_origin_is_answered(client: Client) -> None:
    origin = {"Origin": f"http://127.0.0.1:{client.server.port}", "Sec-Fetch-Site": "same-origin"}
    assert client("GET", "/api/worklist", headers=origin)[0] == 200
    assert client("GET", "/api/worklist", headers={"Host": f"localhost:{client.server.port}"})[0] == 200


def test_the_server_binds_this_machine_alone_unless_asked(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.server.server_address[0] == "127.0.0.1"
    assert not caplog.records
    with (
        open_review(read_worklist(tmp_path / "images"), tmp_path / "other") as session,
        ReviewServer(session, guard=Guard(host="0.0.0.0")).running() as server,
    ):
        assert "other machines can reach the page, and nothing is encrypted" in caplog.text
        assert server.address.startswith("http://127.0.0.1:")
        assert Client(server)("GET", "/api/worklist")[0] == 200
        assert (
            Client(server)("GET", "/api/worklist", headers={"Host": f"rebound.example:{server.port}"})[0]
            == 403
        )
        assert Client(server)("GET", "/api/worklist", headers={"Host": f"192.0.2.7:{server.port}"})[0] == 200
    assert is_local("::1")
    assert not is_local("192.0.2.7")


def test_a_full_disk_is_said_and_the_next_change_is_saved(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    review = client("GET", "/api/images/0")[1]["review"]
    with monkeypatch.context() as patch:
        patch.setattr(files, "_flush_to_disk", full)
        status, answer, _ = client("PUT", "/api/images/0", review)
    assert (status, "No space left" in answer["error"]) == (507, True)
    assert client("PUT", "/api/images/0", review)[0] == 200


def test_a_film_damaged_after_the_start_is_said_in_words(client: Client, tmp_path: Path) -> None:
    (tmp_path / "images" / "p_R_CC.png").write_bytes(b"")
    status, answer, _ = client("GET", "/api/images/0/pixels")
    assert status == 422
    assert answer["error"] == "Image 1 cannot be shown: the file holds no image of a known format."
