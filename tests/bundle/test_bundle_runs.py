"""The bundles run: by MONAI's command, from elsewhere, from a copy, after a kill, and by two processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mammo_monai.bundle import find_bundle, publish_bundle, run_bundle
from mammo_monai.cli.main import main
from mammo_monai.errors import ManifestError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.networks import read_weights, retinanet_network, save_weights
from mammo_monai.schema import read_detections, read_manifest, read_metrics, write_manifest
from tests.warm import Warm, warm  # a fixture

__all__ = ["warm"]

STAGE_1, STAGE_2 = "coco_to_cbis_mass_retinanet", "cbis_to_inbreast_mass_retinanet"
LIGHT_1, LIGHT_2 = "cbis_mass_detection", "inbreast_mass_detection"
SMALL: dict[str, Any] = {
    "init": "none",
    "epochs": 1,
    "size_px": 128,
    "network_def#backbone": "resnet18",
    "network_def#fpn_channels": 32,
    "detector#size_divisible": 32,
    "train#dataloader#batch_size": 2,
}

_TINY_FASTER = {"network_def#backbone": "resnet18", "network_def#fpn_channels": 16}
_TINY_PATCHES = {"network_def#backbone": "resnet18", "patch_px": 32, "stride_px": 16}
_TINY_IMAGES = {"network_def#backbone": "resnet18", "network_def#patch_px": 32, "network_def#top_widths": [8]}
OTHERS: dict[str, dict[str, Any]] = {
    LIGHT_1: {"size_px": 128},
    LIGHT_2: {"size_px": 128},
    "coco_to_cbis_mass_faster_rcnn": _TINY_FASTER,
    "cbis_to_inbreast_mass_faster_rcnn": _TINY_FASTER,
    "cbis_patch_classifier": _TINY_PATCHES,
    "inbreast_patch_classifier": _TINY_PATCHES,
    "cbis_whole_image_classifier": _TINY_IMAGES,
    "inbreast_whole_image_classifier": _TINY_IMAGES,
}


@pytest.fixture(scope="module")
def trained(manifest: Path, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the second stage's bundle, away from the checkout, trained by MONAI's command."""
    copy = tmp_path_factory.mktemp("site") / "our_stage"
    shutil.copytree(find_bundle(STAGE_2), copy, ignore=shutil.ignore_patterns("models", "eval"))
    _monai(warm, "training", copy, ["train.json"], cwd=copy.parent, manifest=manifest)
    return copy


@pytest.fixture(scope="module")
def published(manifest: Path, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the light bundle for small images, trained by MONAI's command, its weights published."""
    root = _small_copy(LIGHT_1, tmp_path_factory.mktemp("light"))
    values = {"manifest": manifest, "init": "none", "epochs": 1, "batch_size": 2}
    _monai(warm, "training", root, ["train.json"], cwd=root.parent, values=values)
    publish_bundle(root, root / "training" / "model.safetensors")
    return root


def _small_copy(name: str, folder: Path) -> Path:
    """A copy of a bundle without weights, its images 128 × 64 px."""
    ignored = shutil.ignore_patterns("models", "eval", "training")
    root = Path(shutil.copytree(find_bundle(name), folder / name, ignore=ignored))
    for path in (root / "configs" / file for file in ("train.json", "inference.json")):
        path.write_text(path.read_text().replace('"size_px": 768', '"size_px": 128'))
    metadata = json.loads((root / "configs" / "metadata.json").read_text())
    metadata.pop("weights_sha256", None)
    (root / "configs" / "metadata.json").write_text(json.dumps(metadata))
    return root


def _monai(
    warm: Warm,
    run_id: str,
    root: Path,
    configs: list[str],
    *,
    cwd: Path,
    values: dict[str, Any] | None = None,
    **overrides: object,
) -> None:
    files = [str(root / "configs" / name) for name in configs]
    given = {**SMALL, **overrides} if values is None else values
    words = ["-m", "monai.bundle", "run", run_id, "--bundle_root", str(root)]
    words += ["--config_file", files[0] if len(files) == 1 else str(files)]
    warm.run("python", *words, *_options(given), folder=cwd)


def _options(values: dict[str, Any]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def test_a_copied_bundle_trains_from_another_directory(trained: Path) -> None:
    assert (trained / "models" / "model.safetensors").is_file()
    assert (trained / "models" / "checkpoint_last.pt").is_file()
    assert list((trained / "models" / "tensorboard").iterdir())


def test_evaluating_a_trained_bundle_scores_the_test_list(trained: Path, manifest: Path, warm: Warm) -> None:
    _monai(
        warm,
        "evaluating",
        trained,
        ["train.json", "evaluate.json"],
        cwd=trained,
        manifest=manifest,
        init="@weights",
    )
    metrics = read_metrics(trained / "eval" / "metrics.json")
    assert metrics["n_images"] == len(read_manifest(manifest).test) > 0
    assert metrics["inputs"]["split"] == "test"


def test_inference_by_the_command_line_equals_evaluation(
    trained: Path, manifest: Path, tmp_path: Path
) -> None:
    output = tmp_path / "detections.json"
    words = ["predict", str(manifest), "--split", "test", "--bundle", str(trained), "-o", str(output)]
    words += ["--device", "cpu", "--size_px", "128", "--network_def#backbone", "resnet18"]
    code = main([*words, "--network_def#fpn_channels", "32", "--detector#size_divisible", "32"])
    assert code == 0
    content = read_detections(output)
    assert [each.record_id for each in content.detections] == [
        r.record_id for r in read_manifest(manifest).test
    ]
    assert content.model["bundle"] == "our_stage"
    assert len(str(content.model["weights_sha256"])) == 64


def test_weights_of_another_architecture_are_refused(trained: Path, manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"model\.safetensors.*resnet"):
        run_bundle(trained, "inference", "run", {"input": str(manifest), "output": str(tmp_path / "d.json")})


def test_the_second_stage_starts_from_the_first(manifest: Path, trained: Path, tmp_path: Path) -> None:
    parent = tmp_path / STAGE_1
    shutil.copytree(find_bundle(STAGE_1), parent, ignore=shutil.ignore_patterns("models"))
    child = Path(
        shutil.copytree(find_bundle(STAGE_2), tmp_path / "child", ignore=shutil.ignore_patterns("models"))
    )
    values = {**SMALL, "manifest": str(manifest), "init": STAGE_1}
    with pytest.raises(WeightsError, match="Train it first"):
        run_bundle(child, "train", "training", values)
    shutil.copytree(trained / "models", parent / "models")
    run_bundle(child, "train", "training", values)
    before = load_file(parent / "models" / "model.safetensors")
    after = load_file(child / "models" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("classification_head.") for name in changed)


def test_an_unknown_manifest_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such"):
        run_bundle(STAGE_1, "train", "training", {**SMALL, "manifest": str(tmp_path / "gone.json")})


def test_a_killed_training_goes_on_to_the_same_weights(manifest: Path, tmp_path: Path, warm: Warm) -> None:
    def command(folder: str) -> list[str]:
        words = ["mammo-monai", "train", "--bundle", STAGE_1, "--manifest", str(manifest)]
        return [*words, "--output-dir", str(tmp_path / folder), *_options({**SMALL, "epochs": 3})]

    warm.run(*command("whole"))
    process = warm.start(*command("killed"))
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "checkpoint_last.pt").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    warm.run(*command("killed"))
    whole, killed = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def _two_processes(warm: Warm, values: dict[str, Any], *, stop_at: Path | None = None) -> int:
    """Exit code of a training by two processes; once `stop_at` is there, the second one is killed."""
    root = find_bundle(STAGE_1)
    files = [str(root / "configs" / name) for name in ("train.json", "multi_gpu_train.json")]
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "monai.bundle"]
    words += ["run", "training", "--bundle_root", str(root), "--config_file", str(files)]
    started = warm.start("python", *words, *_options(values))
    deadline = time.monotonic() + 300
    while stop_at is not None and started.poll() is None and time.monotonic() < deadline:
        if stop_at.is_file():
            children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
            os.kill(int(children[-1]), signal.SIGKILL)
            break
        time.sleep(0.05)
    return started.wait(timeout=300)


def test_two_processes_train_what_one_does_also_after_one_was_killed(
    manifest: Path, tmp_path: Path, warm: Warm
) -> None:
    """Odd numbers of images; batches of 2 × 1 against 2; norms of the start stay frozen, as in the bundle."""
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    network = retinanet_network("resnet18", head_norm="gn32", p6_from="c5", fpn_channels=32)
    save_weights(network, start, {})
    films = read_manifest(manifest)
    odd = replace(films, training=films.training[:5], validation=films.validation[:3])
    write_manifest(tmp_path / "manifest.json", odd)
    values = {**SMALL, "manifest": str(tmp_path / "manifest.json"), "init": str(start), "epochs": 2}
    # Plain descent: Adam divides small gradients by small ones, and rounding grows to the size of a step.
    values |= {
        "optimizer#name": "sgd",
        "learning_rate": 1e-3,
        "freeze": "all",
        "ema_decay": 0.9,
        "val_interval": 1,
    }
    alone = tmp_path / "alone"
    run_bundle(STAGE_1, "train", "training", {**values, "output_dir": str(alone)})
    shared = tmp_path / "shared"
    values |= {"train#dataloader#batch_size": 1, "output_dir": str(shared)}
    assert _two_processes(warm, values, stop_at=shared / "checkpoint_last.pt") != 0
    assert torch.load(shared / "checkpoint_last.pt", weights_only=True)["epoch"] < 2
    assert _two_processes(warm, values) == 0
    one, two = (torch.load(run / "checkpoint_last.pt", weights_only=True) for run in (alone, shared))
    assert two["iteration"] == one["iteration"] == 6
    assert two["best"] == one["best"]
    assert len(two["random_of_others"]) == 1
    for name, value in one["network"].items():
        # Rounding of float32 grew to 3e-5 here, where training moved weights by up to 2e-3; tests/engines
        # holds float64 to 1e-9.
        torch.testing.assert_close(two["network"][name], value, rtol=0, atol=1e-4, msg=name)
    assert sorted(path.name for path in shared.iterdir()) == sorted(path.name for path in alone.iterdir())
    assert len(list((shared / "tensorboard").iterdir())) == 2  # one per start, of the first process


def test_every_train_config_satisfies_monais_property_check(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monai.bundle import ConfigWorkflow  # late: importing MONAI's bundle parser takes seconds

    monkeypatch.setenv("MAMMO_MONAI_CACHE", str(tmp_path))  # patches keep prepared images
    small = {STAGE_1: SMALL, STAGE_2: SMALL, "coco_to_inbreast_mass_retinanet": SMALL} | {
        name: {"init": "none", "epochs": 1, **values} for name, values in OTHERS.items()
    }
    assert set(small) == {path.parent.name for path in find_bundle(STAGE_1).parent.glob("*/configs")}
    for name, overrides in small.items():
        root = find_bundle(name)
        workflow = ConfigWorkflow(
            config_file=str(root / "configs" / "train.json"),
            workflow_type="train",
            bundle_root=str(root),
            manifest=str(manifest),
            output_dir=str(tmp_path),
            **overrides,
        )
        workflow.initialize()
        assert workflow.check_properties() == []
        assert json.loads((root / "configs" / "metadata.json").read_text())["version"] == workflow.version


def test_the_light_bundle_trains_beside_its_published_weights(published: Path, manifest: Path) -> None:
    before = sha256_of(published / "models" / "model.safetensors")
    values = {"manifest": str(manifest), "init": "none", "epochs": 2, "batch_size": 2}
    run_bundle(published, "train", "training", values)
    assert read_weights(published / "training" / "model.safetensors").metadata["epoch"] == "2"
    assert sha256_of(published / "models" / "model.safetensors") == before


def test_the_light_bundle_evaluates_and_predicts_with_its_published_weights(
    published: Path, manifest: Path, tmp_path: Path, warm: Warm
) -> None:
    values = {"manifest": manifest, "eval_dir": tmp_path / "eval"}
    _monai(warm, "evaluating", published, ["train.json", "evaluate.json"], cwd=tmp_path, values=values)
    assert main(["predict", str(manifest), "--split", "test", *_on_cpu(published, tmp_path / "d.json")]) == 0
    predicted, evaluated = (read_detections(tmp_path / name) for name in ("d.json", "eval/detections.json"))
    declared = json.loads((published / "configs" / "metadata.json").read_text())["weights_sha256"]
    assert predicted.model["weights_sha256"] == evaluated.model["weights_sha256"] == declared
    assert sum(len(each.boxes) for each in predicted.detections) > 0
    for one, other in zip(predicted.detections, evaluated.detections, strict=True):
        assert one.record_id == other.record_id
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
    assert read_metrics(tmp_path / "eval" / "metrics.json")["n_images"] == len(predicted.detections)


def test_evaluation_takes_other_weights_where_asked(published: Path, manifest: Path, tmp_path: Path) -> None:
    own = published / "training" / "model.safetensors"
    values = {"manifest": str(manifest), "eval_dir": str(tmp_path), "weights": str(own), "test_time": "none"}
    run_bundle(published, "train", "evaluating", values, overlays=["evaluate.json"])
    assert read_detections(tmp_path / "detections.json").model["weights_sha256"] == sha256_of(own)


def test_the_light_bundle_takes_dicom_png_and_prepared_images(
    published: Path, manifest: Path, tmp_path: Path
) -> None:
    film = read_manifest(manifest).test[0]
    pixels = np.zeros((90, 60), dtype=np.uint8)
    pixels[5:85, :40] = np.linspace(60, 200, 40, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    words = ["predict", str(film.image), str(tmp_path / "film.png"), *_on_cpu(published, tmp_path / "d.json")]
    assert main(words) == 0
    dicom, png = read_detections(tmp_path / "d.json").detections
    assert dicom.boxes.max(initial=0) <= max(film.width, film.height)
    assert png.boxes[:, 2].max(initial=0) <= 60
    prepared = tmp_path / "prepared"
    assert main(["prepare", str(manifest), "--out", str(prepared), "--bundle", str(published)]) == 0
    assert main(["predict", str(prepared / "manifest.json"), *_on_cpu(published, tmp_path / "p.json")]) == 0
    copies = {each.record_id: each for each in read_detections(tmp_path / "p.json").detections}
    np.testing.assert_allclose(copies[film.record_id].boxes, dicom.boxes, atol=0.05)  # 16-bit copies


def test_the_light_second_stage_starts_from_the_published_weights(
    published: Path, manifest: Path, tmp_path: Path
) -> None:
    child = _small_copy(LIGHT_2, tmp_path)
    shutil.copytree(published, tmp_path / LIGHT_1)
    run_bundle(child, "train", "training", {"manifest": str(manifest), "epochs": 1, "batch_size": 2})
    before, after = (
        read_weights(root / "models" / "model.safetensors") for root in (tmp_path / LIGHT_1, child)
    )
    assert after.metadata["init_sha256"] == before.sha256
    changed = {
        name
        for name, value in after.tensors.items()
        if not torch.equal(value, before.tensors[name].to(value.dtype))  # type: ignore[attr-defined]  # tensors
    }
    assert {"classification_head.cls_logits.weight", "regression_head.bbox_reg.weight"} <= changed
    assert not any("running_" in name or ".body.blocks.0." in name for name in changed)


def _on_cpu(bundle: Path, output: Path) -> list[str]:
    return ["--bundle", str(bundle), "--device", "cpu", "-o", str(output)]
