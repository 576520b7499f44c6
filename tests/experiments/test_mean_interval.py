"""The interval of the mean sensitivity is that of resampling patients one draw after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mammo_monai.experiments.mean_interval import mean_sensitivity_interval
from mammo_monai.metrics import FrocRule, evaluate_detections
from mammo_monai.records import Detections, ImageRecord
from tests.experiments.conftest import films

RULE = FrocRule(n_bootstrap=60, seed=3)


def marked(records: Sequence[ImageRecord], *, found: float = 0.6) -> list[Detections]:
    """A share of the lesions found, one false positive in every second film, none at all in some."""
    random = np.random.default_rng(5)
    marks = []
    for record in records:
        boxes = [list(lesion.box) for lesion in record.lesions if random.random() < found]
        boxes += [[0.0, 0.0, 9.0, 9.0]] if random.random() < 0.5 else []
        scores = np.round(random.uniform(size=len(boxes)), 1)
        labels = np.zeros(len(boxes), dtype=np.int64)
        marks.append(Detections(record.record_id, np.array(boxes).reshape(-1, 4), scores, labels))
    return marks


def reference(
    records: Sequence[ImageRecord], detections: Sequence[Detections], rule: FrocRule
) -> tuple[float, float]:
    """Each draw written out as films of its own and scored as any others."""
    patients = sorted({each.patient_id for each in records})
    draws = np.random.default_rng(rule.seed).integers(len(patients), size=(rule.n_bootstrap, len(patients)))
    plain, means = replace(rule, n_bootstrap=0), []
    for draw in draws:
        taken, marks = [], []
        for copy, patient in enumerate(draw):
            for record, marked_ in zip(records, detections, strict=True):
                if record.patient_id == patients[patient]:
                    name = f"{copy:04x}{record.record_id[4:]}"
                    taken.append(replace(record, record_id=name, patient_id=f"{copy}"))
                    marks.append(replace(marked_, record_id=name))
        value = evaluate_detections(taken, marks, rule=plain)["mean_sensitivity"]["value"]
        means += [] if value is None else [value]
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


@pytest.mark.parametrize("n_patients", [2, 7])
def test_it_is_the_interval_of_films_drawn_by_patient(n_patients: int) -> None:
    records = films(n_patients)
    detections = marked(records)
    interval = mean_sensitivity_interval(records, detections, RULE)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(reference(records, detections, RULE), abs=1e-12)


def test_it_does_not_depend_on_how_many_draws_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    records = films(5)
    detections = marked(records)
    whole = mean_sensitivity_interval(records, detections, RULE)
    monkeypatch.setattr("mammo_monai.metrics.resampling._CELLS", 35)
    assert mean_sensitivity_interval(records, detections, RULE) == whole


def test_it_is_undefined_where_resampling_says_nothing() -> None:
    records = films(5)
    detections = marked(records)
    assert mean_sensitivity_interval(records, marked(records, found=0.0), RULE) is None
    assert mean_sensitivity_interval(records, detections, replace(RULE, n_bootstrap=0)) is None
    assert mean_sensitivity_interval(records[:2], detections[:2], RULE) is None
    normal = [replace(each, lesions=()) for each in records]
    assert mean_sensitivity_interval(normal, detections, RULE) is None
