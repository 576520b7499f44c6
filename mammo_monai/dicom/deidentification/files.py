"""De-identifies files and folders: a bad file stops no other, and a second run gives the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mammo_monai.dicom.bounded import read_bounded
from mammo_monai.dicom.deidentification.profile import deidentified
from mammo_monai.dicom.deidentification.pseudonyms import Pseudonyms
from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.dicom.unquoted import MODALITIES
from mammo_monai.errors import DicomError
from mammo_monai.files import atomic_path
from mammo_monai.parts import is_part_name

# Documents may hold anything, in forms that no table reaches: PS3.15 E.1 leaves them to people.
_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104."
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Deidentified:
    """What was written and what was not.

    Attributes:
        files: relative to the output folder, in the order of the sources.
        refused: sources without a copy, with the reason; no value of a header stands in it.
    """

    files: tuple[Path, ...]
    refused: Mapping[Path, str]


@dataclass(frozen=True)
class DeidentifyOptions:
    """How files are de-identified.

    Attributes:
        keep: see `profile.deidentified`.
        burned_in: why a file's pixels may name a patient, None where nothing speaks for it.
        allow_burned_in: copy such files all the same.
    """

    keep: tuple[str, ...] = ()
    burned_in: Callable[[Path, Dataset], str | None] = lambda _, __: None
    allow_burned_in: bool = False
    on_progress: Progress = field(default=lambda _, __: None)


def deidentify_files(
    sources: Sequence[Path],
    folder: Path,
    names: Pseudonyms,
    options: DeidentifyOptions = DeidentifyOptions(),
) -> Deidentified:
    """Writes `folder/<patient's pseudonym>/<modality>_<hash>.dcm` for each DICOM file.

    Args:
        sources: files, or folders that are searched with all below; files in them that are no DICOM are
            passed over, except DICOMDIR, which would name files that are not there.

    Raises:
        DicomError: a source is not there, or none holds a DICOM file, or the output lies in a source.
        OSError: the output cannot be written.
    """
    paths = list(_dicom_files(sources, folder))
    written: dict[Path, Path] = {}
    refused: dict[Path, str] = {}
    for done, path in enumerate(paths, start=1):
        try:
            target = _write(path, folder, names, options, written)
            written[target] = path
        except DicomError as error:
            refused[path] = str(error)
        options.on_progress(done, len(paths))
    return Deidentified(tuple(each.relative_to(folder) for each in written), refused)


def _dicom_files(sources: Sequence[Path], folder: Path) -> Iterator[Path]:
    found: dict[Path, None] = {}
    for source in map(Path, sources):
        if not source.exists():
            raise DicomError(f"{source}: expected a DICOM file or a folder of them, found nothing there.")
        if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
            raise DicomError(f"{folder}: lies in {source}, which is read. Write the copies elsewhere.")
        inside = sorted(each for each in source.rglob("*") if each.is_file()) if source.is_dir() else [source]
        for path in inside:
            is_film = path.name.upper() != "DICOMDIR" and not is_part_name(path.name)
            if path is source or (is_film and is_dicom(path)):
                found[path] = None
    if not found:
        raise DicomError(f"{sources[0]}: expected DICOM files, found none. Give the folder that holds them.")
    yield from found


def _write(
    path: Path, folder: Path, names: Pseudonyms, options: DeidentifyOptions, written: Mapping[Path, Path]
) -> Path:
    dataset = _opened(path)
    if not options.allow_burned_in and (why := options.burned_in(path, dataset)) is not None:
        raise DicomError(
            f"{path}: expected pixels without text, got {why}. Look at the image; if it names nobody, "
            "say --allow-burned-in."
        )
    with damage_refused(path):
        made = deidentified(dataset, names, keep=options.keep)
        digest = hashlib.sha256(made.SOPInstanceUID.encode()).hexdigest()[:16]
        modality = first_text(made, "Modality")
        kind = modality if modality in MODALITIES else "OT"
        target: Path = folder / made.PatientID / f"{kind}_{digest}.dcm"
    if target in written:
        raise DicomError(
            f"{path}: expected another SOP Instance UID (0008,0018) than that of {written[target]}. Leave "
            "one of the two out."
        )
    with damage_refused(path), atomic_path(target) as part:
        made.save_as(part, enforce_file_format=True)
    return target


def _opened(path: Path) -> Dataset:
    with damage_refused(path):
        try:
            dataset = read_bounded(path, name=path)
        except InvalidDicomError:
            raise DicomError(
                f"{path}: expected a DICOM file (DICM at byte 128), got something else. Leave it out."
            ) from None
        sop_class = first_text(dataset, "SOPClassUID")
        if not sop_class or not first_text(dataset, "SOPInstanceUID"):
            raise DicomError(f"{path}: expected SOP class and instance UID, got none: it is damaged.")
    if sop_class.startswith(_DOCUMENTS):
        raise DicomError(
            f"{path}: expected an image, a report or a segmentation, got an encapsulated document, whose "
            "text no table reaches. Leave it out."
        )
    return dataset
