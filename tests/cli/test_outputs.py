"""No verb writes over what it reads; results reach the standard output, or the exit code says so."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mammo_monai import __version__
from mammo_monai.cli.main import main
from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.cli.standard_output import take_every_letter


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("evaluate d.json --manifest m.json", "d.json"),
        ("evaluate d.json --manifest m.json", "m.json"),
        ("evaluate d.json --manifest m.json --operating-points p.json", "p.json"),
        ("calibrate d.json e.json --manifest m.json", "e.json"),
        ("compare d.json e.json --manifest m.json", "m.json"),
        ("compare . e.json --manifest m.json", "detections.json"),
        ("report metrics.json --format csv", "metrics.json"),
        ("report . --format csv", "detections.json"),
        ("report e.json --format html --manifest m.json", "m.json"),
        ("manifest coco d.json", "d.json"),
        ("manifest folder . --annotations e.json", "e.json"),
        ("dicom marks d.json", "d.json"),
        ("detections coco d.json --manifest m.json", "d.json"),
        ("detections coco d.json --annotations e.json --manifest m.json", "e.json"),
        ("detections csv d.json --manifest m.json", "m.json"),
        ("predict d.json e.json --bundle none", "e.json"),
        ("fuse d.json e.json --points p.json m.json", "p.json"),
        ("weights convert d.json", "d.json"),
        ("bundle statistics none --manifest m.json", "m.json"),
    ],
)
def test_no_verb_writes_over_a_file_that_it_reads(
    command: str,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("d", "e", "m", "p", "metrics", "detections"):
        Path(f"{name}.json").write_text("{}")
    assert main([*command.split(), "-o", output]) == 2
    error = f"{output}: would overwrite a file that is read. Give another output.\n"
    assert capsys.readouterr().err == f"mammo-monai {command.split(maxsplit=1)[0]}: {error}"
    assert {path.read_text() for path in tmp_path.iterdir()} == {"{}"}


def test_an_input_is_known_by_any_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"link.json: would overwrite"):
        refuse_overwriting(tmp_path / "link.json", [None, str(tmp_path / "x" / ".." / "a.json")])
    refuse_overwriting(tmp_path / "b.json", [tmp_path / "a.json", tmp_path])
    refuse_overwriting(None, [tmp_path / "a.json"])


def _printing(command: str, stdout: int) -> tuple[int, str]:
    """Exit code and errors of a command of a process of its own."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, "-m", "mammo_monai.cli.main", *command.split()]
    done = subprocess.run(words, stdout=stdout, stderr=subprocess.PIPE, text=True, env=plain, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["--help", "apps list"])
def test_a_reader_who_leaves_early_is_no_fault(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert _printing(command, writing) == (141, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full, of Linux")
@pytest.mark.parametrize("command", ["--help", "apps list"])
def test_an_output_that_cannot_be_written_is_no_success(command: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        expected = "mammo-monai: the standard output: No space left on device.\n"
        assert _printing(command, full) == (2, expected)
    finally:
        os.close(full)


@pytest.mark.parametrize(
    ("command", "closed", "code", "printed", "error"),
    [
        ("--version", ">&-", 2, "", "mammo-monai: the standard output: Bad file descriptor.\n"),
        ("apps list", ">&-", 2, "", "mammo-monai: the standard output: Bad file descriptor.\n"),
        ("--version", "<&- 2>&-", 0, f"mammo-monai {__version__}\n", ""),
        ("apps nothing", "<&- 2>&-", 2, "", ""),  # no error in the place of results
    ],
)
def test_a_closed_stream_is_no_crash_and_takes_nothing_from_others(
    command: str, closed: str, code: int, printed: str, error: str
) -> None:
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = ["sh", "-c", f'exec "$0" -m mammo_monai.cli.main {command} {closed}', sys.executable]
    done = subprocess.run(words, capture_output=True, text=True, env=plain, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, printed, error)


def test_files_that_are_opened_do_not_take_the_place_of_a_closed_stream() -> None:
    code = (
        "import sys; from mammo_monai.cli.standard_output import stand_in_for_closed; stand_in_for_closed(); "
        "sys.exit(open('/dev/null').fileno())"
    )
    words = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code]
    assert subprocess.run(words, check=False).returncode > 2


def _terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What a terminal of an encoding gets of the standard output."""
    got = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(got, encoding=encoding, write_through=True))
    return got


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_letter_that_a_terminal_has_not_ends_no_help(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = _terminal(encoding, monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--help"])
    assert ended.value.code == 0
    assert ("…" if encoding == "utf-8" else "\\u2026") in got.getvalue().decode(encoding)


def test_a_file_name_that_is_no_text_is_printed_as_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    got = _terminal("utf-8", monkeypatch)
    take_every_letter()
    sys.stdout.write(os.fsdecode(b"Bef\xfcnde/1.dcm"))
    assert got.getvalue() == b"Bef\xfcnde/1.dcm"


def test_without_a_standard_output_there_is_nothing_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    take_every_letter()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    take_every_letter()
