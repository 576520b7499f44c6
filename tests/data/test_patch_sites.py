from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.data.patch_lesion_sites import overlap_share
from mammo_monai.data.patch_plan import PatchPlan, class_of_lesion
from mammo_monai.data.patch_regions import lesion_regions
from mammo_monai.data.patch_sites import PatchSite, SiteImage, choose_sites, grid_centres
from mammo_monai.errors import ManifestError
from mammo_monai.geometry import ImageFrame
from mammo_monai.records import ImageRecord, Lesion

WIDTH, HEIGHT = 120, 200
MASS = Lesion((20, 70, 60, 120))
PLAN = PatchPlan(patch_px=16, stride_px=8)


def image_of(
    number: int, *lesions: Lesion, breast: float = 1.0, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> SiteImage:
    """An image whose left `breast` share of columns is breast."""
    record = ImageRecord(Path("x"), f"{number:016x}", f"P{number}", *size, lesions)

    def shares(centres: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.clip((breast * size[0] - centres[:, 0] + 8) / 16, 0, 1)

    boxes = np.array([[22.0, 72.0, 58.0, 118.0], [80.0, 10.0, 100.0, 31.0], [0.0, 190.0, 4.0, 200.0]])
    return SiteImage(record, size, lesion_regions(record, ImageFrame(*size)), shares, lambda: boxes)


def kinds(sites: Sequence[PatchSite]) -> dict[int, Counter[int]]:
    found: dict[int, Counter[int]] = {}
    for site in sites:
        found.setdefault(site.image_index, Counter())[site.class_index] += 1
    return found


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(3, 70), st.integers(3, 70)),
    patch=st.integers(1, 24),
    stride=st.integers(1, 24),
)
def test_windows_inside_never_reach_outside_an_image_larger_than_they_are(
    size: tuple[int, int], patch: int, stride: int
) -> None:
    centres = grid_centres(size, PatchPlan(patch_px=patch, stride_px=stride))
    expected = [max(0, (side - patch) // stride) + 1 for side in size]
    assert len(centres) == expected[0] * expected[1]
    for axis in (0, 1):
        low = centres[:, axis] - patch / 2
        assert (low >= 0).all()
        assert size[axis] < patch or (low + patch <= size[axis]).all()


def test_overhanging_windows_have_centres_up_to_the_border_on_the_same_lattice() -> None:
    inside = grid_centres((50, 30), PatchPlan(patch_px=16, stride_px=4))
    overhanging = grid_centres((50, 30), PatchPlan(patch_px=16, stride_px=4, windows="overhanging"))
    assert {tuple(each) for each in inside} < {tuple(each) for each in overhanging}
    assert overhanging.min() == 0
    assert overhanging.max(axis=0).tolist() == [48, 28]


def test_a_patch_is_positive_where_its_centre_lies_in_a_mass_and_nowhere_else() -> None:
    sites = choose_sites([image_of(0, MASS)], PLAN)
    positives = {(each.x, each.y) for each in sites if each.has_lesion}
    inside = {
        (x, y)
        for x, y in grid_centres((WIDTH, HEIGHT), PLAN).tolist()
        if ((x - 40) / 20) ** 2 + ((y - 95) / 25) ** 2 < 0.99
    }
    assert positives == inside
    negatives = [(each.x, each.y) for each in sites if not each.has_lesion]
    assert positives.isdisjoint(negatives)
    assert len(set(negatives)) == len(negatives) == len(positives)


def test_the_centre_decides_by_the_contour_where_there_is_one() -> None:
    contour = ((20.0, 70.0), (60.0, 70.0), (20.0, 120.0))  # half of the box
    lesion = Lesion((20, 70, 60, 120), contour=contour)
    positives = [each for each in choose_sites([image_of(0, lesion)], PLAN) if each.has_lesion]
    assert positives
    assert all((each.x - 20) / 40 + (each.y - 70) / 50 < 1 for each in positives)


def test_same_images_give_each_as_many_negatives_as_positives_and_no_border_patch() -> None:
    small = Lesion((30, 30, 50, 50))
    sites = choose_sites([image_of(0, MASS, breast=0.6), image_of(1, small), image_of(2)], PLAN_SAME)
    found = kinds(sites)
    assert set(found) == {0, 1}
    assert all(each[0] == each[1] for each in found.values())
    border = 0.6 * WIDTH - 0.9 * 16 + 8
    assert all(each.x <= border for each in sites if each.image_index == 0 and not each.has_lesion)


PLAN_SAME = PatchPlan(patch_px=16, stride_px=8, negatives="same_images")


@pytest.mark.parametrize("n_normal", [2, 3, 7])
def test_normals_give_equal_shares_that_add_up_to_the_positives(n_normal: int) -> None:
    images = [image_of(0, MASS), *(image_of(each + 1) for each in range(n_normal))]
    found = kinds(choose_sites(images, PLAN))
    positives = found[0][1]
    each = [found[row][0] for row in range(1, n_normal + 1)]
    assert found[0][0] == 0
    assert sum(each) == positives
    assert max(each) - min(each) <= 1


def test_what_a_small_normal_image_lacks_the_others_give() -> None:
    images = [image_of(0, MASS), image_of(1, breast=0.6, size=(30, 60)), image_of(2)]
    found = kinds(choose_sites(images, PLAN))
    assert 0 < found[1][0] < found[0][1] // 2
    assert found[1][0] + found[2][0] == found[0][1]


def test_auto_takes_normals_where_there_are_some_and_a_calcification_is_no_mass() -> None:
    dot = Lesion((5, 5, 9, 9), type="calcification", label=1)
    assert set(kinds(choose_sites([image_of(0, MASS), image_of(1, dot)], PLAN))) == {0, 1}
    assert kinds(choose_sites([image_of(0, MASS), image_of(1, MASS)], PLAN))[1][0] > 0


def test_candidates_are_negatives_unless_they_lie_in_a_mass() -> None:
    plan = PatchPlan(patch_px=16, stride_px=16, negatives="candidates", min_breast=0.0)
    negatives = [each for each in choose_sites([image_of(0, MASS)], plan) if not each.has_lesion]
    # The first candidate is the mass; the third is moved inside the image.
    assert {(each.x, each.y) for each in negatives} == {(90.0, 20.0), (8.0, 192.0)}


def test_too_few_negatives_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        sites = choose_sites([image_of(0, MASS, breast=0.3, size=(64, 130))], PLAN_SAME)
    assert "patches of background for" in caplog.text
    assert kinds(sites)[0][0] < kinds(sites)[0][1]


def test_sites_depend_on_the_seed_and_not_on_the_other_images() -> None:
    def of_first(images: list[SiteImage], seed: int = 0) -> list[PatchSite]:
        plan = PatchPlan(patch_px=16, stride_px=8, negatives="same_images", seed=seed)
        return [each for each in choose_sites(images, plan) if each.image_index == 0]

    alone = of_first([image_of(0, MASS)])
    assert alone == of_first([image_of(0, MASS)])
    assert alone == of_first([image_of(0, MASS), image_of(1, MASS)])
    assert alone != of_first([image_of(0, MASS)], seed=1)


def test_of_two_lesions_around_a_centre_the_smaller_names_it() -> None:
    small = Lesion((30, 80, 50, 110), pathology="MALIGNANT")
    large = Lesion((10, 60, 70, 130), pathology="BENIGN")
    plan = PatchPlan(patch_px=16, stride_px=8, classes="type_and_pathology")
    for lesions in ((small, large), (large, small)):
        sites = {(each.x, each.y): each.class_index for each in choose_sites([image_of(0, *lesions)], plan)}
        assert sites[(40.0, 96.0)] == 2
        assert sites[(16.0, 96.0)] == 1


def test_a_list_without_a_lesion_is_refused_with_its_remedy() -> None:
    with pytest.raises(ManifestError, match=r"no patch: none of 2 images .* mass under .* 16 px"):
        choose_sites([image_of(0), image_of(1)], PLAN)
    with pytest.raises(ManifestError, match=r"negatives from normals: each of 1 image "):
        choose_sites([image_of(0, MASS)], PatchPlan(patch_px=16, stride_px=8, negatives="normals"))


def test_a_mass_between_the_windows_is_counted_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        choose_sites([image_of(0, MASS, Lesion((1, 1, 4, 4)))], PLAN)
    assert "no patch of 1 of 2 lesions" in caplog.text


@pytest.mark.parametrize(
    ("kind", "pathology", "expected"),
    [
        ("mass", "BENIGN", 1),
        ("mass", "BENIGN_WITHOUT_CALLBACK", 1),
        ("mass", "malignant", 2),
        ("calcification", "benign without callback", 3),
        ("calcification", "MALIGNANT", 4),
        ("mass", None, None),
        ("mass", "UNPROVEN", None),
        ("asymmetry", "BENIGN", None),
    ],
)
def test_five_classes_by_type_and_pathology(kind: str, pathology: str | None, expected: int | None) -> None:
    label = {"mass": 0, "calcification": 1, "asymmetry": 2}[kind]
    lesion = Lesion((0, 0, 9, 9), type=kind, label=label, pathology=pathology)
    assert class_of_lesion(lesion, "type_and_pathology") == expected


def test_a_lesion_of_unknown_class_is_left_out_counted_and_never_background(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = Lesion((70, 20, 90, 45), pathology="BENIGN")
    plan = PatchPlan(patch_px=16, stride_px=4, classes="type_and_pathology", min_breast=0.0)
    with caplog.at_level(logging.WARNING):
        sites = choose_sites([image_of(0, known, MASS)], plan)
    assert "left out 1 of 2 lesions" in caplog.text
    assert {each.class_index for each in sites} == {0, 1}
    assert all(((each.x - 40) / 20) ** 2 + ((each.y - 95) / 25) ** 2 > 0.99 for each in sites)


def test_s1_centres_a_patch_on_each_lesion_and_takes_one_of_background() -> None:
    lesions = (Lesion((20, 70, 61, 120), pathology="MALIGNANT"), Lesion((0, 0, 6, 8), pathology="BENIGN"))
    sites = choose_sites(
        [image_of(0, *lesions), image_of(1)], PatchPlan(patch_px=16, stride_px=8, scheme="S1")
    )
    assert [(each.x, each.y, each.class_index, each.lesion) for each in sites[:2]] == [
        (40.0, 95.0, 2, 0),
        (8.0, 8.0, 1, 1),  # moved into the image
    ]
    assert kinds(sites) == {0: Counter({0: 2, 1: 1, 2: 1})}


@pytest.mark.parametrize("box", [(20, 70, 61, 120), (50, 90, 56, 97), (0, 0, 14, 15), (30, 80, 46, 97)])
def test_s10_takes_ten_windows_that_hold_the_lesion_or_are_filled_by_it(
    box: tuple[float, float, float, float],
) -> None:
    image = image_of(0, Lesion(box, pathology="MALIGNANT"))
    plan = PatchPlan(patch_px=16, stride_px=8, scheme="S10")
    sites = choose_sites([image], plan)
    around = [each for each in sites if each.has_lesion]
    assert len(around) == 10
    assert len({(each.x, each.y) for each in around}) > 1
    shares = [overlap_share(image.regions[0], np.array([each.x, each.y]), 16) for each in around]
    # A round lesion as large as the patch cannot fill 0.9 of it from many sides: there the share is lowered.
    assert min(shares) >= 0.9 * 0.9
    assert all(each.x - 8 >= 0 and each.y - 8 >= 0 for each in around)


def test_background_of_s10_touches_no_lesion_of_any_type() -> None:
    other = Lesion((70, 10, 110, 60), type="asymmetry", label=2)
    lesion = Lesion((20, 70, 60, 120), pathology="BENIGN")
    sites = choose_sites([image_of(0, lesion, other)], PatchPlan(patch_px=16, stride_px=4, scheme="S10"))
    background = [each for each in sites if not each.has_lesion]
    assert len(background) == 10
    for x_min, y_min, x_max, y_max in ((20, 70, 60, 120), (70, 10, 110, 60)):
        assert all(
            each.x + 8 <= x_min or each.x - 8 >= x_max or each.y + 8 <= y_min or each.y - 8 >= y_max
            for each in background
        )


def test_an_image_full_of_lesion_has_no_background_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    plan = PatchPlan(patch_px=16, stride_px=8, scheme="S1", classes="mass")
    with caplog.at_level(logging.WARNING):
        sites = choose_sites([image_of(0, Lesion((0, 0, WIDTH, HEIGHT)))], plan)
    assert "1 patch of background missing" in caplog.text
    assert len(sites) == 1


def test_a_narrow_image_has_one_window_across() -> None:
    sites = choose_sites([image_of(0, Lesion((0, 20, 10, 50)), size=(10, 80))], PLAN)
    assert {each.x for each in sites} == {8.0}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"scheme": "S5"}, "scheme must be one of grid, S1, S10, got 'S5'"),
        ({"classes": "five"}, "classes must be one of None, mass, type_and_pathology"),
        ({"negatives": "none"}, "negatives must be one of auto, normals, same_images, candidates"),
        ({"windows": "all"}, "windows must be one of inside, overhanging"),
        ({"patch_px": 0}, "patch_px must be at least 1 px, got 0"),
        ({"stride_px": 1.5}, "stride_px must be at least 1 px, got 1.5"),
        ({"seed": -1}, "seed must be a whole number, 0 or more, got -1"),
        ({"min_breast": 1.2}, r"min_breast must be a share of a patch, in \[0, 1\], got 1.2"),
    ],
)
def test_a_plan_refuses_what_it_does_not_know(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PatchPlan(**option)
