"""Post-processing: this package's selection against torchvision's, on the same head outputs.

    python scripts/bench/bench_postprocess.py [--repeats 30] [--threads 2] [--height 1024] [--width 832]

From empty images (no score above the threshold) to crowded ones (thousands), batches of one and of two. The
boxes, scores and labels of both are compared bit for bit.
"""

from __future__ import annotations

from functools import partial

import torch
from harness import Comparison, alternate, bench_arguments, report
from torch import Tensor
from torchvision.models.detection import retinanet_resnet50_fpn
from torchvision.models.detection.retinanet import RetinaNet

from mammo_monai.geometry.axes import xyxy_to_rowcol
from mammo_monai.networks.anchors import GridAnchors
from mammo_monai.networks.selection import HeadOutput, SelectionRule, select_boxes

STRIDES = (8, 16, 32, 64, 128)
CASES = {"empty": -10.0, "usual": -6.0, "crowded": -2.0}
"""Mean class logit, standard deviation 1; the threshold is a logit of −2.9."""
PEER, OURS = "torchvision", "select_boxes"


def head_maps(height: int, width: int, batch: int, mean_logit: float) -> tuple[list[Tensor], Tensor, Tensor]:
    """Feature maps (for their sizes), logits (B, N, 1) and (x, y, w, h) offsets (B, N, 4)."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.zeros(batch, 1, -(-height // s), -(-width // s)) for s in STRIDES]
    n_anchors = 9 * sum(level.shape[2] * level.shape[3] for level in maps)
    logits = mean_logit + torch.randn((batch, n_anchors, 1), generator=generator)
    return maps, logits, 0.3 * torch.randn((batch, n_anchors, 4), generator=generator)


def compared(theirs: RetinaNet, case: str, batch: int, size: tuple[int, int], repeats: int) -> Comparison:
    maps, logits, offsets = head_maps(*size, batch, CASES[case])
    anchors = GridAnchors()(torch.zeros(batch, 1, *size), maps)[0]
    per_level = [9 * level.shape[2] * level.shape[3] for level in maps]
    output = HeadOutput(logits, xyxy_to_rowcol(offsets), anchors, per_level)
    split = {
        "cls_logits": list(logits.split(per_level, dim=1)),
        "bbox_regression": list(offsets.split(per_level, dim=1)),
    }
    their_anchors = [list(xyxy_to_rowcol(anchors).split(per_level))] * batch
    sizes = [size] * batch
    stock = partial(theirs.postprocess_detections, split, their_anchors, sizes)
    ours = partial(select_boxes, output, sizes, SelectionRule())
    is_equal = all(
        torch.equal(xyxy_to_rowcol(expected["boxes"]), found.boxes)
        and torch.equal(expected["scores"], found.scores)
        and torch.equal(expected["labels"], found.labels)
        for expected, found in zip(stock(), ours(), strict=True)
    )
    return Comparison(
        work=f"post-processing, {case}, batch {batch}, {size[0]} × {size[1]}",
        peer=PEER,
        ours=OURS,
        seconds=alternate({PEER: stock, OURS: ours}, repeats, warm_up=3),
        target=1.0,
        equality={"boxes, scores and labels bit for bit": is_equal},
        extra={
            "scores above the threshold": int((logits.sigmoid() > SelectionRule().score_threshold).sum()),
            "boxes": sum(len(each.boxes) for each in ours()),
        },
    )


@torch.no_grad()
def main() -> None:
    parser = bench_arguments(__doc__, repeats=30)
    for name, default in (("height", 1024), ("width", 832)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    theirs = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=1).eval()
    size = (args.height, args.width)
    report(
        [compared(theirs, case, batch, size, args.repeats) for batch in (1, 2) for case in CASES],
        json=args.json,
    )


if __name__ == "__main__":
    main()
