"""The inputs a campaign mutates: the target's seeds, its stored corpus, and what did something new.

An input joins when its outcome (error class and shape of the message) was not seen before. What joined is
kept on disk with the number of its execution, so that a run that was killed goes on with the same pool.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from tests.fuzz.corpus import name_of, save, stored_inputs
from tests.fuzz.harness import Outcome, Target

_LIST = "joined.jsonl"


class Pool:
    """Inputs of one target.

    Attributes:
        unchanged: what is executed first, without mutation: seeds and corpus.
        inputs: what mutations start from; grows.
    """

    def __init__(self, target: Target, folder: Path, *, first: int) -> None:
        """Goes on from execution `first`: what joined at or after it is forgotten, it will join again."""
        self._folder = folder / "joined"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.unchanged = [*target.seeds(), *stored_inputs(target.name).values()]
        self.inputs = list(self.unchanged)
        self._shapes: set[str] = set()
        kept = []
        for line in _lines(self._folder / _LIST):
            index, name, shape = line
            if index < first:
                kept.append(json.dumps(line))
                self._shapes.add(shape)
                self.inputs += [(self._folder / name).read_bytes()] if name else []
        (self._folder / _LIST).write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def note(self, index: int, data: bytes, outcome: Outcome) -> None:
        """Lets an input join when its outcome is new."""
        if outcome.shape in self._shapes:
            return
        self._shapes.add(outcome.shape)
        name = ""
        if index >= len(self.unchanged):  # those are there already
            name = name_of(data)
            save(self._folder / name, data)
            self.inputs.append(data)
        with (self._folder / _LIST).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([index, name, outcome.shape]) + "\n")


def joined_inputs(folder: Path) -> list[bytes]:
    """What joined the pool of a campaign, smallest first, then what coverage guidance found."""
    names = [name for _, name, _ in _lines(folder / "joined" / _LIST) if name]
    joined = [(folder / "joined" / name).read_bytes() for name in names]
    return [*sorted(joined, key=len), *sorted(_found(folder), key=len)]


def coverage_folder(folder: Path) -> Path:
    """Where coverage guidance leaves inputs that reached new code."""
    return folder / "coverage"


def _found(folder: Path) -> list[bytes]:
    place = coverage_folder(folder)
    return [path.read_bytes() for path in sorted(place.iterdir())] if place.is_dir() else []


def _lines(path: Path) -> list[tuple[int, str, str]]:
    lines = []
    if path.is_file():
        for text in path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # the last line of a run that was killed while it wrote
                index, name, shape = json.loads(text)
                lines.append((index, name, shape))
    return lines
