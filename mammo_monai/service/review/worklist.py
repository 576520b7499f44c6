"""The images to review: what the detections name, where the files lie, and how readers hang them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mammo_monai.dicom import read_attributes
from mammo_monai.dicom.name_patterns import laterality_in_text, view_position_in_text
from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.errors import DicomError, ManifestError
from mammo_monai.files import content_sha256
from mammo_monai.readers.folder.files import files_below, is_image, without_masks
from mammo_monai.records import Detections, ImageRecord, Laterality, ViewPosition, record_id_of
from mammo_monai.schema import detections_format, read_detections, read_manifest
from mammo_monai.schema.fields import Json

logger = logging.getLogger(__name__)

DETECTIONS = "detections.json"
_READERS = 8
_SIDES = (Laterality.RIGHT, Laterality.LEFT, None)  # as on a light box: the right breast hangs at the left
_VIEWS = (*ViewPosition, None)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
# The side and view at the end of an id that some archives give every image for itself.
_SIDE_AND_VIEW = re.compile(r"[\s_\-.]*(LEFT|RIGHT|L|R)[\s_\-.]*(XCCL|MLO|CC|ML|LM)$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class ReviewImage:
    """An image of the worklist.

    Attributes:
        record_id: of the detections. path: absolute; None where nobody knows it.
        width, height: pixels; 0 where the file cannot be read.
        patient: the patient's place in the worklist, from 1; 0 where the patient is unknown.
        patient_id: as header or manifest have it; "" where unknown. Never written; shown if asked for.
        patient_key: as a manifest has it, else "patient-1" and so on; "" where unknown. For files.
        fault: why the image cannot be shown, in words that name no file; "" where it can.
    """

    record_id: str
    detections: Detections
    path: Path | None = None
    width: int = 0
    height: int = 0
    laterality: Laterality | None = None
    view_position: ViewPosition | None = None
    patient_id: str = ""
    patient_key: str = ""
    patient: int = 0
    is_dicom: bool = False
    fault: str = ""

    @property
    def name(self) -> str:
        """What the image is called on the page, such as "R MLO"."""
        known = [each.value for each in (self.laterality, self.view_position) if each is not None]
        return " ".join(known) or "View unknown"

    @property
    def plain_name(self) -> str:
        """What the image's own files are called: its record id, or a hash where that is no file name."""
        is_plain = _PLAIN_NAME.fullmatch(self.record_id)
        return self.record_id if is_plain else record_id_of(self.record_id, "review")


@dataclass(frozen=True, eq=False)
class Worklist:
    """The images in the order they hang, and what the detections say of their model.

    Attributes:
        source: detections.json, or the folder of images nobody has marked yet.
        sha256: of detections.json; for a folder, of nothing: "".
    """

    images: tuple[ReviewImage, ...]
    source: Path
    model: Json = field(default_factory=dict)
    sha256: str = ""


def read_worklist(source: Path, *, manifest: Path | None = None) -> Worklist:
    """The images of a detections.json, of a folder with one in it, or of a folder of images without marks.

    Patients hang in the order they come; within a patient, the right breast before the left, CC before MLO.
    A manifest tells side, view and patient; without it they are read from DICOM headers and file names.

    Raises:
        ManifestError: no such file, not a detections.json, a manifest of prepared copies (boxes would lie
            elsewhere), or no image at all.
    """
    source = Path(source)
    if source.is_dir() and (source / DETECTIONS).is_file():
        source = source / DETECTIONS
    records = _records(manifest)
    if source.is_dir() and detections_format(source) == "json":
        detections, model, sha256 = _unmarked(source, records), {}, ""
    else:
        content = read_detections(source)
        detections, model, sha256 = content.detections, dict(content.model), content_sha256(source)
    if not detections:
        raise ManifestError(
            f"{source}: holds no image. Run `mammo-monai predict` on some, then review these."
        )
    with ThreadPoolExecutor(_READERS) as pool:
        images = list(pool.map(lambda each: _image(each, records.get(each.record_id), source), detections))
    if faulty := sum(bool(image.fault) for image in images):
        logger.warning("%d of %d images cannot be shown; the page says why", faulty, len(images))
    return Worklist(tuple(_hung(images)), source, model, sha256)


def _records(manifest: Path | None) -> dict[str, ImageRecord]:
    if manifest is None:
        return {}
    records = {record.record_id: record for record in read_manifest(manifest).images()}
    if any(record.prepared is not None for record in records.values()):
        raise ManifestError(
            f"{manifest}: lists prepared copies, whose pixels lie elsewhere than the boxes. "
            "Give the manifest they were prepared from."
        )
    return records


def _unmarked(folder: Path, records: Mapping[str, ImageRecord]) -> tuple[Detections, ...]:
    """Every image of the manifest, or of the folder, without a mark."""
    if records:
        return tuple(Detections(record.record_id, image=record.image) for record in records.values())
    images = without_masks([path for path in files_below(folder) if is_image(path)], folder)
    named = ((path, path.relative_to(folder).as_posix()) for path in images)
    return tuple(Detections(record_id_of(name, ""), image=path.absolute()) for path, name in named)


def _image(detections: Detections, record: ImageRecord | None, source: Path) -> ReviewImage:
    image = ReviewImage(detections.record_id, detections)
    path = _located(record.image if record else detections.image, source)
    if path is None:
        return replace(image, fault="the detections name no file; give the manifest of these images")
    try:
        found = _with_header(replace(image, path=path))
    except Exception as error:  # decoders raise whatever they meet in damaged bytes
        logger.debug("%s: %s: %s", path, type(error).__name__, error)
        found = replace(image, path=path, fault=reason_of(path, error))
    return found if record is None else _with_record(found, record)


def _located(image: Path | None, source: Path) -> Path | None:
    """The image as named, else seen from the folder of the detections."""
    if image is None:
        return None
    beside = source.parent / image
    return (beside if not image.exists() and beside.exists() else image).absolute()


def _with_header(image: ReviewImage) -> ReviewImage:
    path = image.path
    if path is None or not path.is_file():
        raise FileNotFoundError(path)
    if path.suffix.lower() not in (".dcm", ".dicom") and not is_dicom(path):
        with Image.open(path) as picture:
            width, height = picture.size
        side, view = laterality_in_text(path.stem), view_position_in_text(path.stem)
        return replace(image, width=width, height=height, laterality=side, view_position=view)
    header = read_attributes(path)
    return replace(
        image,
        width=header.columns,
        height=header.rows,
        laterality=header.laterality,
        view_position=header.view_position,
        patient_id=_SIDE_AND_VIEW.sub("", header.patient_id.strip()),
        is_dicom=True,
    )


def _with_record(image: ReviewImage, record: ImageRecord) -> ReviewImage:
    if not image.fault and (image.width, image.height) != (record.width, record.height):
        image = replace(image, fault="the file has another size than its manifest says")
    return replace(
        image,
        laterality=record.laterality or image.laterality,
        view_position=record.view_position or image.view_position,
        patient_id=image.patient_id or record.patient_id,
        patient_key=record.patient_id,
    )


def reason_of(path: Path, error: Exception) -> str:
    """One of a few sentences: a decoder's own message may hold a path, or an element of the header."""
    if isinstance(error, FileNotFoundError) or not path.exists():
        return "the file is not there"
    if isinstance(error, PermissionError):
        return "the file may not be read"
    if isinstance(error, DicomError):
        return "the DICOM file is damaged, cut short, not for presentation, or no mammogram"
    if isinstance(error, UnidentifiedImageError):
        return "the file holds no image of a known format"
    return "the file is damaged or cut short"


def _hung(images: Sequence[ReviewImage]) -> list[ReviewImage]:
    """Numbers the patients and sorts the images of each; those of unknown patients come last, as they are."""
    numbers: dict[str, int] = {}
    for image in images:
        if _known_as(image):
            numbers.setdefault(_known_as(image), len(numbers) + 1)
    numbered = [replace(image, patient=numbers.get(_known_as(image), 0)) for image in images]
    keyed = [replace(each, patient_key=_key(each)) for each in numbered]
    return sorted(keyed, key=_place)


def _known_as(image: ReviewImage) -> str:
    return image.patient_key or image.patient_id


def _key(image: ReviewImage) -> str:
    return image.patient_key or (f"patient-{image.patient}" if image.patient else "")


def _place(image: ReviewImage) -> tuple[bool, int, int, int]:
    if not image.patient:
        return True, 0, 0, 0
    return False, image.patient, _SIDES.index(image.laterality), _VIEWS.index(image.view_position)
