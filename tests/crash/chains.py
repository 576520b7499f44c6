"""Start, kill, start again, kill, … until a command comes to its end; then: what differs, what was left."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mammo_monai.cli.main import main
from mammo_monai.files import sha256_of, write_json_atomic
from tests.crash import wholeness
from tests.crash.attempts import LONGEST_S, Attempt, Kill, drawn_kill, forked, spawned
from tests.crash.contents import content_hashes, differences
from tests.crash.material import Material
from tests.crash.scenarios import Scenario

LATER_SHARE = 0.5  # of the undisturbed run's length: later starts of a chain have less to do
TAIL_CHARACTERS = 400
THERE = "is there already"


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: how long, how many operations on files, and its content."""

    seconds: float
    operations: int
    hashes: Mapping[str, str]


@dataclass
class Chain:
    """What came of one chain.

    Attributes:
        clock_kills_s: seconds after the start of kills by the clock. file_kills: numbers of the operations of
            kills at one.
        resumes: starts upon what a killed one had left.
        differences: of the end from the undisturbed run, and starts that failed.
        halves: files with a final name that could not be read, after any kill or at the end.
        orphans: processes that outlived the command. left: unfinished files after the end.
    """

    clock_kills_s: list[float] = field(default_factory=list)
    file_kills: list[int] = field(default_factory=list)
    resumes: int = 0
    differences: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)
    orphans: int = 0
    left: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """All of them."""
        return len(self.clock_kills_s) + len(self.file_kills)

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file of figures."""
        return {"kills": self.kills, **asdict(self)}


class Killer:
    """Runs one scenario's chains, all in the same folder: a path may stand in an output.

    Args:
        work: a folder of this scenario's own.
    """

    def __init__(self, scenario: Scenario, material: Material, work: Path) -> None:
        self.scenario = scenario
        self.material = material
        self.words = [str(word) for word in scenario.words(material, work / "out")]
        self.out = work / "out"
        self.log = work / "log.txt"
        self._answer = work / "answer.json"
        self._whole: frozenset[str] = frozenset()
        work.mkdir(parents=True, exist_ok=True)

    def reference(self) -> Reference:
        """An undisturbed run.

        Raises:
            RuntimeError: it does not end well.
        """
        self._clear()
        begun = bytes_below(self.out)
        attempt = self._started(None)
        if attempt.code != 0:
            raise RuntimeError(f"{self.scenario.name}: exit code {attempt.code} undisturbed: {self._tail()}")
        self._whole = begun | bytes_below(self.out)
        hashes, halves = self._looked_at(is_ended=True)
        if halves:
            raise RuntimeError(f"{self.scenario.name}: cannot be read undisturbed: {halves}")
        return Reference(attempt.seconds, attempt.operations, hashes)

    def chain(self, reference: Reference, chance: random.Random, *, most: int) -> Chain:
        """One chain from an empty folder to the end, of at most so many kills."""
        self._clear()
        chain = Chain()
        for number in range(most):
            share = LATER_SHARE if number else 1.0
            operations = round(reference.operations * share)
            kill = drawn_kill(chance, longest_s=reference.seconds * share, operations=operations)
            attempt = self._started(kill)
            chain.resumes += number > 0
            chain.orphans += attempt.orphans
            if not attempt.is_killed:
                return self._ended(chain, attempt, reference)
            if attempt.seconds >= LONGEST_S:
                chain.differences.append(f"a start did not end within {LONGEST_S:.0f} s: {self._tail()}")
            if kill.at_operation is None:
                chain.clock_kills_s.append(round(attempt.seconds, 3))
            else:
                chain.file_kills.append(attempt.operations)
            chain.halves += self._looked_at()[1]
        chain.resumes += 1
        return self._ended(chain, self._started(None), reference)

    def _ended(self, chain: Chain, attempt: Attempt, reference: Reference) -> Chain:
        if attempt.code != 0 and not self._says_it_is_there():
            chain.differences.append(f"exit code {attempt.code} after {chain.kills} kills: {self._tail()}")
        hashes, halves = self._looked_at(is_ended=True)
        chain.differences += differences(reference.hashes, hashes)
        chain.halves += halves
        chain.left += wholeness.temporary_files(self.out)
        return chain

    def _started(self, kill: Kill | None) -> Attempt:
        if self.scenario.is_spawned:
            return spawned([*self.scenario.program, *self.words], self.log, kill)

        def work() -> int:
            self.scenario.set_up(self.out)
            command = self.scenario.command
            return main(self.words) if command is None else command(self.material, self.out)

        return forked(work, self.out, self.log, kill)

    def _looked_at(self, *, is_ended: bool = False) -> tuple[dict[str, str], list[str]]:
        """Content hashes and files that cannot be read, found in a process that may use threads."""
        scenario = self.scenario

        def look() -> int:
            if is_ended and scenario.closing_words is not None:
                main([str(word) for word in scenario.closing_words(self.out)])
            hashes = content_hashes(self.out, scenario.loosely) if is_ended else {}
            halves = wholeness.faults(self.out, passed_over=scenario.passed_over, whole=self._whole)
            write_json_atomic(self._answer, [hashes, halves])
            return 0

        self._answer.unlink(missing_ok=True)
        attempt = forked(look, self._answer.parent / "nothing", self.log)
        if attempt.code != 0:
            return {}, [f"the reader ended with {attempt.code}: {self._tail()}"]
        hashes, halves = _loaded(self._answer)
        return hashes, halves

    def _says_it_is_there(self) -> bool:
        """Whether the last start refused a result that a killed one had finished."""
        return self.scenario.refuses_what_is_there and THERE in self._tail()

    def _tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-TAIL_CHARACTERS:]

    def _clear(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        self.scenario.begin(self.material, self.out)
        self.log.write_bytes(b"")


def bytes_below(folder: Path) -> frozenset[str]:
    """SHA-256 of every file."""
    return frozenset(map(sha256_of, wholeness.files_below(folder)))


def _loaded(path: Path) -> Sequence[Any]:
    return list(json.loads(path.read_bytes()))
