"""Every picture in docs/images with the command that makes it anew.

    python scripts/docs/pictures.py             # the list
    python scripts/docs/pictures.py show.jpg    # runs the command of one

A command that needs what other commands leave says so: its folder must be there. Look at what was made.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXPLANATION = "scripts/docs/explanation_pictures.py"
PROFILES = "scripts/bench/profile_pictures.py"
CLINIC, TUTORIALS = "scripts/docs/clinic_pictures.py", "scripts/docs/tutorial_pictures.py"
FOLLOWED = "build/followed"  # scripts/docs/follow.py leaves it
COMMANDS = {
    "audit.jpg": "scripts/docs/page_pictures.py audit",
    "cli-doctor.svg": "scripts/docs/cli_pictures.py doctor",
    "cli-evaluate.svg": "scripts/docs/cli_pictures.py evaluate",
    "cli-manifest.svg": "scripts/docs/cli_pictures.py manifest",
    "cli-predict.svg": "scripts/docs/cli_pictures.py predict",
    "coordinates.png": EXPLANATION,
    "data-flow.png": EXPLANATION,
    "demo-report.jpg": "scripts/docs/page_pictures.py demo runs/demo",
    "freezing.png": EXPLANATION,
    "ohif.jpg": "scripts/clinic/ohif.py film.dcm film_sr.dcm --picture docs/images/ohif.jpg",
    "paper-tables.jpg": "scripts/docs/page_pictures.py tables runs/phantom_two_stage",
    "profile-chain.png": PROFILES,
    "profile-map.png": PROFILES,
    "profile-reading.png": PROFILES,
    "review.jpg": "scripts/docs/page_pictures.py review",
    "scaling.png": "scripts/bench/scaling.py --plot docs/images/scaling.png",
    "show.jpg": "scripts/docs/page_pictures.py show",
    "site.jpg": "scripts/docs/site_pictures.py",
    "tutorial-marks.jpg": f"{TUTORIALS} films",
    "tutorial-pacs-ohif.jpg": f"{CLINIC} pacs {FOLLOWED}/results-into-your-pacs/here",
    "tutorial-pacs-overlay.jpg": f"{CLINIC} pacs {FOLLOWED}/results-into-your-pacs/here",
    "tutorial-report.jpg": f"{TUTORIALS} pages {FOLLOWED}/two-stages-on-phantoms/here",
    "tutorial-site-compare.jpg": f"{CLINIC} site {FOLLOWED}/fine-tune-at-your-site/here",
    "tutorial-site-show.jpg": f"{CLINIC} site {FOLLOWED}/fine-tune-at-your-site/here",
}
"""By file name; each is run by this interpreter in the repository's folder."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", nargs="?", choices=COMMANDS, metavar="PICTURE")
    picture = parser.parse_args().picture
    if picture is None:
        print("\n".join(f"{name:28}python {command}" for name, command in COMMANDS.items()))
        return
    subprocess.run([sys.executable, *shlex.split(COMMANDS[picture])], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
