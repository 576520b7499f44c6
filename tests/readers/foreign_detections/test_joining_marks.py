"""Foreign images find their record by id, by path, by name where it is unique; the rest is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.foreign_detections.joining import JoinedMarks, join_to_records
from mammo_monai.readers.foreign_detections.marks import ForeignImage
from mammo_monai.schema import read_manifest
from tests.readers.foreign_detections.scene import NAMES


def joined(manifest: Path, *names: str, n_marks: int = 1, ignore: bool = False) -> JoinedMarks:
    images = [ForeignImage((name,), "m.csv", "row", n_marks, tuple) for name in names]
    records = read_manifest(manifest).images()
    return join_to_records(images, records, Path("manifest.json"), ignore_unknown=ignore)


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("p1/left.png", 0),
        ("p1/left", 0),
        ("labels/p2/left", 2),
        ("/home/them/data/images/p2/left.jpg", 2),
        ("C:\\data\\p1\\right.png", 1),
        ("other.png", 3),
        ("OTHER", 3),
    ],
)
def test_an_image_is_known_by_its_path_as_far_as_it_goes(name: str, n: int, manifest: Path) -> None:
    assert list(joined(manifest, name).by_record) == [f"{n:016x}"]


def test_folders_must_agree_where_two_images_share_a_name(manifest: Path) -> None:
    with pytest.raises(ManifestError, match=r"marks of 1 image that manifest\.json does not hold: p4/other"):
        joined(manifest, "p4/other.png")


def test_a_name_in_two_folders_is_ambiguous(manifest: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"left may be any of 2 images .*p1/left\.png, p2/left\.png.*folders"
    ):
        joined(manifest, "left")
    assert joined(manifest, "left", n_marks=0).by_record == {}


def test_an_image_marked_under_two_names_is_refused(manifest: Path) -> None:
    with pytest.raises(ManifestError, match=r"right\.png .*marked twice, as p1/right of .* as right\.png of"):
        joined(manifest, "p1/right", "right.png")


@pytest.mark.parametrize("order", [1, -1])
def test_a_row_without_a_mark_gives_way_to_one_with(order: int, manifest: Path) -> None:
    images = [
        ForeignImage((name,), "m.csv", "row", n_marks, tuple)
        for name, n_marks in (("p1/right", 0), ("right.png", 3))
    ][::order]
    records = read_manifest(manifest).images()
    found = join_to_records(images, records, Path("m.json"), ignore_unknown=False)
    assert [each.n_marks for each in found.by_record.values()] == [3]


def test_a_record_id_comes_before_names(manifest: Path) -> None:
    records = read_manifest(manifest).images()
    images = [
        ForeignImage(("p1/left.png",), "m.csv", "row", 1, tuple, record_id=f"{2:016x}"),
        ForeignImage((), "m.csv", "row", 1, tuple, record_id="unheard"),
    ]
    with pytest.raises(ManifestError, match="does not hold: unheard"):
        join_to_records(images, records, Path("m.json"), ignore_unknown=False)
    found = join_to_records(images, records, Path("m.json"), ignore_unknown=True)
    assert list(found.by_record) == [f"{2:016x}"]
    assert found.n_unknown == 1


def test_every_name_of_the_manifest_leads_to_its_own_image(manifest: Path) -> None:
    assert list(joined(manifest, *NAMES).by_record) == [f"{n:016x}" for n in range(len(NAMES))]
