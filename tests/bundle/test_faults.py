"""Faults of a configuration come out as one line that names the id, the cause and what was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.bundle import parse_overrides, path_value, run_bundle
from mammo_monai.bundle.faults import check_ids
from mammo_monai.errors import BundleError, ManifestError

CONFIG: dict[str, Any] = {
    "bundle_root": ".",
    "size_px": 600,
    "parts": {"size": {"_target_": f"{__name__}.checked_size", "size_px": "@size_px"}, "rate": 1},
    "other": {"_target_": f"{__name__}.checked_size", "size_px": 1, "unit": "px"},
    "steps": [{"_target_": f"{__name__}.raises", "_disabled_": True, "kind": "lookup"}],
    "link": "@parts#size",
    "run": ["$@parts#size + 1"],
}


def checked_size(size_px: int, unit: str = "px") -> int:
    """Stands for a component that checks what it is given."""
    if size_px < 1:
        raise ValueError(f"size must be at least 1 {unit},\n  got {size_px}.")
    return size_px


def raises(kind: str) -> None:
    """Stands for components that fail in their own ways."""
    faults = {
        "ours": ManifestError("m.json: row 3 is bad."),
        "system": OSError(28, "could not write m.json"),
        "lookup": KeyError("no such key"),
        "bare": AssertionError(),
    }
    raise faults[kind]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "stage" / "configs").mkdir(parents=True)
    (tmp_path / "stage" / "configs" / "train.json").write_text(json.dumps(CONFIG))
    return tmp_path / "stage"


def _fault(bundle: Path, **overrides: object) -> str:
    with pytest.raises(BundleError) as caught:
        run_bundle(bundle, "train", "run", overrides, is_trusted=True)
    return str(caught.value)


def test_a_refused_value_is_one_line_with_the_id_and_the_reason(bundle: Path) -> None:
    assert _fault(bundle, size_px=-5) == (
        "stage, train.json, id parts#size: size must be at least 1 px, got -5."
    )


def test_an_error_that_tells_no_value_comes_with_its_type_and_what_was_given(bundle: Path) -> None:
    message = _fault(bundle, size_px="abc")
    assert message.startswith("stage, train.json, id parts#size: TypeError: '<' not supported")
    assert message.endswith("(given: size_px='abc').")


def test_an_unknown_keyword_names_its_component(bundle: Path) -> None:
    message = _fault(bundle, **{"parts#size#colour": 3})
    assert "id parts#size: TypeError: checked_size() got an unexpected keyword argument 'colour'" in message
    assert message.endswith("(given: parts#size#colour=3).")


def test_a_failing_expression_is_named(bundle: Path) -> None:
    assert _fault(bundle, size_px="$1 / 0") == (
        "stage, train.json, id size_px: ZeroDivisionError: division by zero."
    )
    assert _fault(bundle, run=["$@parts#size / 0"]).startswith("stage, train.json, id run#0: ZeroDivision")


@pytest.mark.parametrize(("kind", "error"), [("ours", ManifestError), ("system", OSError)])
def test_own_and_system_errors_come_out_as_they_are(bundle: Path, kind: str, error: type[Exception]) -> None:
    overrides = {"run": "@steps#0", "steps#0#_disabled_": False, "steps#0#kind": kind}
    with pytest.raises(error, match=r"m\.json"):
        run_bundle(bundle, "train", "run", overrides, is_trusted=True)


@pytest.mark.parametrize(
    ("kind", "reason"), [("lookup", "KeyError: no such key"), ("bare", "AssertionError")]
)
def test_other_errors_are_named_by_their_type(bundle: Path, kind: str, reason: str) -> None:
    values = {"run": "@steps#0", "steps#0#_disabled_": False, "steps#0#kind": kind}
    message = _fault(bundle, **values)
    assert f"id steps#0: {reason}" in message
    assert "\n" not in message


def test_a_missing_function_or_reference_is_one_line(bundle: Path) -> None:
    message = _fault(bundle, **{"other#_target_": "mammo_monai.nothing", "run": "@other"})
    assert "Cannot locate class or function path: 'mammo_monai.nothing'" in message
    assert "`@nothing` is not defined" in _fault(bundle, size_px="@nothing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sise_px", r"--sise_px: no such id in train\.json\. Did you mean --size_px"),
        ("parts#sise", r"--parts#sise: no such id .* Did you mean --parts#size"),
        ("zzz#x", r"--zzz#x: no such id in train\.json\. There are: bundle_root, size_px, parts"),
        ("parts#qqqqqqqqqq", r"There are: size, rate\."),
        ("parts#size#size_px#x", "parts#size#size_px of .* is the value '@size_px', without parts"),
        ("link#size_px", "link of .* is the value '@parts#size', without parts. Override link itself"),
        ("steps#4#kind", "steps of .* is a list of 1; its ids are steps#0"),
        ("steps#first", "steps of .* is a list of 1"),
    ],
)
def test_an_id_that_is_not_there_is_refused_with_near_ones(name: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        check_ids({name: 1}, CONFIG, "train.json")


def test_ids_that_are_there_and_new_keywords_of_components_pass() -> None:
    names = ("size_px", "parts#rate", "parts::size::size_px", "parts#size#colour", "steps#0#kind", "run#0")
    check_ids(dict.fromkeys(names, 1), CONFIG, "train.json")


def test_a_configuration_that_is_not_json_is_named(bundle: Path) -> None:
    (bundle / "configs" / "train.json").write_text("{")
    with pytest.raises(BundleError, match=r"train\.json: expected JSON"):
        run_bundle(bundle, "train", "run", {})


def test_a_path_is_made_absolute_so_that_no_sign_in_it_is_an_expression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_value("$home/@a") == str(tmp_path / "$home" / "@a")
    with pytest.raises(BundleError, match="cannot hold a path with '#'"):
        path_value(tmp_path / "a#b")


def test_json_words_are_values() -> None:
    assert parse_overrides(["--a", "null", "--b", "false", "--c=none"]) == {
        "a": None,
        "b": False,
        "c": "none",
    }
