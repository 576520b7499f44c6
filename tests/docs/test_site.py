"""The site: it builds without a warning, every link holds, and the checks that say so see a planted fault."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mammo_monai.cli.main import VERBS

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts" / "docs"


@pytest.fixture(scope="module")
def site() -> Iterator[SimpleNamespace]:
    """The modules of scripts/docs that build the site; the folder is no package."""
    names = ("build_links", "build_stage", "build_api", "build_cli", "build_check", "build_docstrings")
    sys.path.insert(0, str(SCRIPTS))
    modules: dict[str, ModuleType] = {name.removeprefix("build_"): import_module(name) for name in names}
    yield SimpleNamespace(**modules)
    sys.path.remove(str(SCRIPTS))
    for name in names:
        sys.modules.pop(name, None)


def test_the_site_builds_and_is_sound(site: Any, tmp_path: Path) -> None:
    """Names in place of docstrings: those are imported and read by `make docs`."""
    built = tmp_path / "site"
    command = [sys.executable, str(SCRIPTS / "build.py"), "--out", str(built), "--without-api", "--jobs", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    texts = {file.relative_to(built).as_posix(): file.read_text() for file in built.rglob("*.html")}
    assert {
        "index.html",
        "bundles/cbis_mass_detection/index.html",
        "project/contributing.html",
    } <= texts.keys()
    pages = (file for file in (ROOT / "docs").rglob("*.md") if not file.parent.name.startswith("_"))
    assert {file.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for file in pages} <= texts.keys()
    assert {f"reference/cli/{verb}.html" for verb in VERBS} <= texts.keys()
    assert "reference/manifest" in site.check.found_by(built, "froc")
    assert [path for path, text in texts.items() if str(ROOT) in text] == []
    assert [path for path, text in texts.items() if "<!-- quick" in text or "<!-- world" in text] == []


def sound_site(folder: Path) -> Path:
    """Two pages that lead to each other, a picture, a search."""
    files = {
        "index.html": '<link rel="stylesheet" href="a.css"><a href="sub/b.html#here">b</a>'
        '<img src="p.png" alt="p">',
        "sub/b.html": '<h1 id="here">b</h1><a href="../index.html">a</a><a href="https://example.org">far</a>',
        "search.html": '<script src="searchindex.js"></script>',
        "a.css": "body{background:url(p.png)}",
        "p.png": "",
        "searchindex.js": "Search.setIndex("
        + json.dumps({"docnames": ["index", "sub/b"], "terms": {}, "titleterms": {}})
        + ")",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_sound_site_has_no_faults(site: Any, tmp_path: Path) -> None:
    assert site.check.faults(sound_site(tmp_path)) == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("index.html", '<a href="gone.html">', "index.html: gone.html leads nowhere"),
        ("index.html", '<img src="gone.png" alt="x">', "index.html: gone.png leads nowhere"),
        ("index.html", '<a href="sub/b.html#gone">', "index.html: sub/b.html#gone has no such anchor"),
        ("sub/b.html", '<a href="#gone">', "sub/b.html: #gone has no such anchor"),
        ("index.html", '<a href="/index.html">', "does not hold when the site is moved"),
        ("index.html", '<a href="file:///index.html">', "does not hold when the site is moved"),
        ("index.html", '<script src="https://example.org/a.js"></script>', "loads https://example.org/a.js"),
        ("index.html", '<link rel="stylesheet" href="//example.org/a.css">', "loads //example.org/a.css"),
        ("index.html", '<iframe src="https://example.org"></iframe>', "loads https://example.org"),
        ("index.html", '<img src="https://example.org/a.png" alt="x">', "loads https://example.org/a.png"),
        (
            "index.html",
            '<img srcset="https://example.org/a.png 2x" alt="x">',
            "loads https://example.org/a.png",
        ),
        (
            "index.html",
            "<style>a{src:url(https://example.org/f)}</style>",
            "its style loads https://example.org/f",
        ),
        ("index.html", '<img src="p.png">', "the picture p.png has no words"),
        ("a.css", "@import 'https://example.org/f.css';", "a.css: loads https://example.org/f.css"),
        ("more.js", "import('https://example.org/f.js')", "more.js: loads https://example.org/f.js"),
        ("alone.html", "<p>nobody leads here</p>", "alone.html: no link leads to it"),
        ("alone.html", "<p>nobody finds this</p>", "alone.html: the search does not know it"),
        ("search.html", "", "search.html: does not load searchindex.js"),
    ],
)
def test_a_planted_fault_is_named(site: Any, tmp_path: Path, file: str, text: str, said: str) -> None:
    target = sound_site(tmp_path) / file
    kept = target.read_text() if target.exists() and file != "search.html" else ""
    target.write_text(kept + text)
    assert any(said in fault for fault in site.check.faults(tmp_path))


def test_a_missing_search_index_is_named(site: Any, tmp_path: Path) -> None:
    (sound_site(tmp_path) / "searchindex.js").unlink()
    assert any("the search finds nothing" in fault for fault in site.check.faults(tmp_path))


def test_links_in_code_stay_and_all_others_are_resolved(site: Any) -> None:
    text = (
        "[a](a.md#b) ![p](p.png) [far](https://example.org) [up](#here)\n"
        '[`a`](a.md) and `[code](a.md)` <img src="p.png">\n'
        "[name]: a.md\n```bash\n[c](a.md)\n```\n"
    )
    assert site.links.rewrite_links(text, lambda target: f"new/{target}") == (
        "[a](new/a.md#b) ![p](new/p.png) [far](https://example.org) [up](#here)\n"
        '[`a`](new/a.md) and `[code](a.md)` <img src="new/p.png">\n'
        "[name]: new/a.md\n```bash\n[c](a.md)\n```\n"
    )


def test_comments_go_but_not_those_in_code_and_lines_keep_their_numbers(site: Any) -> None:
    text = "<!-- world: films -->\na\n<!-- site\nb\n-->\n```text\n<!-- kept -->\n```\n<!-- two\nlines -->\nc"
    shown = site.links.site_text(text)
    assert shown == "\na\n\nb\n\n```text\n<!-- kept -->\n```\n\n\nc"
    assert shown.count("\n") == text.count("\n")


def laid_out(site: Any, folder: Path, pages: dict[str, str]) -> Path:
    for name, text in pages.items():
        (folder / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "root" / name).write_text(text)
    site.stage.Stage(folder / "root", folder / "out").write()
    return folder / "out"


def test_a_link_to_source_leads_to_a_page_that_shows_it(site: Any, tmp_path: Path) -> None:
    page = "# A\n[code](../../tests/a.py) [all](../../tests) [b](../../bundles/README.md) [gone](gone.md)\n"
    out = laid_out(
        site,
        tmp_path,
        {"docs/how-to/a.md": page, "tests/a.py": "x = '```'\n", "bundles/README.md": "# Bundles\n"},
    )
    assert (out / "how-to/a.md").read_text() == (
        "# A\n[code](../source/tests/a.py.md) [all](../source/tests.md) [b](../bundles/index.md) "
        "[gone](gone.md)\n"
    )
    assert "````python\nx = '```'\n````" in (out / "source/tests/a.py.md").read_text()
    assert "- `a.py`" in (out / "source/tests.md").read_text()


def test_an_index_lists_a_page_that_it_does_not_name(site: Any, tmp_path: Path) -> None:
    pages = {
        "docs/how-to/index.md": "# I\n- [B](b.md)\n",
        "docs/how-to/a.md": "# Aha\n",
        "docs/how-to/b.md": "# B\n",
    }
    text = (laid_out(site, tmp_path, pages) / "how-to/index.md").read_text()
    assert "- [Aha](a.md)" in text
    assert text.endswith("\nb.md\na.md\n```\n")


def test_a_notebooks_links_are_resolved(site: Any) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["[a](b.md)\n"]},
        {"cell_type": "code", "source": "[a](b.md)"},
    ]
    done = json.loads(
        site.links.rewrite_notebook(json.dumps({"cells": cells}), lambda target: f"new/{target}")
    )
    assert [cell["source"] for cell in done["cells"]] == ["[a](new/b.md)\n", "[a](b.md)"]


def test_every_public_name_is_documented_once(site: Any) -> None:
    pages = site.api.api_pages(ROOT)
    lines = [line for text in pages.values() for line in text.splitlines() if line.startswith(".. auto")]
    assert len(lines) == len(set(lines))
    assert ".. autofunction:: mammo_monai.metrics.froc_curve" in lines
    assert ".. autoclass:: mammo_monai.metrics.FrocCurve" in lines
    assert ".. automodule:: mammo_monai.records" in lines
    assert "auto" not in site.api.api_pages(ROOT, with_docstrings=False)["reference/api/metrics.rst"]


def test_every_module_is_listed_with_what_it_owns(site: Any) -> None:
    text = site.api.api_pages(ROOT)["reference/modules.md"]
    for file in (ROOT / "mammo_monai").rglob("*.py"):
        name = file.relative_to(ROOT / "mammo_monai").with_suffix("").as_posix().removesuffix("/__init__")
        assert name == "__init__" or f"| `{name}` | " in text, name
    assert "|  |" not in text


def test_the_builder_finds_the_parser_of_each_verb(site: Any) -> None:
    assert site.cli.predict().prog == "mammo-monai predict"
    with pytest.raises(AttributeError, match="paint is no verb"):
        _ = site.cli.paint


def test_a_star_in_a_docstring_is_a_star(site: Any) -> None:
    lines = ["of *args, `*kept*`, name_ and a|b", ">>> a * b"]
    site.docstrings.escape(None, "function", "f", None, None, lines)
    words = ["dict() -> new empty dictionary", "dict(mapping) ->"]
    site.docstrings.escape(None, "data", "Alias", dict[str, int], None, words)
    assert words == []
    assert lines == ["of \\*args, `*kept*`, name\\_ and a\\|b", ">>> a * b"]


def test_the_examples_in_the_builders_modules_hold(site: Any) -> None:
    results = [doctest.testmod(module) for module in vars(site).values()]
    assert sum(result.attempted for result in results) >= 6
    assert sum(result.failed for result in results) == 0
