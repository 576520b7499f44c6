import json
import logging
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.inference.journal import Journal, journal_path
from mammo_monai.records import Detections

FIRST = Detections("a1", np.array([[1.1, 2, 3, 4]]), np.array([1 / 3]), np.array([0]), Path("x/1.dcm"))
SECOND = Detections("b2")


def _written(output: Path, *detections: Detections, fingerprint: str = "f") -> Path:
    with Journal(output, fingerprint) as journal:
        for each in detections:
            journal.add(each)
    return journal_path(output)


def _finished(output: Path, fingerprint: str = "f", *, resume: bool = True) -> dict[str, Detections]:
    with Journal(output, fingerprint, resume=resume) as journal:
        return journal.finished


def test_finished_images_come_back_bit_for_bit(tmp_path: Path) -> None:
    output = tmp_path / "new" / "detections.json"
    _written(output, FIRST, SECOND)
    found = _finished(output)
    assert list(found) == ["a1", "b2"]
    assert (found["a1"].boxes == FIRST.boxes).all()
    assert (found["a1"].scores == FIRST.scores).all()
    assert (found["a1"].image, found["b2"].image) == (FIRST.image, None)
    assert found["b2"].boxes.shape == (0, 4)


def test_images_of_the_run_itself_count_as_finished(tmp_path: Path) -> None:
    with Journal(tmp_path / "d.json", "f") as journal:
        journal.add(FIRST)
        assert list(journal.finished) == ["a1"]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_truncated_last_line_is_ignored_and_removed(
    tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    path = _written(output, FIRST, SECOND)
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(output, "f") as journal:
        assert list(journal.finished) == ["a1"]
        journal.add(SECOND)
    assert [json.loads(line).get("record_id") for line in path.read_text().splitlines()] == [None, "a1", "b2"]
    assert not caplog.records


@pytest.mark.parametrize("damage", [b"{broken\n", b'{"record_id": "b2"}\n', b"\xff\n", b"3\n"])
def test_after_a_damaged_line_images_are_computed_again(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    path = _written(output, FIRST)
    path.write_bytes(path.read_bytes() + damage + path.read_bytes().splitlines(keepends=True)[1])
    assert list(_finished(output)) == ["a1"]
    assert f"{path}: line 3 cannot be read" in caplog.text
    assert len(path.read_bytes().splitlines()) == 2


def test_a_journal_of_other_settings_is_discarded_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    path = _written(output, FIRST)
    assert not _finished(output, "other")
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert f"{path} belongs to a run with other settings" in caplog.text
    assert not _finished(output, "f")


@pytest.mark.parametrize("content", [b"", b"half a first li", b"no json\n", b"[1]\n"])
def test_a_journal_without_its_first_line_is_discarded(tmp_path: Path, content: bytes) -> None:
    output = tmp_path / "d.json"
    journal_path(output).write_bytes(content)
    assert not _finished(output)
    _written(output, FIRST)
    assert list(_finished(output)) == ["a1"]


def test_without_resume_a_journal_is_overwritten_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    _written(output, FIRST)
    assert not _finished(output, resume=False)
    assert not caplog.records


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "d.json", "f") as journal:
        journal.add(FIRST)
        journal.remove()
    assert not list(tmp_path.iterdir())
