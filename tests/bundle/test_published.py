"""Published weights: another file in their place is refused; a check names what does not fit together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mammo_monai.bundle import check_bundle, initialised_network, publish_bundle, weights_state
from mammo_monai.errors import WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.networks import retinanet_network
from tests.bundle.light import SETTINGS


@pytest.mark.parametrize("content", [b"\xff\xfe{", b"[" * 100_000, b"[1]", b'"x"', b"1"])
def test_a_file_that_is_no_object_is_a_fault_and_hides_no_other_bundle(content: bytes, bundle: Path) -> None:
    (bundle / "configs" / "train.json").write_bytes(content)
    assert any("configs/train.json: " in each for each in check_bundle(bundle))
    (bundle / "configs" / "metadata.json").write_bytes(content)
    assert weights_state(bundle) == "damaged metadata"


def test_a_changed_published_file_is_refused_with_both_hashes(bundle: Path, trained: Path) -> None:
    made = publish_bundle(bundle, trained)
    shutil.copy(trained, made.weights)
    found = sha256_of(trained)
    message = rf"expected SHA-256 {made.sha256} \(configs/metadata\.json\), got {found}.*--weights FILE"
    for init in (str(made.weights), "light"):  # to predict, and as the parent of a next stage
        with pytest.raises(WeightsError, match=message):
            initialised_network(retinanet_network(**SETTINGS), init, bundle)
    faults = "\n".join(check_bundle(bundle))
    assert (
        f"models/model.safetensors has SHA-256 {found}, configs/metadata.json declares {made.sha256}"
        in faults
    )
    assert "SHA256SUMS does not hold the SHA-256 of the files beside it" in faults
    elsewhere = trained.parent / "mine.safetensors"
    shutil.copy(trained, elsewhere)
    initialised_network(retinanet_network(**SETTINGS), str(elsewhere), bundle)  # one's own weights are free


def test_weights_trained_into_a_bundle_that_declares_none_are_free(bundle: Path, trained: Path) -> None:
    assert weights_state(bundle) == "no weights yet"
    (bundle / "models").mkdir()
    own = Path(shutil.copy(trained, bundle / "models" / "model.safetensors"))
    initialised_network(retinanet_network(**SETTINGS), str(own), bundle)
    assert check_bundle(bundle) == []
    assert weights_state(bundle) == "trained"


def test_check_names_published_files_that_do_not_belong_together(
    bundle: Path, trained: Path, points: Path
) -> None:
    made = publish_bundle(bundle, trained, operating_points=points)
    copied = bundle / "models" / "operating_points.json"
    copied.write_text(json.dumps({**json.loads(copied.read_text()), "for_weights_sha256": "d" * 64}))
    (bundle / "models" / "SHA256SUMS").unlink()
    faults = check_bundle(bundle)
    assert len(faults) == 2
    assert (
        f"operating_points.json is for weights {'d' * 64}, configs/metadata.json declares {made.sha256}"
        in faults[0]
    )
    assert "SHA256SUMS is missing" in faults[1]
    copied.write_text("{")
    assert "operating_points.json" in check_bundle(bundle)[0]
    made.weights.unlink()
    (fault,) = check_bundle(bundle)
    assert "model.safetensors is missing, yet configs/metadata.json declares" in fault
    assert weights_state(bundle) == "weights missing"
    (bundle / "configs" / "metadata.json").write_text("{")
    assert [fault for fault in check_bundle(bundle) if "metadata" in fault] != []
