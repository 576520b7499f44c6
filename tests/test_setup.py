"""The set-up of a fresh machine: pins without addresses, and plain words where a step cannot be done."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def declared_requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]


def test_every_pin_is_one_exact_version_without_an_address() -> None:
    assert len(PINS) > 50
    for line in PINS:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.+]*( ; .+)?", line), line
        assert "://" not in line


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_dependency_is_pinned_once_for_each_python(version: str) -> None:
    machine = {
        "python_version": version,
        "python_full_version": f"{version}.3",
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
    }
    pinned = [
        canonicalize_name(pin.name)
        for pin in map(Requirement, PINS)
        if pin.marker is None or pin.marker.evaluate(machine)
    ]
    assert len(pinned) == len(set(pinned))
    wanted = {canonicalize_name(Requirement(line).name) for line in declared_requirements()}
    assert wanted - {"mammo-monai"} <= set(pinned)
    assert {"torch", "torchvision", "uv", "hatchling"} <= set(pinned)


def test_ci_runs_make_test_then_the_documentation_then_the_clinic() -> None:
    assert re.search(
        r"^make test\nmake test-docs\nexec make test-clinic$",
        (ROOT / ".ci" / "run").read_text(),
        re.MULTILINE,
    )


def set_up(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "scripts").mkdir()
    shutil.copy2(ROOT / "scripts" / "setup.sh", folder / "scripts")
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    command = ["sh", str(folder / "scripts" / "setup.sh")]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert not (folder / ".venv" / ".stamp").exists()
    return done


def test_without_a_python_the_set_up_says_which_is_needed(tmp_path: Path) -> None:
    done = set_up(tmp_path, PYTHON="/no such/python")
    assert done.returncode == 1
    assert "make setup: needs Python 3.10 to 3.14; tried: /no such/python (not there)." in done.stderr


@pytest.mark.parametrize(("minor", "named"), [(9, "Python 3.9.1"), (15, "Python 3.15.0")])
def test_a_python_for_which_packages_have_no_builds_is_refused_by_name(
    tmp_path: Path, minor: int, named: str
) -> None:
    python = tmp_path / "python3"
    told = f"import sys; sys.version_info = (3, {minor}); exec(sys.argv.pop(1))"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo {named} && exit\nexec {sys.executable} -c "{told}" "$2"\n'
    )
    python.chmod(0o755)
    done = set_up(tmp_path, PYTHON=str(python))
    assert done.returncode == 1
    assert f"needs Python 3.10 to 3.14; tried: {python} ({named})." in done.stderr


def test_without_ensurepip_the_set_up_says_what_to_install(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = set_up(tmp_path, PYTHON=str(python))
    assert done.returncode == 1
    assert "ensurepip or venv is missing. On Debian and Ubuntu: apt-get install python3-venv" in done.stderr


def test_without_a_network_the_set_up_says_so(tmp_path: Path) -> None:
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    done = set_up(tmp_path, PYTHON=str(base), PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert done.returncode == 1
    assert "make setup: could not fetch uv, see above. Is the network up" in done.stderr


def check_coverage(folder: Path, covered: dict[str, tuple[int, int]]) -> subprocess.CompletedProcess[str]:
    files = {
        f"mammo_monai/{path}": {
            "summary": {"covered_lines": done, "num_statements": lines},
            "missing_lines": list(range(done, lines)),
        }
        for path, (done, lines) in covered.items()
    }
    report = folder / "coverage.json"
    report.write_text(json.dumps({"files": files}))
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "check_coverage.py"), str(report)],
        capture_output=True,
        text=True,
        check=False,
    )


FULL = {
    "metrics/froc.py": (10, 10),
    "metrics/rule.py": (0, 0),
    "geometry/boxes.py": (10, 10),
    "schema.py": (10, 10),
    "dicom/pixels.py": (10, 10),
    "engines/trainer.py": (54, 60),
    "cli/main.py": (36, 40),
}


def test_coverage_at_the_gates_passes_and_is_shown_by_folder(tmp_path: Path) -> None:
    done = check_coverage(tmp_path, FULL)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^engines +54 +60 +90\.00 +–$", done.stdout, re.MULTILINE)
    assert re.search(r"^the rest +90 +100 +90\.00 +90$", done.stdout, re.MULTILINE)
    assert re.search(r"^whole package +130 +140 +92\.86 +–$", done.stdout, re.MULTILINE)


def test_the_rest_is_one_sum_so_one_folder_may_be_below_its_gate(tmp_path: Path) -> None:
    done = check_coverage(tmp_path, {**FULL, "engines/trainer.py": (50, 60), "cli/main.py": (40, 40)})
    assert done.returncode == 0, done.stderr


def test_full_folders_do_not_carry_the_rest(tmp_path: Path) -> None:
    done = check_coverage(tmp_path, {**FULL, "metrics/froc.py": (9000, 9000), "cli/main.py": (35, 40)})
    assert done.returncode == 1
    assert "the rest: 89.00 % of lines covered, 90 % asked" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics/rule.py": (99, 100)}, "metrics: 99.09 % of lines covered, 100 % asked"),
        ({"metrics/rule.py": (99, 100)}, "not covered: mammo_monai/metrics/rule.py: 99"),
        ({"engines/trainer.py": (53, 60)}, "the rest: 89.00 % of lines covered, 90 % asked"),
    ],
)
def test_coverage_under_a_gate_fails(
    tmp_path: Path, change: dict[str, tuple[int, int]], message: str
) -> None:
    done = check_coverage(tmp_path, {**FULL, **change})
    assert done.returncode == 1
    assert message in done.stderr


def test_a_gated_folder_without_measurement_fails(tmp_path: Path) -> None:
    done = check_coverage(tmp_path, {path: lines for path, lines in FULL.items() if "dicom" not in path})
    assert done.returncode == 1
    assert "dicom: not measured, 100 % asked" in done.stderr
