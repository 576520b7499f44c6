"""The command against the slow reference: random files in, every operating point of metrics.json compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.cli.main import main
from mammo_monai.records import Box, Detections, ImageRecord, Lesion
from mammo_monai.schema import Manifest, read_metrics, write_detections, write_manifest
from tests.metrics.scenes import HEIGHT, WIDTH, Scene, record
from tests.reference import froc_reference

SEEDS = range(15)
SCORES = (0.1, 0.3, 0.5, 0.7, 0.9)  # few, so that many are equal, within images and across
N_IMAGES = 16


def a_box(rng: np.random.Generator) -> Box:
    x, y = rng.integers(0, WIDTH - 2), rng.integers(0, HEIGHT - 2)
    width, height = rng.integers(2, 7, size=2)
    return (float(x), float(y), float(min(x + width, WIDTH)), float(min(y + height, HEIGHT)))


def shifted(rng: np.random.Generator, box: Box) -> Box:
    """The box, moved by at most a pixel."""
    dx, dy = (float(each) for each in rng.integers(-1, 2, size=2))
    return (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)


def an_image(rng: np.random.Generator, n: int) -> tuple[ImageRecord, Detections]:
    """A third are normal; half of the detections lie on lesions, of any label."""
    lesions = [Lesion(a_box(rng), label=int(rng.integers(0, 3))) for _ in range(max(0, rng.integers(-1, 4)))]
    places = [lesion.box for lesion in lesions] or [a_box(rng)]
    boxes = [
        shifted(rng, places[rng.integers(len(places))]) if rng.random() < 0.5 else a_box(rng)
        for _ in range(rng.integers(0, 9))
    ]
    found = Detections(
        f"{n:016x}",
        np.array(boxes, dtype=float).reshape(-1, 4),
        rng.choice(SCORES, size=len(boxes)),
        rng.integers(0, 3, size=len(boxes)),
    )
    return record(n, lesions, patient=f"patient {n // 2}"), found


def random_scene(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    return Scene(*zip(*(an_image(rng, n) for n in range(N_IMAGES)), strict=True))


def points_of(scene: Scene, folder: Path, *options: str) -> list[dict[str, float]]:
    """What the command writes."""
    assert evaluated(scene, folder, *options) == 0
    points: list[dict[str, float]] = read_metrics(folder / "metrics.json")["froc"]["points"]
    return points


def evaluated(scene: Scene, folder: Path, *options: str) -> int:
    """The command's exit code, on detections listed in another order than the images, and of two lists."""
    records = [replace(each, image=folder / each.image) for each in scene.records]
    manifest, found, output = (folder / f"{name}.json" for name in ("manifest", "detections", "metrics"))
    write_manifest(manifest, Manifest(training=(*records[:6],), test=(*records[6:],)))
    write_detections(found, scene.detections[::-1], {})
    words = ["evaluate", str(found), "--manifest", str(manifest), "-o", str(output), "--bootstrap", "5"]
    return main([*words, *options])


@pytest.mark.parametrize("seed", SEEDS)
def test_every_operating_point_is_that_of_the_slow_reference(seed: int, tmp_path: Path) -> None:
    scene, label, doubles = random_scene(seed), seed % 3, seed % 2 == 1
    min_iou = (0.2, 0.0, 0.5)[seed // 5]
    options = ["--label", str(label), "--min-iou", str(min_iou), *["--count-double-hits"] * doubles]
    points = points_of(scene, tmp_path, *options)
    curve = froc_reference.froc(scene.plain(label), min_iou, doubles)
    expected = [froc_reference.sensitivity_at(curve, point["fppi"]) for point in points]
    assert len(points) == 11
    assert [point["sensitivity"] for point in points] == pytest.approx(expected, abs=1e-9)


def test_a_split_is_scored_alone_with_its_own_number_of_images(tmp_path: Path) -> None:
    scene = random_scene(0)
    points = points_of(scene, tmp_path, "--split", "test")
    curve = froc_reference.froc(scene.plain()[6:], 0.2, False)
    expected = [froc_reference.sensitivity_at(curve, point["fppi"]) for point in points]
    assert [point["sensitivity"] for point in points] == pytest.approx(expected, abs=1e-9)


def test_without_a_lesion_of_the_label_nothing_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(random_scene(0), tmp_path, "--label", "9") == 2
    assert "none of 16 images has one of label 9, those there have label 0, 1, 2" in capsys.readouterr().err
    assert not (tmp_path / "metrics.json").exists()


def test_the_random_files_hold_what_they_are_for() -> None:
    scenes = [random_scene(seed) for seed in SEEDS]
    normals = [sum(each.is_normal for each in scene.records) for scene in scenes]
    assert min(normals) >= 1
    assert all({0, 1, 2} == {lesion.label for r in scene.records for lesion in r.lesions} for scene in scenes)
    assert all(
        any(len(set(each.scores.tolist())) < len(each.scores) for each in scene.detections)
        for scene in scenes
    )
    assert any(len(each.boxes) == 0 for scene in scenes for each in scene.detections)
    curves = [froc_reference.froc(scene.plain(), 0.2, False) for scene in scenes]
    assert len({froc_reference.sensitivity_at(curve, 1.0) for curve in curves}) > 5
