"""Whether a mammogram is one a model may mark: implants, specimens, phantoms, marked-up copies and such.

What is no single-frame grey mammogram for presentation is refused when its pixels are read (`reading`).
Here are the images that can be shown to people but were never shown to a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from mammo_monai.dicom.reading import damage_refused, first_text, open_mammogram
from mammo_monai.dicom.refusal_codes import ACCEPTABLE, check_accepted, refused, warning_text
from mammo_monai.dicom.spacing import pixel_spacing_of

_SECONDARY_CAPTURES = (
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)
# Context groups 4014 and 4015, as SNOMED CT and as the older SNOMED RT codes most installed systems write.
_SPECIMEN_CODES = {"127457009", "G-8310"}
_MODIFIERS: Mapping[str, str] = {
    "399209000": "implant-displaced",
    "R-102D5": "implant-displaced",
    "399163009": "magnification",
    "R-102D6": "magnification",
    "399055006": "spot-compression",
    "R-102D7": "spot-compression",
}
_PROJECTIONS = {"TOMO_PROJ", "TOMO_SCOUT"}
_CONTRAST = {"PRE_CONTRAST", "POST_CONTRAST", "ADDITION", "SUBTRACTION", "LOW_ENERGY", "HIGH_ENERGY"}
_BIOPSY = ("STEREO_", "PREFIRE", "POSTFIRE", "POSTBIOPSY", "POSTMARKER")
_DIGITISED_FILM = {"DF", "SD"}
_LIKELY_SPACING_MM = (0.02, 0.5)
_LIKELY_SIDE_PX = 400
Found = Iterator[tuple[str, str]]


def warnings_of_file(path: Path, accept: Sequence[str] = ()) -> tuple[str, ...]:
    """The warnings that a DICOM file's header gives, once nothing in it refuses the image.

    Args:
        accept: codes of `refusal_codes.ACCEPTABLE` that are warned of instead of refused.

    Raises:
        UnsuitableImageError: the image is not to be marked; its `code` says why.
        DicomError: it cannot be read. ValueError: a code that nobody can accept.
    """
    path = Path(path)
    dataset = open_mammogram(path, headers_only=True)
    with damage_refused(path, "attributes of the mammography image IOD, got one that cannot be read"):
        return warnings_of(path, dataset, accept)


def warnings_of(path: Path, dataset: Dataset, accept: Sequence[str] = ()) -> tuple[str, ...]:
    """As `warnings_of_file`, with its errors, of a data set that is already open; `path` serves messages."""
    accepted = check_accepted(accept)
    warned = []
    for code, came in _found(dataset):
        if code in ACCEPTABLE and code not in accepted:
            raise refused(path, code, came)
        warned.append(warning_text(f"accepted-{code}" if code in ACCEPTABLE else code, came))
    return tuple(warned)


def reasons_in(dataset: Dataset) -> tuple[str, ...]:
    """The codes that a mammogram's header gives, refusals first."""
    return tuple(code for code, _ in _found(dataset))


def _found(dataset: Dataset) -> Found:
    """Codes with what came; refusals before warnings."""
    for check in _CHECKS:
        yield from check(dataset)


def _tomosynthesis_projection(dataset: Dataset) -> Found:
    for kind in _kinds(dataset) & _PROJECTIONS:
        yield "tomosynthesis-projection", f"Image Type {kind}"


def _implant(dataset: Dataset) -> Found:
    """Displaced views push the implant out of the field: they are marked, with a warning."""
    is_displaced = "implant-displaced" in _modifier_codes(dataset)
    if _is_yes(dataset, "BreastImplantPresent") and not is_displaced:
        yield "implant", "YES"


def _specimen(dataset: Dataset) -> Found:
    """Source: DICOM PS3.16 CID 4014 (tissue specimen from breast), PS3.3 C.7.6.22 (specimen)."""
    views = {first_text(item, "CodeValue") for item in dataset.get("ViewCodeSequence") or ()}
    if views & _SPECIMEN_CODES:
        yield "specimen", "the view code of a tissue specimen"
    elif dataset.get("SpecimenDescriptionSequence"):
        yield "specimen", "a specimen's description"


def _quality_control(dataset: Dataset) -> Found:
    """BOTH (a patient and a phantom in one image) has a breast that is not seen alone: refused as well."""
    value = first_text(dataset, "QualityControlImage").upper()
    if value in ("YES", "BOTH"):
        yield "quality-control", value


def _marked_up(dataset: Dataset) -> Found:
    """Secondary captures with something drawn in; a digitised film's label is burned in by its nature.

    Source: DICOM PS3.3 C.8.6.1 (Conversion Type DF, SD), C.7.6.1.1.2 (SECONDARY), C.9.2 (overlays).
    """
    if UID(first_text(dataset, "SOPClassUID")) not in _SECONDARY_CAPTURES:
        return
    is_film = first_text(dataset, "ConversionType").upper() in _DIGITISED_FILM
    if _is_yes(dataset, "BurnedInAnnotation") and not is_film:
        yield "marked-up", "a secondary capture with Burned In Annotation YES"
    elif _has_overlay(dataset) and "SECONDARY" in _kinds(dataset):
        yield "marked-up", "a secondary capture with graphics over it"


def _modality(dataset: Dataset) -> Found:
    """What `reading.open_mammogram` lets pass: a film that somebody scanned, of Modality OT."""
    if first_text(dataset, "Modality").upper() == "OT":
        yield "other-modality", "Modality OT"


def _view_modifiers(dataset: Dataset) -> Found:
    for code in sorted(_modifier_codes(dataset)):
        yield code, "a view with this modifier"


def _image_type(dataset: Dataset) -> Found:
    """Source: DICOM PS3.3 C.8.11.7.1.4, values 3 to 5."""
    kinds = _kinds(dataset)
    if "GENERATED_2D" in kinds:
        yield "generated-2d", "Image Type GENERATED_2D"
    for kind in sorted(kinds & _CONTRAST)[:1]:
        yield "contrast-enhanced", f"Image Type {kind}"
    if any(kind.startswith(_BIOPSY) for kind in kinds):
        yield "biopsy", "Image Type of a biopsy"


def _partial_view(dataset: Dataset) -> Found:
    if _is_yes(dataset, "PartialView"):
        yield "partial-view", "Partial View YES"


def _spacing(dataset: Dataset) -> Found:
    spacing, _ = pixel_spacing_of(dataset)
    low, high = _LIKELY_SPACING_MM
    if spacing is not None and not all(low <= each <= high for each in spacing):
        yield "unlikely-spacing", f"{spacing[0]:g} × {spacing[1]:g} mm (rows × columns)"


def _size(dataset: Dataset) -> Found:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if min(rows, columns) < _LIKELY_SIDE_PX:
        yield "small-image", f"{rows} × {columns} px (rows × columns)"


_CHECKS: tuple[Callable[[Dataset], Found], ...] = (
    _tomosynthesis_projection,
    _implant,
    _specimen,
    _quality_control,
    _marked_up,
    _modality,
    _view_modifiers,
    _image_type,
    _partial_view,
    _spacing,
    _size,
)


def _is_yes(dataset: Dataset, keyword: str) -> bool:
    return first_text(dataset, keyword).upper() == "YES"


def _kinds(dataset: Dataset) -> set[str]:
    """The values of Image Type."""
    value = dataset.get("ImageType") or ()
    return {str(each).strip().upper() for each in ([value] if isinstance(value, str) else value)}


def _modifier_codes(dataset: Dataset) -> set[str]:
    """Reasons in the view modifiers: the standard nests them in the view's item, some write them beside."""
    views = dataset.get("ViewCodeSequence") or ()
    items = [item for each in (*views, dataset) for item in each.get("ViewModifierCodeSequence") or ()]
    codes = {first_text(item, "CodeValue") for item in items}
    return {_MODIFIERS[code] for code in codes if code in _MODIFIERS}


def _has_overlay(dataset: Dataset) -> bool:
    """Whether an overlay plane's data (60xx,3000) is there."""
    return any(tag.group >> 8 == 0x60 and tag.element == 0x3000 for tag in dataset.keys())  # noqa: SIM118  # tags, not elements
