"""Breaks phantom data sets in every known way, makes manifests, and leaves the audit pages to look at.

    python scripts/audit_showcase.py [--out runs/audit_showcase] [--patients 16] [--layouts inbreast]

For each layout: phantoms, one fault per image (mammo_monai/phantoms/faults.py), `mammo-monai manifest`, then
`mammo-monai manifest check`. Prints what was planted beside what the audit says of that image; the pages lie
in OUT/LAYOUT/audit.html. Faults of which no manifest can come are planted in trees of their own: the command
must refuse them in one line.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mammo_monai.phantoms import SALT, write_phantoms
from mammo_monai.phantoms.faults import FAULTS, PlantedFault, break_phantoms
from mammo_monai.phantoms.written_tree import images_of, tables_of
from mammo_monai.records import record_id_of
from mammo_monai.schema import Finding, read_audit

REFUSED = ("unknown-delimiter", "truncated-table")


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """Runs the command as a person would."""
    line = [sys.executable, "-m", "mammo_monai.cli.main", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def places_of(whole: Path, fault: PlantedFault) -> set[str]:
    """The table rows of an image: the audit goes by them where the file could tell no UID."""
    image = next(each for each in images_of(whole) if each.name == fault.image)
    return {
        f"{table.path.name} row {number}"
        for table in tables_of(whole)
        for number, row in enumerate(table.rows, start=1)
        if row in table.rows_of(image)
    }


def print_table(planted: Sequence[PlantedFault], findings: Sequence[Finding], whole: Path) -> None:
    """Each fault beside the audit's rows about its image; then the rows about no image that was broken."""
    told: list[Finding] = []
    for fault in planted:
        record_id = record_id_of(fault.sop_instance_uid, SALT)
        places = places_of(whole, fault) if fault.image else set()
        found = [each for each in findings if each.record_id == record_id or each.place in places]
        told += found
        rows = "; ".join(f"{each.code} ({each.action.value})" for each in found)
        print(f"  {fault.name:<24}{rows or '-'}")
    for each in findings:
        if each not in told:
            print(f"  {'(another image)':<24}{each.code} ({each.action.value}): {each.found}")


def show(layout: str, whole: Path, out: Path) -> int:
    """Breaks a copy in all ways that leave a manifest; prints and keeps what came of it."""
    root = shutil.copytree(whole, out / "data")
    names = [name for name in FAULTS[layout] if name not in REFUSED]
    planted = break_phantoms(root, layout=layout, faults=names, seed=1)
    manifest = out / "manifest.json"
    done = command("manifest", layout, root, "-o", manifest)
    print(f"{layout}: exit code {done.returncode}\n{done.stdout}")
    print_table(planted, read_audit(out / "audit.csv").get(manifest.name, []), whole)
    checked = command("manifest", "check", manifest, "--pictures")
    print(f"\n{layout}, check: exit code {checked.returncode}\n{checked.stdout}")
    return done.returncode


def refuse(layout: str, name: str, whole: Path, out: Path) -> bool:
    """Plants a fault that must be refused; whether it was, and no manifest written."""
    root, manifest = shutil.copytree(whole, out / "data"), out / "manifest.json"
    break_phantoms(root, layout=layout, faults=[name])
    done = command("manifest", layout, root, "-o", manifest)
    print(f"{layout}, {name}: exit code {done.returncode}: {done.stderr.splitlines()[-1]}\n")
    return done.returncode == 2 and not manifest.exists()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/audit_showcase"))
    parser.add_argument("--patients", type=int, default=16)
    parser.add_argument("--spacing", type=float, default=0.5, help="mm per pixel of the phantoms")
    parser.add_argument("--layouts", nargs="+", choices=FAULTS, default=[*FAULTS])
    options = parser.parse_args()
    is_as_expected = True
    for layout in options.layouts:
        out = options.out / layout
        if out.exists():
            raise SystemExit(f"{out} exists already. Remove it, or name another folder with --out.")
        whole = write_phantoms(
            out / "whole",
            layout=layout,
            patients=options.patients,
            seed=1,
            pixel_spacing_mm=options.spacing,
            workers=2,
        )
        is_as_expected &= show(layout, whole, out) == 1
        for name in REFUSED:
            is_as_expected &= refuse(layout, name, whole, out / name)
        print(f"open {out / 'audit.html'}\n")
    return 0 if is_as_expected else 1


if __name__ == "__main__":
    sys.exit(main())
