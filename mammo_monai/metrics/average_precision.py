"""Average precision of lesion detection: the area under precision against sensitivity."""

from __future__ import annotations

import numpy as np

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.froc import cumulative_counts
from mammo_monai.metrics.matching import Matches


def average_precision(matches: Matches) -> float:
    """Area under the precision envelope over every measured sensitivity, in [0, 1].

    Double hits are false positives here whatever the FROC rule says, as in PASCAL VOC and COCO; equal scores
    enter together. Matched at IoU > 0.5 this is AP50. COCO reads the envelope at 101 recalls instead, and
    accepts an IoU of exactly 0.5; the difference is in the third decimal.

    Raises:
        UndefinedMetricError: there is no lesion.

    Source: Everingham et al., 2015 (PASCAL VOC, the area rule in use since 2010).

    >>> from mammo_monai.metrics.matching import match_detections
    >>> from mammo_monai.records import Detections, Lesion
    >>> found = Detections("a", np.array([[0.0, 0, 10, 10], [40, 0, 50, 10]]),
    ...     scores=np.array([0.6, 0.9]), labels=np.zeros(2, dtype=np.int64))
    >>> average_precision(match_detections(found, [Lesion(box=(0.0, 0.0, 10.0, 10.0))], min_iou=0.5))
    0.5
    """
    if not matches.n_lesions:
        raise UndefinedMetricError("average precision is undefined: there is no lesion of the scored label.")
    _, hits, false_positives = cumulative_counts(matches, matches.is_false_positive(count_double_hits=True))
    precision = hits / np.maximum(hits + false_positives, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(hits, prepend=0) * envelope) / matches.n_lesions)
