"""Every stored input through its target, and a few mutations more: what once broke us never does again."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.corpus import CORPUS, MAX_FILE_BYTES, MAX_FILES, MAX_FOLDER_BYTES, name_of, stored_inputs
from tests.fuzz.harness import execute
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import all_targets

TARGETS = all_targets()
FRESH_MUTATIONS = 12
# A data set whose images are not there is refused, whatever its file holds.
SEEDS_REFUSED = {"coco_data_set"}
# Machines that test are busy with other tests: a hang is a hang at thrice the time as well.
TIME_LIMIT_S = 15.0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_stored_inputs_are_read_or_refused_by_name(name: str) -> None:
    for file, data in stored_inputs(name).items():
        outcome = execute(TARGETS[name], data, time_limit_s=TIME_LIMIT_S)
        assert outcome.kind != "failed", f"{name}/{file}: {outcome.message}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read_and_fresh_mutations_are_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    kinds = {execute(target, seed, time_limit_s=TIME_LIMIT_S).kind for seed in seeds}
    assert kinds <= {"returned", "refused"}
    assert "returned" in kinds or name in SEEDS_REFUSED
    for number in range(FRESH_MUTATIONS):
        drawn = random.Random(f"fresh/{name}/{number}")
        data = mutated(
            drawn.choice(seeds),
            drawn,
            others=seeds,
            dictionary=target.dictionary,
            format_mutations=target.mutators,
        )
        outcome = execute(target, data, time_limit_s=TIME_LIMIT_S)
        assert outcome.kind != "failed", f"{name}, mutation {number}: {outcome.message}"


def test_the_corpus_stays_small_and_belongs_to_targets() -> None:
    folders = {folder.name: stored_inputs(folder.name) for folder in CORPUS.iterdir()}
    assert folders.keys() <= TARGETS.keys()
    for inputs in folders.values():
        assert len(inputs) <= MAX_FILES
        assert sum(map(len, inputs.values())) <= MAX_FOLDER_BYTES
        assert all(len(data) <= MAX_FILE_BYTES and name_of(data) == name for name, data in inputs.items())
