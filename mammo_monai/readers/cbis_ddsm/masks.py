"""Chooses the one ROI mask of an abnormality in CBIS-DDSM, wherever the table's mask and crop columns point.

Findings: mask-rescaled, mask-repeated, mask-chosen, mask-specks (repaired); mask-parts, crop-unreadable,
crop-unplaced (warned); mask-missing, mask-unreadable, mask-empty, mask-full, mask-aspect, mask-ambiguous,
mask-elsewhere, mask-mismatch (quarantined).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.cbis_ddsm.case_tables import CASE_FOLDER, CaseRow
from mammo_monai.readers.cbis_ddsm.crops import agrees, is_apart, is_provable, locate_crop, locate_near
from mammo_monai.readers.dicom_candidates import is_picture, size_of, stored_values_of
from mammo_monai.readers.file_index import FileIndex
from mammo_monai.readers.image_header import elements_of
from mammo_monai.readers.roi_masks import RoiMask, find_roi_masks, shows_same_field
from mammo_monai.records import Box
from mammo_monai.schema import Action

# No lesion fills a film, and none is as small as a few pixels. No source: far outside of what is drawn.
MAX_MARKED_SHARE = 0.75
MIN_MARKED_PX = 4


@dataclass(frozen=True)
class Film:
    """A full image whose masks are sought: its file, its size in pixels, its record id.

    Attributes:
        has_crops_checked: hold every mask against its crop, for which the film is decoded.
    """

    path: Path
    width: int
    height: int
    record_id: str
    has_crops_checked: bool = True


def mask_of(case: CaseRow, film: Film, index: FileIndex, audit: Audit, where: str) -> RoiMask:
    """The mask of one abnormality, found by content among the files its row and its case folder lead to.

    Files that mark the same pixels count once. Of masks that differ, the one the crop shows is taken, when
    the crop's content has exactly one place in the film and one mask fits it; else the image is left out.
    A mask of another size must not contradict the crop; any other must touch the crop's place, else one of
    the two is another lesion's.

    Args:
        where: table and row, for messages.

    Raises:
        InvalidRecordError: no mask, or none that can be told.
    """
    candidates = _candidates(case, film, index)
    masks = _once(find_roi_masks(candidates, film.width, film.height), case, film, audit)
    if not masks:
        found = f"no ROI mask for {_name(case)} among {len(candidates)} files"
        remedy = f"Expected a binary image of {film.width} × {film.height} px at {case.mask_path!r}."
        raise InvalidRecordError("mask-missing", where, found, remedy)
    mask = masks[0] if len(masks) == 1 else _chosen(masks, candidates, case, film, where)
    _refuse_no_lesion(mask, case, where)
    _refuse_other_lesion(mask, case, where)
    if len(masks) > 1:
        found = f"{len(masks)} ROI masks for {_name(case)}: the one that the crop shows is taken"
        audit.note("mask-chosen", film.record_id, found, Action.REPAIRED, place=case.place)
    elif (mask.width, mask.height) != (film.width, film.height):
        _check_rescaled(mask, candidates, case, film, where)
    elif film.has_crops_checked:
        _check_place(mask, candidates, case, film, audit, where)
    _note_mask(mask, case, film, audit)
    return mask


def _candidates(case: CaseRow, film: Film, index: FileIndex) -> list[Path]:
    parts = PurePosixPath(case.image_path.replace("\\", "/")).parts
    case_folder = f"{parts[0]}_{case.abnormality_id}"
    found = dict.fromkeys(
        [
            *index.locate(case.mask_path),
            *index.locate(case.cropped_path),
            *index.in_folder(case_folder),
        ]
    )
    found.pop(film.path, None)
    return [*found]


def _once(masks: Sequence[RoiMask], case: CaseRow, film: Film, audit: Audit) -> list[RoiMask]:
    """Masks that mark different pixels; a file that repeats another one is noted."""
    once: dict[tuple[int, int, str], RoiMask] = {}
    for mask in masks:
        once.setdefault((mask.width, mask.height, mask.digest), mask)
    if len(once) < len(masks):
        found = f"{len(masks)} files with the same ROI mask for {_name(case)}; one is used"
        audit.note("mask-repeated", film.record_id, found, Action.REPAIRED, place=case.place)
    return [*once.values()]


def _chosen(
    masks: Sequence[RoiMask], candidates: Sequence[Path], case: CaseRow, film: Film, where: str
) -> RoiMask:
    shown = _crop_boxes(candidates, masks, film)
    fitting = [mask for mask in masks if any(agrees(mask.box, box) for box in shown)]
    if len(shown) == 1 and len(fitting) == 1:
        return fitting[0]
    found = f"{len(masks)} different ROI masks for {_name(case)}, and the crop does not tell which holds"
    raise InvalidRecordError("mask-ambiguous", where, found, f"See {masks[0].path.parent}.")


def _check_rescaled(mask: RoiMask, candidates: Sequence[Path], case: CaseRow, film: Film, where: str) -> None:
    shown = _crop_boxes(candidates, [mask], film)
    if shown and not any(agrees(mask.box, box) for box in shown):
        found = f"the ROI mask for {_name(case)}, of another size, marks another place than the crop shows"
        raise InvalidRecordError("mask-elsewhere", where, found, f"See {mask.path.parent}.")


def _check_place(
    mask: RoiMask, candidates: Sequence[Path], case: CaseRow, film: Film, audit: Audit, where: str
) -> None:
    crops = [path for path in candidates if path != mask.path and not _is_film_sized(path, film)]
    pixels = [each for each in map(stored_values_of, crops) if each is not None]
    if not pixels and (crops or any(size_of(path) is None for path in candidates)):
        found = f"the crop of {_name(case)} cannot be read: its mask was not held against it"
        audit.note("crop-unreadable", film.record_id, found, place=case.place)
    image = stored_values_of(film.path) if pixels else None
    near = [] if image is None else [locate_near(image, crop, mask.box) for crop in pixels]
    if image is None or any(box is not None and not is_apart(mask.box, box) for box in near):
        return
    shown = [box for box in (locate_crop(image, crop) for crop in pixels) if box is not None]
    if shown and all(is_apart(mask.box, box) for box in shown):
        found = f"the ROI mask for {_name(case)} marks another place than the crop shows"
        raise InvalidRecordError("mask-elsewhere", where, found, f"See {mask.path.parent}.")
    # MONOCHROME1 films lie inverted beside crops that may not.
    inverse = image.max() - image
    if not shown and any(is_provable(crop) and not locate_crop(inverse, crop) for crop in pixels):
        found = f"the crop of {_name(case)} shows no place of the film: one of the two may be another's"
        audit.note("crop-unplaced", film.record_id, found, place=case.place)


def _refuse_no_lesion(mask: RoiMask, case: CaseRow, where: str) -> None:
    share = mask.marked_px / (mask.width * mask.height)
    if share <= MAX_MARKED_SHARE and mask.marked_px >= MIN_MARKED_PX:
        return
    code, found = "mask-empty", f"marks {mask.marked_px} pixels, too few for a lesion"
    if share > MAX_MARKED_SHARE:
        code, found = "mask-full", f"marks {100 * share:.0f} % of the film: black and white may be swapped"
    raise InvalidRecordError(code, where, f"the ROI mask for {_name(case)} {found}", f"See {mask.path}.")


def _refuse_other_lesion(mask: RoiMask, case: CaseRow, where: str) -> None:
    """Refuses a mask whose own PatientID names another case or lesion, where it names one at all."""
    header = None if is_picture(mask.path) else elements_of(mask.path, "PatientID")
    own = CASE_FOLDER.fullmatch(str(header.get("PatientID", "")).strip()) if header else None
    wanted = CASE_FOLDER.fullmatch(PurePosixPath(case.image_path.replace("\\", "/")).parts[0])
    if own is None or wanted is None:
        return
    lesion = own[5] and own[5] != f"_{case.abnormality_id}"
    if own[1].lower() != wanted[1].lower() or lesion:
        whose = "lesion" if lesion else "case"
        found = f"the ROI mask for {_name(case)} belongs to another {whose} by its header"
        raise InvalidRecordError("mask-mismatch", where, found, f"Download that case again. See {mask.path}.")


def _is_film_sized(path: Path, film: Film) -> bool:
    size = size_of(path)
    return size is None or shows_same_field(size, (film.width, film.height))


def _crop_boxes(candidates: Sequence[Path], masks: Sequence[RoiMask], film: Film) -> list[Box]:
    """The places in the film, original pixels, that candidates were cut from, at its scale or a mask's."""
    image = stored_values_of(film.path)
    mask_files = {mask.path for mask in masks}
    boxes: list[Box] = []
    for path in candidates:
        if image is None or path in mask_files or _is_film_sized(path, film):
            continue
        crop = stored_values_of(path)
        box = None if crop is None else _crop_box(image, crop, masks, film)
        if box is not None and box not in boxes:
            boxes.append(box)
    return boxes


def _crop_box(
    image: NDArray[np.integer], crop: NDArray[np.integer], masks: Sequence[RoiMask], film: Film
) -> Box | None:
    box = locate_crop(image, crop)
    for width, height in {(mask.width, mask.height) for mask in masks} - {(film.width, film.height)}:
        if box is not None:
            break
        # The crop may have been cut at the mask's scale.
        scale_x, scale_y = film.width / width, film.height / height
        box = locate_crop(image, _stretched(crop, scale_x, scale_y))
    return box


def _stretched(crop: NDArray[np.integer], scale_x: float, scale_y: float) -> NDArray[np.integer]:
    """The crop at another scale, each pixel taken from the nearest one."""
    height, width = (max(1, round(n * s)) for n, s in zip(crop.shape, (scale_y, scale_x), strict=True))
    rows = np.minimum((np.arange(height) / scale_y).astype(int), crop.shape[0] - 1)
    columns = np.minimum((np.arange(width) / scale_x).astype(int), crop.shape[1] - 1)
    return np.asarray(crop[rows[:, None], columns[None, :]])


def _note_mask(mask: RoiMask, case: CaseRow, film: Film, audit: Audit) -> None:
    if (mask.width, mask.height) != (film.width, film.height):
        found = f"a mask of {mask.width} × {mask.height} px was scaled to {film.width} × {film.height} px"
        audit.note("mask-rescaled", film.record_id, found, Action.REPAIRED, place=case.place)
    if mask.specks:
        found = f"{mask.specks} stray specks beside the mask of {_name(case)} were left out of its box"
        audit.note("mask-specks", film.record_id, found, Action.REPAIRED, place=case.place)
    if mask.parts > 1:
        found = f"the mask of {_name(case)} has {mask.parts} separate parts; the box is around all"
        audit.note("mask-parts", film.record_id, found, place=case.place)


def _name(case: CaseRow) -> str:
    return f"{case.abnormality_type} {case.abnormality_id}"
