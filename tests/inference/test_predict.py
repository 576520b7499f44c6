import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import Dataset
from torch import nn

from mammo_monai import __version__
from mammo_monai.errors import DicomError, GeometryError, MammoError, ManifestError
from mammo_monai.geometry import Scale
from mammo_monai.inference import (
    FullImageInferer,
    Predictor,
    Progress,
    SectionsInferer,
    detections_in_original,
    make_inferer,
)
from mammo_monai.inference.journal import journal_path
from mammo_monai.networks import retinanet_detector, retinanet_network
from mammo_monai.schema import read_detections, read_model
from mammo_monai.transforms.sample import after_step, resize_image
from tests.inference.fakes import FixedDetector, RectangleDetector, image_with, sample_of
from tests.inference.killed_run import SlowSamples, predictor
from tests.warm import Warm, warm  # a fixture

__all__ = ["warm"]
ROOT = Path(__file__).parents[2]
Samples = Sequence[Mapping[str, Any]]


def _samples() -> list[dict[str, Any]]:
    left = image_with(200, 300, [(40, 60, 70, 110, 0.75), (90, 200, 140, 260, 0.5)])
    right = image_with(260, 180, [(150, 30, 210, 90, 0.875)])
    return [
        sample_of(left, "left", crop=(20, 10, 150, 280)),
        sample_of(right, "right", crop=(100, 0, 160, 170), is_right=True),
        sample_of(image_with(120, 90, [], background=0.1), "normal"),
    ]


def _predictor(output: Path, samples: Samples | None = None, **others: Any) -> Predictor:
    samples = _samples() if samples is None else samples
    return Predictor(FullImageInferer(RectangleDetector()), samples, output, **others)


@pytest.mark.parametrize("mode", ["full", "sections", "sliding"])
def test_boxes_return_exactly_to_original_pixels(tmp_path: Path, mode: Any) -> None:
    inferer = make_inferer(RectangleDetector(), mode, window_px=128)
    inferer.min_area_mm2 = None
    found = Predictor(inferer, _samples(), tmp_path / "d.json").run().detections
    assert [each.record_id for each in found] == ["left", "right", "normal"]
    assert [40, 60, 70, 110] in found[0].boxes.tolist()
    assert [90, 200, 140, 260] in found[0].boxes.tolist()
    assert [150, 30, 210, 90] in found[1].boxes.tolist()
    assert [len(each.boxes) for each in found][2] == 0
    if mode == "full":
        assert [each.scores.tolist() for each in found] == [[0.75, 0.5], [0.875], []]
        assert [len(each.boxes) for each in found] == [2, 1, 0]


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(60, 200), st.integers(60, 200)),
    corner=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    is_right=st.booleans(),
    place=st.tuples(st.integers(0, 15), st.integers(0, 15)),
)
def test_crop_and_mirroring_are_undone_for_any_place(
    size: tuple[int, int], corner: tuple[int, int], is_right: bool, place: tuple[int, int]
) -> None:
    box = (corner[0] + place[0], corner[1] + place[1], corner[0] + place[0] + 19, corner[1] + place[1] + 13)
    crop = (*corner, size[0] - 25, size[1] - 25)
    sample = sample_of(image_with(*size, [(*box, 0.5)]), "r", crop=crop, is_right=is_right)
    found = detections_in_original(sample, FullImageInferer(RectangleDetector())(sample["image"]))
    assert found.boxes.tolist() == [list(box)]


def test_a_resized_sample_returns_to_original_pixels() -> None:
    sample = sample_of(image_with(201, 300, []), "r", is_right=True)
    sample = after_step(sample, resize_image(sample["image"], (100, 150)), Scale(201, 300, 100, 150))
    found = detections_in_original(
        sample, FullImageInferer(FixedDetector([[10, 20, 30, 50]], [0.5]))(sample["image"])
    )
    # Columns scale by 201 / 100, then mirror: 201 − 50 × 2.01 and 201 − 20 × 2.01; rows double.
    assert found.boxes.tolist() == [pytest.approx([100.5, 20, 160.8, 60], abs=1e-12)]


def test_the_written_file_reads_back_as_what_run_returned(tmp_path: Path) -> None:
    output = tmp_path / "runs" / "d.json"
    returned = _predictor(output, model={"name": "fake", "weights_sha256": "ab"}).run()
    read = read_detections(output)
    assert read.model == returned.model
    assert [each.boxes.tolist() for each in read.detections] == [
        each.boxes.tolist() for each in returned.detections
    ]
    assert str(read.detections[0].image) == str(Path("images/left.dcm"))
    assert [each.name for each in output.parent.iterdir()] == ["d.json"]


def test_the_file_says_how_it_was_made(tmp_path: Path) -> None:
    model = _predictor(tmp_path / "d.json", model={"name": "fake"}).run().model
    assert model == {
        "name": "fake",
        "inference": {
            "inferer": "FullImageInferer",
            "short_side_px": None,
            "min_area_mm2": None,
            "execution": {
                "batch_size": 4,
                "skip_empty": True,
                "precision": "fp32",
                "channels_last": False,
                "engine": "torch",
            },
        },
        "software": f"mammo-monai {__version__}",
        "failed": [],
    }


def test_boxes_too_small_are_measured_in_the_original_image() -> None:
    # In the resized frame (short side 30 of 300) 400 px² are 4 px²; the limit is 350 px² of the original.
    original = image_with(300, 420, [(100, 100, 120, 120, 0.5)])
    sample = sample_of(original, "r", spacing=(0.2, 0.2))
    small = after_step(sample, resize_image(sample["image"], (150, 210)), Scale(300, 420, 150, 210))
    prediction = FullImageInferer(RectangleDetector())(small["image"])
    for min_area_mm2, kept in ((None, 1), (400 * 0.04, 1), (401 * 0.04, 0)):
        assert len(detections_in_original(small, prediction, min_area_mm2=min_area_mm2).boxes) == kept
    # Without spacing 24.5 mm² stand for 0.037 % of the original: 46.6 px².
    unknown = {**small, "pixel_spacing_mm": None}
    assert len(detections_in_original(unknown, prediction, min_area_mm2=24.5).boxes) == 1
    assert len(detections_in_original(unknown, prediction, min_area_mm2=24.5 * 400 / 46).boxes) == 0


def test_sections_drop_small_boxes(tmp_path: Path) -> None:
    original = image_with(300, 420, [(10, 14, 40, 50, 0.5), (152, 294, 170, 318, 0.75)])
    sample = sample_of(original, "r", spacing=(0.2, 0.2))  # 24.5 mm² are 612.5 px²; boxes of 1080 and 432 px²
    inferer = SectionsInferer(RectangleDetector(), short_side_px=None)
    found = Predictor(inferer, [sample], tmp_path / "d.json").run().detections[0]
    assert found.boxes.tolist() == [[10, 14, 40, 50]]


def test_detections_are_clipped_to_the_original_and_those_outside_go() -> None:
    sample = sample_of(image_with(100, 60, []), "r")
    prediction = {
        "box": torch.tensor([[-5.0, 10, 90, 20], [70, 0, 80, 9]]),
        "label": torch.tensor([0, 0]),
        "label_scores": torch.tensor([0.2, 0.9]),
    }
    assert detections_in_original(sample, prediction).boxes.tolist() == [[10, 0, 20, 60]]


def test_a_frame_that_is_not_the_images_is_refused() -> None:
    sample = sample_of(image_with(100, 60, []), "r")
    prediction = FullImageInferer(FixedDetector([[0, 0, 9, 9]], [0.5]))(sample["image"])
    with pytest.raises(GeometryError, match=r"ends in 100 × 60 px \(width × height\), the image has 50 × 60"):
        detections_in_original({**sample, "image": sample["image"][:, :, :50]}, prediction)
    with pytest.raises(GeometryError, match="no frame: an augmentation"):
        detections_in_original({**sample, "frame": None}, prediction)


class _Broken:
    """A MONAI transform that cannot read two of four images."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        if data["record_id"] == "ct":
            raise DicomError(f"{data['image_path']}: Modality is CT, expected MG.")
        if data["record_id"] == "torn":
            raise KeyError("PixelData")
        return sample_of(image_with(100, 60, [(5, 5, 20, 30, 0.5)]), data["record_id"])


def _broken_set() -> Dataset:
    names = ("a", "ct", "torn", "b")
    return Dataset([{"record_id": n, "image_path": f"images/{n}.dcm"} for n in names], _Broken())


def test_a_bad_image_stops_the_run_with_its_file_and_the_cause(tmp_path: Path) -> None:
    output = tmp_path / "d.json"
    with pytest.raises(DicomError) as caught:
        _predictor(output, _broken_set()).run()
    assert str(caught.value) == (
        "record ct: images/ct.dcm: Modality is CT, expected MG. "
        "Mend the image or leave it out; on_error='skip' predicts on the others."
    )
    assert not output.exists()
    assert journal_path(output).exists()


def test_an_error_that_names_no_file_gets_it(tmp_path: Path) -> None:
    broken = Dataset(_broken_set().data[2:], _Broken())
    with pytest.raises(MammoError, match=r"^images/torn.dcm \(record torn\): KeyError: 'PixelData'"):
        _predictor(tmp_path / "d.json", broken).run()


def test_skipped_images_are_listed_and_the_rest_finish(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    _predictor(output, _broken_set(), on_error="skip").run()
    written = read_detections(output)
    assert [each.record_id for each in written.detections] == ["a", "b"]
    failed = written.model["failed"]
    assert [(each["record_id"], each["image"]) for each in failed] == [
        ("ct", "images/ct.dcm"),
        ("torn", "images/torn.dcm"),
    ]
    assert "Modality is CT" in failed[0]["error"]
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert [message.startswith("skipped: ") for message in warnings] == [True, True]


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet"])
def test_a_file_name_that_is_no_utf_8_fails_alone(tmp_path: Path, kind: str) -> None:
    name = os.fsdecode(b"films/\xff.dcm")
    samples = [sample_of(image_with(100, 60, []), each, image_path=path) for each, path in
               (("bad", name), ("good", "films/good.dcm"))]  # fmt: skip
    written = _predictor(tmp_path / f"d.{kind}", samples, on_error="skip").run()
    assert [each.record_id for each in written.detections] == ["good"]
    failed = read_model(tmp_path / f"d.{kind}")["failed"]
    assert [each["image"] for each in failed] == [r"films/\udcff.dcm"]
    assert failed[0]["error"].endswith("the file's name is no text in UTF-8. Rename the file.")


def test_a_detector_that_gives_nan_fails_on_its_image(tmp_path: Path) -> None:
    samples = [sample_of(image_with(100, 60, []), "r")]
    inferer = FullImageInferer(FixedDetector([[0, 0, float("nan"), 9]], [0.5]))
    with pytest.raises(GeometryError, match=r"images/r.dcm \(record r\): box 0 .* is not finite"):
        Predictor(inferer, samples, tmp_path / "d.json").run()


def test_an_empty_data_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no image to predict on"):
        _predictor(tmp_path / "d.json", []).run()
    assert not list(tmp_path.iterdir())


def test_a_record_that_comes_twice_is_an_error(tmp_path: Path) -> None:
    sample = _samples()[0]
    twice = [sample, {**sample, "image_path": "other.dcm"}]
    with pytest.raises(
        ManifestError, match=r"record_id left stands for both images/left\.dcm and other\.dcm"
    ):
        _predictor(tmp_path / "d.json", twice).run()


def test_an_unknown_way_with_errors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="on_error must be stop or skip, got 'ignore'"):
        _predictor(tmp_path / "d.json", on_error="ignore")


def test_a_precision_the_device_cannot_is_refused_before_any_image(tmp_path: Path) -> None:
    inferer = make_inferer(RectangleDetector(), precision="fp16")
    with pytest.raises(
        ValueError, match=r"precision fp16 needs a CUDA device, got cpu\. Use bf16 or fp32\.$"
    ):
        Predictor(inferer, _samples(), tmp_path / "d.json", on_error="skip")


def test_sections_of_a_reduced_image_are_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger="mammo_monai")
    sample = sample_of(image_with(201, 300, []), "r")
    reduced = after_step(sample, resize_image(sample["image"], (100, 150)), Scale(201, 300, 100, 150))
    _predictor(tmp_path / "full.json", [reduced]).run()
    assert not caplog.records
    samples = [reduced, {**reduced, "record_id": "s"}]
    Predictor(SectionsInferer(RectangleDetector()), samples, tmp_path / "d.json").run()
    assert caplog.text.count("Take the resizing out of the preprocessing") == 1


def test_progress_names_each_image_and_the_time_left(tmp_path: Path) -> None:
    seen: list[Progress] = []
    _predictor(tmp_path / "d.json", on_progress=seen.append).run()
    assert [(each.done, each.total, each.record_id) for each in seen] == [
        (1, 3, "left"),
        (2, 3, "right"),
        (3, 3, "normal"),
    ]
    assert (seen[0].eta_s or 0.0) > 0
    assert seen[-1].eta_s == 0


def test_progress_is_logged_seldom_and_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10000, 6))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    samples = [{**_samples()[2], "record_id": f"r{n}"} for n in range(4)]
    with caplog.at_level(logging.INFO, "mammo_monai.inference"):
        _predictor(tmp_path / "d.json", samples).run()
    lines = [each.getMessage() for each in caplog.records if "s left" in each.getMessage()]
    assert lines[-1] == "4 of 4 images, 0 s left"
    assert 1 < len(lines) <= 4


def test_the_same_run_after_a_stop_computes_only_what_is_missing(tmp_path: Path) -> None:
    output = tmp_path / "d.json"
    detector = RectangleDetector()
    first, second = (FullImageInferer(detector) for _ in range(2))
    with pytest.raises(DicomError):
        Predictor(first, _broken_set(), output).run()
    assert len(detector.batches) == 1
    with pytest.raises(DicomError):
        Predictor(second, _broken_set(), output).run()
    assert len(detector.batches) == 1


def _kill_after(warm: Warm, output: Path, stuck: int) -> None:
    """Starts a run in a process, waits until it hangs at image `stuck`, and kills it without mercy."""
    process = warm.start("python", "-m", "tests.inference.killed_run", output, str(stuck), folder=ROOT)
    try:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None:
            if journal_path(output).exists() and journal_path(output).read_bytes().count(b"\n") == stuck + 1:
                break
            time.sleep(0.05)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_after_kill_9_finished_images_are_not_computed_again(tmp_path: Path, warm: Warm) -> None:
    output = tmp_path / "d.json"
    _kill_after(warm, output, stuck=5)
    assert not output.exists()
    whole = output.with_name("copy.json")
    journal_path(whole).write_bytes(journal_path(output).read_bytes())

    samples = SlowSamples()
    resumed = predictor(output, samples).run()
    assert samples.loaded == [5, 6, 7]
    uninterrupted = predictor(tmp_path / "fresh.json", SlowSamples()).run()
    assert json.loads(output.read_text()) == json.loads((tmp_path / "fresh.json").read_text())
    assert len(resumed.detections) == len(uninterrupted.detections) == 8
    assert not journal_path(output).exists()

    # The same journal under other settings is of no use.
    samples = SlowSamples()
    predictor(whole, samples, threshold=0.35).run()
    assert samples.loaded == list(range(8))


@pytest.mark.parametrize("resume", [True, False])
def test_a_changed_image_file_is_predicted_again(tmp_path: Path, resume: bool) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"one")
    torch.manual_seed(0)
    detector = RectangleDetector()
    good = sample_of(image_with(100, 60, [(5, 5, 20, 30, 0.5)]), "a", image_path=str(file))
    bad = {**good, "record_id": "b", "frame": None}
    for content, calls in ((b"one", 1), (b"one", 1 if resume else 2), (b"other", 2 if resume else 3)):
        if file.read_bytes() != content:
            file.write_bytes(content)
        run = Predictor(FullImageInferer(detector), [good, bad], tmp_path / "d.json", resume=resume)
        with pytest.raises(GeometryError, match="no frame"):
            run.run()
        assert len(detector.batches) == calls


@pytest.mark.parametrize("mode", ["full", "sections", "sliding"])
def test_retinanet_predicts_inside_the_image_in_every_mode(tmp_path: Path, mode: Any) -> None:
    torch.manual_seed(0)
    network = retinanet_network("resnet18", fpn_channels=32)
    detector = retinanet_detector(network, score_threshold=0.0)
    image = torch.rand(1, 330, 200, generator=torch.Generator().manual_seed(1))
    sample = sample_of(image, "r", crop=(10, 20, 180, 300), is_right=True)
    inferer = make_inferer(detector, mode, short_side_px=120, window_px=128)
    inferer.min_area_mm2 = None
    found = Predictor(inferer, [sample], tmp_path / "d.json").run().detections[0]
    assert len(found.boxes) > 5
    assert (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, 2] <= 200).all()
    assert (found.boxes[:, 3] <= 330).all()
    assert (found.scores[:-1] >= found.scores[1:]).all()


@pytest.mark.parametrize("loss", ["smooth_l1", "giou"])
def test_retinanet_trains_on_after_a_prediction_of_the_same_shape(loss: Any) -> None:
    # The detector keeps anchors between calls; those made under inference_mode must not end its training.
    network = retinanet_network("resnet18", fpn_channels=32)
    detector = retinanet_detector(network, box_loss=loss)
    image = torch.rand(1, 128, 256)
    FullImageInferer(detector)(image)
    detector.train()
    target = {"box": torch.tensor([[10.0, 20, 60, 90]]), "label": torch.tensor([0])}
    losses = detector([image], [target])
    assert isinstance(losses, dict)
    torch.autograd.backward(list(losses.values()))
    assert all(each.grad is not None for each in nn.ModuleList([network.regression_head]).parameters())
