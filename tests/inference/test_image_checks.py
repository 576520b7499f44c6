from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.inference import FullImageInferer, Predictor, image_checks
from mammo_monai.inference.overlays import save_overlays
from mammo_monai.records import Detections
from mammo_monai.schema import iter_detections, read_detections, read_model, write_detections
from mammo_monai.schema.model_line import model_facts, model_line
from mammo_monai.schema.training_statistics import write_training_statistics
from tests.dicom_factory import write_mammogram
from tests.imaging.test_typicality import breast, fit_statistics, statistics_of
from tests.inference.fakes import RectangleDetector, image_with, sample_of
from tests.inference.test_operating_point import FILE, at

MODEL = {"bundle": "seven", "version": "7.8.9", "weights_sha256": "ab" * 32}


def samples(tmp_path: Path) -> list[dict[str, object]]:
    grey = np.full((410, 450), 900, dtype=np.uint16)
    good = write_mammogram(tmp_path / "good.dcm", grey)
    implant = write_mammogram(tmp_path / "implant.dcm", grey, tags={"BreastImplantPresent": "YES"})
    image = image_with(100, 60, [(5, 5, 20, 30, 0.5)])
    return [
        sample_of(image, "a", image_path=str(implant)),
        sample_of(image, "b", image_path=str(good)),
    ]


@pytest.mark.parametrize("name", ["d.json", "d.jsonl", "d.parquet"])
def test_one_refused_image_never_stops_the_others_and_its_code_is_kept(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    run = Predictor(
        FullImageInferer(RectangleDetector()),
        samples(tmp_path),
        tmp_path / name,
        model=MODEL,
        on_error="skip",
    )
    assert [each.record_id for each in run.run().detections] == ["b"]
    (failed,) = read_model(tmp_path / name)["failed"]
    assert (failed["record_id"], failed["code"]) == ("a", "implant")
    assert "--accept implant" in failed["error"]


@pytest.mark.parametrize("name", ["d.json", "d.jsonl", "d.parquet"])
def test_an_accepted_image_is_marked_with_its_warning_in_every_format(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    run = Predictor(
        FullImageInferer(RectangleDetector()), samples(tmp_path), tmp_path / name, accept=["implant"]
    )
    with caplog.at_level(logging.WARNING):
        first, second = run.run().detections
    assert [text.split(":")[0] for text in first.warnings] == ["accepted-implant"]
    assert second.warnings == ()
    assert "record a: accepted-implant" in caplog.text


def test_an_image_unlike_the_training_is_warned_of_and_has_its_typicality(tmp_path: Path) -> None:
    rows = [statistics_of(breast(seed)) for seed in range(120)]
    training = fit_statistics(rows, [str(seed) for seed in range(120)])
    path = tmp_path / "training_statistics.json"
    write_training_statistics(path, replace(training, weights_sha256="ab" * 32))
    run = Predictor(
        FullImageInferer(RectangleDetector()),
        samples(tmp_path)[1:],
        tmp_path / "d.json",
        model=MODEL,
        statistics=path,
    )
    (found,) = run.run().detections
    assert found.typicality == pytest.approx(1 / 121)
    assert found.warnings[-1].startswith(
        "untypical: farther from the training images than 99% of them are, by "
    )
    assert read_detections(tmp_path / "d.json").detections[0].warnings == found.warnings


def test_statistics_of_other_weights_are_left_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [statistics_of(breast(seed)) for seed in range(120)]
    training = fit_statistics(rows, [str(seed) for seed in range(120)])
    path = tmp_path / "training_statistics.json"
    write_training_statistics(path, replace(training, weights_sha256="cd" * 32))
    with caplog.at_level(logging.INFO):
        assert image_checks(path, MODEL).training is None
    assert "is of other weights" in caplog.text
    assert image_checks(tmp_path / "none.json", MODEL).training is None


def test_an_operating_point_keeps_warnings_and_typicality() -> None:
    shown = at(FILE.points[0].fppi)
    given = Detections("a", warnings=("partial-view: half",), typicality=0.25)
    assert (shown(given).warnings, shown(given).typicality) == (given.warnings, 0.25)


def test_files_without_warnings_read_as_before(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.json", [Detections("a")], {})
    row = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))["detections"][0]
    assert not {"warnings", "typicality"} & set(row)
    assert next(iter_detections(tmp_path / "d.json")).warnings == ()


def test_the_line_of_a_model_names_bundle_version_weights_software_and_what_is_shown(tmp_path: Path) -> None:
    torch.manual_seed(0)
    Predictor(
        FullImageInferer(RectangleDetector()), samples(tmp_path)[1:], tmp_path / "d.json", model=MODEL
    ).run()
    line = model_line(read_model(tmp_path / "d.json"))
    assert line.startswith("seven 7.8.9, weights abababababab, mammo-monai ")
    assert "no operating point: every mark" in line
    assert model_facts(MODEL)["weights_sha256"] == "ab" * 32


def test_overlays_say_in_their_text_which_model_drew_them(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 30), 90, dtype=np.uint8)).save(tmp_path / "a.png")
    found = Detections("a", image=tmp_path / "a.png")
    (picture,) = save_overlays([found], tmp_path / "drawn", model=MODEL)
    with Image.open(picture) as opened:
        opened.load()
        assert opened.info["Software"] == model_line(MODEL)
