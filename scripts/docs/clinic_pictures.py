"""Pictures of the tutorials on fine-tuning and on the PACS: pages, an overlay, and OHIF with a report.

    python scripts/docs/clinic_pictures.py site FOLDER     # where fine-tune-at-your-site.md was followed
    python scripts/docs/clinic_pictures.py pacs FOLDER     # where results-into-your-pacs.md was, to step 6

`site` takes pictures of the two pages that the tutorial writes (Chromium, headless). `pacs` joins the
overlays, and starts an Orthanc of its own with the films and reports for OHIF; `sh scripts/clinic/setup.sh
pacs` installs both.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import requests
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
PAGES = {
    "show.html": ("tutorial-site-show.jpg", {"width": 1100, "height": 760}),
    "compare.html": ("tutorial-site-compare.jpg", {"width": 1100, "height": 1000}),
}
OVERLAYS, REPORT = "tutorial-pacs-overlay.jpg", "tutorial-pacs-ohif.jpg"
HEIGHT_PX, WIDTH_PX = 420, 1000
MOST_BYTES = 200_000


def take_pages(folder: Path) -> None:
    """Pictures of the pages of fine-tune-at-your-site.md."""
    with _browser() as browser:
        for name, (picture, size) in PAGES.items():
            page = browser.new_page(viewport=size)  # type: ignore[arg-type]  # a dict of two numbers
            page.goto((folder / name).resolve().as_uri())
            page.wait_for_timeout(2000)
            _save(Image.open(io.BytesIO(page.screenshot())), IMAGES / picture)
            page.close()


def take_overlays(folder: Path) -> None:
    """The overlays of results-into-your-pacs.md side by side."""
    pictures = [Image.open(each).convert("RGB") for each in sorted((folder / "overlays").glob("*.png"))]
    scaled = [each.resize((round(each.width * HEIGHT_PX / each.height), HEIGHT_PX)) for each in pictures]
    joined = Image.new("RGB", (sum(each.width for each in scaled), HEIGHT_PX))
    left = 0
    for each in scaled:
        joined.paste(each, (left, 0))
        left += each.width
    _save(joined, IMAGES / OVERLAYS)


def take_report(folder: Path) -> None:
    """OHIF with the report of results-into-your-pacs.md on its image."""
    from scripts.clinic.ohif import PICTURE, TOUR, WAIT_MS, serving_ohif  # noqa: PLC0415  # needs the path set below
    from tests.clinic.orthanc_server import running_orthanc  # noqa: PLC0415  # needs the path set below
    from tests.clinic.test_tutorials import boxes_drawn  # noqa: PLC0415  # needs the path set below

    files = [*sorted((folder / "films").glob("*.dcm")), *sorted((folder / "results").glob("*_sr.dcm"))]
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    with tempfile.TemporaryDirectory() as storage, running_orthanc(Path(storage)) as orthanc:
        for file in files:
            requests.post(f"{orthanc.url}/instances", data=file.read_bytes(), timeout=60).raise_for_status()
        with serving_ohif(orthanc.dicomweb_url) as url, _browser() as browser:
            page = browser.new_page(viewport=PICTURE)
            page.add_init_script(f"localStorage.setItem('shownTours', '[\"{TOUR}\"]')")
            page.goto(f"{url}/viewer?StudyInstanceUIDs={study}", timeout=WAIT_MS)
            if not boxes_drawn(page):
                raise SystemExit("OHIF drew no box: run it again.")
            _save(Image.open(io.BytesIO(page.screenshot())), IMAGES / REPORT)


@contextmanager
def _browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # an extra

    from tests.clinic.conftest import CHROMIUM_ARGUMENTS, CHROMIUMS  # noqa: PLC0415  # needs the path set below

    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


def _save(picture: Image.Image, target: Path) -> None:
    picture = picture.convert("RGB")
    if picture.width > WIDTH_PX:
        picture = picture.resize((WIDTH_PX, round(picture.height * WIDTH_PX / picture.width)))
    picture.save(target, "JPEG", quality=85, optimize=True, progressive=True)
    if target.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{target}: {target.stat().st_size} bytes, expected at most {MOST_BYTES}.")
    print(f"wrote {target}: {target.stat().st_size // 1000} kB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("site", "pacs"))
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    if args.what == "site":
        take_pages(args.folder)
    else:
        take_overlays(args.folder)
        take_report(args.folder)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # the clinic tests' Orthanc and browser
    main()
