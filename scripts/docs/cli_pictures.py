"""Makes docs/images/cli-*.svg: what the command prints, from real runs on synthetic mammograms.

python scripts/docs/cli_pictures.py            # all of them, a minute or two
python scripts/docs/cli_pictures.py doctor     # one

The figures in these pictures are of phantoms, never of patients. The pictures load no font and no script.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
COLUMNS = 100
PREPARING = (
    "mammo-monai phantoms --layout inbreast --patients 20 --seed 1 --pixel-spacing-mm 0.28 --out INbreast",
    "mammo-monai manifest inbreast INbreast -o manifest.json --types mass --fractions 0.4 0.1 0.5",
    "mammo-monai predict manifest.json --split test --bundle cbis_mass_detection --region global "
    "-o detections.json",
)
PICTURES = {
    # More threads than any machine has cores, so that there is something to mend.
    "doctor": ("OMP_NUM_THREADS=999 mammo-monai doctor",),
    "manifest": (
        "mammo-monai manifest inbreast INbreast -o manifest.json --types mass --fractions 0.4 0.1 0.5",
    ),
    "predict": (
        "mammo-monai predict manifest.json --split test --bundle cbis_mass_detection --region global \\\n"
        "    --fppi 0.5 -o marks.json",
    ),
    "evaluate": (
        "mammo-monai evaluate detections.json --manifest manifest.json --split test -o metrics.json",
    ),
}
TITLES = dict.fromkeys(PICTURES, "mammo-monai, synthetic mammograms") | {"doctor": "mammo-monai"}


def run(command: str, folder: Path) -> str:
    """What a command prints on a terminal: its results, then its log."""
    words = shlex.split(command.replace("\\\n", " "))
    start = words.index("mammo-monai")
    given = dict(word.split("=", 1) for word in words[:start])
    words[: start + 1] = [sys.executable, "-m", "mammo_monai.cli.main"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    variables = {
        "COLUMNS": str(COLUMNS),
        "PYTHONPATH": paths,
        "MAMMO_MONAI_CACHE": str(folder / "cache"),
        **given,
    }
    done = subprocess.run(
        words, cwd=folder, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1) and "doctor" not in words:
        raise RuntimeError(f"{command}: {done.stderr}")
    return done.stdout.replace(str(folder), "…")


def picture(name: str, folder: Path) -> str:
    """The SVG of one terminal with its commands and what they print."""
    console = Console(record=True, width=COLUMNS + 2, file=io.StringIO())
    for command in PICTURES[name]:
        console.print(Text(f"$ {command}", style="bold"))
        console.print(coloured(run(command, folder)))
    drawn = console.export_svg(title=TITLES[name], theme=MONOKAI, unique_id=f"cli-{name}")
    return without_fonts(drawn)


def coloured(printed: str) -> Text:
    """Levels of the doctor in the colours that it has on a terminal."""
    text = Text(printed.rstrip("\n"))
    for level, colour in (("ok", "green"), ("warning", "yellow"), ("fault", "red")):
        text.highlight_regex(rf"(?m)^  {level}\b", colour)
    return text


def without_fonts(drawn: str) -> str:
    """An SVG that loads no font from elsewhere: the reader's own monospace one is taken."""
    drawn = re.sub(r"@font-face\s*\{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
    return "\n".join(line.rstrip() for line in drawn.splitlines() if line.strip()) + "\n"


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if names != ["doctor"]:
            for command in PREPARING:
                run(command, folder)
        for name in names:
            drawn = picture(name, folder)
            (IMAGES / f"cli-{name}.svg").write_text(drawn, encoding="utf-8")
            print(f"docs/images/cli-{name}.svg: {len(drawn) / 1e3:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:] or list(PICTURES))
