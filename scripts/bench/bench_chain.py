"""The whole chain, eight DICOM films → detections.json: `mammo-monai predict`'s parts against stock MONAI.

    python scripts/bench/bench_chain.py [--repeats 2] [--workers 1]

Stock: `LoadImage` (ITK), `EnsureChannelFirst`, `ScaleIntensity`, `Resize`, MONAI's `RetinaNetDetector` in
float32 with its own selection of boxes, json.dump. Ours: the `MammogramDataset` and `Predictor` that the
command runs, films loaded ahead of the network. Both sides have the same weights and the same size of its
input. Two networks: the shipped bundle's with its trained weights at 768 × 384, and ResNet-50 with random
ones at 1024 × 832.

Equality: each chain writes one entry a film; and of the shipped weights the boxes of torch in float32 (which
are torchvision's to the last bit) against ours on the very same tensors. The two chains' inputs differ by
their rules of resizing and scaling: told too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from bench_forward import (
    SHIPPED,
    box_evidence,
    our_detector,
    ours,
    random_retinanet,
    settings,
    shipped_detector,
)
from harness import Value, alternate, bench_arguments, between, report
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.utils.anchor_utils import AnchorGenerator
from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Resize, ScaleIntensity, SqueezeDim
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from real_films import film_records

from mammo_monai.data import MammogramDataset, load_samples
from mammo_monai.inference import Predictor, make_inferer
from mammo_monai.networks.detector import MammoRetinaNetDetector
from mammo_monai.transforms import LoadMammogramd, NormaliseIntensityd, StretchToSized

STOCK = "stock MONAI, float32"
TARGET = 5.0
Size = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """A network, who makes it, and (height, width) of its input."""

    name: str
    make: Callable[[], MammoRetinaNetDetector]
    size: Size
    is_trained: bool


def stock_transforms(size: Size) -> Compose:
    """(1, W, H): MONAI's readers transpose, and ITK's leaves a trailing axis."""
    flat = SqueezeDim(dim=-1)
    return Compose(
        [LoadImage(image_only=True), EnsureChannelFirst(), flat, ScaleIntensity(), Resize(size[::-1])]
    )


def stock_input(load: Compose, path: Path) -> Tensor:
    """The film upright, (1, H, W)."""
    return torch.as_tensor(load(path)).as_subclass(Tensor).transpose(1, 2).contiguous()


def stock_chain(
    load: Compose, detect: Callable[[Tensor], dict[str, Tensor]], films: Sequence[Path], output: Path
) -> None:
    entries = []
    with torch.no_grad():
        for path in films:
            found = detect(stock_input(load, path))
            entries.append({"image": str(path), **{name: each.tolist() for name, each in found.items()}})
    output.write_text(json.dumps(entries))


def monai_detector(case: Case) -> Callable[[Tensor], dict[str, Tensor]]:
    """MONAI's detector and its own post-processing on the same network, with our settings."""
    own = case.make()
    of = own.settings
    scales = [2 ** (n / of.octave_scales) for n in range(of.octave_scales)]
    sizes = tuple(tuple(int(side * scale) for scale in scales) for side in of.anchor_sizes_px)
    detector = RetinaNetDetector(own.network, AnchorGenerator(sizes, (tuple(of.anchor_ratios),) * len(sizes)))
    detector.set_target_keys("box", "label")
    detector.set_box_selector_parameters(
        score_thresh=of.score_threshold,
        topk_candidates_per_level=of.topk_per_level,
        nms_thresh=of.nms_iou,
        detections_per_img=of.detections_per_image,
    )
    detector.eval()
    return lambda image: detector([image])[0]


def our_transforms(size: Size) -> Compose:
    height, width = size
    return Compose([LoadMammogramd(), StretchToSized(width, height), NormaliseIntensityd("range")])


def our_chain(
    inferer: Callable[[Tensor], dict[str, Tensor]],
    transforms: Compose,
    films: Sequence[Path],
    output: Path,
    workers: int,
) -> None:
    dataset = MammogramDataset(load_samples(list(films)), transforms)
    Predictor(inferer, dataset, output, resume=False, on_progress=lambda _: None, workers=workers).run()


def chains(case: Case, films: Sequence[Path], folder: Path, workers: int) -> dict[str, Callable[[], None]]:
    load = stock_transforms(case.size)
    sides = {STOCK: partial(stock_chain, load, monai_detector(case), films, folder / f"{STOCK}.json")}
    for name, values in settings().items():
        inferer = make_inferer(case.make(), "full", **values)
        output = folder / f"{name}.json"
        sides[name] = partial(our_chain, inferer, our_transforms(case.size), films, output, workers)
    return sides


@torch.no_grad()
def evidence(case: Case, name: str, films: Sequence[Path], folder: Path) -> dict[str, Value]:
    load, own = stock_transforms(case.size), our_transforms(case.size)
    entries = [len(json.loads((folder / f"{STOCK}.json").read_text()))]
    entries.append(len(json.loads((folder / f"{name}.json").read_text())["detections"]))
    images = [own({"image": path})["image"] for path in films]
    apart = 0.0
    for path, image in zip(films, images, strict=True):
        stretched = (image - image.min()) / (image.max() - image.min())
        apart = max(apart, float((stretched - stock_input(load, path)).abs().mean()))
    found: dict[str, Value] = {
        "one entry a film in each": entries == [len(films)] * 2,
        "mean difference of the two chains' inputs, of 1 (at most, a film)": apart,
    }
    if case.is_trained:
        plain, fast = make_inferer(case.make(), "full"), make_inferer(case.make(), "full", **settings()[name])
        found |= box_evidence([ours(plain, image) for image in images], partial(ours, fast), images)
    return found


CASES = (
    Case(f"shipped {SHIPPED}", shipped_detector, (768, 384), is_trained=True),
    Case("ResNet-50", lambda: our_detector(random_retinanet()), (1024, 832), is_trained=False),
)


def main() -> None:
    parser = bench_arguments(__doc__, repeats=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--films", type=int, default=8)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    films = [record.image for record in film_records()][: args.films]
    comparisons = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            sides = chains(case, films, Path(folder), args.workers)
            seconds = alternate(sides, args.repeats)
            work = f"{len(films)} DICOM films → detections.json, {case.name}, {case.size[0]} × {case.size[1]}"
            for name in list(sides)[1:]:
                found = evidence(case, name, films, Path(folder))
                comparisons.append(
                    between(STOCK, name, seconds, work=f"{work}, {name}", target=TARGET, equality=found)
                )
    report(comparisons, json=args.json)


if __name__ == "__main__":
    main()
