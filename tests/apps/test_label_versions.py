from pathlib import Path

import pytest

from mammo_monai.apps.weight_versions import LATEST, SHIPPED, WeightVersions
from mammo_monai.errors import WeightsError


def train(versions: WeightVersions, content: str = "weights") -> str:
    with versions.new({"epochs": 3}) as (name, folder):
        (folder / "model.safetensors").write_text(content)
    return name


def train_badly(versions: WeightVersions) -> None:
    with versions.new({}) as (_, folder):
        (folder / "model.safetensors").touch()
        raise RuntimeError("out of memory")


def test_versions_count_up_and_none_is_overwritten(tmp_path: Path) -> None:
    versions = WeightVersions(tmp_path / "bundle")
    assert (versions.names(), versions.path(LATEST), versions.path(SHIPPED)) == ([], None, None)
    assert [train(versions, text) for text in ("a", "b")] == ["v0001", "v0002"]
    assert versions.names() == ["v0001", "v0002"]
    first, latest = versions.path("v0001"), versions.path(LATEST)
    assert first is not None
    assert latest is not None
    assert (first.read_text(), latest.read_text()) == ("a", "b")
    assert versions.about("v0002") == {"version": "v0002", "epochs": 3}
    assert versions.path(SHIPPED) is None


def test_a_number_is_not_given_twice_even_if_its_weights_are_gone(tmp_path: Path) -> None:
    versions = WeightVersions(tmp_path)
    train(versions)
    (tmp_path / "v0001" / "model.safetensors").unlink()
    assert versions.names() == []
    assert versions.about("v0009") == {}
    assert train(versions) == "v0002"


def test_versions_are_ordered_by_number(tmp_path: Path) -> None:
    for name in ("v10000", "v9999", "other", "v1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").touch()
    assert WeightVersions(tmp_path).names() == ["v9999", "v10000"]


def test_a_training_that_fails_makes_no_version_and_the_next_one_starts_clean(tmp_path: Path) -> None:
    versions = WeightVersions(tmp_path)
    with pytest.raises(RuntimeError, match="out of memory"):
        train_badly(versions)
    assert versions.names() == []
    with pytest.raises(WeightsError, match=r"ended without model.safetensors"), versions.new({}):
        pass
    assert train(versions) == "v0001"


def test_an_unknown_version_is_refused_with_those_there_are(tmp_path: Path) -> None:
    versions = WeightVersions(tmp_path)
    train(versions)
    with pytest.raises(WeightsError, match="'v0007' not found: expected shipped, latest, v0001"):
        versions.path("v0007")
