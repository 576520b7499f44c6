"""The benchmarks' harness: who is timed when, what the ratio is, when a target is met, what is written."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench"


def loaded(name: str) -> ModuleType:
    """A script of the benchmarks' folder; it stays importable for the next one."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


harness = loaded("harness")


def comparison(**changes: object):  # type: ignore[no-untyped-def]  # the class is loaded from a script
    fields = {
        "work": "reading",
        "peer": "stock",
        "ours": "ours",
        "seconds": {"stock": [4.0, 8.0, 90.0], "ours": [2.0, 4.0, 3.0]},
        "target": 2.0,
        "equality": {"equal values": True, "matched": 0.99},
        **changes,
    }
    return harness.Comparison(**fields)


def test_sides_alternate_and_warm_up_is_not_kept() -> None:
    calls: list[str] = []
    sides = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    seconds = harness.alternate(sides, 2, warm_up=1)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_the_ratio_is_the_median_over_rounds() -> None:
    assert comparison().ratio == 2.0


def test_a_target_is_met_only_by_equal_work() -> None:
    assert comparison().is_met is True
    assert comparison(target=2.1).is_met is False
    assert comparison(equality={"equal values": False}).is_met is False
    assert comparison(target=None).is_met is None


def test_a_side_that_was_not_timed_is_refused() -> None:
    with pytest.raises(ValueError, match="no seconds of side 'theirs'"):
        comparison(peer="theirs")


def test_report_prints_the_verdict_and_writes_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "reading.json"
    harness.report([comparison(), comparison(equality={"equal values": False})], json=path)
    printed = capsys.readouterr().out
    assert "ratio peer / ours: 2 (target >= 2): target met" in printed
    assert "TARGET MISSED" in printed
    assert "equal values: NO" in printed
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["schema"] == "mammo-monai/bench/1"
    assert content["machine"]["cores"] >= 1
    assert [each["is_met"] for each in content["comparisons"]] == [True, False]
    assert content["comparisons"][0]["medians_s"] == {"stock": 8.0, "ours": 3.0}
    assert list(path.parent.iterdir()) == [path]
