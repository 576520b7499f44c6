import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.inference import FullImageInferer, SlidingWindowInferer2d
from mammo_monai.inference.saliency import (
    ClassifierExplainer,
    DetectorExplainer,
    FindingChoice,
    MethodOptions,
    save_saliency,
)
from mammo_monai.networks.classifiers import PatchNetwork, patch_network
from mammo_monai.records import Detections
from mammo_monai.reports.saliency.notes import read_note, read_notes
from tests.inference.fakes import FixedDetector, sample_of
from tests.inference.saliency_networks import (
    TinyClassifier,
    TinyClassifierNetwork,
    noisy_image,
    small_detector,
)

CHOICE = FindingChoice(top=2)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Of a right breast, 150 × 100 px, with a bright spot."""
    path = tmp_path / "film.png"
    grey = (noisy_image().flip(-1)[0].numpy() * 255).astype(np.uint8)
    Image.fromarray(grey).save(path)
    return path


@pytest.fixture
def sample(film: Path) -> dict[str, Any]:
    return sample_of(
        noisy_image().flip(-1), "0123456789abcdef", crop=(10, 4, 132, 90), is_right=True, image_path=str(film)
    )


def test_every_finding_gets_its_files(sample: dict[str, Any], tmp_path: Path) -> None:
    explainer, told = DetectorExplainer(FullImageInferer(small_detector())), list[tuple[int, int]]()
    found = explainer.findings(sample, None)
    out = tmp_path / "out"
    done = save_saliency(
        explainer,
        [sample],
        out,
        choice=CHOICE,
        model={"bundle": "b"},
        on_progress=lambda *each: told.append(each),
    )
    assert (done.n_images, done.n_maps, done.n_kept, told) == (1, 2, 0, [(1, 1)])
    note = read_note(out / "0123456789abcdef_1.json")
    assert note.box == found[0].box
    assert note.score == found[0].score >= found[1].score
    assert (note.width, note.height, note.method, note.model) == (150, 100, "local_gradcam", {"bundle": "b"})
    with Image.open(out / "0123456789abcdef_1_rgb.png") as capture:
        assert (capture.size, capture.mode) == ((150, 100), "RGB")
    levels = np.asarray(Image.open(out / "0123456789abcdef_1_map.png"))
    assert levels.shape == (100, 150)
    assert levels.dtype == np.uint16
    assert levels[:, :10].max() == 0  # cropped away
    assert levels.max() > 60_000
    assert "Which pixels raised this score; not a diagnosis." in (out / "index.html").read_text()


def test_the_map_of_a_mirrored_breast_lies_on_the_spot(sample: dict[str, Any], tmp_path: Path) -> None:
    # The score rests on the spot alone: all else is flat for a network of one detail kernel.
    network = TinyClassifierNetwork()
    with torch.no_grad():
        network.first.weight.fill_(1 / 9)
        network.second.weight.fill_(1 / 27)
        network.classes.weight[1] = 1.0
    save_saliency(ClassifierExplainer(TinyClassifier(network)), [sample], tmp_path / "out")
    levels = np.asarray(Image.open(tmp_path / "out" / "0123456789abcdef_1_map.png"))
    rows, cols = np.nonzero(levels > 50_000)
    # The spot has rows 30–50; columns 80–110 from the right are 40–70 from the left.
    assert (rows.min(), rows.max()) == pytest.approx((30, 49), abs=2)
    assert (cols.min(), cols.max()) == pytest.approx((40, 69), abs=2)


def test_a_second_run_keeps_what_is_finished(sample: dict[str, Any], tmp_path: Path) -> None:
    explainer, out = DetectorExplainer(FullImageInferer(small_detector())), tmp_path / "out"
    save_saliency(explainer, [sample], out, choice=CHOICE)
    stamps = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert save_saliency(explainer, [sample], out, choice=CHOICE).n_kept == 2
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")} == stamps
    (out / "0123456789abcdef_2_map.png").unlink()
    (out / "0123456789abcdef_1.json").write_text("{")
    assert save_saliency(explainer, [sample], out, choice=CHOICE).n_kept == 0
    other = MethodOptions("guided_backprop")
    assert save_saliency(explainer, [sample], out, choice=CHOICE, options=other).n_kept == 0
    assert {note.method for note in read_notes(out)} == {"guided_backprop"}
    more = DetectorExplainer(FullImageInferer(small_detector(seed=1)))
    assert save_saliency(more, [sample], out, choice=CHOICE, options=other).n_kept == 0


def test_given_detections_are_explained_and_other_images_passed_over(
    sample: dict[str, Any], tmp_path: Path
) -> None:
    explainer = DetectorExplainer(FullImageInferer(small_detector()))
    own = explainer.findings(sample, None)[3]
    given = Detections(
        sample["record_id"], np.array([own.box]), np.array([0.25]), np.zeros(1, dtype=np.int64)
    )
    others = {**sample, "record_id": "f" * 16}
    done = save_saliency(explainer, [others, sample], tmp_path / "out", detections={given.record_id: given})
    (note,) = read_notes(tmp_path / "out")
    assert (done.n_images, note.box, note.score) == (1, own.box, 0.25)
    with pytest.raises(ManifestError, match="hold none of these images"):
        save_saliency(explainer, [others], tmp_path / "out", detections={given.record_id: given})


def test_an_image_without_a_mark_gives_no_map(sample: dict[str, Any], tmp_path: Path) -> None:
    explainer = DetectorExplainer(FullImageInferer(FixedDetector([], [])))
    done = save_saliency(explainer, [sample], tmp_path / "out")
    assert (done.n_maps, done.page) == (0, None)
    low = FindingChoice(min_score=1.0)
    explainer = DetectorExplainer(FullImageInferer(small_detector()))
    assert save_saliency(explainer, [sample], tmp_path / "out", choice=low).n_maps == 0


def test_the_check_is_written_with_its_strip(sample: dict[str, Any], tmp_path: Path) -> None:
    explainer = ClassifierExplainer(TinyClassifier(TinyClassifierNetwork(3)))
    choice = FindingChoice(n_checked=1)
    done = save_saliency(explainer, [sample], tmp_path, choice=choice)
    content = json.loads((tmp_path / "sanity.json").read_text())
    assert content["schema"] == "mammo-monai/saliency-sanity/1"
    (finding,) = content["findings"]
    assert [each["name"] for each in finding["stages"]] == ["trained", "classes", "second", "first"]
    assert finding["depends_on_weights"] == done.checks[0].depends_on_weights
    with Image.open(tmp_path / "checks" / "0123456789abcdef_1.jpg") as strip:
        assert strip.width == 4 * 240
    page = (tmp_path / "index.html").read_text()
    assert "<h2>Sanity check</h2>" in page
    assert "image" in page


def test_a_patch_classifier_is_shown_the_patch_around_the_box(sample: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = patch_network("resnet18", patch_px=64)
    assert isinstance(network, PatchNetwork)
    explainer = ClassifierExplainer(TinyClassifier(network))
    box = np.array([[40.0, 30.0, 70.0, 50.0]])
    given = Detections(sample["record_id"], box, np.array([0.5]), np.zeros(1, dtype=np.int64))
    (finding,) = explainer.findings(sample, given)
    question = explainer.question(sample, finding)
    assert question.pixels.shape == (1, 64, 64)
    left, top, right, bottom = question.frame.to_original(np.array([[0.0, 0.0, 64.0, 64.0]]))[0]
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((55, 40), abs=0.5)
    assert question.target.layer.startswith("backbone")
    with pytest.raises(ValueError, match="explains boxes"):
        explainer.findings(sample, None)


def test_a_film_of_another_size_is_refused(sample: dict[str, Any], film: Path, tmp_path: Path) -> None:
    Image.new("L", (20, 30)).save(film)
    with pytest.raises(GeometryError, match=r"record 0123.*film has 20 × 30 px.*record says 150 × 100"):
        save_saliency(ClassifierExplainer(TinyClassifier(TinyClassifierNetwork())), [sample], tmp_path / "o")


def test_what_cannot_be_explained_names_its_record(sample: dict[str, Any], tmp_path: Path) -> None:
    explainer = DetectorExplainer(FullImageInferer(small_detector()))
    far = Detections(
        sample["record_id"], np.array([[9e3, 9e3, 9.1e3, 9.1e3]]), np.ones(1), np.zeros(1, dtype=np.int64)
    )
    with pytest.raises(ValueError, match="record 0123456789abcdef, finding 1: no box of this detector"):
        save_saliency(explainer, [sample], tmp_path, detections={far.record_id: far})


def test_an_inferer_that_shows_parts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the inferer is SlidingWindowInferer2d\. Give --mode full"):
        DetectorExplainer(SlidingWindowInferer2d(small_detector()))


@pytest.mark.parametrize("options", [{"top": 0}, {"min_score": 1.5}, {"n_checked": -1}])
def test_choices_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need top >= 1"):
        FindingChoice(**options)
