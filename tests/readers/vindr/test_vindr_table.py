from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.readers.vindr.table import FINDING_TYPES, finding_categories, finding_type
from mammo_monai.records import label_of

CATEGORIES = (
    ("Mass", "mass", 0),
    ("Suspicious Calcification", "calcification", 1),
    ("Asymmetry", "asymmetry", 2),
    ("Focal Asymmetry", "asymmetry+focal asymmetry", 2),
    ("Global Asymmetry", "asymmetry+global asymmetry", 2),
    ("Architectural Distortion", "distortion", 3),
    ("Skin Thickening", "other+skin thickening", 4),
    ("Skin Retraction", "other+skin retraction", 4),
    ("Nipple Retraction", "other+nipple retraction", 4),
    ("Suspicious Lymph Node", "other+suspicious lymph node", 4),
)


def test_there_are_ten_categories_and_each_has_a_label() -> None:
    assert len(FINDING_TYPES) == len(CATEGORIES) == 10
    for name, expected, label in CATEGORIES:
        found = finding_type(finding_categories(f"['{name}']"))
        assert (found, label_of(found)) == (expected, label)


@given(st.lists(st.sampled_from([name for name, _, _ in CATEGORIES]), min_size=1, max_size=4))
def test_a_list_is_read_as_python_would_and_its_lowest_label_counts(names: list[str]) -> None:
    assert finding_categories(repr(names)) == tuple(name.casefold() for name in names)
    labels = {name: label for name, _, label in CATEGORIES}
    assert label_of(finding_type(finding_categories(repr(names)))) == min(labels[name] for name in names)


@pytest.mark.parametrize("text", ["Mass", '["Mass"]', "['Mass',]", "[ 'mass' ]", "['MASS']"])
def test_spellings_of_one_category_are_the_same(text: str) -> None:
    assert finding_categories(text) == ("mass",)


@pytest.mark.parametrize(
    "text", ["", "[]", "['Mass'", "[Mass]", "['Mass' 'x']", "['']", "[1]", "['a'].pop()", "[" * 50_000]
)
def test_anything_else_is_no_list_of_categories(text: str) -> None:
    with pytest.raises(ValueError, match="expected a list of finding categories, got") as error:
        finding_categories(text)
    assert len(str(error.value)) < 200
