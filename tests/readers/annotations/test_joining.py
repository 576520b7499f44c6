from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.readers.annotations.annotated import AnnotatedImage
from mammo_monai.readers.annotations.joining import ImageNames, Joined, join

ROOT = Path("set")


def joined(images: list[str], *names: str | tuple[str, ...]) -> Joined:
    every = [AnnotatedImage((each,) if isinstance(each, str) else each, "", lambda _: ()) for each in names]
    return join(ImageNames(ROOT, [ROOT / image for image in images]), every)


def pairs(found: Joined) -> dict[str, list[str]]:
    return {
        path.relative_to(ROOT).as_posix(): [each.names[0] for each in annotated]
        for path, annotated in found.by_image.items()
    }


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("p1/left.png", "p1/left.png"),
        ("p1/left.png", "./p1/left.png"),
        ("p1/left.png", "p1/left"),
        ("p1/left.png", "left.png"),
        ("p1/left.png", "LEFT.PNG"),
        ("p1/left.png", r"C:\study\images\p1\left.png"),
        ("p1/left.png", "/home/somebody/p1/left.jpg"),
        ("images/p1/left.png", "labels/p1/left"),
        ("p1/images/left.png", "p1/masks/left"),
        ("1.2.840.10.dcm", "1.2.840.10"),
        ("1.2.840.10", "1.2.840.10"),
        ("train/left.png", "images/left.png"),
    ],
)
def test_a_name_leads_to_its_image(image: str, name: str) -> None:
    assert pairs(joined([image, "other.png"], name)) == {image: [name]}


def test_a_relative_path_chooses_among_equal_names() -> None:
    images = ["p1/left.png", "p2/left.png", "left.png"]
    found = joined(images, "p2/left.txt", "left.png", "study/p1/left.txt")
    assert pairs(found) == {
        "p2/left.png": ["p2/left.txt"],
        "left.png": ["left.png"],
        "p1/left.png": ["study/p1/left.txt"],
    }
    assert not found.ambiguous


def test_an_equal_name_in_two_folders_is_ambiguous_never_guessed() -> None:
    found = joined(["p1/left.png", "p2/left.png"], "left.png")
    assert not found.by_image
    assert [paths for _, paths in found.ambiguous] == [(ROOT / "p1/left.png", ROOT / "p2/left.png")]


def test_two_files_of_one_name_but_for_the_suffix_are_ambiguous_to_a_bare_name() -> None:
    images = ["left.png", "left.dcm"]
    assert joined(images, "left").ambiguous
    assert pairs(joined(images, "left.dcm")) == {"left.dcm": ["left.dcm"]}


def test_an_annotation_of_a_patient_who_is_not_there_is_nobody_elses() -> None:
    found = joined(["p1/left.png", "p2/left.png"], "p9/left.png")
    assert not found.by_image
    assert not found.ambiguous
    assert len(found.unmatched) == 1


def test_folders_that_differ_are_overlooked_only_where_names_are_unique() -> None:
    found = joined(["a/left.png", "a/right.png"], "b/left.png")
    assert pairs(found) == {"a/left.png": ["b/left.png"]}
    assert found.by_name_alone == 1
    found = joined(["a/left.png", "a/right.png"], "b/left.png", "c/left.png")
    assert not found.by_image
    assert len(found.unmatched) == 2


def test_the_first_name_that_leads_to_an_image_counts() -> None:
    assert pairs(joined(["left.png", "0001.png"], ("0001", "left.png"))) == {"0001.png": ["0001"]}
    assert pairs(joined(["left.png"], ("0001", "left.png"))) == {"left.png": ["0001"]}
