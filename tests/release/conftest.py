"""A copy of this checkout as a repository, and the modules of scripts/release, which is no package."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.release.repository import commit_all

ROOT = Path(__file__).parents[2]
MODULES = ("archives", "bill", "prepare", "readiness", "run", "sbom", "trial", "twice")
LEFT_OUT = ("__pycache__", ".git", ".venv*", ".*_cache", ".hypothesis", ".coverage*", "build", "dist", "runs")


@pytest.fixture(scope="module")
def release() -> Iterator[SimpleNamespace]:
    """The modules of scripts/release."""
    before = list(sys.path)
    sys.path.insert(0, str(ROOT / "scripts" / "release"))
    yield SimpleNamespace(**{name: import_module(name) for name in MODULES})
    sys.path[:] = before
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout, changes and all, committed in a repository of its own."""
    copy = tmp_path_factory.mktemp("checkout") / "mammo-monai"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    return commit_all(copy)


MARK = "<!-- what is not released yet lies in changelog.d -->"
SMALL = {
    "mammo_monai/__init__.py": '"""Small."""\n\n__version__ = "0.2.0"\n',
    "CHANGELOG.md": f"# Changelog\n\n{MARK}\n\n## 0.2.0 (2026-01-02)\n",
    "CITATION.cff": 'title: mammo-monai\nversion: 0.2.0\ndate-released: "2026-01-02"\n',
    "changelog.d/README.md": "# Kinds\n",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with only what a release says its version in, ready to be released."""
    folder = tmp_path / "small"
    for name, text in SMALL.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copy2(ROOT / "pyproject.toml", folder)
    return commit_all(folder)
