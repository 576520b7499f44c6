"""The process of one examination: prints findings, and the step it is at, as lines of JSON."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from mammo_monai.doctor.findings import Finding, Level

Report = Callable[[Finding], None]


class Step(str):
    """What is begun, said before it: should the process end there, this is where; `fix` helps then."""

    fix: str = ""

    @classmethod
    def begun(cls, text: str, fix: str = "") -> Step:
        """A step with what helps where it ends the process."""
        made = cls(text)
        made.fix = fix
        return made


def main(request: str) -> None:
    """Examines what was asked for; what packages print goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for content in answers(json.loads(request)):
        out.write(json.dumps(content) + "\n")
        out.flush()  # at once: the next step may end the process
    out.write(json.dumps({"done": True}) + "\n")  # without it the process ended early, whatever its code
    out.close()
    os._exit(0)  # packages that were half loaded may crash at the end, which is no finding


def answers(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is printed for the kinds; an error of an examination itself is a finding."""
    for kind in request["kinds"]:
        yield {"step": "starting", "kind": kind}
        yield from _of_kind(kind, request)


def _of_kind(kind: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        module = import_module(f"mammo_monai.doctor.{kind}")
        for each in module.findings(request):
            if isinstance(each, Step):
                yield {"step": str(each), "kind": kind, **({"fix": each.fix} if each.fix else {})}
            else:
                yield each.to_wire()
    except Exception as error:
        traceback.print_exc()
        yield Finding(
            kind,
            "examination",
            Level.WARNING,
            f"could not be finished ({type(error).__name__}: {error})",
            "Nothing is known of what would have come next.",
            "Report it with the output of: mammo-monai doctor --json",
            (str(error),) if kind == "clinic" and str(error) else (),  # it may quote hosts and titles
        ).to_wire()
