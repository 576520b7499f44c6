"""What a mammogram's header says: side, view, spacing, identity, each with documented fallbacks.

Headers are often incomplete: scanned films carry the view in Patient Orientation and the side in an older
tag, anonymised files keep both only in their name. Each fallback is tried in the order written here, the
source of what was found is kept, and what no source says stays None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydicom.dataset import Dataset

from mammo_monai.dicom.name_patterns import laterality_in_text, view_position_in_text
from mammo_monai.dicom.reading import damage_refused, first_text, open_mammogram, presentation_intent
from mammo_monai.dicom.refusals import reasons_in
from mammo_monai.dicom.spacing import pixel_spacing_of
from mammo_monai.records import Laterality, ViewPosition

_Found = TypeVar("_Found")
# Context group 4014, as SNOMED CT and as the older SNOMED RT codes most installed systems write.
_VIEW_CODES: Mapping[str, ViewPosition] = {
    "399162004": ViewPosition.CC,
    "R-10242": ViewPosition.CC,
    "399368009": ViewPosition.MLO,
    "R-10226": ViewPosition.MLO,
    "399260004": ViewPosition.ML,
    "R-10224": ViewPosition.ML,
    "399352003": ViewPosition.LM,
    "R-10228": ViewPosition.LM,
    "399192008": ViewPosition.XCCL,
    "R-1024A": ViewPosition.XCCL,
}


@dataclass(frozen=True)
class MammogramAttributes:
    """The header of one mammogram.

    Attributes:
        sop_instance_uid: "" where the file has none.
        patient_id: "" where the file has none.
        photometric_interpretation: as stored, MONOCHROME1 or MONOCHROME2; pixels are always the latter.
        laterality_source, view_position_source, pixel_spacing_source: the attribute that told, or None.
        pixel_spacing_mm: `(row, column)`: distance between rows, then between columns; None if unknown,
            never guessed.
        presentation_intent: "FOR PRESENTATION", "FOR PROCESSING" or None.
        bits_stored: 0 where the file does not say.
        reasons: why a model should not mark it, or with care; codes of `refusal_codes.REASONS`.
    """

    sop_instance_uid: str
    patient_id: str
    rows: int
    columns: int
    photometric_interpretation: str
    laterality: Laterality | None
    view_position: ViewPosition | None
    pixel_spacing_mm: tuple[float, float] | None
    presentation_intent: str | None
    bits_stored: int
    laterality_source: str | None = None
    view_position_source: str | None = None
    pixel_spacing_source: str | None = None
    reasons: tuple[str, ...] = ()


def read_attributes(path: Path | str) -> MammogramAttributes:
    """Reads a mammogram's header only, without its pixels; FOR PROCESSING images are read too.

    Raises:
        DicomError: missing, unreadable or not a single-frame grey mammogram.
    """
    path = Path(path)
    return attributes_of(path, open_mammogram(path, headers_only=True))


def attributes_of(path: Path, dataset: Dataset) -> MammogramAttributes:
    """Attributes of a data set that is already open; `path` serves the file name fallback and messages."""
    expected = "attributes of the mammography image IOD, got one that cannot be read"
    with damage_refused(path, expected, "Correct the tag, or export the file again."):
        laterality, laterality_source = _first_found(_LATERALITY_SOURCES, dataset, path)
        view_position, view_source = _first_found(_VIEW_SOURCES, dataset, path)
        spacing, spacing_source = pixel_spacing_of(dataset)
        meta_uid = first_text(dataset.file_meta, "MediaStorageSOPInstanceUID")
        return MammogramAttributes(
            sop_instance_uid=first_text(dataset, "SOPInstanceUID") or meta_uid,
            patient_id=first_text(dataset, "PatientID"),
            rows=int(dataset.Rows),
            columns=int(dataset.Columns),
            photometric_interpretation=first_text(dataset, "PhotometricInterpretation").upper(),
            laterality=laterality,
            view_position=view_position,
            pixel_spacing_mm=spacing,
            presentation_intent=presentation_intent(dataset),
            bits_stored=int(first_text(dataset, "BitsStored") or 0),
            laterality_source=laterality_source,
            view_position_source=view_source,
            pixel_spacing_source=spacing_source,
            reasons=reasons_in(dataset),
        )


def _first_found(
    sources: Mapping[str, Callable[[Dataset, Path], _Found | None]], dataset: Dataset, path: Path
) -> tuple[_Found | None, str | None]:
    for name, source in sources.items():
        if (found := source(dataset, path)) is not None:
            return found, name
    return None, None


def _laterality_code(text: str) -> Laterality | None:
    """L or R; B (both breasts) and U (unpaired) name no side."""
    return {"L": Laterality.LEFT, "R": Laterality.RIGHT}.get(text.strip().upper())


def _frame_laterality(dataset: Dataset, _: Path) -> Laterality | None:
    for groups in dataset.get("SharedFunctionalGroupsSequence") or ():
        for anatomy in groups.get("FrameAnatomySequence") or ():
            if (found := _laterality_code(first_text(anatomy, "FrameLaterality"))) is not None:
                return found
    return None


def _view_name(dataset: Dataset, path: Path) -> ViewPosition | None:
    """None for a word that is no view where the View Code Sequence tells one."""
    name = first_text(dataset, "ViewPosition").upper()
    if not name:
        return None
    if name in ViewPosition.__members__:
        return ViewPosition(name)
    return None if _view_code(dataset, path) not in (None, ViewPosition.OTHER) else ViewPosition.OTHER


def _view_code(dataset: Dataset, _: Path) -> ViewPosition | None:
    for item in dataset.get("ViewCodeSequence") or ():
        if code := first_text(item, "CodeValue"):
            return _VIEW_CODES.get(code, ViewPosition.OTHER)
    return None


def _view_in_orientation(dataset: Dataset, _: Path) -> ViewPosition | None:
    """Patient Orientation holds directions such as A\\FR; scanned films put the view there."""
    name = first_text(dataset, "PatientOrientation").upper()
    return ViewPosition(name) if name in ViewPosition.__members__ else None


_LATERALITY_SOURCES: Mapping[str, Callable[[Dataset, Path], Laterality | None]] = {
    "ImageLaterality": lambda dataset, _: _laterality_code(first_text(dataset, "ImageLaterality")),
    "Laterality": lambda dataset, _: _laterality_code(first_text(dataset, "Laterality")),
    "FrameLaterality": _frame_laterality,
    "PatientID": lambda dataset, _: laterality_in_text(first_text(dataset, "PatientID")),
    "SeriesDescription": lambda dataset, _: laterality_in_text(first_text(dataset, "SeriesDescription")),
    "file name": lambda _, path: laterality_in_text(path.stem),
}

_VIEW_SOURCES: Mapping[str, Callable[[Dataset, Path], ViewPosition | None]] = {
    "ViewPosition": _view_name,
    "ViewCodeSequence": _view_code,
    "PatientOrientation": _view_in_orientation,
    "PatientID": lambda dataset, _: view_position_in_text(first_text(dataset, "PatientID")),
    "SeriesDescription": lambda dataset, _: view_position_in_text(
        first_text(dataset, "SeriesDescription"), alone=True
    ),
    "file name": lambda _, path: view_position_in_text(path.stem),
}
