"""The benchmarks' table and runner: what stands in a row, where it goes; one failure stops no other."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench"
RESULT = {
    "schema": "mammo-monai/bench/1",
    "machine": {
        "cpu": "A",
        "cores": 2,
        "memory_gib": 4.0,
        "system": "S",
        "python": "3.11",
        "load_1_min": 0.5,
    },
    "comparisons": [
        {
            "work": "reading",
            "peer": "stock",
            "ours": "ours",
            "medians_s": {"stock": 2.0, "ours": 0.05},
            "ratio": 40.0,
            "target": 30.0,
            "is_met": True,
            "equality": {"bits | equal": True, "largest difference": 1e-7},
        }
    ],
}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


def written(folder: Path, **changes: object) -> Path:
    (folder / "reading.json").write_text(json.dumps({**RESULT, **changes}), encoding="utf-8")
    return folder


def test_a_row_tells_medians_ratio_target_and_evidence(bench, tmp_path: Path) -> None:
    table: ModuleType = bench("table")
    text = table.markdown(table.read_results(written(tmp_path)))
    assert "Machine: A, 2 cores, 4 GiB, S, Python 3.11, load 0.5 to 0.5." in text
    assert (
        "| reading | stock: 2.00 s | ours: 50 ms | **40 ×** | ≥ 30 ×, met "
        "| bits \\| equal: yes; largest difference: 1e-07 |"
    ) in text


def test_a_missed_target_is_told(bench, tmp_path: Path) -> None:
    table: ModuleType = bench("table")
    missed = {**RESULT["comparisons"][0], "is_met": False, "equality": {"bits": False}}  # type: ignore[index,dict-item]
    text = table.markdown(table.read_results(written(tmp_path, comparisons=[missed])))
    assert "**missed** | bits: **no** |" in text


def test_the_table_replaces_what_stands_between_the_markers(bench) -> None:
    table: ModuleType = bench("table")
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    once = table.put_into(page, "new")
    assert once == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"
    assert table.put_into(once, "new") == once
    with pytest.raises(ValueError, match="expected one"):
        table.put_into("no markers", "new")


def test_foreign_and_missing_files_are_refused(bench, tmp_path: Path) -> None:
    table: ModuleType = bench("table")
    with pytest.raises(SystemExit, match=r"found none\. Run make bench"):
        table.read_results(tmp_path)
    with pytest.raises(SystemExit, match="expected schema"):
        table.read_results(written(tmp_path, schema="other"))


def test_a_benchmark_that_fails_is_named_and_the_others_run(
    bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner: ModuleType = bench("run_all")
    monkeypatch.setattr(runner, "HERE", tmp_path)
    (tmp_path / "bench_a.py").write_text("raise SystemExit(3)")
    writes = "import sys, pathlib  # bench_arguments\npathlib.Path(sys.argv[-1]).write_text('{}')"
    (tmp_path / "bench_b.py").write_text(writes)
    (tmp_path / "bench_c.py").write_text("pass  # bench_arguments, but it writes nothing")
    out = tmp_path / "out"
    failed = runner.run_all(runner.names(), out, {})
    assert failed == {"a": "exit code 3", "c": f"wrote no {out / 'c.json'}"}
    assert (out / "b.json").read_text() == "{}"


def test_an_old_result_does_not_stand_for_a_failed_run(bench, tmp_path: Path) -> None:
    runner: ModuleType = bench("run_all")
    script, old = tmp_path / "bench_a.py", tmp_path / "a.json"
    script.write_text("raise SystemExit(1)")
    old.write_text("{}")
    assert runner.run_bench(script, old) == "exit code 1"
    assert not old.exists()


def test_every_benchmark_compiles_and_says_what_it_does(bench) -> None:
    runner: ModuleType = bench("run_all")
    assert len(runner.names()) > 5
    assert set(runner.names()) >= runner.NEEDS_DATA
    for name in runner.names():
        text = (BENCH / f"bench_{name}.py").read_text(encoding="utf-8")
        compile(text, name, "exec")
        assert text.startswith('"""')
