import json
from pathlib import Path

import pytest

from mammo_monai.bundle import bundle_explainer, bundle_parts
from mammo_monai.errors import BundleError


def bundle_of(folder: Path, content: object) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(content))
    return folder


def test_parts_are_built_as_a_run_would_with_overrides(tmp_path: Path) -> None:
    content = {
        "bundle_root": ".",
        "width": 3,
        "layer": {"_target_": "torch.nn.Linear", "in_features": "@width", "out_features": 2},
        "where": "$@bundle_root + '/models'",
    }
    root = bundle_of(tmp_path / "some", content)
    parts = bundle_parts(root, ("layer", "where", "absent"), {"width": 5, "layer#out_features": 7})
    assert (parts["layer"].in_features, parts["layer"].out_features) == (5, 7)
    assert parts["where"] == f"{root}/models"
    assert set(parts) == {"layer", "where"}


def test_what_cannot_be_built_names_its_id(tmp_path: Path) -> None:
    content = {
        "layer": {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 2, "kernel_size": 1}
    }
    root = bundle_of(tmp_path / "some", content)
    with pytest.raises(BundleError, match=r"some, inference.json, id layer: .*groups"):
        bundle_parts(root, ("layer",), {"layer#kernel_size": 1, "layer#groups": 2})
    with pytest.raises(BundleError, match="--nothing: no such id"):
        bundle_parts(root, ("layer",), {"nothing": 1})
    with pytest.raises(BundleError, match=r"train\.json: is missing"):
        bundle_parts(root, ("layer",), config="train")


def test_a_bundle_without_a_model_cannot_be_asked(tmp_path: Path) -> None:
    root = bundle_of(tmp_path / "some", {"dataset": [1]})
    with pytest.raises(BundleError, match=r"some, inference\.json: needs an id detector or classifier"):
        bundle_explainer(root, {})
