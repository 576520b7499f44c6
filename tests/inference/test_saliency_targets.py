import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mammo_monai.inference.saliency.anchors import AnchorScore
from mammo_monai.inference.saliency.explain import detection_target
from mammo_monai.inference.saliency.layers import last_map_layer, stage_before_top
from mammo_monai.inference.saliency.methods import MethodOptions, saliency_map
from mammo_monai.inference.saliency.regions import RegionScore
from mammo_monai.inference.saliency.targets import ClassScore, DetectionScore
from mammo_monai.networks import retinanet_network
from mammo_monai.networks.faster_rcnn import faster_rcnn_network
from mammo_monai.networks.faster_rcnn_detector import faster_rcnn_detector
from tests.inference.fakes import FixedDetector
from tests.inference.saliency_networks import TinyClassifierNetwork, noisy_image, small_detector


def test_every_box_of_a_retinanet_is_traced_to_the_anchor_that_scored_it() -> None:
    detector, image = small_detector(), noisy_image()
    with torch.no_grad():
        found = detector([image])[0]
    assert len(found["box"]) > 5
    levels = set()
    for box, score in zip(found["box"], found["label_scores"], strict=True):
        target = detection_target(detector, image, box.numpy().astype(np.float64))
        assert isinstance(target, AnchorScore)
        levels.add(target.anchor.level)
        with torch.no_grad():
            logit = target.eval()(target.input_of(image))
        assert logit.shape == (1, 1)
        assert float(logit.sigmoid()) == pytest.approx(float(score), abs=1e-5)
    assert len(levels) > 1


def test_a_box_of_another_model_is_refused() -> None:
    detector, image = small_detector(), noisy_image()
    with pytest.raises(ValueError, match=r"no box of this detector overlaps.*another model"):
        detection_target(detector, image, np.array([5000.0, 5000.0, 5010.0, 5010.0]))


def test_faster_rcnn_is_asked_about_the_box_itself() -> None:
    torch.manual_seed(0)
    network = faster_rcnn_network("resnet18", fpn_channels=16, representation_size=32)
    detector = faster_rcnn_detector(network).eval()
    image = noisy_image(90, 130)
    target = detection_target(detector, image, np.array([30.0, 80.0, 50.0, 110.0]))
    assert isinstance(target, RegionScore)
    assert target.layer == "feature_extractor.body.layer3"
    for method in ("local_gradcam", "guided_backprop"):
        found = saliency_map(target, image, MethodOptions(method))
        assert found.values.shape == (90, 130)
        assert found.raw_maximum > 0
    with torch.no_grad():
        batch = target.input_of(image)
        maps = network.feature_extractor(batch, [(90, 130)])
        region = torch.tensor([[80.0, 30.0, 110.0, 50.0]])  # (x, y), as torchvision takes boxes
        seen = network.roi_heads["box_head"](network.pool(maps, [region], [(90, 130)]))
        probability = network.roi_heads["box_predictor"](seen)[0].softmax(1)[0, 1]
        assert float(target(batch).sigmoid()) == pytest.approx(float(probability), abs=1e-6)


def test_any_detector_is_asked_for_the_detection_that_overlaps_most() -> None:
    boxes = [[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 40.0]]
    detector = FixedDetector(boxes, [0.9, 0.6])
    target = DetectionScore(detector, torch.tensor([19.0, 20.0, 30.0, 41.0]), 0, "")
    score = target(torch.zeros(2, 1, 50, 60))
    assert score.shape == (2, 1)
    assert score.sigmoid().flatten().tolist() == pytest.approx([0.6, 0.6])
    lost = DetectionScore(detector, torch.tensor([40.0, 40.0, 50.0, 50.0]), 0, "")
    assert float(lost(torch.zeros(1, 1, 50, 60))) < -15


class BrightnessDetector(nn.Module):
    """One box wherever the image is brightest; its score is the mean there, without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.network: nn.Module = nn.Conv2d(1, 1, 1)

    def forward(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        box = torch.tensor([[30.0, 80.0, 50.0, 110.0]])
        label = torch.zeros(1, dtype=torch.int64)
        return [
            {"box": box, "label": label, "label_scores": each[0, 30:50, 80:110].mean().detach()[None]}
            for each in input_images
        ]


def test_occlusion_explains_a_detector_without_a_gradient() -> None:
    image = noisy_image()
    target = DetectionScore(BrightnessDetector(), torch.tensor([30.0, 80.0, 50.0, 110.0]), 0, "")
    image[0, 38:42, 80:110] -= 0.5  # a dark bar: flattening squares that cross its rim changes the mean
    found = saliency_map(target, image, MethodOptions("occlusion", mask_px=12))
    inside = np.zeros(found.values.shape, dtype=bool)
    inside[30 - 12 : 50 + 12, 80 - 12 : 110 + 12] = True
    assert found.raw_maximum > 0
    assert found.values[~inside].max() == 0
    with pytest.raises(ValueError, match=r"no gradient from the score to the pixels.*Use occlusion"):
        saliency_map(target, image, MethodOptions("guided_backprop"))


def test_a_class_is_explained_by_its_log_odds() -> None:
    network = TinyClassifierNetwork()
    image = torch.rand(1, 1, 8, 11)
    expected = network(image).softmax(1)[:, 1].logit()
    torch.testing.assert_close(ClassScore(network, "second")(image)[:, 0], expected)
    with pytest.raises(ValueError, match=r"with a class 2, got shape \(1, 2\)"):
        ClassScore(network, "second", 2)(image)


@pytest.mark.parametrize(
    ("backbone", "layer"),
    [
        ("resnet18", "feature_extractor.body.layer3"),
        ("efficientnet_lite0", "feature_extractor.body.blocks.4"),
    ],
)
def test_maps_are_taken_before_the_last_stage(backbone: str, layer: str) -> None:
    network = retinanet_network(backbone, fpn_channels=16)  # type: ignore[arg-type]  # one of its words
    assert stage_before_top(network) == layer


def test_a_network_that_names_no_stage_is_told_what_to_do() -> None:
    with pytest.raises(ValueError, match="TinyClassifierNetwork does not say which stage"):
        stage_before_top(TinyClassifierNetwork())


def test_the_last_map_of_a_classifier_is_found_by_running_it() -> None:
    assert last_map_layer(TinyClassifierNetwork(), torch.rand(1, 1, 8, 12)) == "second"
    with pytest.raises(ValueError, match="no layer with a map"):
        last_map_layer(nn.Sequential(nn.Flatten(), nn.Linear(96, 2)), torch.rand(1, 1, 8, 12))
