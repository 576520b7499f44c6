"""`mammo-monai doctor`: table, JSON without places, exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai import doctor as ours
from mammo_monai.cli import doctor
from mammo_monai.cli.doctor_lines import finding_lines
from mammo_monai.cli.main import main
from mammo_monai.doctor import Asked, Finding, Level
from mammo_monai.doctor.examination import TIMEOUT_S
from mammo_monai.words import counted

GOOD = Finding("disk", "output", Level.OK, "/home/anna/films: 9 GB free")
BAD = Finding(
    "gpu", "cuda:0", Level.FAULT, "no kernel image " * 9, "Every command stops. " * 9, "mend it " * 20
)
POOR = Finding(
    "machine", "a name that is longer than its column", Level.WARNING, "2 GB", "Little.", "End others"
)


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the doctor finds, to be filled; no examination runs."""
    found: list[Finding] = []
    monkeypatch.setattr(ours, "examine", lambda _: list(found))
    return found


@pytest.mark.parametrize(
    ("findings", "code"), [([GOOD], 0), ([GOOD, POOR], 1), ([BAD, GOOD, POOR], 2), ([], 0)]
)
def test_the_exit_code_is_that_of_the_worst_finding(
    findings: Sequence[Finding], code: int, finds: list[Finding], capsys: pytest.CaptureFixture[str]
) -> None:
    finds += findings
    assert main(["doctor"]) == code
    assert counted(len(findings), "finding") in capsys.readouterr().out


def test_lines_fit_the_terminal_and_commands_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = finding_lines([BAD, GOOD, POOR])
    mend = next(line for line in lines if "mend it" in line)
    assert mend.strip() == f"mend  {BAD.fix}".strip()
    assert max(len(line) for line in lines if "mend" not in line) <= 80
    assert lines[-1] == "3 findings: 1 ok, 1 warning, 1 fault"
    assert "\x1b" not in "".join(lines)


def test_neighbours_of_one_remedy_tell_it_once() -> None:
    alike = [replace(POOR, name=name) for name in ("first", "second", "third")]
    other = replace(POOR, name="other", fix="Another")
    text = "\n".join(finding_lines([*alike, other, replace(BAD, fix=POOR.fix, why=POOR.why)]))
    assert [each.name in text for each in alike] == [True] * 3
    assert text.count("why   Little.") == 3
    assert text.index("third") < text.index("End others") < text.index("other ") < text.index("Another")


def test_what_is_well_takes_a_line_unless_notes_are_asked_for(
    finds: list[Finding], capsys: pytest.CaptureFixture[str]
) -> None:
    finds.append(Finding("extras", "onnx", Level.OK, "not installed", "For engines.", "pip install x"))
    assert main(["doctor"]) == 0
    assert "pip install" not in capsys.readouterr().out
    assert main(["doctor", "--notes"]) == 0
    shown = capsys.readouterr().out
    assert "note  For engines." in shown
    assert "how   pip install x" in shown


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = finding_lines([BAD, POOR], has_colours=False)
    coloured = finding_lines([BAD, POOR], has_colours=True)
    assert "\x1b[31mfault" in "".join(coloured)
    assert [
        line.replace("\x1b[31m", "").replace("\x1b[33m", "").replace("\x1b[0m", "") for line in coloured
    ] == plain
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert finding_lines([BAD]) == finding_lines([BAD], has_colours=False)


def test_json_can_be_pasted_in_public(finds: list[Finding], capsys: pytest.CaptureFixture[str]) -> None:
    finds += [
        GOOD,
        Finding(
            "clinic",
            "destination 1",
            Level.FAULT,
            "PACS@10.0.0.7:104 is silent",
            private=("PACS@10.0.0.7:104",),
        ),
    ]
    assert main(["doctor", "--json"]) == 2
    told = capsys.readouterr().out
    assert not any(word in told for word in ("anna", "/home", "10.0.0.7"))
    assert [each["level"] for each in json.loads(told)["findings"]] == ["ok", "fault"]
    assert main(["doctor", "--json", "--show-paths"]) == 2
    assert "/home/anna/films" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_terminal_without_our_letters_shows_the_findings(
    encoding: str, options: list[str], finds: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    finds.append(Finding("machine", "memory", Level.WARNING, "little … for 乳房"))
    shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(["doctor", *options]) == 1
    shown.flush()
    text = shown.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert json.loads(text)["findings"][0]["found"].endswith("乳房") if options else "for ??" in text


def test_what_is_asked_reaches_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Asked] = []
    monkeypatch.setattr(ours, "examine", lambda each: asked.append(each) or [])
    words = ["doctor", "--only", "disk", "clinic", "--output", "out", "--node", "n.json", "--timeout", "9"]
    assert main(words) == 0
    assert asked == [Asked(("disk", "clinic"), "out", "n.json", 9.0)]


def test_clinic_without_a_node_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--only", "clinic"]) == 2
    assert "--node NODE.JSON" in capsys.readouterr().err


def test_the_kinds_are_those_there_are() -> None:
    assert doctor.KINDS == ours.KINDS
    assert doctor.TIMEOUT_S == TIMEOUT_S


def test_the_command_itself_needs_the_standard_library_alone(tmp_path: Path) -> None:
    """A real run, with every other package hidden from the process that asks."""
    code = (
        "import sys\n"
        "sys.path[:] = [each for each in sys.path if 'site-packages' not in each]\n"
        f"sys.path.insert(0, {str(Path(ours.__file__).parents[2])!r})\n"
        "from mammo_monai.cli.main import main\n"
        "sys.exit(main(['doctor', '--json', '--only', 'environment', 'machine', 'decoders']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    found = {(each["kind"], each["name"]): each for each in json.loads(done.stdout)["findings"]}
    assert found["environment", "numpy"]["fix"] == "python -m pip install numpy"
    assert found["environment", "mammo-monai"]["level"] == "warning"
    assert "No module named 'numpy'" in found["decoders", "examination"]["found"]
    assert found["machine", "memory"]
