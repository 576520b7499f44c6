"""From submitted labels to a manifest, and from that to a version of weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mammo_monai.apps.fine_tuning import TuningOptions, fine_tune, tuning_options
from mammo_monai.apps.labelled_manifest import labelled_manifest
from mammo_monai.apps.marking import BundleMarks, MarkRequest
from mammo_monai.apps.weight_versions import WeightVersions
from mammo_monai.bundle import find_bundle
from mammo_monai.errors import ManifestError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.schema import read_manifest
from tests.dicom_factory import write_mammogram

BUNDLE = "cbis_mass_detection"
UNTRAINED = "coco_to_cbis_mass_retinanet"


def write_film(path: Path, number: int) -> Path:
    """A right breast of 420 × 260 px, of a patient of its own."""
    rows, columns = np.mgrid[:420, :260]
    breast = ((rows - 200) / 190) ** 2 + ((columns - 260) / 180) ** 2 < 1
    pixels = (breast * 5000 + (rows * (7 + number) + columns * 13) % 300).astype(np.uint16)
    tags = {"PatientID": f"p{number}", "SOPInstanceUID": f"1.2.3.{number}", "ImageLaterality": "R"}
    return write_mammogram(path, pixels, tags=tags)


@pytest.fixture
def datastore(tmp_path: Path) -> Path:
    """Four films; labels are saved by the tests."""
    folder = tmp_path / "studies"
    (folder / "labels" / "final").mkdir(parents=True)
    (folder / "labels" / "original").mkdir()
    for number in range(4):
        write_film(folder / f"1.2.3.{number}.dcm", number)
    return folder


def save(datastore: Path, number: int, boxes: list[list[float]], tag: str = "final") -> None:
    content = {"box": boxes, "label": ["mass"] * len(boxes)}
    (datastore / "labels" / tag / f"1.2.3.{number}.json").write_text(json.dumps(content))


def test_images_with_a_final_label_are_taken_and_proposals_are_not(datastore: Path, tmp_path: Path) -> None:
    save(datastore, 0, [[10.0, 20.0, 60.5, 90.0]])
    save(datastore, 1, [])
    save(datastore, 2, [[10.0, 20.0, 60.0, 90.0]], tag="original")
    path = tmp_path / "manifest.json"
    manifest = labelled_manifest(datastore, path, validation_fraction=0.0)
    assert (len(manifest.training), len(manifest.validation), len(manifest.test)) == (2, 0, 0)
    records = {record.image.stem: record for record in read_manifest(path).images()}
    assert set(records) == {"1.2.3.0", "1.2.3.1"}
    assert_allclose(records["1.2.3.0"].boxes, [[10.0, 20.0, 60.5, 90.0]])
    assert records["1.2.3.1"].is_normal
    assert (tmp_path / "audit.csv").is_file()


def test_one_patient_is_trained_on_and_none_validated(datastore: Path, tmp_path: Path) -> None:
    save(datastore, 3, [[10.0, 20.0, 60.0, 90.0]])
    manifest = labelled_manifest(datastore, tmp_path / "manifest.json")
    assert (len(manifest.training), len(manifest.validation)) == (1, 0)


def test_an_unreadable_label_leaves_its_image_out_with_a_warning(
    datastore: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(datastore, 0, [[10.0, 20.0, 60.0, 90.0]])
    (datastore / "labels" / "final" / "1.2.3.1.json").write_text("{")
    manifest = labelled_manifest(datastore, tmp_path / "manifest.json")
    assert len(manifest.images()) == 1
    assert "left out 1 image that cannot be read" in caplog.text


def test_nothing_to_train_on_is_said(datastore: Path, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(ManifestError, match="expected boxes that people submitted"):
        labelled_manifest(datastore, path)
    with pytest.raises(ManifestError, match="expected boxes that people submitted"):
        labelled_manifest(tmp_path / "nowhere", path)
    save(datastore, 0, [])
    with pytest.raises(ManifestError, match="1 image with a final label, none a mass"):
        labelled_manifest(datastore, path)
    assert not path.exists()


def test_options_come_loosely_typed() -> None:
    found = tuning_options(
        {"max_epochs": "3", "learning_rate": "1e-4", "val_split": 0, "weights": ["latest"]}
    )
    assert (found.epochs, found.learning_rate, found.validation_fraction) == (3, 1e-4, 0.0)
    assert found.weights == "latest"
    assert tuning_options({"learning_rate": 0}) == TuningOptions()


@pytest.mark.parametrize(
    "given",
    [
        {"max_epochs": 0},
        {"max_epochs": None},
        {"max_epochs": float("inf")},
        {"val_split": 1},
        {"val_split": []},
        {"learning_rate": -1},
        {"learning_rate": "nan"},
        {"seed": "x"},
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected|must be|invalid literal"):
        tuning_options(given)


def test_a_bundle_without_weights_cannot_be_tuned(datastore: Path, tmp_path: Path) -> None:
    versions = WeightVersions(tmp_path / "models")
    if (find_bundle(UNTRAINED) / "models" / "model.safetensors").is_file():
        pytest.skip("this checkout trained it")
    with pytest.raises(WeightsError, match="has no weights to start from"):
        fine_tune(UNTRAINED, datastore, versions, TuningOptions())


def test_tuning_makes_a_version_that_marks_and_leaves_the_bundle_as_it_was(
    datastore: Path, tmp_path: Path
) -> None:
    shipped = find_bundle(BUNDLE) / "models" / "model.safetensors"
    before = sha256_of(shipped)
    save(datastore, 0, [[60.0, 150.0, 160.0, 260.0]])
    versions = WeightVersions(tmp_path / "models")
    about = fine_tune(BUNDLE, datastore, versions, TuningOptions(epochs=1, device="cpu"))
    assert (about["version"], about["n_training"], about["start_sha256"]) == ("v0001", 1, before)
    assert sha256_of(shipped) == before
    assert versions.about("v0001")["weights_sha256"] == about["weights_sha256"] != before
    marks = BundleMarks(BUNDLE, versions)
    image = datastore / "1.2.3.0.dcm"
    tuned = marks(image, MarkRequest(weights="latest"))
    assert tuned.model["weights_sha256"] == about["weights_sha256"]
    default = marks.default_point()
    assert default is not None
    assert tuned.model["min_score"] == default.threshold
    assert "operating_point" not in tuned.model
    with pytest.raises(WeightsError, match="operating points are for"):
        marks(image, MarkRequest(weights="v0001", fppi=1.0))
