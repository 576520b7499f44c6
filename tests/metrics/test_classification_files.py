from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.metrics import FrocRule, score_class_files, score_classes
from mammo_monai.metrics.classification_files import names_of
from mammo_monai.schema import ClassScore, ClassScoresFile, write_class_scores

NAMES = ("background", "mass")
RULE = FrocRule(n_bootstrap=30)


def write(path: Path, seed: int, *, skill: float = 1.0, names: tuple[str, ...] = NAMES, n: int = 12) -> Path:
    """Scores of two patches in each of two images of each patient, in an order of their own."""
    random = np.random.default_rng(seed)
    scores = []
    for number in range(n):
        truth = number % 2
        p = float(np.clip(0.5 + skill * (truth - 0.5) * 0.6 + random.normal(0, 0.2), 0, 1))
        rest = (0.0,) * (len(names) - 2)
        scores.append(
            ClassScore(f"r{number // 2}", number // 4, truth, (1 - p, p, *rest), (float(number), 5.0))
        )
    random.shuffle(scores)  # type: ignore[arg-type]  # a list of objects
    write_class_scores(path, ClassScoresFile(tuple(scores), names, {"bundle": "b"}))
    return path


def test_figures_of_runs_and_the_difference_to_another_model(tmp_path: Path) -> None:
    good = [write(tmp_path / f"good{n}.json", n) for n in range(2)]
    poor = [write(tmp_path / f"poor{n}.json", n + 5, skill=-1.0) for n in range(2)]
    scored = score_class_files(good, poor, rule=RULE, n_permutations=20)
    assert scored.names == ("good0", "good1")
    assert scored.other_names == ("poor0", "poor1")
    assert scored.runs[0].n_patients == 3
    mean = {each.name: each.mean for each in scored.over_runs}
    paired = {each.name: each for each in scored.paired}
    assert paired["auc"].first == pytest.approx(mean["auc"])
    assert paired["auc"].difference < -0.5
    assert len(scored.mcnemar) == 2
    content = json.loads(json.dumps(scored.as_json(), allow_nan=False))
    assert content["runs"][0]["confusion"] == scored.runs[0].confusion.tolist()
    assert content["paired"][0]["name"] == "accuracy"
    assert len(content["inputs_sha256"]) == 4


def test_patches_are_joined_by_image_and_site_whatever_their_order(tmp_path: Path) -> None:
    first = write(tmp_path / "a.json", 0)
    content = json.loads(first.read_text())
    content["scores"].reverse()
    for row in content["scores"]:
        row["patient"] = 7 - row["patient"]  # numbers are a file's own
    (tmp_path / "b.json").write_text(json.dumps(content))
    scored = score_class_files([first], [tmp_path / "b.json"], rule=RULE, n_permutations=10)
    assert all(each.difference == 0 for each in scored.paired)
    assert scored.mcnemar[0].p_value == 1


def test_one_run_writes_its_figures(tmp_path: Path) -> None:
    content = score_classes(write(tmp_path / "class_scores.json", 1), tmp_path / "out" / "figures.json")
    assert json.loads((tmp_path / "out" / "figures.json").read_text()) == json.loads(json.dumps(content))
    assert content["schema"] == "mammo-monai/class-figures/1"
    assert content["over_runs"][0]["sd"] is None
    assert content["paired"] == content["against"] == []


def test_other_patches_classes_or_truth_are_refused_by_name(tmp_path: Path) -> None:
    first, fewer = write(tmp_path / "a.json", 0), write(tmp_path / "fewer.json", 0, n=8)
    with pytest.raises(ManifestError, match=r"fewer.json: 8 patches, .*a.json has 12"):
        score_class_files([first], [fewer])
    for change, message in (({"class_index": 1}, "has class"), ({"site": [99.0, 9.0]}, "is not in it")):
        content = json.loads(first.read_text())
        row = next(each for each in content["scores"] if each["class_index"] == 0)
        row.update(change)
        (tmp_path / "other.json").write_text(json.dumps(content))
        with pytest.raises(ManifestError, match=rf"other.json: .*a.json, scores row \d+ .* {message}"):
            score_class_files([first], [tmp_path / "other.json"])
    three = write(tmp_path / "three.json", 0, names=("background", "mass", "calcification"))
    with pytest.raises(
        ManifestError, match=r"three.json: classes background, mass, calcification, but .*a.json"
    ):
        score_class_files([first, three])
    with pytest.raises(ManifestError, match=r"empty.json: no score in it"):
        score_class_files([write(tmp_path / "empty.json", 0, n=0)])


def test_misuse_is_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a.json", 0)
    with pytest.raises(ValueError, match="expected at least one"):
        score_class_files([])
    with pytest.raises(
        ValueError, match="as many files after --against as before it, one per run, got 2 and 1"
    ):
        score_class_files([first], [first, first])


def test_files_of_one_name_are_called_by_their_folders_and_the_same_file_by_number() -> None:
    assert names_of([Path("x/one.json"), Path("x/two.json")]) == ("one", "two")
    assert names_of([Path("x/s.json"), Path("y/s.json")]) == ("x", "y")
    assert names_of([Path("s.json"), Path("s.json")]) == ("1", "2")
