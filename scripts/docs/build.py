"""`make docs`: lays out the pages, builds the site, checks what was built. Needs no network.

    python scripts/docs/build.py                     # build/site/index.html
    python scripts/docs/build.py --run-notebooks     # and the notebooks' results, made anew
    python scripts/docs/build.py --without-api       # names in place of docstrings: seconds
    python scripts/docs/build.py --check build/site  # only checks

Warnings of the builder are errors. Ends with 0 where the site is sound, else with 1 and a line per fault.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from importlib import import_module
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

from build_api import api_pages  # noqa: E402
from build_check import faults  # noqa: E402
from build_cli import cli_pages  # noqa: E402
from build_stage import Stage  # noqa: E402


def build(root: Path, out: Path, *, with_api: bool, jobs: str = "auto", options: tuple[str, ...] = ()) -> int:
    """Builds the pages of a repository into `out`; the builder's exit code."""
    source = out.with_name(f"{out.name}-source")
    generated = cli_pages() | api_pages(root, with_docstrings=with_api)
    if with_api:
        import_package(generated)
    if (out / ".buildinfo").exists():  # an earlier site: its pages would stay where theirs are gone
        shutil.rmtree(out)
    stage = Stage(root, source, generated)
    stage.write()
    for place in stage.unlisted:
        print(f"note: no index leads to {place}; the site lists it below the others", file=sys.stderr)
    arguments = [
        "--builder",
        "html",
        "--jobs",
        jobs,
        "--conf-dir",
        str(ROOT / "docs"),
        "--quiet",
        "--fresh-env",
    ]
    arguments += [
        "--fail-on-warning",
        "--keep-going",
        "--doctree-dir",
        str(out.with_name(f"{out.name}-doctrees")),
    ]
    return sphinx_build([*arguments, *options, str(source), str(out)])


def import_package(pages: dict[str, str]) -> None:
    """Imports what the API's pages document before the builder forks: once, not in each of its processes."""
    for place in pages:
        name = Path(place).stem
        if place.startswith("reference/api/") and name != "index":
            import_module(f"mammo_monai.{name}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder of the site")
    parser.add_argument("--without-api", action="store_true", help="names in place of docstrings")
    parser.add_argument("--run-notebooks", action="store_true", help="show the results of the notebooks")
    parser.add_argument("--jobs", default="auto", help="processes of the builder")
    parser.add_argument("--check", type=Path, metavar="SITE", help="check a built site, build nothing")
    args = parser.parse_args()
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    start = time.monotonic()
    site = args.check or args.out.resolve()
    options = ("-D", "nb_execution_mode=force") if args.run_notebooks else ()
    if not args.check and build(ROOT, site, with_api=not args.without_api, jobs=args.jobs, options=options):
        print("the builder warned: each warning above is a fault of a page", file=sys.stderr)
        return 1
    found = faults(site)
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    n_pages = sum(1 for _ in site.rglob("*.html"))
    print(f"{site / 'index.html'}: {n_pages} pages, {len(found)} faults, {time.monotonic() - start:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
