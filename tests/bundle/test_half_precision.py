"""Half precision: what float16 rounds is small, what it cannot hold stays in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.bundle.half_precision import MAX_RELATIVE_CHANGE, halved, relative_change


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=8))
def test_no_number_of_a_vector_changes_by_more_than_a_thousandth(values: list[float]) -> None:
    before = torch.tensor(values, dtype=torch.float32)
    after = halved({"bias": before})["bias"].double().numpy()
    assert np.all(np.abs(after - before.numpy()) <= 1e-3 * np.abs(before.numpy().astype(np.float64)))


@given(st.lists(st.floats(-7e4, 7e4, width=32), min_size=4, max_size=4))
def test_no_kernel_changes_by_more_than_a_thousandth_of_its_norm(values: list[float]) -> None:
    before = torch.tensor(values, dtype=torch.float32).reshape(2, 2)
    after = halved({"weight": before})["weight"].double()
    assert float((after - before).norm()) <= 1e-3 * float(before.double().norm())


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.0, 1e-15], torch.float32),  # a variance that would become 0
        ([1.0, 7e4], torch.float32),  # beyond the largest float16, 65504
        ([[1.0, 7e4]], torch.float32),
        ([1.0, 0.0], torch.float16),
        ([[1.0, 1e-20]], torch.float16),  # a dead channel
        ([], torch.float16),
    ],
)
def test_what_float16_cannot_hold_stays_in_float32(value: list[Any], dtype: torch.dtype) -> None:
    assert halved({"x": torch.tensor(value, dtype=torch.float32)})["x"].dtype == dtype


def test_whole_numbers_stay_and_change_is_relative() -> None:
    counter = torch.tensor(7)
    assert halved({"num_batches_tracked": counter})["num_batches_tracked"] is counter
    assert relative_change(torch.tensor([2.0, 4.0]), torch.tensor([2.0, 5.0])) == 0.25
    assert MAX_RELATIVE_CHANGE > 2**-11  # what rounding alone may change
