"""Python and packages: versions, copies, and compiled packages that do not fit together."""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path

import pytest

import mammo_monai
from mammo_monai.doctor import environment, versions
from mammo_monai.doctor.environment import (
    bridge_finding,
    copy_findings,
    findings,
    import_finding,
    package_findings,
    pair_finding,
    python_finding,
    system_finding,
)
from mammo_monai.doctor.extras import extra_findings
from mammo_monai.doctor.findings import Finding, Level
from mammo_monai.doctor.versions import Requirement, copies, fits, requirements


def distribution(folder: Path, name: str, version: str) -> None:
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_all_is_well_here() -> None:
    said = [each for each in findings({}) if isinstance(each, Finding)]
    assert [each for each in said if each.level is Level.FAULT] == []
    assert said[-1].name == "torch and torchvision"
    assert "torchvision::nms runs" in said[-1].found


@pytest.mark.parametrize(
    ("version", "bits", "implementation", "level"),
    [
        ((3, 12, 1), 64, "CPython", Level.OK),
        ((3, 14, 9), 64, "CPython", Level.OK),
        ((3, 15, 0), 64, "CPython", Level.WARNING),
        ((3, 9, 9), 64, "CPython", Level.FAULT),
        ((3, 12, 1), 32, "CPython", Level.FAULT),
        ((3, 12, 1), 64, "PyPy", Level.FAULT),
    ],
)
def test_python_is_one_there_is_a_torch_for(
    version: tuple[int, ...], bits: int, implementation: str, level: Level
) -> None:
    assert python_finding(version, bits, implementation).level is level


def test_pip_takes_the_pythons_that_the_doctor_calls_fine() -> None:
    lowest, newest = environment.LOWEST_PYTHON, environment.NEWEST_PYTHON
    asked = f'requires-python = ">={lowest[0]}.{lowest[1]},<{newest[0]}.{newest[1] + 1}"'
    assert asked in (Path(mammo_monai.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("system", "libc", "level"),
    [("Linux", "glibc", "ok"), ("Linux", "", "warning"), ("Darwin", "", "warning")],
)
def test_systems_that_are_not_tested_are_told(system: str, libc: str, level: str) -> None:
    assert system_finding(system, "x86_64", libc).level.value == level


def test_the_broken_mix_of_torch_and_torchvision_is_named_with_its_mend() -> None:
    error = "RuntimeError: operator torchvision::nms does not exist"
    found = pair_finding("2.8.0+cpu", "0.21.0+cu124", error)
    assert found.level is Level.FAULT
    assert "torch 2.8.0+cpu with torchvision 0.21.0+cu124 do not fit" in found.found
    assert found.fix.startswith("python -m pip install --force-reinstall torch torchvision")


def test_a_torchvision_that_does_not_load_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "_C.so").write_bytes(b"of another torch")
    monkeypatch.setattr(environment, "_compiled_parts", lambda _: [tmp_path / "_C.so"])
    assert "invalid ELF header" in environment._pair_error() or "_C.so" in environment._pair_error()
    monkeypatch.undo()
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    assert environment._pair_error() == "ModuleNotFoundError: No module named 'torchvision._C'"


@pytest.mark.parametrize(
    ("package", "error", "said", "fix"),
    [
        ("scipy", "ValueError: numpy.dtype size changed", "another NumPy", "--force-reinstall numpy scipy"),
        ("PIL", "ModuleNotFoundError: No module named 'PIL'", "required", "pip install Pillow"),
        (
            "torch",
            "ModuleNotFoundError: No module named 'torch._C'",
            "does not load",
            "--force-reinstall torch",
        ),
        (
            "scipy",
            "ModuleNotFoundError: No module named 'scipy._lib'",
            "does not load",
            "reinstall --no-cache",
        ),
        ("sklearn", "ImportError: x.so: undefined symbol: y", "does not load", "--no-cache-dir scikit-learn"),
        (
            "torch",
            "ImportError: libtorch_python.so: failed to map segment from shared object",
            "no room",
            "ulimit -v unlimited",
        ),
        ("torch", "ImportError: x.so: failed to map segment: Operation not permitted", "broken", "reinstall"),
    ],
)
def test_reasons_why_a_package_does_not_load_are_told_apart(
    package: str, error: str, said: str, fix: str
) -> None:
    found = import_finding(package, error)
    assert found.level is Level.FAULT
    assert said in found.why
    assert fix in found.fix


def test_packages_are_not_called_fine_where_one_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_pillow(name: str) -> object:
        if name == "PIL.Image":
            raise ImportError("libjpeg.so: cannot open shared object file")
        return importlib.import_module(name)

    monkeypatch.setattr(environment, "import_module", without_pillow)
    found = {each.name: each for each in findings({}) if isinstance(each, Finding)}
    assert found["PIL"].level is Level.FAULT
    assert "compiled packages" not in found
    assert "torch and numpy" in found


def test_torch_without_numpy_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bridge_finding("").level is Level.OK
    monkeypatch.setattr(environment, "import_module", lambda _: None)
    assert "AttributeError" in environment._bridge_error()
    assert "numpy" in bridge_finding("RuntimeError: Numpy is not available").fix


def test_packages_missing_or_too_old_are_named_with_what_is_wanted() -> None:
    asked = [
        Requirement("torch", ">=2.6", "", "2.1.0"),
        Requirement("timm", ">=1.0.9", "", None),
        Requirement("numpy", ">=1.26", "", "2.0.0"),
        Requirement("ray", ">=2.40", "ray", None),
    ]
    found = {each.name: each for each in package_findings(asked, Path("here"))}
    assert found["torch"].found == "2.1.0, >=2.6 is needed"
    assert found["timm"].fix == "python -m pip install 'timm>=1.0.9'"
    assert found.keys() == {"mammo-monai", "torch", "timm"}


def test_a_package_that_is_not_installed_or_another_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (bare,) = package_findings(None, Path("/src/mammo_monai"))
    assert (bare.level, bare.fix) == (Level.WARNING, "python -m pip install -e /src")
    monkeypatch.setattr(versions, "version_of", lambda _: "0.0.1")
    (other, _) = package_findings([], Path("/src/mammo_monai"))
    assert other.found == f"{mammo_monai.__version__} runs from /src/mammo_monai, 0.0.1 is installed"


def test_a_package_installed_twice_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, version in (("a", "2.0"), ("b", "1.0")):
        distribution(tmp_path / folder, "Made-Up.Package", version)
        monkeypatch.syspath_prepend(tmp_path / folder)
    importlib.invalidate_caches()
    twice = copies()["made-up-package"]
    assert twice == [("1.0", tmp_path / "b"), ("2.0", tmp_path / "a")]
    (found,) = copy_findings({"made-up-package": twice, "others": twice}, ["Made_Up.Package"])
    assert found.level is Level.WARNING
    assert found.found.startswith(f"installed 2 times: 1.0 in {tmp_path}/b, then 2.0")


def test_requirements_are_read_with_their_extras() -> None:
    found = {(each.name, each.extra): each for each in requirements() or ()}
    assert found["torch", ""].is_met
    assert found["onnx", "onnx"].specifier == ">=1.17"
    assert not any(name == "mammo-monai" for name, _ in found)


def test_a_package_that_no_one_builds_for_this_python_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = [
        "pyjpegls>=1.4; python_version < '3.3' and extra == 'decoders'",
        "python-gdcm>=3.0.26; extra == 'decoders'",
        "numpy>=1; python_version >= '3.3' and extra == 'decoders'",
        "highdicom; python_version < '3.3' and extra == 'dev'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: declared)
    assert versions.left_out("decoders") == ["pyjpegls"]
    (found,) = [each for each in extra_findings(requirements() or []) if each.name == "decoders"]
    assert found.found.endswith(f"; but for pyjpegls: no build for {versions.python()}")


def test_without_packaging_floors_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "specifiers", None)
    monkeypatch.setattr(versions, "markers", None)
    assert fits("2.10.1+cpu", ">=2.6,<3")
    assert not fits("2.5.1", ">=2.6,<3")
    assert requirements()


def test_a_package_that_is_not_installed_has_no_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "requires", nothing)
    assert requirements() is None
    assert versions.left_out("decoders") == []
    assert versions.version_of("made-up") is None
