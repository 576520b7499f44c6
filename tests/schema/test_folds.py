from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.records import Split
from mammo_monai.schema.folds import (
    FOLD_SCHEMES,
    Fold,
    Folds,
    FoldScheme,
    FoldSource,
    FoldStage,
    read_folds,
    write_folds,
)

PRETRAINING = FoldStage("pretraining-b", training=("b1", "b2"))
TRAINING = FoldStage("training", training=("a1", "a2"), validation=("a3",), test=("a4",))
FOLDS = Folds(
    scheme=FoldScheme("s6", n_folds=5, validation_fraction=0.25),
    seed=7,
    sources=(FoldSource("a.json", 4, "a" * 64), FoldSource("b set.json", 2, "b" * 64)),
    folds=(Fold("1", (PRETRAINING, TRAINING)), Fold("2", (PRETRAINING, replace(TRAINING, test=())))),
)


@st.composite
def folds(draw: st.DrawFn) -> Folds:
    """Folds of up to 9 images in stages that share nothing, some of their lists empty."""

    def stage(name: str) -> FoldStage:
        ids = draw(st.lists(st.sampled_from([f"{name}{n}" for n in range(9)]), unique=True, max_size=9))
        low, high = sorted(draw(st.tuples(st.integers(0, 9), st.integers(0, 9))))
        return FoldStage(name, tuple(ids[:low]), tuple(ids[low:high]), tuple(ids[high:]))

    names = draw(st.lists(st.sampled_from(["b", "ä", "t t"]), min_size=1, unique=True))
    return Folds(
        scheme=FoldScheme(
            draw(st.sampled_from(FOLD_SCHEMES)),
            draw(st.integers(2, 9)),
            draw(st.sampled_from([0, 0.1, 1 / 3])),
        ),
        seed=draw(st.integers(-5, 5)),
        sources=tuple(FoldSource(f"{n}.json", n, f"{n:064x}") for n in range(draw(st.integers(1, 3)))),
        folds=tuple(Fold(str(n), tuple(map(stage, names))) for n in range(draw(st.integers(1, 3)))),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=folds())
def test_what_is_written_is_read(written: Folds, tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", written)
    read = read_folds(tmp_path / "folds.json")
    assert read == written
    assert read.sha256 == written.sha256 == json.loads((tmp_path / "folds.json").read_text())["sha256"]


def test_the_hash_is_sha256_of_the_content_without_spaces_and_with_sorted_keys(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", FOLDS)
    content = json.loads((tmp_path / "folds.json").read_text())
    sealed = content.pop("sha256")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert sealed == hashlib.sha256(text.encode()).hexdigest()


def test_the_content_is_as_documented(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", FOLDS)
    content = json.loads((tmp_path / "folds.json").read_text())
    assert {name: content[name] for name in ("schema", "scheme", "seed")} == {
        "schema": "mammo-monai/folds/1",
        "scheme": {"name": "s6", "n_folds": 5, "validation_fraction": 0.25},
        "seed": 7,
    }
    assert content["sources"][0] == {"manifest": "a.json", "n_images": 4, "sha256": "a" * 64}
    assert content["folds"][0] == {
        "name": "1",
        "stages": [
            {"name": "pretraining-b", "training": ["b1", "b2"], "validation": [], "test": []},
            {"name": "training", "training": ["a1", "a2"], "validation": ["a3"], "test": ["a4"]},
        ],
    }


def test_a_fraction_of_nothing_is_the_same_as_integer_and_as_float() -> None:
    one, other = (replace(FOLDS, scheme=FoldScheme("s6", 5, value)) for value in (0, 0.0))
    assert one.sha256 == other.sha256


def test_record_ids_of_a_stage_come_by_list_or_all() -> None:
    assert TRAINING.record_ids(Split.VALIDATION) == ("a3",)
    assert TRAINING.record_ids() == ("a1", "a2", "a3", "a4")


def test_the_command_makes_the_folds_again() -> None:
    assert FOLDS.command == (
        "mammo-monai folds make a.json 'b set.json' --scheme s6 --folds 5 --validation-fraction 0.25 "
        "--seed 7 -o folds.json"
    )
    assert "--folds" not in replace(FOLDS, scheme=FoldScheme("half")).command


class TestSeal:
    @pytest.mark.parametrize(
        "change",
        [
            lambda content: content.update(seed=8),
            lambda content: content["folds"][0]["stages"][1]["test"].append("a5"),
            lambda content: content["folds"][0]["stages"][1]["training"].reverse(),
            lambda content: content["folds"].pop(),
            lambda content: content["scheme"].update(validation_fraction=0.2),
            lambda content: content.update(note="by hand"),
            lambda content: content.update(sha256="0" * 64),
        ],
    )
    def test_a_changed_file_is_refused_with_the_command_that_makes_it_again(
        self, change: Callable[[dict[str, Any]], None], tmp_path: Path
    ) -> None:
        path = tmp_path / "folds.json"
        write_folds(path, FOLDS)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        message = (
            r"folds\.json: the folds were changed after they were made: .* make it again: mammo-monai folds"
        )
        with pytest.raises(ManifestError, match=message):
            read_folds(path)

    def test_spaces_and_the_order_of_keys_may_change(self, tmp_path: Path) -> None:
        path = tmp_path / "folds.json"
        write_folds(path, FOLDS)
        content = json.loads(path.read_text())
        path.write_text(json.dumps(dict(reversed(content.items())), indent=7))
        assert read_folds(path) == FOLDS


def _sealed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Writes FOLDS changed, under a hash that fits."""
    write_folds(path, FOLDS)
    content = json.loads(path.read_text())
    content.pop("sha256")
    change(content)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    path.write_text(json.dumps({**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema="mammo-monai/manifest/1"), "expected schema 'mammo-monai/folds/1', found"),
        (lambda c: c.pop("scheme"), "folds.json: scheme must be a mapping, got None"),
        (lambda c: c["scheme"].update(name="s8"), "folds.json, scheme: scheme must be kfold, .*, got 's8'"),
        (
            lambda c: c["scheme"].update(n_folds="5"),
            "folds.json, scheme: n_folds must be a whole number, got '5'",
        ),
        (
            lambda c: c["scheme"].update(keeps_test="yes"),
            "folds.json, scheme: keeps_test must be a boolean, got 'yes'",
        ),
        (lambda c: c.update(seed=None), "folds.json: seed must be a whole number, got None"),
        (lambda c: c["sources"][1].update(sha256="b"), "folds.json, sources row 1: sha256 must be a sha256"),
        (lambda c: c.update(folds={}), r"folds.json: folds must be a list of objects, got \{\}"),
        (lambda c: c.update(folds=["1"]), "folds.json: folds must be a list of objects, got"),
        (lambda c: c["folds"][1].pop("name"), "folds.json, folds row 1: name must be a text, got None"),
        (
            lambda c: c["folds"][0]["stages"][1].update(test="a4"),
            "folds.json, folds row 0, stages row 1: test must be a list of record ids, got 'a4'",
        ),
        (
            lambda c: c["folds"][0]["stages"][1].update(test=[4]),
            r"folds.json, folds row 0, stages row 1: test must be a list of record ids, got \[4\]",
        ),
        (lambda c: c.update(folds=[]), "folds.json, folds: expected one fold or more, got none"),
        (lambda c: c["folds"][1].update(name="1"), "folds.json, folds: 1 stands twice; it may stand once"),
        (
            lambda c: c["folds"][1].update(stages=[]),
            "folds.json, fold 2: expected one stage or more, got none",
        ),
        (
            lambda c: c["folds"][0]["stages"][0].update(name="training"),
            "folds.json, fold 1: training stands twice",
        ),
        (
            lambda c: c["folds"][0]["stages"][1].update(test=["a1"]),
            "folds.json, fold 1, stage training: a1 stands twice",
        ),
        (
            lambda c: c["folds"][0]["stages"][0].update(validation=["a4"]),
            "fold 1: record a4 is trained or validated on in stage pretraining-b, but tested in stage tr",
        ),
    ],
)
def test_a_file_with_a_fault_is_refused_even_under_a_hash_that_fits(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    _sealed(tmp_path / "folds.json", change)
    with pytest.raises(ManifestError, match=message):
        read_folds(tmp_path / "folds.json")


def test_a_file_without_a_hash_is_refused(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", FOLDS)
    content = json.loads((tmp_path / "folds.json").read_text())
    content.pop("sha256")
    (tmp_path / "folds.json").write_text(json.dumps(content))
    with pytest.raises(ManifestError, match=r"folds\.json: sha256 must be a sha256, got None"):
        read_folds(tmp_path / "folds.json")


def test_folds_with_a_fault_are_not_written(tmp_path: Path) -> None:
    stage = replace(TRAINING, test=("a1",))
    with pytest.raises(ManifestError, match=r"^fold 1, stage training: a1 stands twice"):
        write_folds(tmp_path / "folds.json", replace(FOLDS, folds=(Fold("1", (stage,)),)))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "s0"}, "scheme must be kfold, half, s1, s2, s3, s4, s5, s6, s7, got 's0'"),
        ({"n_folds": 1}, "folds must be a whole number of 2 or more, got 1"),
        ({"validation_fraction": 1}, "validation_fraction must be at least 0 and below 1, got 1"),
        (
            {"validation_fraction": float("nan")},
            "validation_fraction must be at least 0 and below 1, got nan",
        ),
    ],
)
def test_a_scheme_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(message)):
        FoldScheme(**options)
