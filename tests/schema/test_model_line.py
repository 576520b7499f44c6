"""The line that says which model marked: what is known of it, and a sentence where nothing is."""

from __future__ import annotations

import pytest

from mammo_monai.schema.model_line import model_line, names_model

EVERY = "no operating point: every mark the model gives"


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ({}, f"the file does not say which model marked, {EVERY}"),
        ({"score_threshold": 0.5, "bundle": None}, "the file does not say which model"),
        ({"name": "theirs"}, f"theirs, weights unknown, software unknown, {EVERY}"),
        ({"name": "a title", "bundle": "mass", "software": "x 1"}, f"mass, weights unknown, x 1, {EVERY}"),
        ({"weights_sha256": "ab" * 32}, f"unknown, weights abababababab, software unknown, {EVERY}"),
    ],
)
def test_the_line_names_the_model_or_says_that_the_file_does_not(model: dict, line: str) -> None:
    assert model_line(model).startswith(line)
    assert names_model(model) is ("does not say" not in line)
