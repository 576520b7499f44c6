"""Pictures of pages that commands write, from synthetic mammograms: audit, contact sheet, review, reports.

    python scripts/docs/page_pictures.py audit | show | review      # make their own data in --work
    python scripts/docs/page_pictures.py demo runs/demo             # of `make demo`
    python scripts/docs/page_pictures.py tables runs/phantom_two_stage   # of docs/explanation/evidence.md

Needs Chromium and playwright (extra `clinic`). Look at each picture before you keep it.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
COMMAND = Path(sys.executable).with_name("mammo-monai")
MOST_BYTES, MOST_PX = 250_000, 1725
SEED = 4


def audit(page: Page, work: Path) -> None:
    """A manifest of phantoms broken on purpose: verdict, counts, findings."""
    words = [sys.executable, ROOT / "scripts" / "audit_showcase.py", "--out", work, "--layouts", "cbis-ddsm"]
    subprocess.run(list(map(str, words)), check=True)
    page.goto((work / "cbis-ddsm" / "audit.html").resolve().as_uri())
    _save([_shot(page, 1120, 1270)], "audit.jpg")


def show(page: Page, work: Path) -> None:
    """The contact sheet of a data set."""
    manifest = _manifest(work)
    _run("show", manifest)
    page.goto(manifest.with_name("show.html").resolve().as_uri())
    _save([_shot(page, 1360, 1170)], "show.jpg")


def review(page: Page, work: Path) -> None:
    """The review page with the four views of a patient."""
    manifest, marks = _manifest(work), work / "detections.json"
    _run("predict", manifest, "--bundle", "cbis_mass_detection", "--region", "global", "-o", marks)
    words = ("review", marks, "--manifest", manifest, "--out", work / "reviews", "--port", 0)
    with _served(*words) as address:
        page.goto(address)
        page.wait_for_selector("#list button")
        page.get_by_role("button", name="All four").click()
        _save([_shot(page, 1360, 850)], "review.jpg")


def demo(page: Page, folder: Path) -> None:
    """The report of the demo: its top, and findings beside it."""
    page.goto((folder / "report.html").resolve().as_uri())
    top = _shot(page, 920, 860)
    page.locator("#images").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#images').scrollIntoView()")
    _save([top, _shot(page, 920, 860)], "demo-report.jpg")


def tables(page: Page, folder: Path) -> None:
    """The part of an experiment's report with the published tables, ours beside them."""
    report = folder / "report.html"
    _run("report", folder, "-o", report, "--published", "--images", "digital")
    page.goto(report.resolve().as_uri())
    headings = "[...document.querySelectorAll('h2, h3')]"
    page.evaluate(f"{headings}.find(each => /published/i.test(each.textContent)).scrollIntoView()")
    _save([_shot(page, 1120, 1640)], "paper-tables.jpg")


PICTURES: dict[str, Callable[[Page, Path], None]] = {
    each.__name__: each for each in (audit, show, review, demo, tables)
}


def _manifest(work: Path) -> Path:
    films, manifest = work / "INbreast", work / "manifest.json"
    _run("phantoms", "--layout", "inbreast", "--patients", 6, "--seed", SEED, "--pixel-spacing-mm", 0.2,
         "--out", films)  # fmt: skip
    _run("manifest", "inbreast", films, "-o", manifest)
    return manifest


def _run(*words: object) -> None:
    subprocess.run([str(COMMAND), *map(str, words)], check=True)


@contextmanager
def _served(*words: object) -> Iterator[str]:
    """The address of a page that a command serves; the command ends with the block."""
    process = subprocess.Popen([str(COMMAND), *map(str, words)], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            if found := re.match(r"open (http\S+)", line):
                yield found[1]
                return
        raise SystemExit(f"mammo-monai {words[0]} served no page.")
    finally:
        process.terminate()
        process.wait()


def _shot(page: Page, width: int, height: int) -> Image.Image:
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(2000)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def _save(parts: list[Image.Image], name: str) -> None:
    joined = Image.new("RGB", (sum(each.width for each in parts), parts[0].height))
    left = 0
    for each in parts:
        joined.paste(each, (left, 0))
        left += each.width
    if joined.width > MOST_PX:
        joined = joined.resize((MOST_PX, round(joined.height * MOST_PX / joined.width)))
    for quality in (85, 75, 65, 55):
        joined.save(IMAGES / name, quality=quality, optimize=True, progressive=True)
        if (IMAGES / name).stat().st_size <= MOST_BYTES:
            print(f"wrote {IMAGES / name}: {(IMAGES / name).stat().st_size // 1000} kB")
            return
    raise SystemExit(f"{name} stays above {MOST_BYTES} bytes.")


@contextmanager
def _browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # an extra

    from tests.clinic.conftest import CHROMIUM_ARGUMENTS, CHROMIUMS  # noqa: PLC0415  # needs the path set below

    paths = [Path(folder) / name for name in CHROMIUMS for folder in os.get_exec_path()]
    path = next((str(each) for each in paths if each.is_file()), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=PICTURES)
    parser.add_argument("folder", type=Path, nargs="?", help="of demo and tables: what was run before")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "page-pictures")
    args = parser.parse_args()
    if args.what in ("demo", "tables") and args.folder is None:
        parser.error(f"{args.what} needs the folder that was written before")
    work = args.folder or args.work / args.what
    work.mkdir(parents=True, exist_ok=True)
    with _browser() as browser:
        PICTURES[args.what](browser.new_page(), work)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # the clinic tests' browser
    main()
