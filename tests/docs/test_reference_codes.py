"""docs/reference/error-codes.md has every code of the software, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.metrics import MetricWrapperBase

from mammo_monai.bundle.inspection.code import ORDER, SAFE, Kind
from mammo_monai.cli.main import VERBS
from mammo_monai.dicom.network.refusals import Refusal
from mammo_monai.dicom.refusal_codes import ACCEPTABLE, REASONS
from mammo_monai.service.node import metrics as node_metrics
from mammo_monai.service.node.states import DELIVERY_WORDS, INSTANCE_WORDS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mammo_monai"
PAGE = (ROOT / "docs" / "reference" / "error-codes.md").read_text(encoding="utf-8")

# Files of verbs that can end otherwise than with 0 or an error, and what the page calls them.
NOT_ONLY_0 = {
    "bundle.py": "`bundle check`",
    "bundle_export.py": "`bundle export`",
    "bundle_hand_over.py": "`bundle inspect`",
    "dicom_deidentify.py": "`dicom deidentify`",
    "dicom_network_runs.py": "`dicom pull`",
    "dicom_results.py": "`dicom sr`",
    "doctor.py": "`doctor`",
    "experiment.py": "`experiment run`",
    "experiment_sweep.py": "`experiment sweep`",
    "fuse.py": "`fuse`",
    "manifest.py": "`manifest`",
    "manifest_check.py": "`manifest check`",
    "predict_outcome.py": "`predict`",
    "prepare.py": "`prepare`",
    "review.py": "`review --export`",
    "serve.py": "`serve status`",
    "show.py": "`show`",
}


def section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def table(text: str, header: str) -> dict[str, list[str]]:
    """Cells by the first one, of the table whose header begins so; backticks of the first cell left out."""
    block = re.search(rf"^\| {re.escape(header)}.*\n\|[-| ]+\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    assert block is not None, header
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block[1].splitlines()]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_refusals_and_warnings_are_those_of_the_code() -> None:
    shown = table(section("DICOM"), "code | effect")
    assert shown == {code: [each.effect, each.expected] for code, each in REASONS.items()}
    assert {code for code, row in shown.items() if "accepted" in row[0]} == set(ACCEPTABLE)


@pytest.mark.parametrize(
    ("header", "words"), [("state of an image", INSTANCE_WORDS), ("state of a delivery", DELIVERY_WORDS)]
)
def test_states_are_those_of_the_code(header: str, words: dict) -> None:
    assert table(section("The node"), header) == {state.value: [text] for state, text in words.items()}


def test_refused_callers_are_those_of_the_code() -> None:
    shown = table(section("The node"), "reason of a refused caller")
    assert shown == {each.word: [each.words] for each in Refusal}


def test_metrics_are_those_of_the_code() -> None:
    shown = table(section("The node"), "metric | labels")
    tree = ast.parse(Path(node_metrics.__file__).read_text(encoding="utf-8"))
    named = {word for node in ast.walk(tree) for word in strings_of(node) if word.startswith("mammo_node_")}
    gauges = {f"mammo_node_{name}" for name in gauge_names()}
    written = {name for name in named if not name.endswith("_")} | gauges
    assert {name.removesuffix("_total") for name in shown} == written
    assert issubclass(node_metrics.Counter, MetricWrapperBase)  # which adds _total


def gauge_names() -> set[str]:
    """Names of the further gauges that a node registers."""
    text = (PACKAGE / "service" / "node" / "node.py").read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    (made,) = [call for call in calls if ast.unparse(call.func).endswith("Metrics")]
    given = [*made.args, *(each.value for each in made.keywords)]
    return {str(key.value) for each in given if isinstance(each, ast.Dict) for key in each.keys}  # type: ignore[union-attr]


def strings_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


@pytest.mark.parametrize(
    ("metric", "files", "label"),
    [
        ("mammo_node_stores_total", ("receiving.py",), "outcome"),
        ("mammo_node_images_total", ("marking.py",), "outcome"),
        ("mammo_node_sendings_total", ("sending.py",), "destination"),
    ],
)
def test_outcomes_that_are_told_stand_in_the_code(metric: str, files: tuple[str, ...], label: str) -> None:
    labels, text = table(section("The node"), "metric | labels")[metric]
    assert label in labels
    words = {word for name in files for word in every_string(PACKAGE / "service" / "node" / name)}
    outcomes = re.findall(r"`([a-z ]+)`", text)
    assert len(outcomes) > 3
    assert set(outcomes) <= words


def every_string(path: Path) -> set[str]:
    return {word for node in ast.walk(ast.parse(path.read_text("utf-8"))) for word in strings_of(node)}


def test_categories_and_kinds_of_an_inspection_are_those_of_the_code() -> None:
    text = section("What a bundle would run")
    categories = table(text, "category | runs unread")
    assert list(categories) == list(ORDER)
    assert {name for name, row in categories.items() if row[0] == "yes"} == SAFE
    kinds = {word for first in table(text, "kind | an entry") for word in re.findall(r"[a-z]+", first)}
    assert kinds == set(get_args(Kind))


def error_classes() -> dict[str, tuple[str, str]]:
    """Public error classes of the package with their base and the module they are in."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and re.fullmatch(r"[A-Z]\w*Error", node.name):
                module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
                found[node.name] = (ast.unparse(node.bases[0]), module)
    return found


def test_every_error_class_stands_there_with_its_base_and_module() -> None:
    shown = table(section("Errors"), "class | derives from")
    told = {name: (row[0].strip("`"), row[1].strip("`")) for name, row in shown.items()}
    assert told == error_classes()


def ends_otherwise(path: Path) -> bool:
    """Whether a function of a verb's file returns a number that need not be 0."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) == "int":
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and each.value is not None and is_other_code(each.value):
                    return True
    return False


def is_other_code(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return value.value in (1, 2)
    if isinstance(value, ast.IfExp):
        return is_other_code(value.body) or is_other_code(value.orelse)
    text = ast.unparse(value)
    computed = ("int(", "checking.exit_code(", "list(Level).index(")
    return text.startswith(computed) and "getattr(runs" not in text


def test_every_verb_that_can_end_with_1_or_2_says_when() -> None:
    rows = table(section("Exit codes"), "verb | 1 |")
    files = [path for path in (PACKAGE / "cli").glob("*.py") if path.name != "main.py"]
    assert {path.name for path in files if ends_otherwise(path)} == NOT_ONLY_0.keys()
    for words in NOT_ONLY_0.values():
        assert any(f"`{row}`".startswith(words.rstrip("`")) or words in f"`{row}`" for row in rows), words
    assert {row.split("`")[0].split()[0] for row in rows} <= set(VERBS)
