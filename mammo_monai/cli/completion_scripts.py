"""What completes the command in a shell: the script, and the place where the shell looks for it."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai.bundle_homes import SHIPPED
from mammo_monai.files import write_text_atomic

_COMMAND = "mammo-monai"
_BASH_COMPLETION = (
    "/usr/share/bash-completion/bash_completion",
    "/opt/homebrew/etc/profile.d/bash_completion.sh",
)


@dataclass(frozen=True)
class Installed:
    """Where the script is, and what the user still has to do, in a sentence."""

    path: Path
    next_step: str


def completion_script(shell: str) -> str:
    """The script for a shell of `completion.SHELLS`; it calls nothing of ours, so completing is quick."""
    import shtab

    from mammo_monai.cli.main import build_parser
    from mammo_monai.cli.parser import walk

    parser, names = build_parser(), shipped_bundles()
    for each in walk(parser):
        each.epilog = None
        if each is not parser:
            each.description = None  # shells show one line of a verb: its help
        for action in each._actions:
            completer = _completer(action, names)
            if completer is not None:
                action.complete = completer  # type: ignore[attr-defined]  # where shtab looks
    script = str(shtab.complete(parser, shell=shell)).rstrip("\n")
    # shtab's "(*):" completes the first of several values alone; zsh's "*:" completes each.
    return re.sub(r'(?m)^  "\(\*\)::?', '  "*:', script) if shell == "zsh" else script


def shipped_bundles() -> list[str]:
    """Names of the bundles that came with the package.

    None of the current folder, which may be anybody's, and none that a shell would take for more than a word:
    the script holds them unquoted.
    """
    found = {configs.parent.name for home in SHIPPED for configs in home.glob("*/configs")}
    return sorted(name for name in found if re.fullmatch(r"[A-Za-z0-9_.-]+", name))


def _completer(action: argparse.Action, bundles: Sequence[str]) -> Any:
    """What completes a value: names of bundles and folders, folders, or files; None leaves it to choices."""
    import shtab

    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.nargs == 0 or action.choices is not None:
        return None
    if "NAME|DIR" in metavar or metavar == "FILE.zip|DIR|NAME":
        return bundle_completer(bundles)
    if metavar in ("DIR", "ROOT"):
        return shtab.DIRECTORY
    is_path = action.type is Path or any(word in metavar for word in ("FILE", "IMAGE", "MANIFEST"))
    return shtab.FILE if is_path else None


def bundle_completer(names: Sequence[str]) -> dict[str, Any]:
    """How each shell completes a bundle: one of these names, which must be plain words, or a folder."""
    # shtab's script for bash escapes the names that a function finds only if it is called "dir" or "file".
    words, function = " ".join(names), "_mammo_monai_bundle_dirs"
    alternatives = f"'bundles:bundle:({words})' 'folders:folder:_files -/'"
    return {
        "bash": function,
        "zsh": function,
        "tcsh": f"({words})",
        "fish": f"({function})",
        "preamble": {
            "bash": f'{function}() {{\n  compgen -W "{words}" -- "$1"\n  compgen -d -- "$1"\n}}',
            "zsh": f"{function}() {{\n  _alternative {alternatives}\n}}",
            "fish": f"function {function}\n  printf '%s\\n' {words}\n  __fish_complete_directories\nend",
        },
    }


def install(shell: str) -> Installed:
    """Writes the script into a file of the user's own, whole or not at all.

    Raises:
        OSError: the folder cannot be written, or there is no home; nothing was changed.
    """
    try:
        path = script_path(shell)
    except RuntimeError:  # a user without an entry in passwd and without HOME
        raise OSError(
            "this user has no home folder: set HOME, or print the script without --install."
        ) from None
    write_text_atomic(path, completion_script(shell) + "\n")
    return Installed(path, _next_step(shell, path))


def script_path(shell: str) -> Path:
    """Where a shell looks for completions of one user, else a place from which it can be told to load them.

    Source: bash-completion's README (BASH_COMPLETION_USER_DIR), fish's manual, "Where to put completions".
    """
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    if shell == "bash":
        own = os.environ.get("BASH_COMPLETION_USER_DIR")
        return (Path(own) if own else data / "bash-completion") / "completions" / _COMMAND
    if shell == "zsh":
        return data / "zsh" / "site-functions" / f"_{_COMMAND}"
    if shell == "fish":
        return config / "fish" / "completions" / f"{_COMMAND}.fish"
    return data / "tcsh" / f"{_COMMAND}.tcsh"


def _next_step(shell: str, path: Path) -> str:
    """What makes the shell load it."""
    if shell == "fish" or (shell == "bash" and any(Path(each).exists() for each in _BASH_COMPLETION)):
        return "Open a new shell: it is loaded there."
    if shell == "zsh":
        return f"Put this line into ~/.zshrc, once, before compinit: fpath=({path.parent} $fpath)"
    start = "~/.tcshrc" if shell == "tcsh" else "~/.bashrc"
    return f"Put this line into {start}, once, then open a new shell: source {path}"
