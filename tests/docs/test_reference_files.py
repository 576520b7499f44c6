"""docs/reference/files.md names every format that is written, and no other; its tables have all fields."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

from mammo_monai.schema import AUDIT_COLUMNS
from mammo_monai.schema.folds import Fold, FoldScheme, FoldSource, FoldStage
from mammo_monai.schema.json_schemas import SCHEMA_NAMES, json_schema
from mammo_monai.service.review.marks import ImageReview, Mark

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
FORMAT = re.compile(r"mammo-monai/[a-z-]+/\d+")


def written_formats() -> set[str]:
    """Names of formats that the package compares or writes."""
    found = set()
    for path in (ROOT / "mammo_monai").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and FORMAT.fullmatch(node.value)
            ):
                found.add(node.value)
    return found


def rows(heading: str) -> dict[str, str]:
    """Second and later cells by the first, of the table below a heading."""
    part = PAGE.partition(f"### {heading}\n")[2].partition("\n#")[0]
    found = re.findall(r"^\| `(\w+)`[^|]* \| (.*) \|$", part, flags=re.MULTILINE)
    several = re.findall(r"^\| `(\w+)`, `(\w+)` \| (.*) \|$", part, flags=re.MULTILINE)
    return {**dict(found), **{name: text for *names, text in several for name in names}}


def test_every_format_is_named_and_no_other() -> None:
    assert set(FORMAT.findall(PAGE)) == written_formats()


def test_audit_has_its_columns_in_order() -> None:
    assert tuple(rows("audit.csv")) == tuple(AUDIT_COLUMNS)


def test_folds_have_the_fields_of_the_schema_and_of_the_code() -> None:
    shown = rows("folds.json")
    assert list(shown) == list(json_schema("folds")["properties"])
    for text, kinds in (("scheme", [FoldScheme]), ("sources", [FoldSource]), ("folds", [Fold, FoldStage])):
        named = {field.name for kind in kinds for field in fields(kind)}
        assert {name for name in named if not re.search(rf"\b{name}\b", shown[text])} == set(), text


def test_a_review_has_the_fields_of_the_code() -> None:
    shown = rows("A review's file")
    assert shown.keys() == {field.name for field in fields(ImageReview)}
    assert set(re.findall(r"`(\w+)`", shown["marks"])) == {field.name for field in fields(Mark)}


def test_the_schemas_that_ship_are_named() -> None:
    listed = PAGE.partition("`mammo_monai/schema/json/`:")[2].partition(".")[0]
    assert tuple(re.findall(r"`([a-z-]+)`", listed)) == SCHEMA_NAMES
