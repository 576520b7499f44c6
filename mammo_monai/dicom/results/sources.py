"""Finds the image that detections speak of: by their own path, a manifest, or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mammo_monai.dicom.reading import open_mammogram
from mammo_monai.dicom.results.marked_image import MarkedImage
from mammo_monai.errors import DicomError
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import read_manifest


@dataclass(frozen=True, eq=False)
class Sources:
    """Where images are.

    Attributes:
        records: of a manifest, by record id. files: of a folder, by file name.
        place: their name for messages.
    """

    records: dict[str, ImageRecord]
    files: dict[str, list[Path]]
    place: str = ""

    def marked(self, detections: Detections, *, with_pixels: bool) -> MarkedImage:
        """The image of these detections, opened.

        Raises:
            DicomError: no such image, several, no DICOM, or not a single-frame grey mammogram.
        """
        record = self.records.get(detections.record_id)
        path = self._path(detections, record)
        _refuse_pictures(path)
        source = open_mammogram(path, headers_only=not with_pixels)
        rows, columns = (None, None) if record is None else (record.height, record.width)
        return MarkedImage(source, detections, rows, columns)

    def _path(self, detections: Detections, record: ImageRecord | None) -> Path:
        if record is not None and record.prepared is None:
            return record.image
        if self.files:
            return _best_match(detections, self.files, self.place)
        if self.records and record is None:
            raise DicomError(
                f"{detections.record_id}: expected an image of {self.place} with this record id, found none. "
                "Give the manifest that the detections were made from."
            )
        if record is not None or detections.image is None:
            why = "a prepared copy" if record is not None else "no path"
            raise DicomError(
                f"{detections.record_id}: expected the original DICOM file, got {why}. Name the folder of "
                "the originals with --sources."
            )
        return detections.image


def find_sources(place: Path | None) -> Sources:
    """The images at a manifest.json or below a folder; None leaves the detections' own paths.

    Raises:
        DicomError: neither there. ManifestError: a file that is no manifest.
    """
    if place is None:
        return Sources({}, {})
    place = Path(place)
    if place.is_dir():
        files: dict[str, list[Path]] = {}
        for path in sorted(each for each in place.rglob("*") if each.is_file()):
            files.setdefault(path.name, []).append(path)
        return Sources({}, files, str(place))
    if not place.is_file():
        raise DicomError(f"{place}: expected a manifest.json or a folder of images, found nothing there.")
    records = {record.record_id: record for record in read_manifest(place).images()}
    return Sources(records, {}, str(place))


def _best_match(detections: Detections, files: dict[str, list[Path]], place: str) -> Path:
    """The file of the same name; among several the one whose folders agree furthest from the end."""
    image = detections.image
    candidates = [] if image is None else files.get(image.name, [])
    if image is None or not candidates:
        name = "without a file name" if image is None else f"named {image.name}"
        raise DicomError(
            f"{detections.record_id}: expected its image, {name}, below {place}, found none. Give the folder "
            "of the images or the manifest that the detections were made from."
        )
    agreement = [_agreeing(each, image) for each in candidates]
    best = [each for each, n in zip(candidates, agreement, strict=True) if n == max(agreement)]
    if len(best) > 1:
        raise DicomError(
            f"{detections.record_id}: expected one image named {image.name} below {place}, found {len(best)} "
            f"({best[0]}, {best[1]}). Give the manifest, which tells them apart."
        )
    return best[0]


def _agreeing(path: Path, other: Path) -> int:
    """How many parts of two paths agree from the end.

    >>> _agreeing(Path("a/case/1/1.dcm"), Path("b/case/1/1.dcm"))
    3
    """
    n = 0
    for part, its in zip(reversed(path.parts), reversed(other.parts), strict=False):
        if part != its:
            break
        n += 1
    return n


def _refuse_pictures(path: Path) -> None:
    if path.suffix.lower() in {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}:
        raise DicomError(
            f"{path}: expected a DICOM image, got a picture: it has no patient and no study that a result "
            "could belong to. Mark the DICOM file, or name the folder of the DICOM files with --sources."
        )
