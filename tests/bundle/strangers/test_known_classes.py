"""The list of known classes, read again by machine: none of them opens a door that a text could name."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from mammo_monai.bundle.inspection.known_names import listed_classes, target_verdict

DOORS = re.compile(
    r"\bopen\(|\blocate\(|import_module|subprocess|\bhub\b|download|makedirs|mkdir|\beval\([^)]"
    r"|\bexec\(|instantiate\(|ConfigParser|globals\(|__import__|FileHandler|\bPath\(|SummaryWriter|read_csv"
    r"|\b(np|numpy|torch|lmdb|pickle|nib)\.(load|save)\b|load_from_url|socket|requests|shutil|mlflow",
)


@cache
def sources_of(module: str) -> dict[str, str]:
    """The source of each class of a module, without texts and comments; read once: `inspect` takes long."""
    text = Path(str(import_module(module).__file__)).read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    classes = [each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.ClassDef)]
    whole = {each.name: "".join(lines[each.lineno - 1 : each.end_lineno]) for each in classes}
    return {
        name: re.sub(r'("""|\'\'\').*?\1|#[^\n]*', "", each, flags=re.DOTALL) for name, each in whole.items()
    }


@cache
def doors_of(kind: type) -> frozenset[str]:
    """Calls in the source of a class that open files, links or modules."""
    source = sources_of(kind.__module__).get(kind.__name__, "")
    return frozenset(found[0] for found in DOORS.finditer(source))


@pytest.mark.parametrize("package", sorted(listed_classes()))
def test_no_class_on_the_list_opens_files_links_or_modules_by_name(package: str) -> None:
    module = import_module(package)
    found = {}
    for name in sorted(listed_classes()[package]):
        for kind in getattr(module, name).__mro__:
            if kind.__module__.startswith(("monai.", "ignite.")) and doors_of(kind):
                found[name] = (kind.__name__, sorted(doors_of(kind)))
    assert found == {}


def test_the_reading_sees_what_is_not_on_the_list() -> None:
    handlers, transforms = import_module("monai.handlers"), import_module("monai.transforms")
    assert "locate(" in doors_of(transforms.LoadImage)
    assert "FileHandler" in doors_of(handlers.LogfileHandler)
    assert "torch.load" in doors_of(handlers.CheckpointLoader)


@pytest.mark.parametrize(
    "name",
    ["LoadImage", "LogfileHandler", "CheckpointSaver", "PersistentDataset", "SEResNet50", "PatchInferer"],
)
def test_a_bare_name_is_no_way_around_the_list(name: str) -> None:
    assert target_verdict(name).category == "unknown"
    assert target_verdict("Resized").category == "known"
