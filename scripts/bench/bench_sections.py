"""P2's 26 passes, literally and one by one, against `SectionsInferer`: time ratio and share of equal boxes.

    python scripts/bench/bench_sections.py --backbone resnet18 --size 1400 2200
    python scripts/bench/bench_sections.py --backbone resnet50 --weights model.safetensors --device cuda

All settings see the same image and weights, in turn, round after round, so that other load on the machine
falls on all; the ratio is the median over rounds. Ratios travel between machines, seconds do not. A box
of the literal passes is matched when ours holds one with IoU > 0.9 and a score within 0.01. Boxes clipped
to nothing are left out of both: the detector keeps them, the inferers drop them. Without --weights the
network is random, its class bias raised until it marks hundreds of boxes with nearly equal scores: what
it says about the agreement of bfloat16 does not carry over to trained weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from mammo_monai.geometry import box_area, box_iou, clip_boxes, rowcol_to_xyxy, scale_boxes
from mammo_monai.inference import Candidates, Execution, SectionsInferer, merge_boxes_p2, section_grid
from mammo_monai.inference.fusion import concatenate
from mammo_monai.networks import Detector, retinanet_detector, retinanet_network

SETTINGS = {
    "sections, batch 1, all computed": Execution(batch_size=1, skip_empty=False),
    "sections, batch 4": Execution(),
    "sections, batch 4, bf16 + channels_last": Execution(precision="bf16", channels_last=True),
}


def literal_passes(detector: Detector, image: Tensor, short_side_px: int) -> Candidates:
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
        boxes = rowcol_to_xyxy(output["box"].double().cpu().numpy())[:300]
        boxes = scale_boxes(boxes, scale_x, scale_y) + np.array([x_min, y_min, x_min, y_min])
        scores, labels = output["label_scores"][:300].cpu().numpy(), output["label"][:300].cpu().numpy()
        found.append(Candidates.of(clip_boxes(boxes, width, height), scores, labels))
    together = concatenate(found)
    together = together.take(box_area(together.boxes) > 0)
    return merge_boxes_p2(together.boxes, together.scores, together.labels)


def matched_fraction(expected: Candidates, found: Candidates) -> float:
    """Share of the expected boxes that have a partner."""
    if not len(expected.boxes) or not len(found.boxes):
        return float(len(expected.boxes) == len(found.boxes))
    near = box_iou(expected.boxes, found.boxes) > 0.9
    alike = np.abs(expected.scores[:, None] - found.scores[None]) < 0.01
    return float((near & alike).any(axis=1).mean())


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


def make_detector(args: argparse.Namespace) -> Detector:
    torch.manual_seed(args.seed)
    network = retinanet_network(args.backbone, head_norm=args.head_norm, p6_from=args.p6_from)
    if args.weights:
        network.load_state_dict(load_file(args.weights))
    else:
        torch.nn.init.normal_(network.classification_head.cls_logits.weight, std=0.05)
        torch.nn.init.constant_(network.classification_head.cls_logits.bias, -2.0)
    detector: Detector = retinanet_detector(network.to(args.device)).eval()
    return detector


def sections_passes(
    detector: Detector, image: Tensor, short_side_px: int, execution: Execution
) -> Candidates:
    """Ours, as candidates."""
    found = SectionsInferer(detector, short_side_px=short_side_px, execution=execution)(image)
    boxes = rowcol_to_xyxy(found["box"].numpy())
    return Candidates.of(boxes, found["label_scores"].numpy(), found["label"].numpy())


def timed(work: Callable[[], Candidates], device: str) -> tuple[float, Candidates]:
    """Seconds and the result."""
    start = time.perf_counter()
    result = work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--head-norm", default="none")
    parser.add_argument("--p6-from", default="p5")
    parser.add_argument("--weights")
    parser.add_argument("--size", type=int, nargs=2, default=(1400, 2200), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--short-side", type=int, default=600)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    width, height = args.size
    image = breast_image(width, height, args.seed).to(args.device)
    # A detector each: channels_last changes the layout of its weights for good.
    detector = make_detector(args)
    works = {"26 passes, one by one": partial(literal_passes, detector, image, args.short_side)}
    for name, execution in SETTINGS.items():
        works[name] = partial(sections_passes, make_detector(args), image, args.short_side, execution)
    rounds = [
        {name: timed(work, args.device) for name, work in works.items()} for _ in range(args.repeats + 1)
    ]
    base, last = next(iter(works)), rounds[-1]
    print(f"{'setting':42s} {'seconds':>8s} {'ratio':>6s} {'boxes':>6s} {'matched':>8s}")
    for name in works:
        seconds = statistics.median(each[name][0] for each in rounds[1:])  # the first round warms up
        ratio = statistics.median(each[name][0] / each[base][0] for each in rounds[1:])
        share = matched_fraction(last[base][1], last[name][1])
        print(f"{name:42s} {seconds:8.2f} {ratio:6.2f} {len(last[name][1].boxes):6d} {share:8.3f}")


if __name__ == "__main__":
    main()
