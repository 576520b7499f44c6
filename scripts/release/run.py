"""Makes a release ready and proves it on this machine. It tags and uploads nothing: that is a person's step.

    python scripts/release/run.py prepare 0.2.0       # version, changelog, citation: read them, commit them
    python scripts/release/run.py build               # → build/release: wheel, sdist, parts, SHA256SUMS
    python scripts/release/run.py build --rehearsal   # the same of the last commit, ready or not

Ends with 0 where all that was asked for is proven, with 1 where something is wrong; each fault is a line.
docs/how-to/release.md says what each step is for.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeVar

from archives import sdist_faults, wheel_faults
from bill import BillError, write_bill
from prepare import PrepareError, prepare
from readiness import readiness_faults, version_of
from trial import TrialError, try_wheel
from twice import BuildError, Built, build_twice

ROOT = Path(__file__).resolve().parents[2]
REMAINING = """\
What a person must still do, in this order:
  1. make test && make test-docs && make test-clinic && make audit, on the commit that is tagged
  2. git tag -s v{version} -m 'mammo-monai {version}' {commit}
  3. git push origin v{version}
  4. upload the wheel and the sdist of {out}, with SHA256SUMS and sbom.json beside them
  5. on another machine, in an empty environment: pip install mammo-monai=={version}"""
OWN = ("SHA256SUMS", "sbom.json")
T = TypeVar("T")


def build(root: Path, out: Path, steps: argparse.Namespace) -> int:
    """Proves readiness, builds twice, looks inside, tries the wheel, writes what goes beside it."""
    version = version_of(root)
    faults = readiness_faults(root, version, date.today())
    for each in faults:
        print(f"not ready: {each}")
    if faults and not steps.rehearsal:
        return 1
    empty(out)
    with tempfile.TemporaryDirectory(prefix="mammo-release-") as name:
        folder = Path(name)
        built = timed("two builds", lambda: build_twice(root, folder))
        print(f"  they agree: commit {built.commit[:12]}, SOURCE_DATE_EPOCH {built.epoch}")
        inside = archive_faults(built, version, name)
        for each in (built.wheel, built.sdist):
            shutil.copy2(each, out)
        if not steps.no_trial:
            timed(
                "empty environment", lambda: tried(built.wheel, root, folder, None if steps.no_parts else out)
            )
    write_sums(out)
    print(f"\n{(out / 'SHA256SUMS').read_text(encoding='utf-8')}")
    if inside:
        return 1
    is_rehearsal = bool(faults) or steps.no_trial
    print("A rehearsal: nothing here is a release." if is_rehearsal else REMAINING.format(
        version=version, commit=built.commit[:12], out=out))  # fmt: skip
    return 0


def empty(out: Path) -> None:
    """Makes the folder, without what an earlier run left in it; a folder with anything else is refused.

    Raises:
        BuildError: there is something that no release has made.
    """
    out.mkdir(parents=True, exist_ok=True)
    made = [each for each in out.iterdir() if each.name in OWN or each.suffix in (".whl", ".gz")]
    if other := sorted({*out.iterdir()} - {*made}):
        raise BuildError(f"--out {out}: expected an earlier release or nothing, found {other[0].name}.")
    for each in made:
        each.unlink()


def archive_faults(built: Built, version: str, folder: str) -> list[str]:
    """What is wrong inside wheel and sdist; printed, too."""
    faults = wheel_faults(built.wheel, version, built.epoch, folder)
    faults += sdist_faults(built.sdist, version, built.epoch, folder)
    for each in faults:
        print(f"wrong: {each}")
    return faults


def tried(wheel: Path, root: Path, folder: Path, out: Path | None) -> None:
    """The wheel in an empty environment; with `out`, the list of that environment's parts."""
    trial = try_wheel(wheel, root, folder / "trial")
    for step in trial.steps:
        print(f"  {step.seconds:5.1f} s  {step.name}")
    if out is not None:
        n = write_bill(trial.python, root, version_of(root), out / "sbom.json")
        print(f"  list of parts: {n} components, sbom.json")


def timed(what: str, work: Callable[[], T]) -> T:
    """Does a step and says how long it took."""
    began = time.perf_counter()
    result = work()
    print(f"{what}: {time.perf_counter() - began:.0f} s")
    return result


def write_sums(out: Path) -> None:
    """SHA256SUMS as `sha256sum --check` reads it."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(out.iterdir())
    ]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout (this one)")
    actions = parser.add_subparsers(dest="action", required=True)
    first = actions.add_parser("prepare", help="sets version and date, assembles the changelog")
    first.add_argument("version", metavar="VERSION")
    first.add_argument("--date", type=date.fromisoformat, default=date.today(), metavar="YYYY-MM-DD")
    second = actions.add_parser("build", help="checks, builds twice, tries, sums")
    second.add_argument(
        "--out", type=Path, default=Path("build/release"), help="a folder of its own (%(default)s)"
    )
    second.add_argument("--rehearsal", action="store_true", help="go on though the tree is not ready")
    second.add_argument("--no-trial", action="store_true", help="without the empty environment")
    second.add_argument("--no-parts", action="store_true", help="without the list of parts (extra audit)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parsed(arguments)
    try:
        if args.action == "build":
            return build(args.root.resolve(), args.out, args)
        for each in prepare(args.root, args.version, args.date):
            print(f"written: {each}")
        print("Read them, commit them, then: python scripts/release/run.py build")
        return 0
    except (BillError, BuildError, PrepareError, TrialError, subprocess.CalledProcessError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
