"""The verb review, run in this process; and its server as a process of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from mammo_monai.cli.main import build_parser, main
from tests.service.review.scene import accepted, write_scene


def test_nothing_reviewed_exports_nothing_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_scene(tmp_path)
    assert main(["review", str(source), "--export"]) == 0
    out = capsys.readouterr().out
    assert f"wrote corrected.coco.json, corrected.detections.json to {tmp_path / 'detections_review'}" in out
    assert "0 boxes of 0 reviewed images, 4 not reviewed" in out


def test_what_cannot_be_opened_is_one_line_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", str(tmp_path / "none.json")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_the_page_is_for_this_machine_unless_asked() -> None:
    parsed = build_parser().parse_args(["review", "detections.json"])
    assert (parsed.host, parsed.show_patients, parsed.threshold) == ("127.0.0.1", False, None)


def test_a_server_killed_at_work_has_lost_nothing_that_was_answered(tmp_path: Path) -> None:
    source = write_scene(tmp_path / "images")
    words = [str(source), "--port", "0", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "mammo_monai.cli.main", "review", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        address, token = re.search(r"open (\S+)\?token=(\S+)", said).groups()  # type: ignore[union-attr]  # said
        send = {"X-Review-Token": token, "Content-Type": "application/json"}
        with urlopen(Request(f"{address}api/images/1", headers=send), timeout=30) as answer:
            review = accepted(json.load(answer)["review"])
        body = json.dumps(review).encode()
        urlopen(Request(f"{address}api/images/1", data=body, headers=send, method="PUT"), timeout=30).close()
        process.send_signal(signal.SIGKILL)
    assert main(["review", str(source), "--out", str(tmp_path / "out"), "--export"]) == 1  # a PNG: no report
    coco = json.loads((tmp_path / "out" / "corrected.coco.json").read_text())
    assert [image["record_id"] for image in coco["images"]] == ["lcc"]
