"""Pictures of the built site in a real browser, wide and narrow, light and dark; does a page scroll sideways?

    python scripts/docs/site_pictures.py      # build/site → build/site-pictures/*.png, docs/images/site.jpg

Needs Chromium (`chromium`, or the path in CHROMIUM) and a site made by scripts/docs/build.py. The pages are
opened from the disk, without a server and without a network: that the search works there is seen here, too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "landing": "index.html",
    "tutorial": "tutorials/mark-your-films.html",
    "how-to": "how-to/dicom-results.html",
    "command": "reference/cli/predict.html",
    "api": "reference/api/metrics.html",
    "search": "search.html?q=froc",
}
WIDTHS = {"wide": (1280, 900), "narrow": (380, 900)}
THEMES = {"light": 1, "dark": 0}
"""Blink's numbers for the scheme of colours that a reader prefers."""

SHEET_WIDTH = 1400
MAX_SHEET_BYTES = 400_000


@dataclass(frozen=True)
class Shot:
    """One picture: a page at a width in a scheme of colours."""

    name: str
    page: str
    width: str
    theme: str

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.width}-{self.theme}.png"


def browser() -> str:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        sys.exit("no Chromium found: install it, or name it in CHROMIUM")
    return found


def command(
    url: str, profile: Path, theme: str, size: tuple[int, int], *, budget_ms: int = 4000
) -> list[str]:
    """A browser without a window, a network or a memory of its own."""
    return [
        browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--virtual-time-budget={budget_ms}",
        f"--user-data-dir={profile}",
        f"--blink-settings=preferredColorScheme={THEMES[theme]}",
        f"--window-size={size[0]},{size[1]}",
        url,
    ]


def take(shot: Shot, site: Path, out: Path, profile: Path) -> None:
    """Writes one picture."""
    arguments = command(f"{site.as_uri()}/{shot.page}", profile, shot.theme, WIDTHS[shot.width])
    run(arguments, f"--screenshot={out / shot.file_name}")


def run(arguments: list[str], option: str) -> str:
    """The browser's output with one more option before the address."""
    words = [*arguments[:-1], option, arguments[-1]]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=600).stdout


MEASURE = """<iframe id="f" width="380" height="900" style="border:0"></iframe><pre id="out"></pre><script>
const pages = %s, found = [];
const measured = () => {
  const e = f.contentDocument.documentElement;
  found.push((e.scrollWidth - e.clientWidth) + " " + pages[found.length]);
  if (found.length < pages.length) f.src = pages[found.length];
  else out.textContent = found.join("\\n") + "\\nend";
};
f.onload = () => setTimeout(measured, 50);
f.src = pages[0];
</script>"""


def sideways(site: Path, profile: Path) -> list[str]:
    """Pages wider than a screen of 380 pixels, and by how much: measured in a frame of that width."""
    pages = sorted(each.relative_to(site).as_posix() for each in site.rglob("*.html"))
    frame = site / "_frame.html"
    frame.write_text(MEASURE % json.dumps(pages), encoding="utf-8")
    try:
        dom = run(command(frame.as_uri(), profile, "light", (800, 900), budget_ms=1_000_000), "--dump-dom")
    finally:
        frame.unlink()
    lines = re.search(r'<pre id="out">(.*)\nend</pre>', dom, re.DOTALL)
    if lines is None:
        raise RuntimeError("the browser did not measure the pages to the end")
    found = [line.split(" ", maxsplit=1) for line in lines.group(1).splitlines()]
    return [f"{page}: {over} px wider than a screen of 380 px" for over, page in found if int(over) > 0]


def sheet(shots: list[Shot], folder: Path) -> Image.Image:
    """All pictures on one sheet: a row for each page, its four looks side by side."""
    names = list(dict.fromkeys(shot.name for shot in shots))
    looks = list(dict.fromkeys((shot.width, shot.theme) for shot in shots))
    heights = 430
    widths = [round(WIDTHS[width][0] / WIDTHS[width][1] * heights) for width, _ in looks]
    page = Image.new(
        "RGB", (sum(widths) + 12 * (len(widths) + 1), len(names) * (heights + 40) + 12), "#7a8288"
    )
    draw = ImageDraw.Draw(page)
    for row, name in enumerate(names):
        left, top = 12, row * (heights + 40) + 30
        draw.text((left, top - 18), name, fill="white")
        for (width, theme), width_px in zip(looks, widths, strict=True):
            picture = Image.open(folder / Shot(name, "", width, theme).file_name).convert("RGB")
            page.paste(picture.resize((width_px, heights), Image.Resampling.LANCZOS), (left, top))
            left += width_px + 12
    return page.resize((SHEET_WIDTH, round(page.height * SHEET_WIDTH / page.width)), Image.Resampling.LANCZOS)


def save_small(picture: Image.Image, file: Path) -> None:
    """The best JPEG that stays below the limit."""
    for quality in (85, 75, 65, 55, 45):
        picture.save(file, quality=quality, optimize=True)
        if file.stat().st_size <= MAX_SHEET_BYTES:
            return


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site-pictures")
    parser.add_argument("--sheet", type=Path, default=ROOT / "docs" / "images" / "site.jpg")
    parser.add_argument("--only", nargs="+", choices=PAGES, default=list(PAGES), help="pages to look at")
    args = parser.parse_args()
    site, out = args.site.resolve(), args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    shots = [
        Shot(name, PAGES[name], width, theme) for name in args.only for width in WIDTHS for theme in THEMES
    ]
    with tempfile.TemporaryDirectory() as profile:
        for shot in shots:
            take(shot, site, out, Path(profile))
        wide = sideways(site, Path(profile))
    if len(args.only) == len(PAGES):
        save_small(sheet(shots, out), args.sheet)
    print("\n".join([*wide, f"{len(shots)} pictures in {out}, {len(wide)} pages scroll sideways"]))
    return 1 if wide else 0


if __name__ == "__main__":
    sys.exit(main())
