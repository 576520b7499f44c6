"""Memory, cores, clock and encoding as a process has them; and optional features."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.doctor import extras, machine
from mammo_monai.doctor.extras import FEATURES, extra_findings
from mammo_monai.doctor.findings import Level
from mammo_monai.doctor.machine import (
    clock_finding,
    core_finding,
    encoding_finding,
    findings,
    instruction_finding,
    memory_finding,
    user_findings,
)
from mammo_monai.doctor.versions import Requirement, requirements


def test_this_machine_is_looked_at() -> None:
    names = [each.name for each in findings({})]
    assert names == ["memory", "cores", "processor", "open files", "clock", "encoding"]


@pytest.mark.parametrize(
    ("total", "available", "limit", "level", "said"),
    [
        (32.0, 30.0, None, "ok", "32.0 GB, 30.0 of them available"),
        (32.0, 30.0, 8.0, "ok", "8.0 GB, 8.0 of them available (a limit of this container"),
        (32.0, 30.0, 3.0, "warning", "the machine has 32"),
        (32.0, 1.0, None, "fault", "1.0 of them"),
        (None, None, None, "ok", "does not tell"),
    ],
)
def test_memory_is_what_the_container_leaves(
    total: float | None, available: float | None, limit: float | None, level: str, said: str
) -> None:
    found = memory_finding(total, available, limit)
    assert found.level.value == level
    assert said in found.found


def test_what_a_container_has_used_of_its_limit_is_not_available() -> None:
    found = memory_finding(32.0, 30.0, 8.0, 1.2)
    assert found.level is Level.FAULT
    assert found.found.startswith("8.0 GB, 1.2 of them available")


@pytest.mark.parametrize(
    ("usable", "quota", "threads", "level", "fix"),
    [
        (8, None, None, "ok", ""),
        (8, None, "8", "ok", ""),
        (8, None, "1", "ok", ""),
        (8, 2.0, None, "warning", "export OMP_NUM_THREADS=2"),
        (8, 0.5, None, "warning", "export OMP_NUM_THREADS=1"),
        (8, 2.0, "2", "ok", ""),
        (4, None, "16", "warning", "export OMP_NUM_THREADS=4"),
        (4, None, "many", "warning", "export OMP_NUM_THREADS=4"),
        (4, None, "4,2", "ok", ""),
    ],
)
def test_threads_are_no_more_than_the_cores_one_gets(
    usable: int, quota: float | None, threads: str | None, level: str, fix: str
) -> None:
    found = core_finding(usable, quota, threads)
    assert (found.level.value, found.fix) == (level, fix)


def test_a_processor_without_avx2_is_a_warning() -> None:
    assert instruction_finding("x86_64", frozenset({"sse2"})).level is Level.WARNING
    assert "bfloat16 (AMX)" in instruction_finding("x86_64", frozenset({"avx2", "amx_bf16"})).found
    assert instruction_finding("aarch64", frozenset({"asimd"})).level is Level.OK
    assert instruction_finding("arm64", frozenset()).found == "arm64"


def test_a_clock_before_the_installation_is_a_fault() -> None:
    assert clock_finding(0.0, 1e9).level is Level.FAULT
    assert clock_finding(0.0, 1e9, built="0").level is Level.OK
    assert clock_finding(1e9 - 3600, 1e9).level is Level.OK  # a zone's offset on a foreign disk


def test_an_encoding_of_ascii_is_a_warning() -> None:
    assert encoding_finding("utf-8", "UTF-8").level is Level.OK
    assert "PYTHONUTF8" in encoding_finding("ascii", "ANSI_X3.4-1968").fix


def test_limits_of_control_groups_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine._limits_gb() == (None, None)
    assert machine._quota() is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert (*machine._limits_gb(), machine._quota()) == (None, None, None)
    (tmp_path / "memory.max").write_text("2000000000\n")
    (tmp_path / "memory.current").write_text("1700000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 200000000\n")
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert (*machine._limits_gb(), machine._quota()) == (2.0, 0.5, 1.5)


def test_limits_of_the_older_control_groups_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    for name in ("memory", "cpu"):
        (tmp_path / name).mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert (*machine._limits_gb(), machine._quota()) == (None, None, None)
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("3000000000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("1000000000\n")
    assert machine._limits_gb() == (3.0, 2.0)
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("50000\n")
    assert machine._quota() == 0.5


def test_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    (found,) = machine._open_files()
    assert (found.level, found.fix) == (Level.WARNING, "ulimit -n 4096")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    (found,) = machine._open_files()
    assert found.fix == "docker run --ulimit nofile=4096 …, or LimitNOFILE=4096 of the service"


def test_a_user_without_a_name_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert list(user_findings(None)) == list(user_findings(0)) == []
    (found,) = user_findings(4_000_000_000)
    assert (found.level, found.fix) == (Level.WARNING, "export LOGNAME=mammo")
    monkeypatch.setenv("LOGNAME", "uid_4000000000")
    assert list(user_findings(4_000_000_000)) == [found]
    monkeypatch.setenv("LOGNAME", "mammo")
    assert list(user_findings(4_000_000_000)) == []


def test_every_extra_for_users_is_a_feature_here() -> None:
    declared = {each.extra for each in requirements() or ()} - {""}
    assert declared - {"audit", "clinic", "dev", "docs", "fuzz"} == FEATURES.keys()


def test_features_are_told_with_how_they_are_had(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        Requirement("onnx", ">=1.17", "onnx", "1.18"),
        Requirement("ray", ">=2.40", "ray", "2.1"),
        Requirement("optuna", ">=4", "optuna", None),
    ]
    found = {each.name: each for each in extra_findings(asked)}
    assert found["onnx"].found == "installed: predict --engine onnx, bundle export"
    assert (found["optuna"].level, found["optuna"].fix) == (
        Level.OK,
        "python -m pip install 'mammo-monai[optuna]'",
    )
    assert (found["ray"].level, found["ray"].found) == (Level.WARNING, "too old: ray 2.1")
    monkeypatch.setattr(extras.versions, "requirements", lambda: None)
    assert {each.level for each in extras.findings({})} == {Level.OK}
