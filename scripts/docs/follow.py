"""Follows tutorials literally: an empty folder, a home of its own, the page's install, every block.

    python scripts/docs/follow.py docs/tutorials/mark-your-films.md --films FOLDER
    python scripts/docs/follow.py docs/tutorials/*.md --write

Each page gets `WORK/NAME/`: `here/` is where the reader works, with a copy of this checkout in
`here/mammo-monai/` as `git clone` would leave it; `home/` is the reader's home; `blocks/` the blocks
and `output.txt`, what they printed. Without `--quick` no replacement of the tests is made. The record says
what was left out and what differs from the page. A page that is served until Ctrl+C is opened once.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from follow_record import Followed, Step, machine, write_record  # noqa: E402

from tests.docs.snippets import Block, Page, SnippetError, commands_of, read_page  # noqa: E402
from tests.docs.steps import Steps, write_steps  # noqa: E402
from tests.docs.worlds import Store  # noqa: E402

PAGE = ROOT / "docs" / "tutorials" / "followed.md"
CLINIC = "tests/clinic/"
OUTPUT = "output.txt"
# Settings that add sources of packages or change what is installed; certificates, proxies and the index stay.
NEUTRAL = (
    "PIP_FIND_LINKS",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CONSTRAINT",
    "PIP_NO_INDEX",
    "UV_FIND_LINKS",
    "UV_CONSTRAINT",
)
DROPPED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MAMMO_MONAI_HOME", "MAMMO_MONAI_CACHE")
INSTALL = re.compile(r"\bpip install\b")
# Serves until Ctrl+C: a reader opens the address and presses it.
SERVED = re.compile(r"^mammo-monai review (?!.*--export).*$", re.MULTILINE)
NOISE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Options:
    """How pages are followed.

    Attributes:
        films, world: folders that stand for the reader's films, and for what a page starts with.
        installer: "pip" as the page says, or "uv" in its place, which keeps what it fetched before.
        environment: a virtual environment that was installed before; the page's install is left out then.
    """

    work: Path
    films: Path | None = None
    world: Path | None = None
    installer: str = "pip"
    environment: Path | None = None
    is_quick: bool = False
    with_clinic: bool = False
    timeout_s: float = 3 * 3600


def follow(path: Path, options: Options) -> Followed:
    """Runs the page's blocks in order, in one shell, until one fails; returns what each took."""
    page, folder = read_page(path), options.work / path.stem
    shutil.rmtree(folder, ignore_errors=True)
    changed, left_out = _as_followed(page, options)
    title, headings = _headings(path)  # now: the page may be edited meanwhile
    load = os.getloadavg()[0]
    if options.with_clinic and any(block.run_by.startswith(CLINIC) for block in page.blocks):
        folder.mkdir(parents=True)
        began, cpu = time.time(), _cpu_s()
        code, ended, steps = _run_clinic(page, folder, options)
        notes = ["in the environment of the developers, ports and browser being those of `make test-clinic`"]
        notes += ["quick: smaller, as the tests run it"] if options.is_quick else []
    else:
        here = _enter(page, folder, options)
        steps = write_steps(changed, folder / "blocks", quick=options.is_quick)
        began, cpu = time.time(), _cpu_s()
        environment = _environment(folder, steps.times, options)
        code, ended = _run(["bash", str(steps.script.resolve())], here, environment, options.timeout_s)
        notes = _notes(options)
    output = NOISE.sub("", steps.script.with_name(OUTPUT).read_text(encoding="utf-8", errors="replace"))
    found = _steps(page, steps.seconds(ended), output, code)
    found = [replace(step, heading=_heading(headings, step.line)) for step in found]
    count = f"{len(left_out)} block{'' if len(left_out) == 1 else 's'}"
    notes += [f"{count} left out: " + "; ".join(left_out)] if left_out else []
    cpu_s, load = _cpu_s() - cpu, (load + os.getloadavg()[0]) / 2
    seconds = {"wall_s": ended - began, "cpu_s": cpu_s, "load": load}
    return Followed(
        path.stem,
        title,
        tuple(found),
        code,
        notes,
        machine(ROOT, options.environment),
        **seconds,
    )


def copy_checkout(target: Path) -> None:
    """Copies the files that a commit of this checkout would hold, changed and new ones too."""
    words = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def _enter(page: Page, folder: Path, options: Options) -> Path:
    """Makes the folder the reader starts in, with the page's world, films and the copy of the checkout."""
    here = folder / "here"
    folder.mkdir(parents=True)
    if options.world:
        shutil.copytree(options.world, here, symlinks=True)
    elif page.world != "empty" and not (page.world == "films" and options.films):
        command = Path(sys.executable).with_name("mammo-monai")
        Store(options.work / "worlds", command).enter(page.world, here)
    here.mkdir(exist_ok=True)
    if options.films:
        shutil.rmtree(here / "films", ignore_errors=True)
        shutil.copytree(options.films, here / "films")
    copy_checkout(here / "mammo-monai")
    (folder / "home").mkdir()
    return here


def _as_followed(page: Page, options: Options) -> tuple[Page, list[str]]:
    """The page with the blocks that a reader here can run, and why the others are left out."""
    blocks, left_out = [], []
    for block in page.blocks:
        if block.not_run:
            left_out.append(f"line {block.line} ({block.not_run})")
        elif block.run_by.startswith(CLINIC) and not options.with_clinic:
            left_out.append(f"line {block.line} (needs servers: `make test-clinic` runs it)")
        elif options.environment and INSTALL.search(block.text) and block.language == "bash":
            left_out.append(f"line {block.line} (installed before)")
        else:
            blocks.append(_literal(block, options))
    return replace(page, blocks=tuple(blocks)), left_out


def _literal(block: Block, options: Options) -> Block:
    """The block as it is followed: with uv if that installs, and a page opened and ended if it serves one."""
    text = block.text
    if options.installer == "uv" and block.language == "bash":
        text = INSTALL.sub(f'"{ROOT}/.venv/bin/uv" pip install', text)
    if not options.is_quick and block.language == "bash":
        text = SERVED.sub(
            lambda found: f'"{sys.executable}" "{ROOT}/scripts/docs/follow_served.py" {found[0]}', text
        )
    return replace(block, text=text, run_by="")


def _environment(folder: Path, times: Path, options: Options) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in (*NEUTRAL, *DROPPED)}
    path = [each for each in kept.get("PATH", os.defpath).split(os.pathsep) if not each.startswith(str(ROOT))]
    if options.environment:
        path.insert(0, str(options.environment.resolve() / "bin"))
    return {
        **kept,
        "PATH": os.pathsep.join(path),
        "HOME": str((folder / "home").resolve()),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": kept.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
        "SNIPPET_TIMES": str(times.resolve()),
        "COLUMNS": "120",
        "TERM": "dumb",
    }


def _run(words: list[str], here: Path, environment: dict[str, str], timeout_s: float) -> tuple[int, float]:
    """Runs a command in a process group of its own, which ends with it; returns exit code and end."""
    with (Path(environment["SNIPPET_TIMES"]).with_name(OUTPUT)).open("wb") as stream:
        process = subprocess.Popen(
            words,
            cwd=here,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout_s)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            code = 124
        ended = time.time()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code, ended


def _run_clinic(page: Page, folder: Path, options: Options) -> tuple[int, float, Steps]:
    """The page by its test, against the servers it starts; times and output are the test's."""
    test = next(block.run_by for block in page.blocks if block.run_by.startswith(CLINIC))
    name = f"test_{page.path.stem.replace('-', '_')}"
    words = [sys.executable, "-m", "pytest", "-o", "addopts=--import-mode=importlib", "-q", "-rs", test]
    words += ["-k", name, f"--basetemp={folder / 'test'}"]
    environment = {**os.environ, "SNIPPET_TIMES": str(folder / "times.txt")}
    if not options.is_quick:
        environment["MAMMO_LITERAL"] = "1"
    code, ended = _run(words, ROOT, environment, options.timeout_s)
    aside = folder / "test" / f"{name}0" / "aside"
    if not (aside / "times.txt").is_file():
        raise SystemExit(f"{page.path.name} was not run: {(folder / OUTPUT).read_text()[-2000:]}")
    return code, ended, Steps(aside / "page.sh", aside / "times.txt")


def _steps(page: Page, seconds: dict[int, float], output: str, code: int) -> list[Step]:
    """A row per block that began; the last one bears the exit code."""
    by_line = {block.line: block for block in page.blocks}
    parts = re.split(r"^== line (\d+) ==$", output, flags=re.MULTILINE)
    said = dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))
    rows = []
    for line, wall_s in seconds.items():
        block = by_line[line]
        last = code if code and line == max(seconds) else block.fails
        rows.append(Step("", _command(block), wall_s, last, said.get(line, "").strip()[-1500:], line))
    return rows


def _headings(path: Path) -> tuple[str, list[tuple[int, str]]]:
    """The page's title, and its headings with their lines; what looks like one in a block of code is none."""
    text = re.sub(
        r"(?ms)^( *)(`{3,}|~{3,}).*?^ *\2 *$",
        lambda found: "\n" * found[0].count("\n"),
        path.read_text(encoding="utf-8"),
    )
    lines = text.splitlines()
    title = next(line[2:] for line in lines if line.startswith("# "))
    return title, [(n, line.lstrip("# ")) for n, line in enumerate(lines, 1) if line.startswith("##")]


def _heading(headings: list[tuple[int, str]], line: int) -> str:
    return next((text for at, text in reversed(headings) if at < line), "")


def _command(block: Block) -> str:
    """What the block does, in a few words: the verbs of its commands."""
    if block.file:
        return f"writes {block.file}"
    if block.language == "python":
        return "python"
    words = [
        " ".join(each for each in line.split()[:3] if not each.startswith("-"))
        for line in commands_of(block.text)
    ]
    verbs = [each.removeprefix("mammo-monai ") for each in words]
    return "; ".join(dict.fromkeys(verbs))


def _cpu_s() -> float:
    """Seconds of processor of all processes that were waited for."""
    times = os.times()
    return times.children_user + times.children_system


def _notes(options: Options) -> list[str]:
    others = ", ".join(each for each in NEUTRAL if each in os.environ) or "none else"
    notes = [f"settings of this machine that were not used: pip's configuration, {others}"]
    if threads := os.environ.get("OMP_NUM_THREADS"):
        notes.append(f"computed with OMP_NUM_THREADS={threads}")
    if options.installer == "uv":
        notes.append("`pip install` was done by `uv pip install`, from its cache where it could")
    if options.environment:
        notes.append("in the environment of an earlier tutorial of this log")
    if options.is_quick:
        notes.append("quick: smaller, as the tests run it")
    if options.films:
        notes.append(f"films: {len(list(options.films.iterdir()))} of the reader's own")
    if options.world:
        notes.append("the data sets were phantoms in their layouts")
    return notes


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("pages", type=Path, nargs="+", metavar="PAGE")
    add("--work", type=Path, default=ROOT / "build" / "followed", help="where folders are made (%(default)s)")
    add("--films", type=Path, metavar="DIR", help="your films, in place of the page's made ones")
    add("--world", type=Path, metavar="DIR", help="what the page starts with, in place of the made one")
    add("--installer", choices=("pip", "uv"), default="pip", help="uv takes from its cache (%(default)s)")
    add("--environment", type=Path, metavar="VENV", help="an environment installed before: no install")
    add("--quick", action="store_true", help="with the replacements of the tests")
    add("--with-clinic", action="store_true", help="blocks that need servers too, by their tests")
    add(
        "--write",
        type=Path,
        nargs="?",
        const=PAGE,
        metavar="FILE",
        help="put the result into this page (followed.md)",
    )
    args = parser.parse_args()
    options = Options(
        args.work.resolve(),
        args.films,
        args.world,
        args.installer,
        args.environment,
        args.quick,
        args.with_clinic,
    )
    worst = 0
    for page in args.pages:
        if page.name in ("index.md", PAGE.name):
            continue
        try:
            followed = follow(page, options)
        except SnippetError as error:
            raise SystemExit(str(error)) from None
        print(followed.as_text(), flush=True)
        if args.write:
            write_record(args.write, followed)
        worst = worst or followed.code
    return worst


if __name__ == "__main__":
    sys.exit(main())
