"""A command killed at any operation on its files comes to the same end; the harness sees what does not."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mammo_monai.cli.main import VERBS, main
from mammo_monai.files import atomic_path, sha256_of
from mammo_monai.parts import part_name
from mammo_monai.phantoms import write_phantoms
from tests.crash import attempts, wholeness
from tests.crash.attempts import KILLED, Kill, forked
from tests.crash.chains import Chain
from tests.crash.contents import content_hashes, differences, without
from tests.crash.run import SERVE, Figures, shares
from tests.crash.scenarios import SCENARIOS, TIMES
from tests.crash.short_scenarios import SHORT_SCENARIOS
from tests.experiments.conftest import run_here
from tests.inference import killed_run

Work = Callable[[Path], int]
LOOSELY = {
    "*.lock": None,
    "*.log": None,
    "*/attempts.json": None,
    "*/environment.json": None,
    "*/done.json": without(*TIMES),
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four films or so."""
    home = tmp_path_factory.mktemp("films")
    write_phantoms(home / "films", layout="inbreast", patients=1, seed=1, pixel_spacing_mm=2.0)
    assert main(["manifest", "inbreast", str(home / "films"), "-o", str(home / "manifest.json")]) == 0
    return home / "manifest.json"


def is_fake(path: Path) -> bool:
    return path.suffix in (".safetensors", ".pt")


def ends_the_same(folder: Path, work: Work, *, kills: int, seed: int) -> None:
    """Kills the work at some operations, each from an empty folder, and once more on what that left."""
    out, log = folder / "out", folder / "log.txt"  # one folder for all: a path may stand in an output
    whole = forked(lambda: work(out), out, log)
    assert whole.code == 0, log.read_text()
    expected = content_hashes(out, LOOSELY)
    chance = random.Random(seed)
    for operation in sorted(chance.sample(range(1, whole.operations + 1), kills)):
        shutil.rmtree(out, ignore_errors=True)  # a kill at the first operation leaves no folder
        for fatal in (operation, chance.randint(1, max(2, whole.operations // 3))):
            forked(lambda: work(out), out, log, Kill(at_operation=fatal))
            assert wholeness.faults(out, passed_over=is_fake) == []
        assert forked(lambda: work(out), out, log).code == 0, log.read_text()
        assert differences(expected, content_hashes(out, LOOSELY)) == [], operation
        assert wholeness.temporary_files(out) == [], operation


@pytest.mark.parametrize("name", ["d.json", "d.jsonl", "d.parquet"])
def test_a_prediction_killed_at_any_operation_ends_the_same(tmp_path: Path, name: str) -> None:
    def predict(out: Path) -> int:
        run = killed_run.predictor(out / name, killed_run.SlowSamples())
        run.shard_rows = 3
        run.run()
        return 0

    ends_the_same(tmp_path, predict, kills=4, seed=1)


def test_a_preparation_killed_at_any_operation_ends_the_same(tmp_path: Path, manifest: Path) -> None:
    def prepare(out: Path) -> int:
        return main(["prepare", str(manifest), "--out", str(out / "prepared"), "--size-px", "64"])

    ends_the_same(tmp_path, prepare, kills=5, seed=2)


def test_an_experiment_killed_at_any_operation_ends_the_same(tmp_path: Path) -> None:
    def run(out: Path) -> int:
        run_here(out, folds={"n_folds": 2, "validation_fraction": 0.34}, runs=[{"name": "one"}])
        return 0

    ends_the_same(tmp_path, run, kills=4, seed=3)


def test_an_application_whose_copying_is_killed_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def copy(out: Path) -> int:
        return main(["apps", "copy", "monai-deploy", str(out / "app")])

    ends_the_same(tmp_path, copy, kills=2, seed=4)


def test_every_verb_is_killed() -> None:
    killed = {SERVE, *(each.verb for each in SCENARIOS), *(each.name.split()[0] for each in SHORT_SCENARIOS)}
    assert set(VERBS) - {each.rstrip(",") for each in killed} == set()


def in_halves(out: Path) -> int:
    """A writer as there is none here: what stands under the final name may be half of it."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "d.json").write_text('{"a": "' + "x" * 100 + '"}')
    return 0


def atomically(out: Path) -> int:
    with atomic_path(out / "d.json") as part:
        part.write_text('{"a": "' + "x" * 100 + '"}')
    return 0


def killed_everywhere(folder: Path, work: Work) -> list[str]:
    """Faults after a kill at each operation of the work."""
    out, log, found = folder / "out", folder / "log", []
    for operation in range(1, forked(lambda: work(out), out, log).operations + 1):
        shutil.rmtree(out, ignore_errors=True)  # a kill at the first operation leaves no folder
        assert forked(lambda: work(out), out, log, Kill(at_operation=operation)).code == KILLED
        found += wholeness.faults(out)
    return found


def test_a_writer_whose_file_is_read_in_halves_is_reported(tmp_path: Path) -> None:
    (fault, *_) = killed_everywhere(tmp_path, in_halves)
    assert fault.startswith("d.json: JSONDecodeError")


def test_a_writer_that_moves_a_whole_file_into_place_is_not(tmp_path: Path) -> None:
    assert killed_everywhere(tmp_path, atomically) == []


def test_unfinished_files_that_stay_are_reported(tmp_path: Path) -> None:
    forked(lambda: atomically(tmp_path), tmp_path, tmp_path / "log", Kill(at_operation=3))
    assert wholeness.temporary_files(tmp_path) == [part_name("d.json")]


def test_unfinished_folders_that_stay_are_reported_and_their_files_are_no_halves(tmp_path: Path) -> None:
    folder = tmp_path / ".app.0a1b2c3d.part"
    folder.mkdir()
    (folder / "half.json").write_text("{")
    assert wholeness.faults(tmp_path) == []
    assert content_hashes(tmp_path, {}) == {}
    assert wholeness.temporary_files(tmp_path) == [folder.name, f"{folder.name}/half.json"]


def test_a_file_without_a_reader_is_whole_if_an_undisturbed_run_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "report.tex"
    path.write_text("whole")
    (fault,) = wholeness.faults(tmp_path)
    assert fault.startswith("report.tex: ValueError: half of a file")
    assert wholeness.faults(tmp_path, whole={sha256_of(path)}) == []


def test_a_process_that_outlives_the_command_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves_one_behind() -> int:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        time.sleep(60)
        return 0

    monkeypatch.setattr(attempts, "ORPHANS_END_S", 0.3)
    kill = Kill(after_s=0.5)
    assert forked(leaves_one_behind, tmp_path, tmp_path / "log", kill).orphans == 1
    whole_group = Kill(after_s=0.5, whole_group=True)
    assert forked(leaves_one_behind, tmp_path, tmp_path / "log", whole_group).orphans == 0


def test_missing_other_and_unexpected_files_are_differences(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "2")):
        (tmp_path / name).write_text(text)
    before = content_hashes(tmp_path, {})
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").write_text("3")
    found = differences(before, content_hashes(tmp_path, {"c": None}))
    assert found == ["a is missing", "b differs"]


def test_a_run_of_200_kills_divides_them_all_and_goes_on_from_its_figures(tmp_path: Path) -> None:
    wanted = shares(200, SCENARIOS, with_serve=True)
    assert sum(wanted.values()) == 200
    assert min(wanted.values()) >= 1
    Figures(tmp_path / "figures.json", "x").add("train", "train", Chain(clock_kills_s=[1.0]).as_json(), 2.0)
    again = Figures(tmp_path / "figures.json", "x")
    assert (again.kills("train"), again.is_clean) == (1, True)
    again.add("train", "train", Chain(differences=["weights differ"]).as_json(), 2.0)
    assert not Figures(tmp_path / "figures.json", "x").is_clean
