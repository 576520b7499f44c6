from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError
from mammo_monai.schema import Action
from tests.readers.annotations.in_house import BOXES, SIZE, InHouse, boxes_of, drawn

# As ITK stores an image without orientation: LPS = (column, row) · spacing; NIfTI speaks RAS.
ITK_AFFINE = np.diag([-0.05, -0.07, 1.0, 1.0])

SHEARED = np.array([[0.7, -0.7, 0, 3], [0.7, 0.7, 0, 9], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def write_nifti(path: Path, voxels: NDArray[Any], affine: Any = ITK_AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


@pytest.mark.parametrize(
    "name", ["left.nii.gz", "left_mask.nii", "masks/left.nii.gz", "labels/left-seg.nii.gz"]
)
@pytest.mark.parametrize("trailing", [(), (1,), (1, 1)])
def test_boxes_come_back_from_masks_as_columns_and_rows(
    site: InHouse, name: str, trailing: tuple[int, ...]
) -> None:
    site.png("left.png")
    write_nifti(site.root / name, drawn().T.reshape(*SIZE, *trailing))
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


@pytest.mark.parametrize("writer", ["NibabelWriter", "ITKWriter"])
def test_masks_that_monai_writes_come_back(site: InHouse, writer: str) -> None:
    transforms = pytest.importorskip("monai.transforms")
    image = site.png("left.png")
    picture = transforms.LoadImage(image_only=True, ensure_channel_first=True)(image)
    mask = picture.clone()
    mask[...] = mask.new_tensor(np.ascontiguousarray(drawn().T))[None]
    options = {
        "output_ext": ".nii.gz",
        "output_postfix": "mask",
        "separate_folder": False,
        "print_log": False,
    }
    transforms.SaveImage(output_dir=site.root / "masks", writer=writer, **options)(mask)
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def test_masks_that_itk_writes_come_back(site: InHouse) -> None:
    itk = pytest.importorskip("itk")
    site.png("left.png")
    (site.root / "masks").mkdir()
    mask = itk.image_from_array(drawn())
    mask.SetSpacing([0.05, 0.07])
    itk.imwrite(mask, str(site.root / "masks" / "left.nii.gz"))
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def test_masks_reoriented_to_ras_are_turned_back(site: InHouse) -> None:
    site.png("left.png")
    volume = nib.Nifti1Image(drawn().T[..., None], ITK_AFFINE)
    canonical = nib.as_closest_canonical(volume)
    assert np.any(np.asanyarray(canonical.dataobj) != drawn().T[..., None])
    write_nifti(site.root / "left.nii.gz", np.asanyarray(canonical.dataobj), canonical.affine)
    assert boxes_of(site.lesions("left.png")) == [*BOXES]
    assert "mask-turned" in site.codes(Action.REPAIRED)


@pytest.mark.parametrize("affine", [np.eye(4), ITK_AFFINE, SHEARED])
def test_rows_before_columns_are_told_by_a_shape_that_fits_no_other_way(site: InHouse, affine: Any) -> None:
    site.png("left.png")
    write_nifti(site.root / "left.nii.gz", drawn(), affine)
    assert boxes_of(site.lesions("left.png")) == [*BOXES]
    assert "mask-turned" in site.codes(Action.REPAIRED)


def test_rows_before_columns_in_a_square_are_told_by_the_affine(site: InHouse) -> None:
    site.png("left.png", size=(64, 64))
    affine = np.array([[0, -0.05, 0, 0], [-0.07, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    mask = drawn([(5, 20, 11, 60)], size=(64, 64))
    write_nifti(site.root / "left.nii.gz", mask, affine)
    assert boxes_of(site.lesions("left.png")) == [(5, 20, 11, 60)]


def test_label_values_are_lesions_of_their_own(site: InHouse) -> None:
    site.png("left.png")
    touching = [(10, 20, 31, 45), (31, 20, 40, 45)]
    write_nifti(site.root / "left.nii.gz", drawn(touching, values=[1, 2]).T)
    assert boxes_of(site.lesions("left.png")) == touching
    assert "mask-values" in site.codes(Action.WARNED)


def test_label_values_may_be_classes(site: InHouse) -> None:
    site.png("left.png")
    write_nifti(site.root / "left.nii.gz", drawn(values=[1, 2]).T)
    lesions = site.lesions("left.png", classes={"1": "mass", "2": "calcification"})
    assert [(lesion.box, lesion.type) for lesion in lesions] == [
        (BOXES[0], "mass"),
        (BOXES[1], "calcification"),
    ]
    lesions = site.lesions("left.png", classes={"1": "ignore", "2": "mass"})
    assert boxes_of(lesions) == [BOXES[1]]


def test_an_only_value_that_is_a_class_keeps_its_class(site: InHouse) -> None:
    site.png("left.png")
    write_nifti(site.root / "left.nii.gz", drawn([BOXES[0]], values=[2]).T)
    (lesion,) = site.lesions("left.png", classes={"1": "mass", "2": "calcification"})
    assert lesion.type == "calcification"


def test_a_mask_of_half_the_size_is_scaled(site: InHouse) -> None:
    site.png("left.png")
    write_nifti(site.root / "left.nii.gz", drawn([(5, 10, 15, 22)], size=(30, 45)).T)
    assert boxes_of(site.lesions("left.png")) == [(10, 20, 30, 44)]
    assert "mask-rescaled" in site.codes(Action.REPAIRED)


def test_an_empty_mask_says_normal(site: InHouse) -> None:
    site.png("left.png")
    write_nifti(site.root / "left.nii.gz", np.zeros(SIZE, dtype=np.uint8))
    assert site.read()["left.png"].is_normal
    assert "images-unlisted" not in site.codes()


def test_a_header_that_cannot_be_quarantines_its_image(site: InHouse) -> None:
    site.png("left.png")
    path = write_nifti(site.root / "left.nii", drawn().T)
    raw = bytearray(path.read_bytes())
    raw[108:112] = np.float32(16).tobytes()  # vox_offset: the voxels would begin within the header
    path.write_bytes(raw)
    assert site.read() == {}
    assert site.quarantined() == ["mask-unreadable"]


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("voxels", "code"),
    [
        (np.zeros((60, 70), dtype=np.uint8), "mask-aspect"),
        (np.zeros((60, 90, 2), dtype=np.uint8), "mask-not-flat"),
        (np.zeros((1, 60, 90), dtype=np.uint8), "mask-not-flat"),
        (np.full((60, 90), np.nan, dtype=np.float32), "mask-values"),
        (np.full((60, 90), 0.5, dtype=np.float32), "mask-values"),
        (np.arange(5400, dtype=np.int16).reshape(60, 90), "mask-values"),
        (np.zeros((600, 900), dtype=np.uint8), "mask-aspect"),
    ],
)
def test_a_mask_that_is_none_quarantines_its_image_alone(site: InHouse, voxels: Any, code: str) -> None:
    site.png("left.png")
    site.png("right.png")
    write_nifti(site.root / "left.nii.gz", voxels)
    write_nifti(site.root / "right.nii.gz", drawn().T)
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]


@pytest.mark.parametrize("content", [b"", b"no mask", gzip.compress(b"short", mtime=0), "half"])
def test_a_damaged_file_quarantines_its_image(site: InHouse, content: bytes | str) -> None:
    site.png("left.png")
    path = write_nifti(
        site.root / "left.nii.gz", np.random.default_rng(0).integers(0, 2, SIZE, dtype=np.uint8)
    )
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        _half(path)
    assert site.read() == {}
    assert site.quarantined() == ["mask-unreadable"]


@pytest.mark.parametrize("kind", ["colours", "complex", "measured"])
def test_values_that_are_no_labels_quarantine_without_a_word_from_numpy(site: InHouse, kind: str) -> None:
    site.png("left.png")
    site.png("right.png")
    values: Any = {
        "colours": np.zeros(SIZE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]),
        "complex": drawn().T.astype(np.complex64),
        "measured": drawn().T.astype(np.float64) * 1e300,
    }[kind]
    nib.save(nib.Nifti1Image(values, np.eye(4)), site.root / "left.nii.gz")
    nib.save(nib.Nifti1Image(drawn(()).T, np.eye(4)), site.root / "right.nii.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [*site.read()] == ["right.png"]
    assert site.quarantined() == ["mask-values"]


def flipped_columns() -> NDArray[Any]:
    """As after a reorientation to RAS: the first axis runs the other way."""
    return np.array([[0.05, 0, 0, -0.05 * (SIZE[0] - 1)], [0, -0.07, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("first", ["sform", "qform"])
def test_a_header_that_contradicts_itself_quarantines(site: InHouse, first: str) -> None:
    site.png("left.png")
    affines = [flipped_columns(), ITK_AFFINE]
    sform, qform = affines if first == "sform" else affines[::-1]
    image = nib.Nifti1Image(drawn().T, None)
    image.set_sform(sform, code=1)
    image.set_qform(qform, code=1)
    nib.save(image, site.root / "left_mask.nii.gz")
    assert site.read() == {}
    assert site.quarantined() == ["orientation-unclear"]


def test_a_form_that_means_another_place_or_nothing_contradicts_nothing(site: InHouse) -> None:
    site.png("left.png")
    image = nib.Nifti1Image(drawn().T, None)
    image.set_sform(ITK_AFFINE, code=1)
    image.set_qform(SHEARED * [[1, 1, 1, 5]] * 1.0, code=2, strip_shears=True)
    nib.save(image, site.root / "left_mask.nii")
    assert boxes_of(site.lesions("left.png")) == [*BOXES]
    image.header["quatern_b"], image.header["quatern_c"] = 2, 2  # no quaternion of length 1
    nib.save(image, site.root / "left_mask.nii")
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


@pytest.mark.parametrize("saved_by", ["dcm2niix", "itk"])
def test_what_dcm2niix_turned_upside_down_without_a_word_quarantines(site: InHouse, saved_by: str) -> None:
    site.png("left.png")
    image = nib.Nifti1Image(drawn()[::-1].T, None)  # both form codes are 0
    if saved_by == "itk":  # which takes the voxels for upright, and keeps the remark
        image.set_sform(ITK_AFFINE, code=1)
        image.set_qform(ITK_AFFINE, code=1)
    image.header["descrip"] = b"TE=0;Time=104512.000"
    nib.save(image, site.root / "left_mask.nii.gz")
    assert site.read() == {}
    assert site.quarantined() == ["orientation-unclear"]


def test_what_dcm2niix_turned_and_said_comes_back(site: InHouse) -> None:
    site.png("left.png")
    said = np.array([[-0.05, 0, 0, 0], [0, 0.07, 0, -0.07 * (SIZE[1] - 1)], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(drawn()[::-1].T, said)
    image.header["descrip"] = b"Time=0.000"
    nib.save(image, site.root / "left_mask.nii.gz")
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def test_images_as_nifti_are_to_be_converted_and_not_to_be_unpacked(site: InHouse) -> None:
    write_nifti(site.root / "left.nii.gz", drawn().T)
    with pytest.raises(ManifestError, match=r"found none\. NIfTI \(left\.nii\.gz\) is read as masks alone"):
        site.read()


def test_a_scaled_mask_is_said_once(site: InHouse) -> None:
    site.png("left.png")
    write_nifti(site.root / "left_mask.nii", drawn()[::2, ::2].T)
    site.read()
    assert site.codes(Action.REPAIRED) == ["mask-rescaled"]
