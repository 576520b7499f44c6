"""Opening a file as a DICOM data set, and refusing what is no single-frame mammogram."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from mammo_monai.dicom.bounded import MAX_INFLATED_BYTES, MAX_PIXELS, read_bounded
from mammo_monai.dicom.unquoted import MODALITIES, PHOTOMETRICS, shown_term, without_values
from mammo_monai.errors import DicomError, UnsuitableImageError

FOR_PROCESSING = "FOR PROCESSING"
MAMMOGRAPHY_CLASSES = (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)
_TOMOSYNTHESIS_CLASSES = (
    BreastTomosynthesisImageStorage,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
)


def open_mammogram(path: Path, *, headers_only: bool) -> Dataset:
    """A data set that says it is one single-frame, one-channel mammogram; the intent is not judged here.

    A file without the 128-byte preamble is read when what follows names a SOP class or a modality, and an
    image size: the look of a bare data set, never that of a text file or a picture.

    Raises:
        DicomError: missing, unreadable, truncated or not DICOM; another modality than MG; several frames;
            colour; or no image size.
    """
    path = Path(path)
    if not headers_only and path.is_file() and path.stat().st_size > MAX_INFLATED_BYTES:
        open_mammogram(path, headers_only=True)  # a stack of frames is refused as what it is
        raise DicomError(
            f"{path}: expected one mammogram, at most {MAX_INFLATED_BYTES >> 20} MiB, got a file of "
            f"{path.stat().st_size >> 20} MiB. It is damaged, or holds more than an image: leave it out."
        )
    dataset = _read(path, headers_only)
    with damage_refused(path):
        _refuse_other_objects(path, dataset)
    return dataset


@contextmanager
def damage_refused(
    path: Path,
    expected: str = "a whole DICOM file, got one that cannot be parsed",
    remedy: str = "It is damaged or cut short: copy it again from its source.",
) -> Iterator[None]:
    """Turns whatever pydicom raises on bytes that break its expectations into a DicomError.

    pydicom parses an element when it is first asked for, so damage shows anywhere; random changes to files
    brought out too many kinds of exceptions to list (struct.error, zlib.error, NotImplementedError, …). Its
    words stay out: they quote values.
    """
    try:
        yield
    except DicomError:
        raise
    except Exception as error:
        # The cause would show pydicom's own words, and with them the patient's, in a traceback.
        cause = error if isinstance(error, OSError) else None
        raise DicomError(f"{path}: expected {expected} ({without_values(error)}). {remedy}") from cause


def presentation_intent(dataset: Dataset) -> str | None:
    """FOR PRESENTATION, FOR PROCESSING, or None where neither tag nor SOP class says it.

    Scanned films are secondary captures and carry no intent.

    Source: DICOM PS3.3 C.8.11.1.1.2 (Presentation Intent Type), PS3.4 B.5 (SOP classes).
    """
    named = first_text(dataset, "PresentationIntentType").upper()
    if named:
        return named
    intents = {
        DigitalMammographyXRayImageStorageForPresentation: "FOR PRESENTATION",
        DigitalMammographyXRayImageStorageForProcessing: FOR_PROCESSING,
    }
    return intents.get(UID(first_text(dataset, "SOPClassUID")))


def refuse_for_processing(path: Path, dataset: Dataset) -> None:
    """Raises DicomError when an image is meant for processing, not for reading by people."""
    with damage_refused(path):
        intent = presentation_intent(dataset)
    if intent == FOR_PROCESSING:
        raise UnsuitableImageError(
            f"{path}: expected an image for presentation, got Presentation Intent Type (0008,0068) "
            "FOR PROCESSING: raw detector values, which look unlike what models are trained on. Use the FOR "
            "PRESENTATION image of the same view: the archive holds it, or the acquisition station makes it.",
            "for-processing",
        )


def refuse_too_many_pixels(path: Path, dataset: Dataset) -> None:
    """Raises DicomError when Rows and Columns multiply to more pixels than the largest film has."""
    with damage_refused(path):
        rows, columns = (int(first_text(dataset, keyword) or 0) for keyword in ("Rows", "Columns"))
    if rows * columns > MAX_PIXELS:
        raise DicomError(
            f"{path}: expected at most {MAX_PIXELS} pixels, more than a film of 24 × 30 cm has at 25 µm, got "
            f"{rows} × {columns}. Rows or Columns are damaged: copy the file again from its source."
        )


def first_text(dataset: Dataset, keyword: str) -> str:
    """First value of an element as stripped text; "" when it is absent or empty."""
    value = dataset.get(keyword)
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        value = next(iter(value), "")
    return str(value).strip()


def _read(path: Path, headers_only: bool) -> Dataset:
    if not path.is_file():
        raise DicomError(f"{path}: expected a DICOM file, found {_what_is_there(path)}. Check the path.")
    with damage_refused(path):
        try:
            dataset: Dataset = read_bounded(path, name=path, headers_only=headers_only)
            if not dataset:  # compressed pixels that end too early: pydicom gives back no element at all
                raise EOFError("it ends in the middle of its pixel data, or before the first element")
            return dataset
        except InvalidDicomError:
            return _read_without_preamble(path, headers_only)
        except PermissionError as error:
            raise DicomError(
                f"{path}: expected a readable file, got {error.strerror}. Change its rights."
            ) from error


def _what_is_there(path: Path) -> str:
    return "a folder" if path.is_dir() else "nothing there"


def _read_without_preamble(path: Path, headers_only: bool) -> Dataset:
    dataset = Dataset()
    with suppress(Exception):  # forced onto a text or a picture, pydicom may raise anything
        dataset = read_bounded(path, name=path, headers_only=headers_only, force=True)
    if not (("SOPClassUID" in dataset or "Modality" in dataset) and "Rows" in dataset):
        raise DicomError(
            f"{path}: expected a DICOM file (DICM at byte 128, or a bare data set), got something else. "
            "Give the original .dcm file; PNG and JPG images are read without DICOM."
        )
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _native_syntax(dataset)
    return dataset


def _native_syntax(dataset: Dataset) -> UID:
    """A bare data set names no transfer syntax; its own encoding leaves one uncompressed choice."""
    is_implicit, is_little = dataset.original_encoding
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


def _refuse_other_objects(path: Path, dataset: Dataset) -> None:
    sop_class = UID(first_text(dataset, "SOPClassUID"))
    modality = first_text(dataset, "Modality").upper()
    is_mammogram = modality == "MG" or (not modality and sop_class in MAMMOGRAPHY_CLASSES)
    if not is_mammogram and not _is_scanned_film(dataset, sop_class, modality):
        raise UnsuitableImageError(
            f"{path}: expected Modality (0008,0060) MG, got {shown_term(modality, MODALITIES)}. Only "
            "mammograms are read: leave this file out, or correct the tag if it is a mammogram.",
            "modality",
        )
    frames = int(first_text(dataset, "NumberOfFrames") or 1)
    if frames < 1:
        raise UnsuitableImageError(
            f"{path}: expected Number of Frames (0028,0008) of 1, got {frames}. Correct the tag if the file "
            "holds an image, or export it again.",
            "no-image",
        )
    if sop_class in _TOMOSYNTHESIS_CLASSES or frames != 1:
        raise UnsuitableImageError(
            f"{path}: expected one frame, got {frames} (tomosynthesis or multi-frame). Use the 2-D mammogram "
            "or the synthesised view of the same breast.",
            "several-frames",
        )
    _refuse_colour(path, dataset)
    for keyword, tag in (("Rows", "(0028,0010)"), ("Columns", "(0028,0011)")):
        if int(first_text(dataset, keyword) or 0) < 1:
            raise UnsuitableImageError(
                f"{path}: expected {keyword} {tag} of at least 1, got none. It is no image; leave it out.",
                "no-image",
            )
    refuse_too_many_pixels(path, dataset)


def _is_scanned_film(dataset: Dataset, sop_class: UID, modality: str) -> bool:
    """Digitisers that know no mammography write secondary captures of Modality OT, and name the body part."""
    body_part = first_text(dataset, "BodyPartExamined").upper()
    return modality == "OT" and sop_class == SecondaryCaptureImageStorage and body_part == "BREAST"


def _refuse_colour(path: Path, dataset: Dataset) -> None:
    photometric = first_text(dataset, "PhotometricInterpretation").upper()
    samples = int(first_text(dataset, "SamplesPerPixel") or 1)
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsuitableImageError(
            f"{path}: expected Photometric Interpretation (0028,0004) MONOCHROME1 or MONOCHROME2, one "
            f"channel, got {shown_term(photometric, PHOTOMETRICS)} with {samples} samples per pixel. Colour "
            "is a screen copy or a report without the detector's grey values: use the original image.",
            "colour",
        )
