"""The output that explanation pages show below a Python block is what the block prints."""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

import pytest

from mammo_monai.cli.main import main
from tests.docs.snippets import Block, commands_of, read_page

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"
PAGES = ("coordinates", "data-flow", "froc-rule", "why-freezing")


def _words(command: str) -> list[str]:
    """The command's words after `mammo-monai`, patterns of file names spread as a shell would."""
    words = shlex.split(command)[1:]
    return [
        name for word in words for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]


def _printed(block: Block) -> str:
    """What a block prints when it is run here."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        if block.language == "python":
            exec(compile(block.text, f"line {block.line}", "exec"), {"__name__": "__main__"})
        else:
            assert [main(_words(command)) for command in commands_of(block.text)].count(0) > 0
    return stream.getvalue()


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_shows_is_what_its_block_prints(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = read_page(EXPLANATION / f"{name}.md").blocks
    shown = 0
    for block, after in zip(blocks, (*blocks[1:], None), strict=True):
        printed = _printed(block) if block.is_run else ""
        if block.language == "python" and after is not None and after.language == "text":
            assert printed == after.text
            shown += 1
    assert shown
