"""Commands that no page runs by itself are ones the parser takes; links lead somewhere.

All others are run: tests/docs/test_snippets.py.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mammo_monai.bundle import find_bundle, parse_overrides
from mammo_monai.bundle.faults import check_ids
from mammo_monai.cli.main import build_parser
from tests.docs.snippets import commands_of, read_page

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("bundles/*/docs/README.md")),
]
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)  # links in it are those of another file


def _commands(page: Path) -> list[str]:
    """Commands of shell blocks that need a server, a cluster, another environment."""
    blocks = [each for each in read_page(page).blocks if each.language == "bash" and not each.is_run]
    lines = [line for each in blocks if not each.file for line in commands_of(each.text)]
    return [line.partition(" > ")[0].removesuffix(" &") for line in lines if "|" not in line]


# A recipe's commands name what the recipe has added; tests/recipes follows it.
COMMANDS = [(page, line) for page in PAGES if page.parent.name != "contributing" for line in _commands(page)]
OURS = [(page, line) for page, line in COMMANDS if line.startswith("mammo-monai ")]


@pytest.mark.parametrize(("page", "line"), OURS, ids=[line[:60] for _, line in OURS])
def test_a_shown_command_is_one_the_parser_takes(page: Path, line: str) -> None:
    parsed, unknown = build_parser().parse_known_args(shlex.split(line)[1:])
    if unknown:
        config = {"train": "train.json", "predict": "inference.json"}[parsed.verb]
        named = parsed.bundle if isinstance(parsed.bundle, list) else [parsed.bundle]  # predict takes several
        for bundle in (each.partition("=")[0] for each in named):
            configs = find_bundle(bundle) / "configs"
            content = json.loads((configs / config).read_text())
            for overlay in getattr(parsed, "config", None) or ():
                content |= json.loads((configs / overlay).read_text())
            check_ids(_overrides_of(bundle, named, unknown), content, line)


def _overrides_of(bundle: str, bundles: list[str], words: list[str]) -> dict[str, object]:
    """Overrides for all bundles and those for this one, `--NAME:id value`."""
    given = parse_overrides(words)
    names = {each.partition("=")[0] for each in bundles}
    own = {key.removeprefix(f"{bundle}:"): value for key, value in given.items()}
    return {key: value for key, value in own.items() if key.partition(":")[0] not in names - {bundle}}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "bundles" / "README.md"], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [each for each in LINK.findall(BLOCK.sub("", page.read_text())) if not each.startswith("http")]
    assert [each for each in targets if not (page.parent / each).exists()] == []
