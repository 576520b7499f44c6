"""The PDF shows the first findings of each kind, marks drawn in, each image read once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.reports.documents.pdf_gallery import pdf_galleries
from mammo_monai.reports.pictures.loading import load_display_image
from mammo_monai.reports.runs import read_run
from mammo_monai.schema import read_manifest
from tests.reports.scene import write_scene


@pytest.fixture
def scene(tmp_path: Path):
    folder = write_scene(tmp_path)
    return read_run(folder / "run"), read_manifest(folder / "manifest.json")


def test_each_kind_has_its_pictures_with_marks(scene) -> None:
    run, manifest = scene
    found = pdf_galleries([run], manifest, None, load_display_image, fppi=4.0)
    assert [len(each.pictures) for each in found] == [1, 2, 1]
    assert found[1].title == "a model: false positives at 4 FPPI (2; highest score first)"
    picture = found[2].pictures[0]
    assert picture.caption == (
        "mass, 15 mm, malignant, BI-RADS 5: score 0.900, IoU 1.00. R MLO, 0000000000000000"
    )
    assert picture.pixels.dtype == np.uint8
    colours = {tuple(each) for each in picture.pixels.reshape(-1, 3).tolist()}
    assert (0x3D, 0xDC, 0x84) in colours  # the lesion's


def test_so_many_as_asked_for_are_shown_and_said(scene) -> None:
    run, manifest = scene
    found = pdf_galleries([run], manifest, None, load_display_image, fppi=4.0, per_gallery=1)
    assert found[1].title == "a model: false positives at 4 FPPI (1 of 2; highest score first)"
    assert pdf_galleries([run], manifest, None, load_display_image, fppi=4.0, per_gallery=0) == ()


def test_without_images_there_are_no_galleries(scene) -> None:
    run, manifest = scene
    assert pdf_galleries([run], None, None, load_display_image, fppi=4.0) == ()
    bare = replace(run, detections={})
    assert pdf_galleries([bare], manifest, None, load_display_image, fppi=4.0) == ()
    manifest.test[0].image.unlink()
    found = pdf_galleries([run], manifest, None, load_display_image, fppi=4.0)
    assert [len(each.pictures) for each in found] == [1]
