"""Operating points of a FROC curve, as metrics.json writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.metrics.bootstrap import Interval, sensitivity_intervals
from mammo_monai.metrics.froc import FrocCurve, score_at_fppi, sensitivity_at_fppi
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.rule import FrocRule

Json = dict[str, Any]


def point_entries(
    curve: FrocCurve, matches: Matches, patient: NDArray[np.int64], rule: FrocRule
) -> list[Json]:
    """The operating points; `score` is the lowest that is shown there, None where none may be."""
    intervals: Sequence[Interval | None] = [None] * len(rule.fppi)
    if curve.is_defined:
        intervals = sensitivity_intervals(matches, patient, rule)
    return [
        {
            "fppi": fppi,
            "sensitivity": sensitivity_at_fppi(curve, fppi) if interval else None,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "interval": interval.method if interval else None,
            "score": or_none(score_at_fppi(curve, fppi)),
        }
        for fppi, interval in zip(rule.fppi, intervals, strict=True)
    ]


def or_none(value: float) -> float | None:
    """The value; None where it is infinite or not a number, which JSON has no word for."""
    return value if math.isfinite(value) else None
