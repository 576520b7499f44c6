from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mammo_monai.errors import MammoError
from mammo_monai.geometry import box_iou, rowcol_to_xyxy
from mammo_monai.inference.predict import Predictor
from mammo_monai.inference.probability_map import MapMode, ProbabilityMapInferer, probability_map_inferer
from mammo_monai.schema import read_detections
from tests.inference.fakes import sample_of
from tests.inference.patch_fakes import BrightnessNetwork, FakeClassifier, breast_with_disc
from tests.reference.probability_map_reference import interpolated, patch_probabilities

MODES: tuple[MapMode, ...] = ("sliding", "dense")
WIDTH, HEIGHT = 150, 110


def _inferer(mode: MapMode = "sliding", **options: Any) -> ProbabilityMapInferer:
    return probability_map_inferer(FakeClassifier(), mode, **({"stride_px": 8} | options))


def _xyxy(prediction: dict[str, Tensor]) -> np.ndarray[Any, Any]:
    return rowcol_to_xyxy(prediction["box"].numpy())


def test_the_map_agrees_with_the_reference_patch_by_patch() -> None:
    image = breast_with_disc(90, 70, (40, 30))
    network = BrightnessNetwork()
    scores = patch_probabilities(network, image, 14, 0.25)
    expected = interpolated(scores, 70, 90, 32) * (image[0] > 0).numpy()
    inferer = probability_map_inferer(FakeClassifier(network), stride_px=14, batch_size=3)
    found = inferer.probability_map(image)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert inferer.patch_probabilities(image).values.max() == pytest.approx(max(scores.values()), abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("is_right", [False, True])
def test_the_box_follows_the_bright_disc(mode: MapMode, is_right: bool) -> None:
    # The fake's map passes 1/2 of its peak where about half of a patch is bright: near the disc's edge.
    image = breast_with_disc(WIDTH, HEIGHT, (60, 50), is_right=is_right)
    found = _inferer(mode)(image)
    truth = (WIDTH - 80, 30, WIDTH - 40, 70) if is_right else (40, 30, 80, 70)
    assert found["box"].dtype == torch.float64
    assert found["label"].tolist() == [0]
    assert found["label_scores"].dtype == torch.float32
    assert float(found["label_scores"][0]) > 0.9
    (box,) = _xyxy(found)
    assert box_iou(np.array([box]), np.array([truth], dtype=float))[0, 0] > 0.5
    np.testing.assert_allclose(
        (box[:2] + box[2:]) / 2, [(truth[0] + truth[2]) / 2, 50], atol=4
    )  # half a stride


def test_without_padding_dense_and_sliding_give_the_same_map_and_boxes() -> None:
    # 96 + 32 and 80 + 32 px: the border is a multiple of the stride, so both have the same patches.
    image = breast_with_disc(128, 112, (50, 60))
    sliding, dense = _inferer("sliding"), _inferer("dense")
    torch.testing.assert_close(sliding.probability_map(image), dense.probability_map(image))
    np.testing.assert_array_equal(_xyxy(sliding(image)), _xyxy(dense(image)))


def test_dense_takes_the_network_s_stride() -> None:
    assert _inferer("dense", stride_px=56).stride_px == 8
    assert _inferer("sliding", stride_px=56).stride_px == 56


@pytest.mark.parametrize("mode", MODES)
def test_the_batch_size_does_not_change_the_result(mode: MapMode) -> None:
    image = breast_with_disc(WIDTH, HEIGHT, (60, 50))
    one, many = (_inferer(mode, batch_size=size)(image) for size in (1, 1000))
    torch.testing.assert_close(one["box"], many["box"])
    torch.testing.assert_close(one["label_scores"], many["label_scores"])


@pytest.mark.parametrize("mode", MODES)
def test_a_breast_without_signal_and_a_black_image_have_no_box(mode: MapMode) -> None:
    inferer = _inferer(mode)
    for image in (breast_with_disc(WIDTH, HEIGHT, None), torch.zeros(1, HEIGHT, WIDTH)):
        found = inferer(image)
        assert found["box"].shape == (0, 4)
        assert found["label"].shape == found["label_scores"].shape == (0,)
    assert not inferer.probability_map(torch.zeros(1, HEIGHT, WIDTH)).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("height", "width"), [(HEIGHT, WIDTH), (20, 11), (1, 3)])
def test_an_image_that_is_bright_all_over_is_one_box(mode: MapMode, height: int, width: int) -> None:
    inferer = _inferer(mode, where="all", min_breast_share=0.0)
    found = inferer(torch.ones(1, height, width))
    if height * width > 512:  # a smaller image fills less than half of its padded patch
        assert _xyxy(found).tolist() == [[0, 0, width, height]]
    else:
        assert len(found["box"]) == 0


def test_only_patches_in_the_breast_are_computed_unless_all_are_asked_for() -> None:
    image = breast_with_disc(WIDTH, HEIGHT, (60, 50), is_right=True)
    counts = {}
    for where in ("breast", "all"):
        network = BrightnessNetwork()
        probability_map_inferer(FakeClassifier(network), stride_px=8, where=where).patch_probabilities(image)
        counts[where] = sum(shape[0] for shape in network.seen)
    values = _inferer(where="breast").patch_probabilities(image).values
    assert counts["breast"] == (values > 0).sum() < counts["all"] == values.size


def test_candidates_leave_out_what_does_not_stand_out() -> None:
    image = breast_with_disc(300, 260, (120, 90))
    found = {}
    for where in ("breast", "candidates"):
        network = BrightnessNetwork()
        inferer = probability_map_inferer(FakeClassifier(network), stride_px=8, where=where)
        found[where] = _xyxy(inferer(image)), sum(shape[0] for shape in network.seen)
    assert found["candidates"][1] < 0.5 * found["breast"][1]
    (box,), (expected,) = found["candidates"][0], found["breast"][0]
    assert box_iou(np.array([box]), np.array([expected]))[0, 0] > 0.7
    black = probability_map_inferer(FakeClassifier(), where="candidates")(torch.zeros(1, 60, 50))
    assert len(black["box"]) == 0


def test_the_classifier_s_mode_is_left_as_it_was_and_no_gradient_is_kept() -> None:
    classifier = FakeClassifier()
    inferer = probability_map_inferer(classifier, stride_px=8)
    classifier.train()
    inferer(breast_with_disc(WIDTH, HEIGHT, (60, 50)))
    assert classifier.training


def _samples(tmp_path: Path) -> list[dict[str, Any]]:
    images = [breast_with_disc(WIDTH, HEIGHT, (60, 50), is_right=is_right) for is_right in (False, True)]
    return [
        sample_of(images[0], "left", image_path=str(tmp_path / "a.png")),
        sample_of(images[1], "right", is_right=True, image_path=str(tmp_path / "b.png")),
        sample_of(
            breast_with_disc(WIDTH, HEIGHT, None),
            "none",
            crop=(0, 10, 120, 90),
            image_path=str(tmp_path / "c.png"),
        ),
    ]


def test_a_run_writes_boxes_of_the_original_and_its_settings(tmp_path: Path) -> None:
    output = tmp_path / "detections.json"
    Predictor(_inferer("dense", min_area_mm2=1.0), _samples(tmp_path), output).run()
    content = read_detections(output)
    left, right, none = content.detections
    np.testing.assert_allclose(right.boxes[:, [2, 0]], WIDTH - left.boxes[:, [0, 2]])
    assert len(none.boxes) == 0
    inference = content.model["inference"]
    assert isinstance(inference, dict)
    assert inference["inferer"] == "ProbabilityMapInferer"
    assert inference["scan"]["mode"] == "dense"
    assert inference["scan"]["stride_px"] == inference["stride_px"] == 8
    assert inference["boxes"]["rule"] == "peaks"
    assert inference["min_area_mm2"] == 1.0
    assert inference["execution"]["batch_size"] == 64
    assert "classifier" not in inference


class _Films:
    """Samples that count how often one is loaded, and may fail at the second."""

    def __init__(self, samples: list[dict[str, Any]], *, is_broken: bool = False) -> None:
        self.data = samples
        self.is_broken = is_broken
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self.is_broken and index == 1:
            raise OSError("the disk is gone")
        self.loaded.append(index)
        return self.data[index]


def _other_weights() -> FakeClassifier:
    network = BrightnessNetwork()
    with torch.no_grad():
        network.gain.add_(1)
    return FakeClassifier(network)


@pytest.mark.parametrize(
    ("again", "loaded"),
    [
        (lambda: probability_map_inferer(FakeClassifier()), [1, 2]),
        (lambda: probability_map_inferer(_other_weights()), [0, 1, 2]),
        (lambda: probability_map_inferer(FakeClassifier(), "dense"), [0, 1, 2]),
        (lambda: probability_map_inferer(FakeClassifier(), share_of_peak=0.6), [0, 1, 2]),
        (lambda: probability_map_inferer(FakeClassifier(), min_breast_share=0.1), [0, 1, 2]),
    ],
    ids=["same", "weights", "mode", "box rule", "patches"],
)
def test_a_stopped_run_goes_on_unless_a_setting_or_a_weight_changed(
    tmp_path: Path, again: Callable[[], ProbabilityMapInferer], loaded: list[int]
) -> None:
    output, samples = tmp_path / "detections.json", _samples(tmp_path)
    with pytest.raises(MammoError, match="the disk is gone"):
        Predictor(probability_map_inferer(FakeClassifier()), _Films(samples, is_broken=True), output).run()
    films = _Films(samples)
    Predictor(again(), films, output).run()
    assert films.loaded == loaded


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "full"}, "mode must be sliding or dense, got 'full'"),
        ({"where": "skin"}, "where must be breast or all or candidates, got 'skin'"),
        ({"border": "mirror"}, "border must be hold or zero, got 'mirror'"),
        ({"stride_px": 0}, "stride_px and tile_px must be at least 1"),
        ({"min_breast_share": 1.5}, r"min_breast_share in \[0, 1\]"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_settings_outside_their_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probability_map_inferer(FakeClassifier(), **options)


def test_an_unknown_option_and_a_network_of_no_patches_are_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'treshold'"):
        probability_map_inferer(FakeClassifier(), treshold=0.5)  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(TypeError, match="Linear has no features, head_map, stride_px, cells"):
        probability_map_inferer(FakeClassifier(nn.Linear(1, 2)))
    lacking = BrightnessNetwork()
    del lacking.settings
    with pytest.raises(TypeError, match=r"has no settings\.patch_px"):
        probability_map_inferer(FakeClassifier(lacking))


def test_an_image_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one image of shape \(1, H, W\), got \(3, 40, 50\)"):
        _inferer()(torch.zeros(3, 40, 50))
