"""What is about to be sent: its class, its UID and its transfer syntax, read without loading pixels."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mammo_monai.dicom.decoders import plugin_for_all
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.dicom.wholeness import UNDEFINED_LENGTH, check_whole
from mammo_monai.errors import DicomError

PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""They differ in their element headers only: one is rewritten as the other without touching a value."""
_VIDEO = "1.2.840.10008.1.2.4.10"  # .100 to .108, MPEG and HEVC: many frames share one fragment
_HEAD = ["SOPClassUID", "SOPInstanceUID", "Rows", "NumberOfFrames"]
_CUT_SHORT = "The file is cut short: copy it again from its source."


@dataclass(frozen=True, eq=False)
class Outgoing:
    """One instance to send.

    Attributes:
        path: the file it stands in; None for a data set in memory.
        dataset: in memory, or read from a file that cannot be sent byte for byte: one without File Meta
            Information, or with another UID there than inside.
    """

    sop_class_uid: UID
    sop_instance_uid: UID
    transfer_syntax_uid: UID
    path: Path | None = None
    dataset: Dataset | None = None

    @staticmethod
    def of(item: Path | str | Dataset) -> Outgoing:
        """The instance of a file or a data set.

        Raises:
            DicomError: no file, not DICOM, without class or instance UID, or cut short.
        """
        return _of_dataset(item) if isinstance(item, Dataset) else _of_file(Path(item))

    def loaded(self) -> Dataset:
        """The whole data set; one that was given is not changed by what is done to this copy.

        Raises:
            DicomError: the file is gone, or damaged.
        """
        if self.dataset is not None:
            return deepcopy(self.dataset)
        with damage_refused(self.path or Path()):
            return dcmread(self.path or Path())

    def as_plain(self) -> Dataset:
        """The data set uncompressed and little endian; it must not be big endian. The UID stays.

        Raises:
            DicomError: no decoder is installed for its pixels, or they are damaged.
        """
        name = self.path or Path(f"instance {self.sop_instance_uid}")
        dataset = self.loaded()
        expected = f"pixels that can be decompressed from {self.transfer_syntax_uid.name}, got others"
        with damage_refused(name, expected, "The file is damaged or cut short: copy it again."):
            if self.transfer_syntax_uid.is_encapsulated:
                # PS3.3 C.7.6.1.1.5: what decompression gives is the same image, and keeps its UID.
                plugin = plugin_for_all(name, dataset)
                dataset.decompress(generate_instance_uid=False, decoding_plugin=plugin)
        if self.transfer_syntax_uid not in PLAIN:
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return dataset


def _of_dataset(dataset: Dataset) -> Outgoing:
    name = Path(f"data set {first_text(dataset, 'SOPInstanceUID') or 'without SOP Instance UID'}")
    syntax = first_text(getattr(dataset, "file_meta", Dataset()), "TransferSyntaxUID")
    if not UID(syntax).is_transfer_syntax:
        raise DicomError(f"{name}: expected a transfer syntax in its file_meta, got {syntax or 'none'}.")
    return _outgoing(name, dataset, UID(syntax), dataset=dataset)


def _of_file(path: Path) -> Outgoing:
    if not path.is_file():
        there = "a folder" if path.is_dir() else "nothing there"
        raise DicomError(f"{path}: expected a DICOM file, found {there}. Check the path.")
    with damage_refused(path):
        header, is_bare = _header(path)
        named = UID(header.file_meta.get("TransferSyntaxUID", ""))
        syntax = named if named.is_transfer_syntax else _own_encoding(header)
        _refuse_cut_short(path, header, syntax)
        found = _outgoing(path, header, syntax, path=path)
        meta = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
        own = (found.sop_class_uid, found.sop_instance_uid, syntax)
        if not is_bare and tuple(header.file_meta.get(each) for each in meta) == own:
            return found
        return replace(found, dataset=_whole(path, found))


def _header(path: Path) -> tuple[Dataset, bool]:
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=_HEAD), False
    except InvalidDicomError:  # no preamble: perhaps a bare data set
        header = dcmread(path, stop_before_pixels=True, specific_tags=_HEAD, force=True)
    if "SOPClassUID" not in header:
        raise DicomError(
            f"{path}: expected a DICOM file (DICM at byte 128, or a bare data set), got something else. "
            "Leave it out."
        )
    return header, True


def _own_encoding(header: Dataset) -> UID:
    is_implicit, is_little = header.original_encoding
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


def _whole(path: Path, found: Outgoing) -> Dataset:
    """The data set in memory, with File Meta Information that agrees with it."""
    dataset = dcmread(path, force=True)
    dataset.file_meta.TransferSyntaxUID = found.transfer_syntax_uid
    dataset.file_meta.MediaStorageSOPClassUID = found.sop_class_uid
    dataset.file_meta.MediaStorageSOPInstanceUID = found.sop_instance_uid
    return dataset


def _outgoing(
    name: Path, header: Dataset, syntax: UID, *, path: Path | None = None, dataset: Dataset | None = None
) -> Outgoing:
    sop_class, instance = first_text(header, "SOPClassUID"), first_text(header, "SOPInstanceUID")
    for value, words in (
        (sop_class, "SOP Class UID (0008,0016)"),
        (instance, "SOP Instance UID (0008,0018)"),
    ):
        if not value:
            raise DicomError(f"{name}: expected a {words}, got none. It cannot be sent: export it again.")
    return Outgoing(UID(sop_class), UID(instance), syntax, path, dataset)


def _refuse_cut_short(path: Path, header: Dataset, syntax: UID) -> None:
    """What is sent is stored for years: half an instance must not leave."""
    if "Rows" in header and not syntax.startswith(_VIDEO):
        check_whole(path)
    elif "Rows" not in header:
        _refuse_short_elements(path, syntax)


def _refuse_short_elements(path: Path, syntax: UID) -> None:
    """A report or presentation state: its last element must end where the file ends; pydicom does not say."""
    dataset = dcmread(path, force=True)
    if syntax == DeflatedExplicitVRLittleEndian:  # zlib refuses a stream without its end
        return
    last: object = dataset.get_item(max(dataset.keys()))
    if isinstance(last, RawDataElement) and last.length != UNDEFINED_LENGTH:
        left = path.stat().st_size - last.value_tell - last.length
        if left:
            there = f"{left} bytes follow" if left > 0 else f"{-left} bytes are missing"
            raise DicomError(f"{path}: expected its end where {last.tag} ends, {there}. {_CUT_SHORT}")
