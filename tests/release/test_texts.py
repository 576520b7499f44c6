"""Changelog fragments, citation and Containerfile are what their readers, human or not, can use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mammo_monai

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FRAGMENTS = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def kinds() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    return [each["directory"] for each in settings["type"]]


def test_the_kinds_of_change_are_those_the_readme_explains() -> None:
    explained = re.findall(
        r"^\| `(\w+)` \|", (ROOT / "changelog.d" / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert explained == kinds()


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_one_paragraph_of_a_known_kind(path: Path) -> None:
    assert re.fullmatch(rf"(\d+|\+[a-z0-9-]+)\.({'|'.join(kinds())})(\.\d+)?\.md", path.name)
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"[A-Z`].*[.)]\n", text, re.DOTALL), text
    assert "\n\n" not in text
    assert not re.search(r"^(#|- |\* )", text, re.MULTILINE)


def test_the_fragments_join_into_a_section_of_the_changelog() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next"]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert drawn.startswith("## next (")
    for path in FRAGMENTS:
        assert path.read_text(encoding="utf-8").split("\n")[0][:60] in drawn


def test_the_changelog_says_where_the_next_section_goes() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert text.count(settings["start_string"]) == 1
    assert re.findall(r"^## (.*)", text.partition(settings["start_string"])[0], re.MULTILINE) == []


def test_the_citation_is_of_this_version_and_licence() -> None:
    assert (CITATION["cff-version"], CITATION["type"]) == ("1.2.0", "software")
    assert (CITATION["version"], CITATION["license"]) == (mammo_monai.__version__, "Apache-2.0")
    assert CITATION["authors"] == [{"name": "the mammo-monai contributors"}]


def test_the_citation_refers_to_every_paper_the_readme_names() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(\w+) et al\. ?(?:\(|, )?(\d{4})", readme))
    referred = {(each["authors"][0]["family-names"], str(each["year"])) for each in CITATION["references"]}
    assert named
    assert named <= referred
    for each in CITATION["references"]:
        assert {"type", "title", "authors", "year"} <= set(each)
        assert re.fullmatch(r"10\.\d{4,}/\S+", each.get("doi", "10.0000/none"))


def test_the_citation_refers_to_the_papers_that_docstrings_name() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    papers = text.partition("## Papers that docstrings name")[2]
    named = set(re.findall(r"(\w+) et al\.[^|\n]*?\b((?:19|20)\d\d)\b", papers))
    referred = {(each["authors"][0]["family-names"], str(each["year"])) for each in CITATION["references"]}
    assert len(named) >= 4
    assert named <= referred


def test_the_containerfile_has_nothing_that_hadolint_minds() -> None:
    tool = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(tool), "--no-color", str(ROOT / "Containerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_mind_a_fault(tmp_path: Path) -> None:
    faulty = tmp_path / "Containerfile"
    faulty.write_text(CONTAINERFILE.replace("# hadolint ignore=DL3008\n", ""))
    tool = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(tool), str(faulty)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.count("DL3008") == 2


def test_no_rule_is_ignored_without_a_reason_above_it() -> None:
    lines = CONTAINERFILE.splitlines()
    ignored = [number for number, line in enumerate(lines) if "hadolint ignore" in line]
    assert len(ignored) == 2
    for number in ignored:
        assert lines[number - 1].startswith("# ")
        assert len(lines[number - 1]) > 40


def test_every_image_runs_as_nobody_in_particular() -> None:
    stages = re.split(r"^FROM ", CONTAINERFILE, flags=re.MULTILINE)[1:]
    run = next(each for each in stages if each.partition("\n")[0].endswith("AS run"))
    assert re.search(r"^USER 10001:10001$", run, re.MULTILINE)
    for each in stages[stages.index(run) + 1 :]:
        assert each.startswith("run AS ")
        assert not re.search(r"^(USER|COPY|RUN) ", each, re.MULTILINE)


def test_every_package_of_an_image_is_pinned() -> None:
    installs = re.findall(
        r"pip install (.*?)(?:&&|;|\n[A-Z#])", CONTAINERFILE.replace("\\\n", " "), re.DOTALL
    )
    assert len(installs) == 4
    for each in installs:
        assert "--constraint constraints.txt" in each or "--no-deps dist/" in each
    assert "--build-constraints constraints.txt" in CONTAINERFILE


def test_the_builder_sees_what_it_copies_and_no_more() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignore[1] == "*"
    allowed = {line[1:] for line in ignore if line.startswith("!") and "/" not in line}
    copied = {
        word
        for words in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE, re.MULTILINE)
        for word in words.split()
    }
    assert copied == allowed


def test_the_builder_sees_the_published_weights_and_no_others() -> None:
    ours = [
        [
            line.rstrip("/")
            for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
            if "bundles/" in line
        ]
        for name in (".gitignore", ".dockerignore")
    ]
    assert ours[0] == ours[1]
    assert sum(line.startswith("!") for line in ours[0]) >= 5
