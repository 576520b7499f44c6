"""Every planted fault is there as it says, and nothing else in the tree has changed."""

from __future__ import annotations

import hashlib
import plistlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mammo_monai.errors import ManifestError
from mammo_monai.phantoms import write_phantoms
from mammo_monai.phantoms.faults import FAULTS, PlantedFault, break_phantoms
from mammo_monai.phantoms.written_tree import PhantomImage, contours_of, images_of, masks_of, tables_of

EACH = [(layout, name) for layout, names in FAULTS.items() for name in names]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Phantoms of both layouts, written once; tests break copies."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        layout: write_phantoms(folder / layout, layout=layout, patients=3, seed=4, pixel_spacing_mm=1.2)
        for layout in FAULTS
    }


def hashes(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def broken(whole: dict[str, Path], folder: Path, layout: str, *names: str) -> tuple[Path, list[PlantedFault]]:
    root = shutil.copytree(whole[layout], folder / layout)
    return root, break_phantoms(root, layout=layout, faults=names, seed=5)


def image_of(root: Path, fault: PlantedFault) -> PhantomImage:
    return next(each for each in images_of(root) if each.name == fault.image)


@pytest.mark.parametrize(("layout", "name"), EACH)
def test_a_fault_changes_its_own_files_and_no_others(
    whole: dict[str, Path], tmp_path: Path, layout: str, name: str
) -> None:
    root, (fault,) = broken(whole, tmp_path, layout, name)
    before, after = hashes(whole[layout]), hashes(root)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert (fault.name, bool(fault.change), bool(changed)) == (name, True, True)
    assert not changed & {"truth.json", "phantoms.json"}
    if not fault.image:
        assert name == "extra-files" or all(path.endswith(".csv") for path in changed)
        return
    image = image_of(whole[layout], fault)
    assert dcmread(image.path).SOPInstanceUID == fault.sop_instance_uid
    parts = {
        image.path.name,
        image.number,
        str(int(image.number) + 50_000_000 if layout == "inbreast" else 0),
    }
    parts |= {path.parent.name for path in masks_of(image)} if layout == "cbis-ddsm" else set()
    for path in changed - {table.path.name for table in tables_of(root)}:
        assert any(part in path for part in parts), path


@pytest.mark.parametrize("layout", FAULTS)
def test_the_same_seed_breaks_the_same_and_another_one_other_images(
    whole: dict[str, Path], tmp_path: Path, layout: str
) -> None:
    names = FAULTS[layout][:3]
    roots = [shutil.copytree(whole[layout], tmp_path / str(n)) for n in range(3)]
    planted = [
        break_phantoms(root, layout=layout, faults=names, seed=seed)
        for root, seed in zip(roots, (5, 5, 6), strict=True)
    ]
    assert planted[0] == planted[1] != planted[2]
    assert hashes(roots[0]) == hashes(roots[1])


@pytest.mark.parametrize("layout", FAULTS)
def test_no_image_gets_two_faults(whole: dict[str, Path], tmp_path: Path, layout: str) -> None:
    _, planted = broken(whole, tmp_path, layout, *FAULTS[layout][:6])
    images = [each.image for each in planted]
    assert len(set(images)) == 6
    patients = {each.patient_id for each in images_of(whole[layout]) if each.name in images[:2]}
    assert len(patients) == 2


def test_files_are_cut_and_emptied_and_removed(whole: dict[str, Path], tmp_path: Path) -> None:
    names = ("truncated-dicom", "zero-byte-file", "text-for-dicom", "missing-image")
    root, planted = broken(whole, tmp_path, "cbis-ddsm", *names)
    size = (whole["cbis-ddsm"] / planted[0].image).stat().st_size
    assert (root / planted[0].image).stat().st_size == int(0.6 * size)
    assert dcmread(root / planted[0].image, stop_before_pixels=True).Rows > 0
    assert (root / planted[1].image).stat().st_size == 0
    assert b"html" in (root / planted[2].image).read_bytes()
    assert not (root / planted[3].image).exists()


@pytest.mark.parametrize("layout", FAULTS)
def test_mirrored_pixels_keep_their_header(whole: dict[str, Path], tmp_path: Path, layout: str) -> None:
    root, (fault,) = broken(whole, tmp_path, layout, "mirrored-pixels")
    before, after = dcmread(whole[layout] / fault.image), dcmread(root / fault.image)
    np.testing.assert_array_equal(after.pixel_array, before.pixel_array[:, ::-1])
    assert (after.pixel_array != before.pixel_array).any()
    del before.PixelData, after.PixelData
    assert before == after


@pytest.mark.parametrize("layout", FAULTS)
@pytest.mark.parametrize("is_same", [True, False])
def test_a_duplicate_has_the_same_uid_in_another_place(
    whole: dict[str, Path], tmp_path: Path, layout: str, is_same: bool
) -> None:
    name = "duplicate-same-bytes" if is_same else "duplicate-other-bytes"
    root, (fault,) = broken(whole, tmp_path, layout, name)
    files = [
        path
        for path in root.rglob("*.dcm")
        if dcmread(path, stop_before_pixels=True).SOPInstanceUID == fault.sop_instance_uid
    ]
    assert len(files) == 2
    assert (files[0].read_bytes() == files[1].read_bytes()) is is_same
    if layout == "inbreast":
        (table,), (before,) = tables_of(root), tables_of(whole[layout])
        assert len(table.rows) == len(before.rows) + 1
        assert {path.name.split("_")[0] for path in files} <= {row[5] for row in table.rows}


@pytest.mark.parametrize("layout", FAULTS)
def test_the_other_side_stands_in_every_row_of_the_image(
    whole: dict[str, Path], tmp_path: Path, layout: str
) -> None:
    root, (fault,) = broken(whole, tmp_path, layout, "wrong-laterality")
    column = 2
    sides = []
    for tree in (whole[layout], root):
        image = image_of(tree, fault)
        rows = [row for table in tables_of(tree) for row in table.rows_of(image)]
        sides.append({row[column][0] for row in rows})
    assert len(sides[0]) == 1
    assert sides[0] | sides[1] == {"L", "R"}
    assert sides[0] != sides[1]


def test_crop_and_mask_are_exchanged(whole: dict[str, Path], tmp_path: Path) -> None:
    root, (fault,) = broken(whole, tmp_path, "cbis-ddsm", "swapped-crop-and-mask")
    rows = []
    for tree in (whole["cbis-ddsm"], root):
        image = image_of(tree, fault)
        rows.append(next(row for table in tables_of(tree) for row in table.rows_of(image)))
    assert [cell.strip() for cell in rows[1][-2:]] == [cell.strip() for cell in reversed(rows[0][-2:])]
    assert rows[1][-1].endswith("\n")
    assert rows[1][:-2] == rows[0][:-2]


def masks(root: Path, fault: PlantedFault) -> list[np.ndarray]:
    return [dcmread(path).pixel_array for path in masks_of(image_of(root, fault)) if path.exists()]


def test_masks_are_gone_empty_large_or_of_another_field(whole: dict[str, Path], tmp_path: Path) -> None:
    names = ("missing-mask", "all-zero-mask", "mask-other-size", "mask-other-field")
    root, (gone, empty, large, cut) = broken(whole, tmp_path, "cbis-ddsm", *names)
    before = {fault.name: masks(whole["cbis-ddsm"], fault)[0] for fault in (gone, empty, large, cut)}
    assert masks(root, gone) == []
    assert masks(root, empty)[0].shape == before["all-zero-mask"].shape
    assert not masks(root, empty)[0].any()
    np.testing.assert_array_equal(masks(root, large)[0][::2, ::2], before["mask-other-size"])
    np.testing.assert_array_equal(masks(root, large)[0][1::2, 1::2], before["mask-other-size"])
    (rows, columns), (rows_before, columns_before) = (
        masks(root, cut)[0].shape,
        before["mask-other-field"].shape,
    )
    assert columns == columns_before
    assert rows < 0.95 * rows_before
    assert masks(root, cut)[0].sum() == before["mask-other-field"].sum()


def test_contours_are_gone_dots_or_a_bomb(whole: dict[str, Path], tmp_path: Path) -> None:
    names = ("missing-contours", "xml-bomb", "dot-only-contours")
    root, (gone, bomb, dots) = broken(whole, tmp_path, "inbreast", *names)
    assert contours_of(image_of(whole["inbreast"], gone)).exists()
    assert not contours_of(image_of(root, gone)).exists()
    text = contours_of(image_of(root, bomb)).read_text()
    assert len(text) < 2000
    assert text.count("<!ENTITY") == 9
    assert text.count("&e7;") == 10
    regions = plistlib.loads(contours_of(image_of(root, dots)).read_bytes())["Images"][0]["ROIs"]
    assert regions
    assert all(1 <= len(region["Point_px"]) == region["NumberOfPoints"] <= 2 for region in regions)


@pytest.mark.parametrize(
    ("layout", "name", "start"),
    [
        ("cbis-ddsm", "other-delimiter", b"patient_id;breast_density;"),
        ("inbreast", "other-delimiter", b"Patient ID,Patient age,"),
        ("inbreast", "unknown-delimiter", b"Patient ID^Patient age^"),
        ("cbis-ddsm", "byte-order-mark", b"\xef\xbb\xbfpatient_id,"),
    ],
)
def test_tables_are_written_in_other_ways(
    whole: dict[str, Path], tmp_path: Path, layout: str, name: str, start: bytes
) -> None:
    root, _ = broken(whole, tmp_path, layout, name)
    for table in root.glob("*.csv"):
        assert table.read_bytes().startswith(start)


def test_line_breaks_are_exchanged_inside_quotes_too(whole: dict[str, Path], tmp_path: Path) -> None:
    root, _ = broken(whole, tmp_path, "cbis-ddsm", "other-line-breaks")
    for table in root.glob("*.csv"):
        before, after = (whole["cbis-ddsm"] / table.name).read_bytes(), table.read_bytes()
        assert after.count(b"\r\n") == before.count(b"\n") - before.count(b"\r\n") > 0
        assert after.replace(b"\r\n", b"\n") == before.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("layout", FAULTS)
def test_a_cut_table_ends_in_its_last_row(whole: dict[str, Path], tmp_path: Path, layout: str) -> None:
    root, _ = broken(whole, tmp_path, layout, "truncated-table")
    for table in root.glob("*.csv"):
        before, after = (whole[layout] / table.name).read_bytes(), table.read_bytes()
        assert before.startswith(after)
        rows = [text.count(b"\r\n") for text in (before, after)]
        assert rows[1] == rows[0] - 1
        assert not after.endswith(b"\n")


def test_litter_lies_beside_images_and_tables(whole: dict[str, Path], tmp_path: Path) -> None:
    root, _ = broken(whole, tmp_path, "inbreast", "extra-files")
    assert sum(path.name.startswith("._") for path in root.rglob("*.dcm")) == len(images_of(root))
    assert (root / "._INbreast.csv").exists()


def test_unknown_names_and_too_few_images_are_refused(whole: dict[str, Path], tmp_path: Path) -> None:
    root = whole["inbreast"]
    before = hashes(root)
    with pytest.raises(ValueError, match=r"layout must be cbis-ddsm or inbreast, got 'x'"):
        break_phantoms(root, layout="x", faults=["xml-bomb"])
    with pytest.raises(ValueError, match=r"faults of inbreast are truncated-dicom.*; got 'missing-mask'"):
        break_phantoms(root, layout="inbreast", faults=["xml-bomb", "missing-mask"])
    with pytest.raises(ManifestError, match=r"truth\.json: no such file; expected the truth"):
        break_phantoms(tmp_path, layout="inbreast", faults=["xml-bomb"])
    small = write_phantoms(tmp_path / "1", layout="cbis-ddsm", patients=1, seed=4, pixel_spacing_mm=2.0)
    with pytest.raises(ValueError, match=r"13 faults need as many images with a mass.*Write more patients"):
        break_phantoms(small, layout="cbis-ddsm", faults=FAULTS["cbis-ddsm"])
    with pytest.raises(ValueError, match=r"the cbis-ddsm phantoms in .* have 0.*own layout"):
        break_phantoms(root, layout="cbis-ddsm", faults=["truncated-dicom"])
    assert hashes(root) == before
