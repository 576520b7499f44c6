import json
import logging
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.inference.journal import Journal, journal_path
from mammo_monai.inference.written import Failure
from mammo_monai.records import Detections

FIRST = Detections("a1", np.array([[1.1, 2, 3, 4]]), np.array([1 / 3]), np.array([0]), Path("x/1.dcm"))
SECOND = Detections("b2")


NUMBERS = {"a1": 0, "b2": 1, "c3": 2}


def _written(output: Path, *detections: Detections, fingerprint: str = "f") -> Path:
    with Journal(output, fingerprint, NUMBERS) as journal:
        for each in detections:
            journal.add(NUMBERS[each.record_id], each)
    return journal_path(output)


def _finished(output: Path, fingerprint: str = "f", *, resume: bool = True) -> list[str]:
    with Journal(output, fingerprint, NUMBERS, resume=resume) as journal:
        return [name for name, number in NUMBERS.items() if journal.is_done[number]]


def test_finished_images_come_back_bit_for_bit_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    output = tmp_path / "new" / "detections.json"
    _written(output, SECOND, FIRST)
    assert _finished(output) == ["a1", "b2"]
    with Journal(output, "f", NUMBERS) as journal:
        written = journal.write({"name": "m"}, None)
    assert (written.n_images, written.n_marks, written.model) == (2, 1, {"name": "m", "failed": []})
    first, second = written.detections
    assert (first.boxes == FIRST.boxes).all()
    assert (first.scores == FIRST.scores).all()
    assert (first.image, second.image) == (FIRST.image, None)
    assert second.boxes.shape == (0, 4)
    assert [each.name for each in output.parent.iterdir()] == ["detections.json"]


def test_a_failure_is_kept_until_the_image_succeeds(tmp_path: Path) -> None:
    output = tmp_path / "d.jsonl"
    with Journal(output, "f", NUMBERS) as journal:
        journal.fail(0, Failure("a1", "x/1.dcm", "no pixels"))
        journal.fail(2, Failure("c3", "x/3.dcm", "torn"))
        journal.add(1, SECOND)
    with Journal(output, "f", NUMBERS) as journal:
        assert (journal.is_failed.tolist(), journal.is_done.tolist()) == (
            [True, False, True],
            [False, True, False],
        )
        journal.add(0, FIRST)
    with Journal(output, "f", NUMBERS) as journal:
        written = journal.write({}, None)
    assert written.model["failed"] == [{"record_id": "c3", "image": "x/3.dcm", "error": "torn"}]
    assert [each.record_id for each in written.detections] == ["a1", "b2"]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_truncated_last_line_is_ignored_and_removed(
    tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    path = _written(output, FIRST, SECOND)
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(output, "f", NUMBERS) as journal:
        assert journal.is_done.tolist() == [True, False, False]
        journal.add(1, SECOND)
    assert [json.loads(line).get("record_id") for line in path.read_text().splitlines()] == [None, "a1", "b2"]
    assert not caplog.records


@pytest.mark.parametrize(
    "damage",
    [
        b"{broken\n",
        b'{"record_id": "b2"}\n',
        b"\xff\n",
        b"3\n",
        b'{"failed": 1}\n',
        b'{"failed": {}, "boxes": []}\n',
    ],
)
def test_after_a_damaged_line_images_are_computed_again(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    path = _written(output, FIRST)
    path.write_bytes(path.read_bytes() + damage + path.read_bytes().splitlines(keepends=True)[1])
    assert _finished(output) == ["a1"]
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
    assert _finished(output) == ["a1"]


def test_without_resume_a_journal_is_overwritten_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    _written(output, FIRST)
    assert not _finished(output, resume=False)
    assert not caplog.records


def test_a_journal_without_images_is_removed(tmp_path: Path) -> None:
    with Journal(tmp_path / "d.json", "f", NUMBERS):
        pass
    assert not list(tmp_path.iterdir())


def test_a_line_of_an_image_that_is_not_asked_for_ends_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    path = _written(output, FIRST, SECOND)
    path.write_text(path.read_text().replace('"b2"', '"unknown"'))
    assert _finished(output) == ["a1"]
    assert f"{path}: line 3 cannot be read" in caplog.text


def test_a_long_line_is_read_whole(tmp_path: Path) -> None:
    many = Detections(
        "a1", np.tile([[1.0, 2, 3, 4]], (3000, 1)), np.full(3000, 0.5), np.zeros(3000, np.int64)
    )
    output = tmp_path / "d.json"
    _written(output, many, SECOND)
    with Journal(output, "f", NUMBERS) as journal:
        written = journal.write({}, None)
    assert (written.n_images, written.n_marks) == (2, 3000)


def test_a_half_of_this_output_goes_and_one_of_a_longer_name_stays(tmp_path: Path) -> None:
    ours, others = (tmp_path / f".{name}.0a1b2c3d.part.json" for name in ("d.json", "d.json.old.json"))
    for each in (ours, others):
        each.write_text("half")
    _written(tmp_path / "d.json", FIRST)
    assert (ours.exists(), others.exists()) == (False, True)
