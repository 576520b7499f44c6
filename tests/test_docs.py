"""Every command the documentation shows is one the parser takes, with overrides that its bundle has."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mammo_monai.bundle import find_bundle, parse_overrides
from mammo_monai.bundle.faults import check_ids
from mammo_monai.cli.main import build_parser

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("bundles/*/docs/README.md")),
]
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


def _commands(page: Path) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), flags=re.DOTALL)
    text = "\n".join(blocks).replace("\\\n", " ")
    for name, value in re.findall(r'^(\w+)="([^"]*)"', text, flags=re.MULTILINE):
        text = text.replace(f"${name}", value)
    # A comment begins after a space; the # of an id such as network_def#backbone does not.
    return [bare for line in text.splitlines() if (bare := re.sub(r"\s#\s.*$", "", line).strip())]


COMMANDS = [(page, line) for page in PAGES for line in _commands(page)]
OURS = [(page, line) for page, line in COMMANDS if line.startswith("mammo-monai ")]
MONAIS = [(page, line) for page, line in COMMANDS if "-m monai.bundle run" in line]


def test_the_documentation_shows_commands() -> None:
    assert len(OURS) > 10
    assert len(MONAIS) > 10


@pytest.mark.parametrize(("page", "line"), OURS, ids=[line[:60] for _, line in OURS])
def test_a_shown_command_is_one_the_parser_takes(page: Path, line: str) -> None:
    parsed, unknown = build_parser().parse_known_args(shlex.split(line)[1:])
    if unknown:
        config = {"train": "train.json", "predict": "inference.json"}[parsed.verb]
        named = parsed.bundle if isinstance(parsed.bundle, list) else [parsed.bundle]  # predict takes several
        for bundle in (each.partition("=")[0] for each in named):
            content = json.loads((find_bundle(bundle) / "configs" / config).read_text())
            check_ids(_overrides_of(bundle, named, unknown), content, line)


def _overrides_of(bundle: str, bundles: list[str], words: list[str]) -> dict[str, object]:
    """Overrides for all bundles and those for this one, `--NAME:id value`."""
    given = parse_overrides(words)
    names = {each.partition("=")[0] for each in bundles}
    own = {key.removeprefix(f"{bundle}:"): value for key, value in given.items()}
    return {key: value for key, value in own.items() if key.partition(":")[0] not in names - {bundle}}


@pytest.mark.parametrize(
    ("page", "line"), MONAIS, ids=[f"{p.parent.parent.name}-{x[:50]}" for p, x in MONAIS]
)
def test_a_shown_bundle_command_names_ids_and_files_that_are_there(page: Path, line: str) -> None:
    words = shlex.split(line)
    words = words[words.index("monai.bundle") + 2 :]
    run_id, overrides = words[0], parse_overrides(words[1:])
    root = page.parent.parent if page.parent.name == "docs" else ROOT / str(overrides["bundle_root"])
    named = overrides.pop("config_file")
    content: dict[str, object] = {}
    for name in named if isinstance(named, list) else [named]:
        content |= json.loads((root / "configs" / Path(str(name)).name).read_text())
    assert run_id in content
    check_ids(overrides, content, line)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "bundles" / "README.md"], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [each for each in LINK.findall(page.read_text()) if not each.startswith("http")]
    assert [each for each in targets if not (page.parent / each).exists()] == []
