"""Two builds of one commit are the same bytes, and what is in them is what users of an index expect."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.release.repository import commit_all, git

ROOT = Path(__file__).parents[2]
EPOCH = 1_767_323_045  # 2026-01-02 03:04:05, the time of the tests' commits
STAMP = (2026, 1, 2, 3, 4, 4)  # zip counts in steps of two seconds
README = b"x" * 1000
METADATA = (
    b"Metadata-Version: 2.4\nName: mammo-monai\nVersion: 0.2.0\nRequires-Python: <3.15,>=3.10\n"
    b"License-Expression: Apache-2.0\nDescription-Content-Type: text/markdown\n\n" + README
)


def test_two_builds_of_this_checkout_are_the_same_bytes(release: Any, checkout: Path, tmp_path: Path) -> None:
    version = release.readiness.version_of(checkout)
    built = release.twice.build_twice(checkout, tmp_path)
    assert built.epoch == EPOCH
    assert built.commit == git(checkout, "rev-parse", "HEAD").strip()
    assert release.archives.wheel_faults(built.wheel, version, EPOCH, str(tmp_path)) == []
    assert release.archives.sdist_faults(built.sdist, version, EPOCH, str(tmp_path)) == []


HOOK = """
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        Path(self.root, "mammo_monai", "where.txt").write_text(self.root)
"""


def test_a_build_that_depends_on_its_folder_is_refused(release: Any, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "mammo_monai").mkdir(parents=True)
    (folder / "mammo_monai" / "__init__.py").write_text("")
    (folder / "hatch_build.py").write_text(HOOK)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "mammo-monai"\nversion = "0.2.0"\n[tool.hatch.build.hooks.custom]\n'
    )
    shutil.copy2(ROOT / "constraints.txt", folder)
    commit_all(folder)
    with pytest.raises(
        release.twice.BuildError, match=r"two builds of .*whl differ: .*mammo_monai/where\.txt"
    ):
        release.twice.build_twice(folder, tmp_path)


def test_a_build_that_fails_says_so(release: Any, small: Path, tmp_path: Path) -> None:
    (small / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "nothing"\n')
    shutil.copy2(ROOT / "constraints.txt", small)
    git(small, "add", "--all")
    git(small, "commit", "--quiet", "--message", "broken")
    with pytest.raises(release.twice.BuildError, match=r"uv build .*failed"):
        release.twice.build_twice(small, tmp_path)


def contents(release: Any, metadata: bytes = METADATA) -> dict[str, bytes]:
    """What a sound wheel holds, each file with as little in it as will do."""
    info = "mammo_monai-0.2.0.dist-info"
    names = (*release.archives.IN_WHEEL, f"{info}/licenses/LICENSE")
    return {name: name.encode() for name in names} | {
        f"{info}/METADATA": metadata,
        f"{info}/entry_points.txt": b"[console_scripts]\nmammo-monai = mammo_monai.cli.main:main\n",
    }


def written_wheel(
    folder: Path,
    content: dict[str, bytes],
    *,
    stamp: tuple[int, ...] = STAMP,
    mode: int = 0o644,
    late: dict[str, bytes] | None = None,
) -> Path:
    """A wheel with a right RECORD of `content`; what is `late` is put in after RECORD was made."""
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b'=').decode()},{len(text)}"
        for name, text in content.items()
    ]
    record = "mammo_monai-0.2.0.dist-info/RECORD"
    text = "\n".join([*rows, f"{record},,"]).encode()
    path = folder / "mammo_monai-0.2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, each in {**content, **(late or {}), record: text}.items():
            entry = zipfile.ZipInfo(name, stamp)  # type: ignore[arg-type]  # six numbers
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, each)
    return path


def test_a_sound_wheel_has_no_fault(release: Any, tmp_path: Path) -> None:
    path = written_wheel(tmp_path, contents(release))
    assert release.archives.wheel_faults(path, "0.2.0", EPOCH, "/builder") == []


@pytest.mark.parametrize(
    ("change", "options", "fault"),
    [
        ({}, {"stamp": (2026, 1, 2, 3, 4, 6)}, "expected the commit's time"),
        ({}, {"mode": 0o666}, "expected mode 644 or 755, got 100666"),
        ({}, {"late": {"mammo_monai/late.py": b""}}, "mammo_monai/late.py: not in RECORD."),
        ({}, {"late": {"mammo_monai/py.typed": b"other"}}, "mammo_monai/py.typed: not the file that RECORD"),
        ({"tests/test_x.py": b""}, {}, "tests/test_x.py: lies outside mammo_monai/."),
        ({"mammo_monai/a.pyc": b""}, {}, "mammo_monai/a.pyc: does not belong into an archive."),
        ({"mammo_monai/__pycache__/a": b""}, {}, "__pycache__/a: does not belong into an archive."),
        (
            {"mammo_monai/a.py": b"x = '/builder/a'"},
            {},
            "mammo_monai/a.py: names the folder it was built in.",
        ),
    ],
)
def test_a_planted_fault_of_a_wheel_is_named(
    release: Any, tmp_path: Path, change: dict[str, bytes], options: dict[str, Any], fault: str
) -> None:
    path = written_wheel(tmp_path, contents(release) | change, **options)
    found = release.archives.wheel_faults(path, "0.2.0", EPOCH, "/builder")
    assert any(fault in each for each in found), found


@pytest.mark.parametrize("name", ["mammo_monai/py.typed", "mammo_monai-0.2.0.dist-info/licenses/LICENSE"])
def test_what_is_missing_of_a_wheel_is_named(release: Any, tmp_path: Path, name: str) -> None:
    content = contents(release)
    del content[name]
    found = release.archives.wheel_faults(written_wheel(tmp_path, content), "0.2.0", EPOCH, "/builder")
    assert found == [f"{name}: missing."]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"Version: 0.2.0", b"Version: 0.1.0", "expected version 0.2.0, got 0.1.0"),
        (b"Apache-2.0", b"whatever", "license-expression"),
        (b">=3.10", b">=3.9", "expected requires_python <3.15,>=3.10, got <3.15,>=3.9"),
        (b"text/markdown", b"text/plain", "expected a description in Markdown"),
        (README, b"short", "expected README.md as the description"),
        (b"Name: mammo-monai\n", b"", "name"),
    ],
)
def test_metadata_that_an_index_would_not_take_are_named(
    release: Any, old: bytes, new: bytes, fault: str
) -> None:
    assert release.archives.metadata_faults(METADATA, "0.2.0") == []
    found = release.archives.metadata_faults(METADATA.replace(old, new, 1), "0.2.0")
    assert any(fault in each for each in found), found


def written_sdist(folder: Path, release: Any, **changes: Any) -> Path:
    path = folder / "mammo_monai-0.2.0.tar.gz"
    names = dict.fromkeys(release.archives.IN_SDIST, b"text") | {"PKG-INFO": METADATA}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in names.items():
            entry = tarfile.TarInfo(f"mammo_monai-0.2.0/{name}")
            entry.mtime = EPOCH
            for key, value in changes.items():
                setattr(entry, key, value)
            entry.size = len(content) if entry.isreg() else 0  # a link has no content
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_a_sound_sdist_has_no_fault(release: Any, tmp_path: Path) -> None:
    path = written_sdist(tmp_path, release)
    assert release.archives.sdist_faults(path, "0.2.0", EPOCH, "/builder") == []


def test_a_file_without_content_is_missing_but_for_py_typed(release: Any) -> None:
    wanted = ("mammo_monai/py.typed", "README.md", "LICENSE")
    content = {"mammo_monai/py.typed": b"", "README.md": b"", "LICENSE": b"text"}
    assert release.archives.missing(content, wanted) == ["README.md: missing."]
    assert release.archives.missing({}, wanted[:1]) == ["mammo_monai/py.typed: missing."]


@pytest.mark.parametrize(
    "change", [{"mtime": 1}, {"uid": 1000}, {"gid": 1000}, {"mode": 0o664}, {"type": tarfile.SYMTYPE}]
)
def test_an_sdist_tells_nothing_of_its_maker(release: Any, tmp_path: Path, change: dict[str, Any]) -> None:
    path = written_sdist(tmp_path, release, **change)
    found = release.archives.sdist_faults(path, "0.2.0", EPOCH, "/builder")
    assert any("Makefile: expected" in each for each in found), found


def test_sums_are_those_that_sha256sum_reads(release: Any, tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(b"wheel")
    (tmp_path / "a.json").write_bytes(b"{}")
    release.run.write_sums(tmp_path)
    assert (tmp_path / "SHA256SUMS").read_text() == "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("a.json", b"{}"), ("b.whl", b"wheel"))
    )


def test_what_is_not_ready_is_not_built(
    release: Any, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small / "new.txt").write_text("new")
    out = tmp_path / "out"
    assert release.run.main(["--root", str(small), "build", "--out", str(out)]) == 1
    assert capsys.readouterr().out.startswith("not ready: the tree is not clean")
    assert not out.exists()


def test_a_folder_with_anything_else_is_not_emptied(release: Any, tmp_path: Path) -> None:
    for name in ("SHA256SUMS", "mammo_monai-0.1.0.whl"):
        (tmp_path / name).touch()
    release.run.empty(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "SHA256SUMS").touch()
    with pytest.raises(release.twice.BuildError, match=r"an earlier release or nothing, found thesis\.txt"):
        release.run.empty(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_without_its_tool_the_list_of_parts_says_what_to_install(
    release: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(release.bill.BillError, match=r"Install the extra audit, or .* --no-parts"):
        release.bill.write_bill(tmp_path / "python", ROOT, "0.2.0", tmp_path / "sbom.json")
