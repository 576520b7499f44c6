"""The examinations as a whole: whatever breaks, hangs or dies in one becomes a finding."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mammo_monai.doctor import KINDS, Asked, Finding, Level, at_home, examine, for_others, worst
from mammo_monai.doctor.child import Step, answers, main
from mammo_monai.doctor.examination import _crashed, _groups, _read
from mammo_monai.doctor.findings import quoted

CRASH = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"


@pytest.fixture
def torch_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a package torch that is found before the real one; and of a NumPy that is quick."""
    for name in ("numpy", "scipy", "scipy/ndimage", "sklearn", "PIL", "PIL/Image", "pydicom"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "torch" / "__init__.py"


def looked_at(*kinds: str, timeout_s: float = 50.0) -> dict[str, Finding]:
    return {f"{each.kind}: {each.name}": each for each in examine(Asked(kinds, timeout_s=timeout_s))}


def test_a_torch_that_kills_its_process_is_a_finding_and_what_came_before_is_kept(torch_that: Path) -> None:
    torch_that.write_text(CRASH)
    found = looked_at("environment")
    died = found["environment: import torch"]
    assert (died.level, died.fix) == (
        Level.FAULT,
        "python -m pip install --force-reinstall torch torchvision",
    )
    assert "signal SIGSEGV" in died.found
    assert found["environment: Python"].level is Level.OK


@pytest.mark.parametrize(
    ("text", "said", "fix"),
    [
        (
            "raise ImportError('libcudart.so.12: cannot open shared object file')",
            "libcudart",
            "torch torchvision",
        ),
        ("raise ImportError('numpy.dtype size changed, may indicate')", "dtype size", "numpy torch"),
        (
            "raise ModuleNotFoundError(\"No module named 'torch._C'\")",
            "torch._C",
            "--force-reinstall torch torchvision",
        ),
    ],
)
def test_a_torch_that_does_not_load_is_named_with_what_mends_it(
    torch_that: Path, text: str, said: str, fix: str
) -> None:
    torch_that.write_text(text)
    found = looked_at("environment", "gpu")
    broken = found["environment: torch"]
    assert broken.level is Level.FAULT
    assert said in broken.found
    assert fix in broken.fix
    assert found["gpu: torch"].level is Level.WARNING


def test_what_hangs_is_a_finding_within_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    step = {"step": "writing to output", "kind": "disk", "fix": "x"}
    grandchild = (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])\n"
    )
    text = f"{grandchild}print({json.dumps(json.dumps(step))}, flush=True)\nimport time\ntime.sleep(99)\n"
    monkeypatch.setattr("mammo_monai.doctor.examination._CHILD", text)
    start = time.monotonic()
    (hung,) = examine(Asked(("disk",), timeout_s=4.0))
    assert time.monotonic() - start < 30  # it would be 99: what the process had started ended with it
    assert (hung.name, hung.level, hung.found) == ("writing to output", Level.WARNING, "not done within 4 s")
    assert hung.fix == "mammo-monai doctor --only disk --timeout 20"


def test_an_import_that_ends_its_process_without_an_error_is_a_fault(torch_that: Path) -> None:
    for text in ("raise SystemExit(0)", "import os\nos._exit(0)"):
        torch_that.write_text(text)
        died = looked_at("environment")["environment: import torch"]
        assert (died.level, died.found) == (Level.FAULT, "the process ended (exit code 0)")


def test_kinds_not_begun_when_a_process_ended_are_looked_at_in_another(
    torch_that: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_that.write_text(CRASH)
    kinds = {each.kind for each in examine(Asked(("environment", "gpu"), timeout_s=50.0))}
    assert kinds == {"environment", "gpu"}
    monkeypatch.setattr("mammo_monai.doctor.examination._CHILD", "import time\ntime.sleep(99)\n")
    found = examine(Asked(("machine", "extras"), timeout_s=0.5))
    assert [(each.kind, each.found) for each in found] == [
        ("machine", "not done within 0.5 s"),
        ("extras", "not done within 0.5 s"),
    ]


def test_an_interrupt_ends_what_hangs(tmp_path: Path) -> None:
    """A real Ctrl+C, while two processes sleep."""
    started = tmp_path / "started"
    child = f"import time\nopen({str(started)!r}, 'w').close()\ntime.sleep(99)\n"
    code = (
        # A shell that starts tests in the background has them ignore it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from mammo_monai.doctor import Asked, examination\n"
        f"examination._CHILD = {child!r}\n"
        "examination.examine(Asked(('disk', 'machine', 'extras'), timeout_s=98.0))\n"
    )
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    while not started.exists() and time.monotonic() - start < 60:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in said
    assert time.monotonic() - start < 60


def test_files_in_the_users_folder_take_no_modules_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json.py", "torch.py", "mammo_monai.py"):
        (tmp_path / name).write_text("raise RuntimeError('from the folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert {each.kind for each in examine(Asked(("machine",)))} == {"machine"}
    assert worst(examine(Asked(("extras",)))) is Level.OK


def test_without_torch_the_doctor_speaks_too(torch_that: Path) -> None:
    torch_that.write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    assert looked_at("environment")["environment: torch"].fix == "python -m pip install torch"


def test_what_packages_print_is_no_finding(torch_that: Path) -> None:
    torch_that.write_text("print('hello from torch')\nraise ImportError('x')")
    assert "environment: torch" in looked_at("environment")


def test_an_examination_that_fails_is_a_finding_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> list[Finding]:
        raise RuntimeError("odd")

    monkeypatch.setattr("mammo_monai.doctor.disk.findings", fail)
    request = {"kinds": ["disk"], "output": ".", "node": None}
    (start, failed) = answers(request)
    assert start == {"step": "starting", "kind": "disk"}
    assert failed["found"] == "could not be finished (RuntimeError: odd)"
    assert failed["level"] == "warning"


def test_what_a_nodes_examination_said_last_is_not_told_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> list[Finding]:
        raise RuntimeError("PACS@10.0.0.7 is odd")

    monkeypatch.setattr("mammo_monai.doctor.clinic.findings", fail)
    (_, failed) = answers({"kinds": ["clinic"], "output": ".", "node": "node.json"})
    died = _crashed("clinic", 1, {}, b"Traceback\nRuntimeError: PACS@10.0.0.7 is odd\n")
    for each in (Finding.from_wire(failed), died):
        assert "PACS@10.0.0.7" in each.found
        assert not any(word in for_others(each).found for word in ("PACS", "10.0.0.7"))


def test_the_child_prints_steps_and_findings(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def two(_: object) -> list[Finding | Step]:
        return [Step.begun("trying", "mend it so"), Finding("disk", "space", Level.OK, "much")]

    monkeypatch.setattr("mammo_monai.doctor.disk.findings", two)
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    monkeypatch.setattr("os.dup2", lambda *_: None)  # the test's own stdout stays
    main(json.dumps({"kinds": ["disk"], "output": "."}))
    findings, step, is_done = _read(capfd.readouterr().out.encode())
    assert is_done
    assert findings == [Finding("disk", "space", Level.OK, "much")]
    assert step == {"step": "trying", "kind": "disk", "fix": "mend it so"}
    assert ended == [0]


def test_processes_that_cannot_be_started_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    found = examine(Asked(("gpu", "disk")))
    assert [each.level for each in found] == [Level.FAULT] * 2
    assert "no process could be started" in found[0].found


def test_kinds_that_import_torch_share_a_process() -> None:
    groups = _groups(list(KINDS))
    assert ["environment", "gpu"] in groups
    assert sorted(kind for group in groups for kind in group) == sorted(KINDS)


@pytest.mark.parametrize("asked", [{"kinds": ("gpus",)}, {"timeout_s": 0.0}])
def test_what_cannot_be_asked_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Asked(**asked)  # type: ignore[arg-type]


def test_the_worst_level_counts() -> None:
    levels = [Finding("disk", "x", level, "") for level in (Level.OK, Level.FAULT, Level.WARNING)]
    assert worst(levels) is Level.FAULT
    assert worst(levels[:1]) is worst([]) is Level.OK


def test_findings_for_others_name_no_place_host_or_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    text = f"{tmp_path}/anna/films, /home/berta/x and /mnt/ward 3/y, asked PACS@10.1.2.3:104, /tmp"
    shown = for_others(
        Finding("clinic", "x", Level.OK, text, text, text, private=("PACS@10.1.2.3:104", "PACS"))
    )
    for each in (shown.found, shown.why, shown.fix):
        assert not any(
            word in each for word in ("anna", "berta", "mnt/ward", "PACS", "10.1.2.3", str(tmp_path))
        )
    assert shown.found.startswith("[home], [home] and [path]")
    assert shown.private == ()


def test_findings_at_home_keep_paths_that_a_shell_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    shown = at_home(
        Finding("disk", "x", Level.OK, "/home/anna/films", fix="rm /home/anna/films /data/home/anna/x")
    )
    assert (shown.found, shown.fix) == ("~/films", "rm ~/films /data/home/anna/x")
    for name in ("my films", "O'Neill's", "100 %"):
        fix = f"rm {quoted(Path('/home/anna') / name)}"
        assert shlex.split(at_home(Finding("disk", "x", Level.OK, "", fix=fix)).fix) == [
            "rm",
            f"/home/anna/{name}",
        ]
