"""The record of a tutorial that was followed: its rows, the machine, its section of the page."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

_ASK = """
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
print(python_version())
for name in ("torch", "monai"):
    try:
        print(name, version(name).partition("+")[0])
    except PackageNotFoundError:
        print(name, "not installed")
"""
HEAD = """\
# The tutorials, followed

Each tutorial was followed by a script: an empty folder, a home of its own, the install that the page names
(where it was left out, the section says so), then every block as it is written, in order, in one shell.
The first that fails ends it.
`scripts/docs/follow.py` does it and writes this page; nobody edits it.

```text
python scripts/docs/follow.py docs/tutorials/NAME.md --write
```

Time is by the clock, from the first key to the last result, downloads included. "Processor" is the time of
all processes together: on a machine that does nothing else, the clock shows about that on one core, and less
on more.
"""
_SECTION = "<!-- followed: {name} -->\n{body}<!-- end of {name} -->\n"


@dataclass(frozen=True)
class Step:
    """One block: under which heading, what it does, how long, how it ended, its last words, its line."""

    heading: str
    command: str
    wall_s: float
    code: int
    tail: str = ""
    line: int = 0


@dataclass(frozen=True)
class Followed:
    """A tutorial that was followed; `load` is the mean number of processes that wanted a core meanwhile."""

    name: str
    title: str
    steps: tuple[Step, ...]
    code: int
    notes: list[str]
    machine: str
    wall_s: float
    cpu_s: float
    load: float
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).strftime("%Y-%m-%d"))

    def as_text(self) -> str:
        """For a terminal: a line per block, and the end of what a failed one printed."""
        lines = [f"{self.title}: {'as written' if not self.code else f'FAILED with {self.code}'}"]
        lines += [
            f"  {_clock(step.wall_s):>9}  {step.code}  {step.heading}: {step.command}" for step in self.steps
        ]
        lines += [f"  {_clock(self.wall_s):>9}  in all; processor {_clock(self.cpu_s)}, load {self.load:.1f}"]
        return "\n".join([*lines, *([self.steps[-1].tail] if self.code and self.steps else [])])

    def as_markdown(self) -> str:
        """The section of the page."""
        rows = [
            f"| {step.heading} | {_cell(step.command)} | {_clock(step.wall_s)} | {step.code} |"
            for step in self.steps
        ]
        ended = (
            "every block ended as it should"
            if not self.code
            else f"**ended with {self.code}** at the last row"
        )
        return "\n".join(
            [
                f"\n## [{self.title}]({self.name}.md)\n",
                f"{self.date}, {ended}. {self.machine}; {_load_text(self.load)}.\n",
                "| step | command | time | exit code |",
                "|---|---|---|---|",
                *rows,
                f"| **in all** | processor {_clock(self.cpu_s)} | **{_clock(self.wall_s)}** | |",
                "",
                *(f"- {note[0].upper()}{note[1:]}." for note in self.notes),
                "",
            ]
        )


def write_record(page: Path, followed: Followed) -> None:
    """Puts the section into the page, in place of an earlier one; other sections stay."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = re.findall(r"<!-- followed: (\S+) -->\n(.*?)<!-- end of \1 -->", text, flags=re.DOTALL)
    sections = {**dict(found), followed.name: followed.as_markdown()}
    body = "".join("\n" + _SECTION.format(name=name, body=section) for name, section in sections.items())
    page.write_text(HEAD + body, encoding="utf-8")


def machine(root: Path, environment: Path | None = None) -> str:
    """The machine and the software in words: no name of a host, no path.

    Args:
        environment: the virtual environment that was used; this process's own if None.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    gpu = "a GPU" if Path("/dev/nvidia0").exists() else "no GPU"
    python, *packages = _versions(environment)
    return (
        f"{cores} cores ({platform.machine()}), {memory:.0f} GB of memory, {gpu}, {system}, "
        f"Python {python}; mammo-monai {_commit(root)} ({', '.join(packages)} of its constraints)"
    )


def _versions(environment: Path | None) -> list[str]:
    """The version of Python, then `NAME VERSION` of torch and MONAI."""
    python = str(environment / "bin" / "python") if environment else sys.executable
    try:
        done = subprocess.run([python, "-c", _ASK], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return ["unknown", "packages"]
    return done.stdout.splitlines()


def _commit(root: Path) -> str:
    words = ["git", "-C", str(root)]
    commit = subprocess.run(
        [*words, "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True
    )
    changed = subprocess.run([*words, "status", "--porcelain"], check=False, capture_output=True, text=True)
    return f"at {commit.stdout.strip() or 'no commit'}{' with later changes' if changed.stdout else ''}"


def _load_text(load: float) -> str:
    cores = os.cpu_count() or 1
    if load <= 1.5 * cores:
        return "nothing else of weight ran"
    return f"busy with other work ({load:.0f} processes at a time): the processor's time says more"


def _clock(seconds: float) -> str:
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def _cell(text: str) -> str:
    return f"`{text}`" if text and "|" not in text else json.dumps(text).replace("|", "\\|")
