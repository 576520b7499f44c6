"""Every shipped experiment can be planned and built on phantoms, and remakes tables that the reports know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import Choice, Plan, build_parts, make_plan, read_experiment
from mammo_monai.experiments.configuration import config_hash
from mammo_monai.experiments.sweeps import check_sweep, is_sweep, read_sweep
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.reports.literature.published import table_keys, table_rows
from mammo_monai.schema import Manifest, write_manifest

SHIPPED = sorted((Path(__file__).parents[2] / "experiments").glob("*.json"))
SWEEPS = [path for path in SHIPPED if is_sweep(path)]
FILES = [path for path in SHIPPED if path not in SWEEPS]
CHAINS = ("two_stage", "learning_rate", "alpha", "gamma", "freezing")
# Those that start from weights which a checkout does not hold, and the run that does not.
WITHOUT_WEIGHTS = {"stage_two": "no_stage1", "fine_tuning_patients": "from_photographs"}
TABLES = {
    "alpha": {"P0-IV": {""}, "P0-VII": {"0.15", "0.2", "0.25", "0.3", "0.35"}},
    "backbone": {"P1": {"retinanet-r50", "retinanet-r101"}},
    "freezing": {"P0-IV": {""}},
    "gamma": {"P0-IV": {""}, "P0-VIII": {"1.5", "1.75", "2", "2.25", "2.5"}},
    "learning_rate": {"P0-IV": {""}, "P0-VI": {"0.000001", "0.000005", "0.00001", "0.00005", "0.0001"}},
    "normals": {"P2-normals": {"INbreast"}},
    "one_stage": {"P0-I": {""}},
    "phantom_two_stage": {"P0-I": {""}, "P0-II": {""}, "P0-IV": {""}},
    "retinanet_vs_faster_rcnn": {
        "P1": {"retinanet-r101", "retinanet-r50", "faster-rcnn-r101", "faster-rcnn-r50"}
    },
    "setups_S1_to_S7": {f"P2-S{n}": {""} for n in range(1, 8)},
    "two_stage": {"P0-I": {""}, "P0-II": {""}, "P0-IV": {""}},
}


def patients(first: int, folder: Path) -> tuple[ImageRecord, ...]:
    """Ten patients of two non-square films, one of each without a lesion; the files are there, and empty."""
    records = []
    for n in range(2 * first, 2 * first + 20):
        path = folder / f"{n:016x}.png"
        path.touch()
        lesions = (Lesion((100.0, 200.0, 160.0, 270.0)),) if n % 2 else ()
        grade = 5 if n % 2 else 1
        records.append(ImageRecord(path, f"{n:016x}", f"patient {n // 2}", 400, 800, lesions, birads=grade))
    return tuple(records)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("two sets")
    found = []
    for letter, first in (("a", 0), ("b", 50)):
        records = patients(first, folder)
        write_manifest(folder / f"{letter}.json", Manifest(records[:12], records[12:16], records[16:]))
        found.append(str(folder / f"{letter}.json"))
    return found[0], found[1]


def plan_of(path: Path, manifests: tuple[str, str], only: tuple[str, ...] = ()) -> Plan:
    return make_plan(read_experiment(path), Choice(("1",), only, manifests))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_passes_the_check(path: Path, manifests: tuple[str, str]) -> None:
    own = WITHOUT_WEIGHTS.get(path.stem)
    plan = plan_of(path, manifests, () if own is None else (own,))
    build_parts(plan)
    assert plan.runs


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_passes_the_check(path: Path, manifests: tuple[str, str]) -> None:
    assert check_sweep(read_sweep(path), manifests[:1]) >= 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_says_which_tables_it_remakes_and_on_which_data(path: Path) -> None:
    experiment = read_experiment(path)
    found: dict[str, set[str]] = {}
    for run in experiment.runs:
        if run.table:
            found.setdefault(run.table, set()).add(run.row)
    assert found == TABLES.get(path.stem, {})
    for table, rows in found.items():
        assert table in table_keys()
        assert rows <= {*table_rows(table), ""}
    if found and not experiment.manifests:
        assert "--manifest A" in experiment.description


def stage_one_of(name: str, manifests: tuple[str, str]) -> dict[str, Any]:
    (path,) = [each for each in FILES if each.stem == name]
    (planned,) = [each for each in plan_of(path, manifests).runs if each.spec.name == "stage_one"]
    return dict(planned.config)


def test_stage_one_is_the_same_run_in_all_chains(manifests: tuple[str, str]) -> None:
    hashes = {config_hash(stage_one_of(name, manifests)) for name in CHAINS}
    assert len(hashes) == 1


@pytest.mark.parametrize("name", CHAINS)
def test_in_a_chain_one_thing_is_changed_at_a_time(name: str, manifests: tuple[str, str]) -> None:
    (path,) = [each for each in FILES if each.stem == name]
    children = [each.spec for each in plan_of(path, manifests).runs if each.spec.parent == "stage_one"]
    assert len(children) >= 2
    assert all(len(each.overrides) <= 2 for each in children)
    assert len({str(each.overrides) + str(each.is_trained) for each in children}) == len(children)


def test_setups_stand_in_groups_by_what_they_test(manifests: tuple[str, str]) -> None:
    (path,) = [each for each in FILES if each.stem == "setups_S1_to_S7"]
    scored = {name: data.scored_sha256 for name, data in plan_of(path, manifests).data.items()}
    assert scored["S1"] == scored["S3"] == scored["S6"]
    assert scored["S2"] == scored["S4"] == scored["S7"]
    assert len({scored["S1"], scored["S2"], scored["S5"]}) == 3


def test_the_backbones_are_trained_by_the_whole_recipe_of_p1(manifests: tuple[str, str]) -> None:
    (path,) = [each for each in FILES if each.stem == "backbone"]
    for each in plan_of(path, manifests).runs:
        training = each.config["training"]
        assert each.config["budget_iterations"] == 24000
        assert (training["batch_size"], training["learning_rate"]) == (16, 0.001)
        assert (training["augment"], training["scheduler"]["kind"]) == ("p1", "step")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_remade_table_of_p0_says_that_its_split_is_not_p0s(path: Path) -> None:
    experiment = read_experiment(path)
    tables = {run.table for run in experiment.runs if run.table.startswith("P0-")}
    if tables and not experiment.manifests:
        assert "P0 halves each set" in experiment.description
