"""README.md and the first three tutorials install what they say.

The install block is run as written, in a folder with a copy of the checkout; only what it would fetch
(gigabytes of torch) is lent by the environment of the tests. `scripts/docs/follow.py` runs it with all that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.docs.snippets import Block, read_page

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
PAGES = ("mark-your-films.md", "two-stages-on-phantoms.md", "two-stages-on-real-data.md")
NAMED = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "mammo_monai", "bundles")
# uv builds and installs as pip does. The environment is named: else uv takes the one of the tests.
UV = f"{sys.executable} -m uv pip install --python venv/bin/python --no-deps"


def install_block(page: str) -> Block:
    """The block of a tutorial that installs."""
    return next(block for block in read_page(TUTORIALS / page).blocks if "pip install" in block.text)


@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_installs_the_clone_at_the_tested_versions_into_an_environment_of_its_own(
    page: str,
) -> None:
    lines = install_block(page).text.splitlines()
    assert lines[:2] == ["python3 -m venv venv", ". venv/bin/activate"]
    assert lines[2].startswith("pip install -c mammo-monai/constraints.txt ")
    assert "./mammo-monai" in lines[2]


@pytest.mark.parametrize("extra", ["imagenet"])
def test_the_extras_that_tutorials_install_are_declared(extra: str) -> None:
    assert any(f"[{extra}]" in install_block(page).text for page in PAGES)
    assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()


def test_the_install_block_of_the_first_tutorial_leaves_a_command_that_marks(tmp_path: Path) -> None:
    clone_into(tmp_path / "mammo-monai")
    text = install_block(PAGES[0]).text
    assert_installs(text.replace("-m venv venv", "-m venv --without-pip venv"), tmp_path)


def test_the_readme_installs_the_clone_it_stands_in(tmp_path: Path) -> None:
    clone_into(tmp_path)
    text = next(block for block in read_page(ROOT / "README.md").blocks if "pip install" in block.text).text
    assert text == "pip install -c constraints.txt .\n"
    assert_installs(f"python3 -m venv --without-pip venv\n. venv/bin/activate\n{text}", tmp_path)


def clone_into(clone: Path) -> None:
    clone.mkdir(exist_ok=True)
    for name in NAMED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, clone / name)


def assert_installs(text: str, folder: Path) -> None:
    """Runs an install block, with what it would fetch lent by this environment, and then the command."""
    assert text.count("pip install") == 1
    lent = sysconfig.get_path("purelib")
    script = text.replace("pip install", UV)
    script += (
        f'echo {lent} > "$(python -c \'import sysconfig; print(sysconfig.get_path("purelib"))\')/lent.pth"\n'
    )
    script += "cd venv\nmammo-monai --version\npython -c 'import mammo_monai; print(mammo_monai.__file__)'\n"
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version, where = done.stdout.splitlines()[-2:]
    assert version.startswith("mammo-monai ")
    assert where.startswith(str(folder / "venv")), "installed, not run from the clone"
    assert (
        Path(where).parent / "_bundles" / "cbis_mass_detection" / "models" / "model.safetensors"
    ).is_file()
