"""The blocks of a page as one shell script: what a reader types, in order, with the time each block began."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.docs.snippets import Block, Page

_HEAD = """\
set -euo pipefail
step() { printf '%s %s\\n' "$1" "$EPOCHREALTIME" >>"$SNIPPET_TIMES"; printf '\\n== line %s ==\\n' "$1"; }
"""
_FAILS = """\
set +e; ( set -euo pipefail; . {file} ); code=$?; set -e
if [ "$code" != {code} ]; then echo "line {line}: meant to end with {code}, ended with $code"; exit 97; fi
"""


@dataclass(frozen=True)
class Steps:
    """A script written to a folder, and the file that its times go to."""

    script: Path
    times: Path

    def seconds(self, ended_s: float) -> dict[int, float]:
        """Seconds of each block that began, by the line of its fence; the last one's end is given."""
        lines = self.times.read_text().splitlines() if self.times.exists() else []
        began = [(int(line.split()[0]), float(line.split()[1])) for line in lines]
        if not began:
            return {}
        ends = [at for _, at in began[1:]] + [ended_s]
        return {line: end - at for (line, at), end in zip(began, ends, strict=True)}


def write_steps(page: Page, folder: Path, *, quick: bool = True) -> Steps:
    """Writes the page's script and its blocks into `folder`; `bash SCRIPT` in the page's world runs the page.

    Shell blocks share one shell, as a reader's do. Python blocks that follow one another share one process.
    The environment variable SNIPPET_TIMES names the file of times (`Steps.times`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = [_HEAD]
    blocks = [each for each in page.blocks if each.is_run or each.file]
    for at, block in enumerate(blocks):
        text = block.quick_text() if quick else block.text
        if block.language == "python" and not block.file and at and _continues(blocks[at - 1], block):
            _append(folder / f"{_first(blocks, at).line}.py", text)
            continue
        parts.append(_part(block, text, folder))
    script = folder / "page.sh"
    script.write_text("\n".join(parts), encoding="utf-8")
    return Steps(script, folder / "times.txt")


def _continues(before: Block, block: Block) -> bool:
    return before.language == "python" and not before.file and not before.fails and not block.fails


def _first(blocks: list[Block], at: int) -> Block:
    while at and _continues(blocks[at - 1], blocks[at]):
        at -= 1
    return blocks[at]


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{text}")


def _part(block: Block, text: str, folder: Path) -> str:
    kind = "py" if block.language == "python" else "sh"
    path = folder / (f"{block.line}.content" if block.file else f"{block.line}.{kind}")
    path.write_text(text, encoding="utf-8")
    named = shlex.quote(str(path.resolve()))
    if block.file:
        target = shlex.quote(block.file)
        return f'step {block.line}\nmkdir -p "$(dirname {target})"; cp {named} {target}'
    if block.language == "python":
        command = f'PYTHONPATH="$PWD${{PYTHONPATH:+:$PYTHONPATH}}" python {named}'
        path = folder / f"{block.line}.sh"
        path.write_text(f"{command}\n", encoding="utf-8")
        named = shlex.quote(str(path.resolve()))
    if block.fails:
        return f"step {block.line}\n{_FAILS.format(file=named, code=block.fails, line=block.line)}"
    return f"step {block.line}\n. {named}"
