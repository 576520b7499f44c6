"""Pictures of the first two tutorials, from phantoms: films as marked, and a report.

    python scripts/docs/tutorial_pictures.py films
    python scripts/docs/tutorial_pictures.py pages build/followed/two-stages-on-phantoms/here

`films` writes phantoms in the layout of scanned films, marks them as the first tutorial does, and joins four
of the overlays. `pages` takes pictures of pages that following the second tutorial left (Chromium).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from pydicom import dcmread
from pydicom.uid import DigitalMammographyXRayImageStorageForProcessing, generate_uid

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
COMMAND = Path(sys.executable).with_name("mammo-monai")
N_FILMS = 4
HEIGHT_PX = 520
PAGES = {"report.html": ("tutorial-report.jpg", (1100, 1500))}
WIDTH_PX = 900
MOST_BYTES = 200_000


def make_films(folder: Path) -> Path:
    """Writes `films/` with four synthetic films and one image for processing; returns it."""
    phantoms, films = folder / "phantoms", folder / "films"
    _run(
        "phantoms",
        "--layout",
        "cbis-ddsm",
        "--patients",
        3,
        "--seed",
        4,
        "--pixel-spacing-mm",
        0.1,
        "--out",
        phantoms,
    )
    films.mkdir(exist_ok=True)
    images = json.loads((phantoms / "truth.json").read_text())["images"][:N_FILMS]
    for image in images:
        name = f"{image['patient_id']}_{image['laterality']}_{image['view_position']}.dcm"
        shutil.copy(phantoms / image["image"], films / name)
    _write_raw(phantoms / images[0]["image"], films / "raw.dcm")
    return films


def mark(films: Path, folder: Path) -> Path:
    """Marks the films as the tutorial does; returns the folder of overlays."""
    words = (
        "predict",
        films,
        "--bundle",
        "cbis_mass_detection",
        "--fppi",
        0.5,
        "--overlays",
        folder / "overlays",
    )
    code = _run(*words, "-o", folder / "detections.json", may_fail=True)
    if code != 1:
        raise SystemExit(f"predict ended with {code}; with one image for processing it ends with 1.")
    return folder / "overlays"


def join(pictures: list[Path], target: Path) -> None:
    """Joins pictures side by side at one height."""
    scaled = []
    for path in pictures:
        with Image.open(path) as picture:
            width = round(picture.width * HEIGHT_PX / picture.height)
            scaled.append(picture.convert("RGB").resize((width, HEIGHT_PX), Image.Resampling.LANCZOS))
    sheet = Image.new("RGB", (sum(each.width for each in scaled) + 8 * (len(scaled) - 1), HEIGHT_PX))
    left = 0
    for each in scaled:
        sheet.paste(each, (left, 0))
        left += each.width + 8
    _save(sheet, target)


def picture_of_page(page: Path, target: Path, size: tuple[int, int]) -> None:
    """Takes a picture of the upper part of a page."""
    browser = next(
        (
            found
            for name in ("chromium", "chromium-browser", "google-chrome")
            if (found := shutil.which(name))
        ),
        None,
    )
    if browser is None:
        raise SystemExit("No Chromium here: apt-get install chromium.")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        words = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--screenshot={shot}"]
        subprocess.run(
            [*words, f"--window-size={size[0]},{size[1]}", page.resolve().as_uri()],
            check=True,
            capture_output=True,
        )
        with Image.open(shot) as picture:
            height = round(picture.height * WIDTH_PX / picture.width)
            _save(picture.convert("RGB").resize((WIDTH_PX, height), Image.Resampling.LANCZOS), target)


def _save(picture: Image.Image, target: Path) -> None:
    for quality in (88, 80, 70, 60, 50):
        picture.save(target, quality=quality, optimize=True, progressive=True)
        if target.stat().st_size <= MOST_BYTES:
            print(f"{target}: {target.stat().st_size} bytes")
            return
    raise SystemExit(f"{target} stays above {MOST_BYTES} bytes.")


def _write_raw(source: Path, target: Path) -> None:
    """A copy that says of itself what raw detector values say: FOR PROCESSING."""
    dataset = dcmread(source)
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PROCESSING"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
        DigitalMammographyXRayImageStorageForProcessing
    )
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["raw"])
    dataset.save_as(target)


def _run(*words: object, may_fail: bool = False) -> int:
    done = subprocess.run([str(COMMAND), *map(str, words)], check=False)
    if done.returncode and not may_fail:
        raise SystemExit(f"mammo-monai {' '.join(map(str, words))} ended with {done.returncode}.")
    return done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    films = commands.add_parser("films", help="overlays of synthetic films")
    films.add_argument(
        "--work", type=Path, default=ROOT / "build" / "tutorial-films", help="a folder to work in"
    )
    pages = commands.add_parser("pages", help="pages that following the second tutorial left")
    pages.add_argument("folder", type=Path)
    args = parser.parse_args()
    if args.what == "films":
        overlays = mark(make_films(args.work), args.work)
        join(sorted(overlays.glob("*.png"))[:N_FILMS], IMAGES / "tutorial-marks.jpg")
        return
    for name, (target, size) in PAGES.items():
        picture_of_page(args.folder / name, IMAGES / target, size)


if __name__ == "__main__":
    main()
