from __future__ import annotations

import ast
import re
from pathlib import Path

from mammo_monai.readers.checking import FATAL_CODES
from mammo_monai.readers.codes import MEANINGS

PACKAGE = Path(__file__).parents[2] / "mammo_monai"
# Words of this form that are no codes.
OTHER_WORDS = {
    "cbis-ddsm",
    "dicom-seg",
    "latin-1",
    "leave-out",
    "mammo-monai",
    "monai-label",
    "utf-8",
    "utf-8-sig",
    "bi-rads",  # a column
    "utf-16",
}


def written_codes() -> set[str]:
    found = {
        code
        for path in [*(PACKAGE / "readers").rglob("*.py"), *(PACKAGE / "data").glob("prepar*.py")]
        if path.name != "codes.py"
        for code in codes_in_file(path)
    }
    return found - OTHER_WORDS


def codes_in_file(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    words = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {word for word in words if re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", word)}


def test_every_code_a_reader_writes_is_explained() -> None:
    assert written_codes() - set(MEANINGS) == set()


def test_no_code_is_explained_that_nobody_writes() -> None:
    assert set(MEANINGS) - written_codes() == set()


def test_meanings_are_sentences() -> None:
    assert all(re.fullmatch(r"[A-Z0-9].{10,110}\.", text) for text in MEANINGS.values())


def test_the_reference_page_has_every_code_and_its_meaning() -> None:
    page = (PACKAGE.parent / "docs" / "reference" / "audit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)`( †)? \| (.*) \|$", page, flags=re.MULTILINE)
    shown = {code: text for code, _, text in rows if code in MEANINGS}
    assert shown == dict(MEANINGS)
    assert {code for code, dagger, _ in rows if dagger} == FATAL_CODES
