"""The wheel: carries the package and its bundles, nothing else, and runs where no checkout is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mammo_monai
from mammo_monai.bundle.published import declared_sha256, publication_faults

ROOT = Path(__file__).parents[2]
UV = (sys.executable, "-m", "uv")
WEIGHTS = ("*.pt", "*.pth", "*.safetensors")
SHIPS_WEIGHTS = "cbis_mass_detection"
PUBLISHED = ("model.safetensors", "operating_points.json", "SHA256SUMS")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def uv(*arguments: str | Path, cwd: Path) -> str:
    """uv from its cache, which the set-up filled; with the network only where that is not enough."""
    try:
        return run(*UV, *arguments, "--offline", cwd=cwd)
    except AssertionError:
        return run(*UV, *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is built from: published weights, and what a site that trained leaves."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("mammo_monai", "bundles", "experiments"):
        shutil.copytree(
            ROOT / name,
            copy / name,
            ignore=shutil.ignore_patterns("__pycache__", *WEIGHTS, "eval", "training"),
        )
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "constraints.txt"):
        shutil.copy2(ROOT / name, copy / name)
    for bundle in (copy / "bundles").iterdir():
        if bundle.is_dir():
            (bundle / "models").mkdir(exist_ok=True)
            for name in ("model.pt", "checkpoint_last.pt", "mine.safetensors", *PUBLISHED):
                (bundle / "models" / name).write_bytes(b"weights of " + bundle.name.encode())
            (bundle / "training").mkdir()
            (bundle / "training" / "model.safetensors").write_bytes(b"weights")
            (bundle / "eval").mkdir(exist_ok=True)
            (bundle / "eval" / "metrics.json").write_text("{}")
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    uv("build", "--wheel", "--build-constraints", "constraints.txt", "--out-dir", out, cwd=source)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout that holds the installed wheel, and only that."""
    folder = tmp_path_factory.mktemp("installed")
    uv("pip", "install", "--python", sys.executable, "--no-deps", "--target", folder, wheel, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_below(folder: Path, *suffixes: str) -> set[str]:
    found = {
        path for path in folder.rglob("*") if path.suffix in suffixes and "__pycache__" not in path.parts
    }
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_wheel_carries_every_module_and_its_data(names: set[str]) -> None:
    wanted = files_below(ROOT / "mammo_monai", ".py", ".json", ".css", ".js", ".typed")
    assert len(wanted) > 20
    assert {f"mammo_monai/{name}" for name in wanted | {"py.typed"}} <= names


def test_the_wheel_carries_the_bundles(names: set[str]) -> None:
    wanted = files_below(ROOT / "bundles", ".json", ".conf", ".md", ".txt", ".yml") | {
        path.relative_to(ROOT / "bundles").as_posix() for path in (ROOT / "bundles").glob("*/LICENSE")
    }
    wanted = {name for name in wanted if not {"eval", "training"} & set(name.split("/"))}
    wanted -= {name for name in wanted if "/models/" in name and not name.endswith("/README.md")}
    assert sum(name.endswith("/configs/train.json") for name in wanted) >= 3
    assert {f"mammo_monai/_bundles/{name}" for name in wanted} <= names


def test_the_wheel_carries_the_experiments(names: set[str]) -> None:
    wanted = {path.name for path in (ROOT / "experiments").glob("*.json")}
    assert "two_stage.json" in wanted
    assert {f"mammo_monai/_experiments/{name}" for name in wanted} <= names


def test_the_description_stands_alone_on_a_package_index(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        description = archive.read(name).decode("utf-8").partition("\n\n")[2]
    assert description.startswith("# mammo-monai\n\n**Marks masses in mammograms")
    assert "| a physicist with films | mark your films |" in description
    linked = re.findall(r"\]\(([^)]*)|(?:src|href)=[\"']([^\"']*)|^\[[^\]]+\]: (\S+)", description, re.M)
    assert [each for each in map("".join, linked) if not each.startswith("https://")] == []
    assert "<!--" not in description


def test_the_wheel_carries_published_weights(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in PUBLISHED:
            content = archive.read(f"mammo_monai/_bundles/{SHIPS_WEIGHTS}/models/{name}")
            assert content == b"weights of " + SHIPS_WEIGHTS.encode()


@pytest.mark.skipif(
    not (ROOT / "bundles" / SHIPS_WEIGHTS / "models" / "model.safetensors").is_file(),
    reason="no weights are published in this checkout",
)
def test_the_published_weights_of_this_checkout_are_those_declared() -> None:
    assert declared_sha256(ROOT / "bundles" / SHIPS_WEIGHTS) is not None
    assert publication_faults(ROOT / "bundles" / SHIPS_WEIGHTS) == []


def test_the_wheel_leaves_out_a_sites_weights_results_and_tests(names: set[str]) -> None:
    published = {f"mammo_monai/_bundles/{SHIPS_WEIGHTS}/models/{name}" for name in PUBLISHED}
    unwanted = {
        name
        for name in names - published
        if name.endswith((".pt", ".safetensors", ".pyc", *PUBLISHED))
        or {"eval", "training"} & set(name.split("/"))
        or name.startswith(("tests", "bundles"))
    }
    assert unwanted == set()


def test_the_installed_package_is_the_one_that_runs(installed: Path, tmp_path: Path) -> None:
    code = (
        "import mammo_monai, mammo_monai.cli.main as main; print(mammo_monai.__file__); print(main.__file__)"
    )
    where = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed)).splitlines()
    assert [Path(each).relative_to(installed).as_posix() for each in where] == [
        "mammo_monai/__init__.py",
        "mammo_monai/cli/main.py",
    ]


def test_help_answers_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    shown = run(
        sys.executable, "-m", "mammo_monai.cli.main", "--help", cwd=tmp_path, PYTHONPATH=str(installed)
    )
    assert "usage: mammo-monai" in shown


def test_the_console_script_tells_the_version(installed: Path, tmp_path: Path) -> None:
    shown = run(installed / "bin" / "mammo-monai", "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert shown == f"mammo-monai {mammo_monai.__version__}\n"


def test_the_installed_bundles_are_found_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = (
        "from mammo_monai.bundle.find import find_bundle\nprint(find_bundle('coco_to_cbis_mass_retinanet'))"
    )
    found = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed)).strip()
    assert Path(found) == installed / "mammo_monai" / "_bundles" / "coco_to_cbis_mass_retinanet"


def test_the_installed_experiments_are_found_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    found = run(
        sys.executable, "-c",
        "from mammo_monai.experiments.find import find_experiment; print(find_experiment('two_stage'))",
        cwd=tmp_path, PYTHONPATH=str(installed),
    ).strip()  # fmt: skip
    assert Path(found) == installed / "mammo_monai" / "_experiments" / "two_stage.json"


def test_a_bundle_trains_from_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    small = {"init": "none", "epochs": 1, "size_px": 128, "detector#size_divisible": 32, "num_workers": 0}
    small |= {"network_def#backbone": "resnet18", "network_def#fpn_channels": 32, "batch_size": 2}
    words = ["train", "--bundle", "coco_to_cbis_mass_retinanet", "--manifest", "phantoms:cbis-ddsm:5"]
    words += ["--output-dir", str(tmp_path / "run")]
    words += [word for name, value in small.items() for word in (f"--{name}", str(value))]
    environment = {"PYTHONPATH": str(installed), "MAMMO_MONAI_CACHE": str(tmp_path / "cache")}
    printed = run(sys.executable, "-m", "mammo_monai.cli.main", *words, cwd=tmp_path, **environment)
    assert printed == f"weights: {tmp_path}/run/model.safetensors\n"
    assert (tmp_path / "run" / "model.safetensors").is_file()
