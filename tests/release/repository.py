"""Repositories that a test makes: git without the user's settings, at a fixed time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git(folder: Path, *words: str) -> str:
    """What git prints in a repository that knows nothing of the user's settings."""
    who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for each in ("AUTHOR", "COMMITTER"):
        who |= {f"GIT_{each}_NAME": "a maker", f"GIT_{each}_EMAIL": "maker@example.org"}
        who[f"GIT_{each}_DATE"] = "2026-01-02T03:04:05+0000"
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(
        command, env={**os.environ, **who}, check=True, capture_output=True, text=True
    ).stdout


def commit_all(folder: Path) -> Path:
    """Makes the folder a repository with one commit of everything that .gitignore lets through."""
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder
