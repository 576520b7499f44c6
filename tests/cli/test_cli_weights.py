"""`mammo-monai weights` in process: what it prints, writes and returns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models.detection import retinanet_resnet50_fpn

from mammo_monai.cli.main import main
from mammo_monai.files import sha256_of
from mammo_monai.networks import load_weights, retinanet_network


def run(*words: str) -> int:
    return main(["weights", *words])


def test_convert_says_what_it_recognised_and_writes_a_file_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "coco.pth", tmp_path / "coco.safetensors"
    torch.save(
        retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=4).state_dict(), source
    )
    assert run("convert", str(source), "-o", str(target)) == 0
    out = capsys.readouterr().out
    for line in ("torchvision RetinaNet v1", "backbone    resnet50", "head_norm   none", "num_classes 1"):
        assert line in out
    read = load_weights(retinanet_network("resnet50"), target)
    assert read.metadata["source_sha256"] == sha256_of(source)

    assert run("show", str(target)) == 0
    out = capsys.readouterr().out
    assert f"sha256      {sha256_of(target)}" in out
    assert '"bn_eps": 0.0' in out
    assert "source_layout torchvision RetinaNet v1" in out


@pytest.mark.parametrize("words", [("show",), ("convert", "-o", "new.safetensors")])
def test_a_missing_file_is_one_line(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words[0], "none.pt", *words[1:]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mammo-monai weights: ")
    assert "none.pt" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
