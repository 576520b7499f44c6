"""The verb serve, run in this process: a node stops at a signal, the other actions see to its queue."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from mammo_monai.cli.main import main
from mammo_monai.dicom.network import Peer, send
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from mammo_monai.service.node import Node
from tests.service.node.films import LocalWorker, film, settings_file, until


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    mask = os.umask(0o022)
    os.umask(mask)
    yield
    os.umask(mask)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_configuration_is_checked_without_starting_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings_file(tmp_path, receiving={"host": "0.0.0.0", "anybody": True})
    assert main(["serve", "--check", str(path)]) == 0
    out = capsys.readouterr().out
    assert 'note: receiving: "anybody" is true: whoever reaches the port may send' in out
    assert f"{path}: sound; kinds sr, bundle fake." in out
    assert not (tmp_path / "node").exists()
    assert main(["serve", "--check", str(settings_file(tmp_path, receiving={"host": "0.0.0.0"}))]) == 2
    assert "nothing proves who sends" in capsys.readouterr().err
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": []}))
    assert main(["serve", "--check", str(path)]) == 2
    assert "unknown key 'kind'; did you mean 'kinds'?" in capsys.readouterr().err


def test_a_node_runs_until_it_is_told_to_stop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes: list[Node] = []

    class Watched(Node):
        def __enter__(self) -> Node:
            nodes.append(self)
            return super().__enter__()

    def store_and_stop() -> None:
        until(lambda: nodes and nodes[0]._is_ready)
        send(Peer("NODE", "127.0.0.1", nodes[0].port), [film(), film(SeriesDescription="unreadable")])
        done = "SELECT COUNT(*) FROM instances WHERE state IN ('sent', 'failed')"
        until(lambda: nodes[0].database.value(done) == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    with (
        StorageServer(ae_title="PACS", store=lambda _: StoreStatus.SUCCESS) as archive,
        mock.patch("mammo_monai.service.node.node.Worker", LocalWorker),
        mock.patch("mammo_monai.service.node.run.Node", Watched),
    ):
        path = settings_file(tmp_path, pacs_port=archive.port)
        client = threading.Thread(target=store_and_stop)
        client.start()
        assert main(["serve", "--config", str(path)]) == 0
        client.join()
    assert main(["serve", "status", "--config", str(path)]) == 1
    out = capsys.readouterr().out
    assert "      1 done: every destination has the results" in out
    assert "      1 cannot be marked" in out
    assert main(["serve", "retry", "--config", str(path)]) == 0
    assert "1 image to mark again, 0 results to send again." in capsys.readouterr().out
    assert main(["serve", "status", "--config", str(path)]) == 0
    assert "      1 waiting to be marked" in capsys.readouterr().out
    assert main(["serve", "purge", "--older-than", "0", "--config", str(path)]) == 0
    assert "1 image deleted with all results." in capsys.readouterr().out


def test_a_signal_while_the_model_loads_ends_the_start(tmp_path: Path) -> None:
    class Slow(LocalWorker):
        def start(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(30)

    with mock.patch("mammo_monai.service.node.node.Worker", Slow):
        assert main(["serve", "--config", str(settings_file(tmp_path))]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["status"], "expected the queue of a node, found none"),
        (["purge"], "--older-than HOURS belongs to purge"),
        (["retry", "--older-than", "1"], "--older-than HOURS belongs to purge"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    path = settings_file(tmp_path)
    assert main(["serve", *words, "--config", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_a_negative_age_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch("mammo_monai.service.node.node.Worker", LocalWorker):
        path = settings_file(tmp_path)
        from mammo_monai.service.node import read_settings

        with Node(read_settings(path)):
            assert main(["serve", "status", "--config", str(path)]) == 0
            assert capsys.readouterr().out == "the queue is empty\n"
            assert main(["serve", "purge", "--older-than", "-1", "--config", str(path)]) == 2
    assert "must be at least 0 hours, got -1" in capsys.readouterr().err
