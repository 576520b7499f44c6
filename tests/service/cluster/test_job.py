"""What decides a job's results, and what is refused before a cluster is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.bundle import Marker
from mammo_monai.errors import BundleError, ManifestError
from mammo_monai.service.cluster import BundleMarker, bundle_job
from mammo_monai.service.cluster.job import _identities

BUNDLE = BundleMarker("cbis_mass_detection")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Two films that are not square."""
    for number in range(2):
        pixels = np.full((30 + number, 20), 7 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_each_part_changes_with_what_it_is_of_and_with_nothing_else(films: Path) -> None:
    job = bundle_job(BUNDLE, str(films))
    assert len(job.samples) == 2
    assert job.model["bundle"] == "cbis_mass_detection"
    assert bundle_job(BUNDLE, str(films)).parts == job.parts

    def differing(source: BundleMarker) -> set[str]:
        parts = bundle_job(source, str(films)).parts
        return {name for name in parts if parts[name] != job.parts[name]}

    assert differing(replace(BUNDLE, overrides={"score_threshold": 0.2})) == {"inference"}
    assert differing(replace(BUNDLE, overrides={"device": "cuda:3"})) == set()
    assert differing(replace(BUNDLE, fppi=0.5)) == {"model"}
    (films / "0.png").write_bytes((films / "1.png").read_bytes())
    assert differing(BUNDLE) == {"images"}


def test_a_wrong_id_is_refused_by_the_driver(films: Path) -> None:
    with pytest.raises(BundleError, match="scor_threshold"):
        bundle_job(replace(BUNDLE, overrides={"scor_threshold": 0.2}), str(films))


def test_an_operating_point_that_is_not_there_is_refused_by_the_driver(films: Path) -> None:
    with pytest.raises(BundleError, match="no operating point for 17"):
        bundle_job(replace(BUNDLE, fppi=17.0), str(films))


def test_a_record_id_stands_for_one_image(films: Path) -> None:
    twice = [{"record_id": "a", "image_path": str(films / f"{n}.png")} for n in range(2)]
    with pytest.raises(ManifestError, match=r"record_id a stands for both .*0\.png and .*1\.png"):
        _identities(twice)


def test_no_image_is_an_error() -> None:
    with pytest.raises(ManifestError, match="no image to predict on"):
        _identities([])


def test_a_worker_marks_samples_on_its_own_device_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def load(bundle: str, *, overrides: object, **_: object) -> Marker:
        asked.append(overrides)
        return Marker(None, None, None, {})  # type: ignore[arg-type]  # nothing is marked

    monkeypatch.setattr("mammo_monai.service.cluster.job.load_marker", load)
    BUNDLE.load("cpu")
    BUNDLE.load(None)
    replace(BUNDLE, overrides={"device": "cuda:1"}).load("cpu")
    assert asked == [{"device": "cpu"}, {}, {"device": "cuda:1"}]
