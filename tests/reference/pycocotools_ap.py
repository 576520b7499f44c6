"""Average precision by pycocotools: the boxes of a scene in, COCOeval's figures out, its talk kept quiet.

An image is `(lesions, detections)` as in `froc_reference`: boxes `(x_min, y_min, x_max, y_max)`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np

from tests.reference.froc_reference import Image

CATEGORY = 1


def average_precisions(
    images: Sequence[Image], min_iou: Sequence[float] | None = None, max_detections: int = 1_000_000
) -> list[float]:
    """AP over all areas at each limit; −1 everywhere without a lesion, as pycocotools says it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    lesions = [(n, box) for n, (boxes, _) in enumerate(images, 1) for box in boxes]
    found = [(n, box, score) for n, (_, marks) in enumerate(images, 1) for box, score in marks]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n} for n in range(1, len(images) + 1)],
            "categories": [{"id": CATEGORY}],
            "annotations": [
                {**_annotation(number, box), "id": row, "iscrowd": 0}
                for row, (number, box) in enumerate(lesions, 1)
            ],
        }
        truth.createIndex()
        marks = [{**_annotation(number, box), "score": score} for number, box, score in found]
        evaluation = COCOeval(truth, truth.loadRes(marks) if marks else COCO(), "bbox")
        evaluation.params.imgIds = list(range(1, len(images) + 1))
        evaluation.params.catIds = [CATEGORY]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [max_detections]
        if min_iou is not None:
            evaluation.params.iouThrs = np.array(min_iou)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # limits, recalls, classes, areas, detections
    return [float(each) for each in precision[:, :, 0, 0, 0].mean(axis=1)]


def _annotation(number: int, box: Sequence[float]) -> dict[str, object]:
    x_min, y_min, x_max, y_max = box
    width, height = x_max - x_min, y_max - y_min
    return {
        "image_id": number,
        "category_id": CATEGORY,
        "bbox": [x_min, y_min, width, height],
        "area": width * height,
    }
