"""The marker held in memory against `predict`, with the weights in the box, on a breast drawn by the test."""

import shutil
from pathlib import Path

import pytest
from monai.transforms import Compose
from numpy.testing import assert_allclose

from mammo_monai.bundle import Marker, load_marker
from mammo_monai.cli.main import main
from mammo_monai.errors import BundleError, MammoError, ManifestError
from mammo_monai.files import sha256_of
from mammo_monai.schema import read_detections
from tests.dicom_factory import write_breast

BUNDLE = "cbis_mass_detection"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A right breast with one bright disk."""
    return write_breast(tmp_path_factory.mktemp("film") / "film.dcm")


@pytest.fixture(scope="module")
def marker() -> Marker:
    return load_marker(BUNDLE, overrides={"device": "cpu"})


def test_marks_are_those_of_predict(marker: Marker, film: Path, tmp_path: Path) -> None:
    output = tmp_path / "detections.json"
    assert main(["predict", str(film), "--bundle", BUNDLE, "--device", "cpu", "-o", str(output)]) == 0
    written = read_detections(output)
    (expected,) = written.detections
    found = marker(film)
    assert found.record_id == expected.record_id
    assert len(found.boxes) > 0
    assert_allclose(found.boxes, expected.boxes, atol=1e-6)
    assert_allclose(found.scores, expected.scores, atol=1e-7)
    assert {**marker.model, "failed": []} == written.model


def test_an_operating_point_shows_less_with_probabilities(marker: Marker, film: Path) -> None:
    shown = load_marker(BUNDLE, fppi=0.5, overrides={"device": "cpu"})
    everything, some = marker(film), shown(film, record_id="0123456789abcdef")
    threshold = shown.model["operating_point"]["threshold"]  # type: ignore[index]  # a JSON object
    assert some.record_id == "0123456789abcdef"
    assert len(some.scores) == int((everything.scores >= threshold).sum())
    assert some.probabilities is not None


def test_the_model_names_its_version_and_weights(marker: Marker) -> None:
    assert marker.model["bundle"] == BUNDLE
    assert marker.model["version"] == "0.1.0"
    weights = Path(__file__).parents[2] / "bundles" / BUNDLE / "models" / "model.safetensors"
    assert marker.model["weights_sha256"] == sha256_of(weights)


def test_an_image_that_cannot_be_read_is_named(marker: Marker, tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no picture")
    with pytest.raises(MammoError, match=r"broken\.dcm"):
        marker(broken)


def test_an_error_of_a_transform_is_told_with_the_film(marker: Marker, film: Path) -> None:
    def fail(data: object) -> object:
        raise KeyError("foreign")

    failing = Marker(marker.inferer, Compose([fail]), marker.device, marker.model)
    with pytest.raises(MammoError, match=r"film\.dcm .*KeyError: 'foreign'"):
        failing(film)


def test_a_folder_is_no_image(marker: Marker, film: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ManifestError, match="expected an image file, got a folder"):
        marker(film.parent)
    with caplog.at_level("INFO"):
        marker(film)
    assert not [each for each in caplog.records if "image_checks" not in each.name]  # a path may hold a name


def test_a_film_named_by_its_uid_is_marked(marker: Marker, film: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(film, tmp_path / "1.2.840.113619.2.55"))
    assert_allclose(marker(copy).boxes, marker(film).boxes)


def test_weights_given_twice_are_refused(film: Path) -> None:
    with pytest.raises(ValueError, match="given twice"):
        load_marker(BUNDLE, weights=film, overrides={"weights": "other.safetensors"})


def test_a_bundle_that_cannot_mark_is_refused(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text('{"inferer": 1}')
    with pytest.raises(BundleError, match="needs the ids preprocessing, model"):
        load_marker(tmp_path)
    with pytest.raises(BundleError, match="no operating point for 3"):
        load_marker(BUNDLE, fppi=3)
