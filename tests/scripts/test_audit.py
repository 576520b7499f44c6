"""The audit: pins that are whole, "not audited" that is no pass, and bills of what is there."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> Iterator[SimpleNamespace]:
    """The modules of scripts/audit, which is no package."""
    names = ("pins", "parts", "sbom", "vulnerabilities", "run")
    sys.path.insert(0, str(ROOT / "scripts" / "audit"))
    modules: dict[str, ModuleType] = {name: import_module(name) for name in names}
    yield SimpleNamespace(**modules)
    sys.path.remove(str(ROOT / "scripts" / "audit"))
    for name in names:
        sys.modules.pop(name, None)


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_pins_cover_all_that_is_asked_for(audit: Any) -> None:
    assert audit.pins.uncovered(pyproject(), audit.pins.read_pins(ROOT / "constraints.txt")) == []


def test_a_pin_that_is_missing_or_too_old_is_named(audit: Any) -> None:
    pins = audit.pins.read_pins(ROOT / "constraints.txt")
    del pins["pydicom"]
    pins["monai"] = (audit.pins.Version("1.5"),)
    assert audit.pins.uncovered(pyproject(), pins) == [
        "monai: asked for >=1.6, pinned 1.5",
        "pydicom: asked for >=3.0.1, pinned nothing",
    ]


@pytest.mark.parametrize("line", ["numpy>=1", "numpy", "numpy==1.*", "-e .", "numpy==1,<2", "???"])
def test_what_is_no_exact_version_is_refused(audit: Any, tmp_path: Path, line: str) -> None:
    (tmp_path / "constraints.txt").write_text(f"# pins\nitk==5.4\n{line}\n")
    with pytest.raises(audit.pins.PinError, match=r"constraints\.txt, line 3: expected NAME==VERSION, got"):
        audit.pins.read_pins(tmp_path / "constraints.txt")


def test_versions_of_other_pythons_are_asked_about_too(audit: Any, tmp_path: Path) -> None:
    (tmp_path / "c").write_text("A==1 ; python_version < '3.11'\nA==2 ; python_version >= '3.11'\nb==3\n")
    pins = audit.pins.read_pins(tmp_path / "c")
    assert audit.pins.requirement_files(pins) == ["a==1\nb==3\n", "a==2\n"]


def answer(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


WELL = {"name": "a", "version": "1", "vulns": []}
FOUND = {
    "name": "b",
    "version": "3",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["4"], "aliases": ["CVE-1"], "description": ""}],
}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found on PyPI"}


def test_a_service_that_knows_a_package_not_is_no_pass(audit: Any) -> None:
    found = audit.vulnerabilities.audited(["a==1\nb==3\n"], lambda *_: answer(WELL, SKIPPED))
    assert (found.n_asked, dict(found.unasked)) == (1, {"b": "Dependency not found on PyPI"})


@pytest.mark.parametrize("said", ["", "no JSON", "[]", answer()])
def test_no_answer_is_no_pass(audit: Any, said: str) -> None:
    found = audit.vulnerabilities.audited(["a==1\nb==3\n"], lambda *_: said)
    assert found.n_asked == 0
    assert set(found.unasked) == {"a", "b"}


def test_the_second_service_is_asked_where_the_first_knows_nothing(audit: Any) -> None:
    def run(service: str, path: Path) -> str:
        assert path.read_text() == "a==1\nb==3\n"
        return answer(WELL, FOUND) if service == "osv" else answer(SKIPPED)

    found = audit.vulnerabilities.audited(["a==1\nb==3\n"], run)
    assert (found.service, found.n_asked, dict(found.unasked)) == ("osv", 2, {})
    (finding,) = audit.vulnerabilities.unexplained(found, {})
    assert (finding.package, finding.advisory, finding.fixed_in) == ("b", "PYSEC-1", ("4",))
    known = {"CVE-1": {"package": "b", "reason": "not reached"}, "CVE-0": {"package": "z", "reason": "-"}}
    assert audit.vulnerabilities.unexplained(found, known) == []
    assert audit.vulnerabilities.outdated(found, known) == ["CVE-0"]
    assert audit.vulnerabilities.unexplained(found, {"CVE-1": {"package": "a"}}) == [finding]


def test_pip_audit_that_is_not_there_is_no_pass(audit: Any, tmp_path: Path) -> None:
    assert audit.vulnerabilities.pip_audit(tmp_path)("pypi", tmp_path / "r.txt") == ""


@pytest.mark.parametrize(
    ("said", "code", "line"),
    [(SKIPPED, 3, "NOT AUDITED: 1 of 2 packages"), (FOUND, 1, "vulnerable: b 3: PYSEC-1; fixed in 4")],
)
def test_the_exit_code_and_the_line_say_so(
    audit: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    said: dict[str, Any],
    code: int,
    line: str,
) -> None:
    monkeypatch.setattr(audit.run, "read_pins", lambda _: {"a": ("1",), "b": ("3",)})
    monkeypatch.setattr(audit.run, "pip_audit", lambda _: lambda *_: answer(WELL, said))
    assert audit.run.check_vulnerabilities(tmp_path, tmp_path) == code
    assert line in capsys.readouterr().out
    assert json.loads((tmp_path / "vulnerabilities.json").read_text())["versions pinned"] == 2


def environment(folder: Path, **packages: tuple[str, list[str]]) -> Path:
    """A folder of dist-infos: name → version and requirements."""
    for name, (version, requires) in packages.items():
        made = folder / f"{name}-{version}.dist-info"
        made.mkdir(parents=True)
        lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", "License-Expression: MIT"]
        lines += [f"Requires-Dist: {each}" for each in requires]
        (made / "METADATA").write_text("\n".join(lines) + "\n")
        (made / "RECORD").touch()
    return folder


def test_a_closure_follows_extras_and_markers(audit: Any, tmp_path: Path) -> None:
    path = environment(
        tmp_path,
        top=("1", ["Left_Hand[fast]>=1", "gone"]),
        left_hand=("1", ["quick; extra == 'fast'", "slow; extra == 'slow'", "old; python_version < '3'"]),
        quick=("1", ["top"]),
        slow=("1", []),
        old=("1", []),
        alone=("1", []),
    )
    here = audit.parts.Installed.here([str(path)])
    assert here.closure(["top"]) == {"top", "left-hand", "quick"}
    assert here.closure(["left-hand[slow]", "alone; python_version < '3'"]) == {"left-hand", "slow"}


def test_tools_are_not_what_users_get(audit: Any) -> None:
    core, shipped = audit.parts.shipped_requirements(pyproject())
    assert "monai>=1.6" in core
    assert set(core) < set(shipped)
    assert not [each for each in shipped if each.startswith(("pytest", "atheris", "playwright", "pip-audit"))]


def bill(*components: dict[str, Any]) -> dict[str, Any]:
    named = [{"bom-ref": f"{each['name']}==1", "version": "1", **each} for each in components]
    refs = [each["bom-ref"] for each in named]
    return {
        "metadata": {"component": {"bom-ref": "root", "name": "mammo-monai"}},
        "components": named,
        "dependencies": [{"ref": "root", "dependsOn": refs}, *({"ref": each} for each in refs)],
    }


def test_a_bill_is_cut_to_what_somebody_gets(audit: Any) -> None:
    whole = bill({"name": "Left_Hand"}, {"name": "tool"})
    cut = audit.sbom.cut_to(whole, {"left-hand"})
    assert [each["name"] for each in cut["components"]] == ["Left_Hand"]
    assert cut["dependencies"] == [
        {"ref": "root", "dependsOn": ["Left_Hand==1"]},
        {"ref": "Left_Hand==1", "dependsOn": []},
    ]
    assert len(whole["components"]) == 2
    with pytest.raises(audit.sbom.SbomError, match="missing nobody"):
        audit.sbom.cut_to(whole, {"nobody"})


def test_weights_are_parts_with_their_hash(audit: Any, tmp_path: Path) -> None:
    models = tmp_path / "marks" / "models"
    models.mkdir(parents=True)
    (models / "model.safetensors").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    (models / "SHA256SUMS").write_text(f"{digest}  model.safetensors\n")
    (part,) = audit.sbom.weight_components(tmp_path, "1.0")
    assert part["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert audit.sbom.with_weights(bill(), [part])["components"] == [part]
    (models / "model.safetensors").write_bytes(b"others")
    with pytest.raises(audit.sbom.SbomError, match="expected the SHA-256 that SHA256SUMS names"):
        audit.sbom.weight_components(tmp_path, "1.0")


def test_the_weights_in_the_box_are_named(audit: Any) -> None:
    assert [each["name"] for each in audit.sbom.weight_components(ROOT / "bundles", "1")] == [
        "cbis_mass_detection/models/model.safetensors"
    ]


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ([{"expression": "MIT"}], "MIT"),
        (
            [{"license": {"id": "MPL-2.0"}}, {"license": {"name": "License :: OSI Approved :: MPL"}}],
            "MPL-2.0",
        ),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}], "BSD License"),
        ([], "unknown"),
    ],
)
def test_a_licence_is_what_the_metadata_say(audit: Any, licences: list[Any], expected: str) -> None:
    assert audit.parts.licence_of({"name": "A_b", "licenses": licences}, {}) == expected
    stated = {"a-b": {"licence": "Zlib", "source": "LICENSE"}}
    said = audit.parts.licence_of({"name": "A_b", "licenses": licences}, stated)
    assert said == ("Zlib" if expected == "unknown" else expected)


@pytest.mark.parametrize(
    ("name", "licence", "code"), [("core", "GPL-3.0", 1), ("core", "MIT", 0), ("tool", "GPL-3.0", 0)]
)
def test_a_package_under_gpl_that_we_import_is_a_fault(
    audit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, licence: str, code: int
) -> None:
    whole = bill({"name": name, "licenses": [{"expression": licence}]})
    monkeypatch.setattr(audit.run, "environment_bill", lambda *_: whole)
    monkeypatch.setattr(audit.run, "validate", lambda *_: None)
    here = audit.parts.Installed.here([str(environment(tmp_path / "env", core=("1", []), tool=("1", [])))])
    if name == "tool":
        here = audit.parts.Installed({})
    monkeypatch.setattr(audit.run.Installed, "here", lambda: here)
    project = {"project": {"dependencies": ["core"], "optional-dependencies": {"dev": ["tool"]}}}
    assert audit.run.check_parts(project, tmp_path, tmp_path) == code
    assert f"| {name} | 1 | {licence} |" in (tmp_path / "licences.md").read_text()


def test_a_bill_of_a_made_environment_by_cyclonedx_itself(audit: Any, tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx_py", reason="the extra audit is not installed")
    tools = Path(sys.executable).parent
    made = audit.sbom.environment_bill(tools, ROOT / "pyproject.toml")
    names = audit.parts.Installed.here().closure(["requests"])
    cut = audit.sbom.cut_to(made, names)
    audit.sbom.validate(cut, tools)
    with pytest.raises(audit.sbom.SbomError, match="not CycloneDX"):
        audit.sbom.validate({**cut, "components": [{"name": "no type"}]}, tools)


def test_cyclonedx_that_is_not_there_is_said(audit: Any, tmp_path: Path) -> None:
    with pytest.raises(audit.sbom.SbomError, match="expected cyclonedx-py, got No such file"):
        audit.sbom.environment_bill(tmp_path, ROOT / "pyproject.toml")
