"""Follows a recipe of docs/contributing to the letter: writes its files, makes its edits, runs its commands.

Three kinds of blocks are steps; nothing else on the page is:

- a block below a line that begins with "Write `PATH`" is the whole content of a new file;
- a ```diff block below a line that begins with "Edit `PATH`" changes a file: each part between lines `@@`
  must fit the file in one place;
- a ```bash block is run by bash in the repository's root.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
# What a contributor's checkout has and a recipe touches or runs.
COPIED = ("mammo_monai", "bundles", "tests", "docs/reference", "pyproject.toml", ".gitignore")
LEFT_OUT = ("*.safetensors", "*.pt")
TESTS_LEFT_OUT = ("clinic", "cluster", "fuzz", "crash")  # they need servers, a cluster, minutes

_BLOCK = re.compile(
    r"(?:^(?P<verb>Write|Edit) `(?P<path>[^`\n]+)`.*(?:\n(?!```).+)*\n\n)?"
    r"^(?P<fence>`{3,})(?P<language>\w*)\n(?P<text>(?s:.*?))^(?P=fence)$",
    re.MULTILINE,
)
_REASON = re.compile(r"<!--\s*not run:[^>]*-->\s*\Z")


class RecipeError(AssertionError):
    """A step that cannot be followed as it is written."""


@dataclass(frozen=True)
class Step:
    """One thing to do: write a file, edit one, or run commands; `text` is the block's."""

    kind: Literal["write", "edit", "run"]
    text: str
    path: str = ""


def steps_of(page: str) -> list[Step]:
    """The steps of a page, in order; commands behind a comment `not run: REASON` are none.

    >>> steps_of("Write `a.py`:\\n\\n```python\\nx = 1\\n```\\n")
    [Step(kind='write', text='x = 1\\n', path='a.py')]
    """
    return list(_steps(page))


def _steps(page: str) -> Iterator[Step]:
    for found in _BLOCK.finditer(page):
        verb, language = found["verb"], found["language"]
        if verb == "Write":
            yield Step("write", found["text"], found["path"])
        elif language == "diff":
            if verb != "Edit":
                raise RecipeError(f"a diff needs a line 'Edit `PATH`' above it: {found['text']:.80}")
            yield Step("edit", found["text"], found["path"])
        elif language == "bash" and not _REASON.search(page[: found.start()]):
            yield Step("run", found["text"])


def edited(text: str, diff: str) -> str:
    """A file's text after an edit.

    Raises:
        RecipeError: a part fits nowhere, or in several places.

    >>> edited("a\\nb\\n", " a\\n+c\\n")
    'a\\nc\\nb\\n'
    """
    for part in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = [line or " " for line in part.splitlines()]
        if not lines:
            continue
        if bad := [line for line in lines if line[0] not in " +-"]:
            raise RecipeError(f"a line of a diff begins with a space, + or -: {bad[0]!r}")
        old = "".join(f"{line[1:]}\n" for line in lines if line[0] != "+")
        new = "".join(f"{line[1:]}\n" for line in lines if line[0] != "-")
        places = len(re.findall(rf"^{re.escape(old)}", text, flags=re.MULTILINE))
        if places != 1:
            raise RecipeError(f"expected one place for this part of an edit, found {places}:\n{old}")
        text = re.sub(rf"^{re.escape(old)}", lambda _, new=new: new, text, flags=re.MULTILINE)  # type: ignore[misc]
    return text


def copied_tree(folder: Path) -> Path:
    """A checkout to work in: what `COPIED` names, without weights and without tests that need servers."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            left_out = (*LEFT_OUT, *TESTS_LEFT_OUT) if name == "tests" else LEFT_OUT
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


def follow(page: Path, tree: Path, clients: Path | None = None) -> str:
    """Does every step of a page in a tree; returns what its commands printed.

    Args:
        clients: the folder of a warm `python`, see `tests.docs.warm`; None starts each command cold.

    Raises:
        RecipeError: a file to write that is there, one to edit that is not, an edit that does not fit, or
            a command that fails.
    """
    printed = []
    first_on_path = Path(sys.executable).parent if clients is None else _warm_commands(tree, clients)
    for step in steps_of(page.read_text(encoding="utf-8")):
        target = tree / step.path
        if step.kind == "write":
            if target.exists():
                raise RecipeError(f"{step.path} is to be written, and is there already")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(step.text, encoding="utf-8")
        elif step.kind == "edit":
            target.write_text(edited(target.read_text(encoding="utf-8"), step.text), encoding="utf-8")
        else:
            printed.append(_run(step.text, tree, first_on_path))
    return "\n".join(printed)


# What a warm process has imported of this package is the checkout's: the tree's stands in for it.
_START = """
import os, sys
for name in [each for each in sys.modules if each.partition(".")[0] in ("mammo_monai", "tests")]:
    del sys.modules[name]
sys.path.insert(0, os.getcwd())
words = sys.argv = sys.argv[1:]
if words[0] == "pytest":
    import pytest
    sys.exit(pytest.main(["-p", "no:cacheprovider", *words[1:]]))
from mammo_monai.cli.main import main
sys.exit(main())
"""
_PYTHON = """#!/bin/sh
if [ "$1" = -m ] && [ "$2" = pytest ]; then shift 2; exec {warm} -c {start} pytest "$@"; fi
exec {python} "$@"
"""


def _warm_commands(tree: Path, clients: Path) -> Path:
    """A folder with `mammo-monai` and `python` that do without the imports of torch and MONAI."""
    folder = tree / "build" / "bin"
    folder.mkdir(parents=True)
    words = {name: shlex.quote(text) for name, text in (("warm", f"{clients}/python"), ("start", _START))}
    command = '#!/bin/sh\nexec {warm} -c {start} mammo-monai "$@"\n'.format(**words)
    python = _PYTHON.format(python=shlex.quote(sys.executable), **words)
    for name, text in (("mammo-monai", command), ("python", python)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def _run(commands: str, tree: Path, first_on_path: Path) -> str:
    """What commands print, run in the tree with the tree's own package before the installed one."""
    environment = {
        **os.environ,
        "PATH": f"{first_on_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(tree),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "MAMMO_MONAI_HOME": str(tree / "build" / "settings"),
        "MAMMO_MONAI_CACHE": str(tree / "build" / "cache"),
    }
    for name in [name for name in environment if name.startswith(("COV_", "PYTEST_"))]:
        del environment[name]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        raise RecipeError(f"exit code {done.returncode} of:\n{commands}\n{tail}")
    return f"{done.stdout}\n{done.stderr}"
