"""The wheel of this checkout marks a film in an environment that holds nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(release: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: as quick as can be, `test_builds` sees to the rest."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("mammo_monai", "bundles"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "constraints.txt"):
        shutil.copy2(ROOT / name, source)
    release.twice.uv_build(source, out, {}, "--wheel")
    return next(out.glob("*.whl"))


def test_the_wheel_marks_a_film_where_nothing_else_is(release: Any, wheel: Path, tmp_path: Path) -> None:
    trial = release.trial.try_wheel(wheel, ROOT, tmp_path / "trial")
    assert [step.name for step in trial.steps] == [
        "empty environment",
        "pip install, at the versions of constraints.txt",
        "mammo-monai --version",
        "where it is imported from",
        "mammo-monai phantoms",
        "mammo-monai predict, the model in the box",
        "python -m monai.bundle run, a copy of the bundle",
    ]
    assert all(release.trial.marks(trial.folder / "work" / "detections.json"))


def test_a_step_that_fails_ends_the_trial(release: Any, tmp_path: Path) -> None:
    damaged = tmp_path / "mammo_monai-0.2.0-py3-none-any.whl"
    damaged.write_bytes(b"no wheel")
    with pytest.raises(release.trial.TrialError, match=r"pip install, .*uv pip install"):
        release.trial.try_wheel(damaged, ROOT, tmp_path / "trial")


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_each_python_gets_wheels_of_every_package_at_its_pinned_version(
    release: Any, tmp_path: Path, version: str
) -> None:
    """By resolution alone: no other Python is needed, nothing is fetched or would have to be compiled."""
    pins = release.trial.resolved(ROOT / "pyproject.toml", ROOT / "constraints.txt", version, tmp_path)
    assert {"torch", "torchvision", "monai", "pydicom", "itk"} <= {pin.partition("==")[0] for pin in pins}
    stated = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert set(pins) <= {line.partition(" ;")[0] for line in stated}


def test_the_lower_bounds_are_versions_that_fit_together(release: Any, tmp_path: Path) -> None:
    """A bound that no other package lets anybody have promises what nobody has tried."""
    pins = release.trial.resolved(ROOT / "pyproject.toml", None, "3.11", tmp_path)
    oldest = {canonicalize_name(pin.partition("==")[0]): Version(pin.partition("==")[2]) for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for name in release.trial.EXTRAS for line in project["optional-dependencies"][name]]
    stated = {
        canonicalize_name(each.name): Version(next(iter(each.specifier)).version)
        for each in map(Requirement, [*project["dependencies"], *extras])
        if each.specifier
    }
    assert len(stated) > 30
    assert {
        name: f"stated {version}, oldest that can be had {oldest[name]}"
        for name, version in stated.items()
        if oldest[name].release[:2] != (*version.release, 0)[:2]
    } == {}
    assert [name for name in oldest if name.startswith(("tensorflow", "tf-"))] == []
