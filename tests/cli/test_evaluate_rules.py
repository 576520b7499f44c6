"""The command against the slow reference by every hit rule, level and choice of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.cli.main import main
from mammo_monai.records import Laterality
from mammo_monai.schema import Manifest, read_metrics, write_detections, write_manifest
from tests.cli.test_evaluate_against_reference import random_scene
from tests.metrics.rule_scenes import films
from tests.metrics.scenes import Scene
from tests.reference import froc_reference, rule_reference
from tests.reference.rule_reference import Rule


def mammograms(seed: int, folder: Path) -> Scene:
    """The random images as views of four patients' breasts, pixels of several sizes, written to disk."""
    rng = np.random.default_rng(seed)
    scene = random_scene(seed)
    records = tuple(
        replace(
            each,
            image=folder / each.image,
            patient_id=f"p{rng.integers(4)}",
            laterality=(Laterality.LEFT, Laterality.RIGHT)[rng.integers(2)],
            pixel_spacing_mm=((0.25, 0.25), (0.5, 0.25))[rng.integers(2)],
        )
        for each in scene.records
    )
    write_manifest(folder / "manifest.json", Manifest(test=records))
    write_detections(folder / "detections.json", scene.detections, {})
    return Scene(records, scene.detections)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("--hit center", Rule(hit="center")),
        ("--hit center_distance", Rule(hit="center_distance")),
        ("--hit center_distance --max-distance-mm 1", Rule(hit="center_distance", max_distance_mm=1.0)),
        ("--level image", Rule(level="image")),
        ("--level breast --count-double-hits", Rule(level="breast", count_double_hits=True)),
        ("--level patient --hit center", Rule(level="patient", hit="center")),
        ("--false-positives-on normal", Rule(false_positives_on="normal")),
        (
            "--false-positives-on with_lesions --level breast",
            Rule(false_positives_on="with_lesions", level="breast"),
        ),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_operating_points_are_those_of_the_slow_reference(
    words: str, rule: Rule, seed: int, tmp_path: Path
) -> None:
    scene = mammograms(seed, tmp_path)
    files = [str(tmp_path / name) for name in ("detections.json", "manifest.json", "metrics.json")]
    command = ["evaluate", files[0], "--manifest", files[1], "-o", files[2], *words.split()]
    assert main([*command, "--bootstrap", "5"]) == 0
    metrics = read_metrics(tmp_path / "metrics.json")
    curve = rule_reference.froc(films(scene), rule)
    points = metrics["froc"]["points"]
    expected = [froc_reference.sensitivity_at(curve, point["fppi"]) for point in points]
    assert [point["sensitivity"] for point in points] == pytest.approx(expected, abs=1e-9)
    assert metrics["rule"]["level"] == rule.level
