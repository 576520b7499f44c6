"""`make audit`: are the pins whole, is one known to be vulnerable, what do users get, under which licences.

    python scripts/audit/run.py --out build/audit

Ends with 0 where all is well, 1 where something was found, 3 where vulnerabilities could not be asked about:
"not audited" is no pass. Everything else is done without a network.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from parts import Installed, is_strong_copyleft, licence_of, read_stated, shipped_requirements
from pins import read_pins, requirement_files, uncovered
from sbom import cut_to, environment_bill, validate, weight_components, with_weights
from vulnerabilities import audited, outdated, pip_audit, unexplained

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WELL, FOUND, NOT_AUDITED = 0, 1, 3


def check_vulnerabilities(tools: Path, out: Path) -> int:
    pins = read_pins(ROOT / "constraints.txt")
    audit = audited(requirement_files(pins), pip_audit(tools))
    known = json.loads((HERE / "known.json").read_text(encoding="utf-8"))
    new = unexplained(audit, known)
    n_versions = sum(map(len, pins.values()))
    write(
        out / "vulnerabilities.json",
        {
            "service": audit.service,
            "versions pinned": n_versions,
            "versions asked about": audit.n_asked,
            "findings": [vars(each) for each in audit.findings],
            "not asked about": dict(audit.unasked),
        },
    )
    for each in new:
        fixed = f"fixed in {', '.join(each.fixed_in)}" if each.fixed_in else "no fixed version yet"
        print(f"vulnerable: {each.package} {each.version}: {each.advisory}; {fixed}")
    for name in outdated(audit, known) if not audit.unasked else ():
        print(f"known.json: nothing fits {name} any more; take it off the list")
    if audit.unasked:
        why = next(iter(audit.unasked.values()))
        print(
            f"NOT AUDITED: {len(audit.unasked)} of {len(pins)} packages: {why}. "
            "Run it where the advisories of PyPI or OSV can be reached."
        )
        return FOUND if new else NOT_AUDITED
    print(f"vulnerabilities: {n_versions} versions asked about ({audit.service}), {len(new)} not explained")
    return FOUND if new else WELL


def check_pins(pyproject: dict[str, Any]) -> int:
    faults = uncovered(pyproject, read_pins(ROOT / "constraints.txt"))
    for each in faults:
        print(f"constraints.txt: {each}")
    return FOUND if faults else WELL


def check_parts(pyproject: dict[str, Any], tools: Path, out: Path) -> int:
    """Writes the bills and the table of licences; 1 where what we import is GPL, AGPL or says nothing."""
    bill = environment_bill(tools, ROOT / "pyproject.toml")
    here = Installed.here()
    core, imported = map(here.closure, shipped_requirements(pyproject))
    everybody = {each["name"] for each in cut_names(bill)}
    weights = weight_components(ROOT / "bundles", bill["metadata"]["component"].get("version", "0"))
    for name, chosen in (("core", core), ("extras", imported), ("dev", everybody)):
        made = with_weights(cut_to(bill, chosen), weights)
        validate(made, tools)
        write(out / f"sbom-{name}.json", made)
    stated = read_stated(HERE / "licences.json")
    rows, faults = [], 0
    for each in cut_names(bill):
        licence = licence_of(each["component"], stated)
        who = "core" if each["name"] in core else "extra" if each["name"] in imported else "tool"
        is_fault = who != "tool" and (licence == "unknown" or is_strong_copyleft(licence))
        faults += is_fault
        rows.append((who, each["component"]["name"], each["component"].get("version", ""), licence))
        if is_fault:
            print(f"licence: {each['name']}: {licence}; we import it")
    rows.sort(key=lambda row: (("core", "extra", "tool").index(row[0]), row[1].lower()))
    table = [
        "| who | package | version | licence |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    (out / "licences.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    print(
        f"parts: {len(core)} packages in core, {len(imported)} with extras, {len(everybody)} in all; "
        f"{len(weights)} files of weights; {faults} licences to look at"
    )
    return FOUND if faults else WELL


def cut_names(bill: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": canonicalize_name(each["name"]), "component": each} for each in bill["components"]]


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build/audit")
    parser.add_argument(
        "--tools", type=Path, default=Path(sys.executable).parent, help="where pip-audit and cyclonedx-py are"
    )
    parser.add_argument("--offline", action="store_true", help="ask nobody about vulnerabilities")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    codes = [check_pins(pyproject), check_parts(pyproject, args.tools, args.out)]
    if args.offline:
        print("NOT AUDITED: --offline asks nobody about vulnerabilities")
        codes.append(NOT_AUDITED)
    else:
        codes.append(check_vulnerabilities(args.tools, args.out))
    return FOUND if FOUND in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
