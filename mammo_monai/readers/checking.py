"""Audits a manifest again: are its images still there, whole and the same, and its lists still apart?

Nothing is repaired and the manifest is never rewritten. The codes, beside those of `picture_checks`:

| code | unusable | meaning |
|---|---|---|
| `file-missing` | yes | no file stands at the image's path |
| `file-unreadable` | yes | the file cannot be opened or decoded, or is no mammogram for presentation |
| `file-truncated` | yes | the file is cut short |
| `file-size-differs` | yes | the file has another number of bytes than when the manifest was made |
| `file-changed` | yes | the file has as many bytes, but others (SHA-256) |
| `image-size-differs` | yes | the image has other rows or columns, so boxes would lie elsewhere |
| `uid-differs` | yes | another image (SOPInstanceUID) stands at the path |
| `patient-in-two-lists` | yes | a patient stands in two lists |
| `image-in-two-lists` | yes | the same bytes stand in two lists, under two record ids |
| `image-twice` | no | the same bytes stand twice in one list, under two record ids |
| `salt-differs` | no | no record id fits the salt of the manifest: identities could not be checked |
| `laterality-differs` | no | the header names the other breast |
| `view-differs` | no | the header names another view |
| `spacing-differs` | no | the header has another pixel spacing |
| `quarantine-mended` | no | an image that was left out for its file can be read now |
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from mammo_monai.errors import DicomError
from mammo_monai.imaging.breast import Method
from mammo_monai.readers.audit import MAX_LOGGED_PER_CODE, Audit, InvalidRecordError
from mammo_monai.readers.image_checks import (
    FileHeader,
    header_now,
    is_identified,
    note_differences,
    read_whole_file,
)
from mammo_monai.readers.picture_checks import check_picture, note_sides, read_reduced
from mammo_monai.readers.reading import Progress, Reading
from mammo_monai.readers.salt import PHANTOMS_FILE, dataset_salt, salt_beside
from mammo_monai.records import ImageRecord, Laterality, Split
from mammo_monai.schema import Action, Finding, Manifest, Quarantined, write_audit

logger = logging.getLogger(__name__)

FATAL_CODES = frozenset(
    (
        "file-missing",
        "file-unreadable",
        "file-truncated",
        "file-size-differs",
        "file-changed",
        "image-size-differs",
        "uid-differs",
        "patient-in-two-lists",
        "image-in-two-lists",
        "picture-constant",
    )
)
"""A manifest with one of these cannot be used as it stands."""

# Readers' codes for an image whose own file was at fault; others (a mask, a row) cannot be seen from here.
_FILE_FAULTS = ("image-missing", "image-unreadable", "dicom-", "file-")
# How far above an image the folder of its data set is looked for.
_MAX_DEPTH = 6


def check_manifest(
    manifest: Manifest,
    *,
    salt: str | None,
    audit: Audit,
    pixels: bool = False,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> None:
    """Lays every record beside its image file as it is now, and the lists beside each other.

    Headers are read, and whole files where the manifest has their hash. Prepared copies are looked at as
    files only. The log gets the first findings of each code with the path of their file.

    Args:
        salt: of the record ids, see `salt_of`; without it identities are not checked.
        audit: gets the findings, all as warnings: a check repairs nothing and leaves nothing out.
        pixels: decode each image too and hold the picture against its record.
        workers: threads. on_progress: called after each image.
    """
    look = _Look(salt, pixels)
    files = Audit()
    Reading(salt or "", files, workers, on_progress).images(look.at, manifest.images())
    findings = files.findings if look.identified else _doubting_the_salt(files.findings)
    lists = Audit()
    note_sides(manifest.images(), look.shown, lists)
    _note_patients(manifest, lists)
    note_repeated_bytes(manifest, lists)
    for left_out in manifest.quarantined:
        _note_mended(left_out, lists)
    found = [*findings, *lists.findings]
    _log(found, {record.record_id: record.image for record in manifest.images()})
    for each in found:
        audit.note(each.code, each.record_id, each.found, each.action, place=each.place)


def exit_code(findings: Iterable[Finding]) -> int:
    """2 if the manifest cannot be used as it stands, 1 if something is odd, 0 if nothing is."""
    codes = {finding.code for finding in findings if finding.action is not Action.REPAIRED}
    return 2 if codes & FATAL_CODES else int(bool(codes))


def salt_of(manifest: Manifest) -> str | None:
    """The salt a manifest's record ids were made with, as far as it lies on this machine; never a new one.

    Raises:
        ManifestError: the salt file is there but empty.
    """
    for record in manifest.images()[:1]:
        for folder in [*record.image.parents][:_MAX_DEPTH]:
            if (folder / PHANTOMS_FILE).is_file():
                return dataset_salt(folder, folder / "unused.json")
    path = manifest.path
    return salt_beside(path) if path is not None and path.with_suffix(".salt").is_file() else None


def save_check(manifest: Manifest, findings: Sequence[Finding]) -> Path:
    """Writes the findings into audit.csv beside the manifest, as rows of "NAME check"; returns its path.

    The rows of the manifest itself, which say what its reader found, stay as they are.

    Raises:
        ValueError: the manifest was not read from a file.
        ManifestError: an audit.csv of another kind lies there.
    """
    if manifest.path is None:
        raise ValueError("expected a manifest that was read from a file, got one without a path.")
    path = manifest.path.with_name("audit.csv")
    write_audit(path, f"{manifest.path.name} check", findings)
    return path


@dataclass(frozen=True)
class _Look:
    """One look at every image, from several threads; `identified` and `shown` fill up."""

    salt: str | None
    pixels: bool
    identified: set[str] = field(default_factory=set)
    shown: dict[str, Laterality | None] = field(default_factory=dict)

    def at(self, record: ImageRecord, audit: Audit) -> None:
        header = header_now(record, audit)
        if header is None:
            return
        note_differences(record, header, audit)
        is_original = self.salt is not None and record.prepared is None
        if is_original and is_identified(record, header, self.salt or "", audit):
            self.identified.add(record.record_id)
        if self.pixels:
            self._at_pixels(record, header, audit)

    def _at_pixels(self, record: ImageRecord, header: FileHeader, audit: Audit) -> None:
        try:
            picture = read_reduced(record.image)
            if record.prepared is None:  # a copy is cropped and turned, its record is of the original
                method = _region_method(header)
                self.shown[record.record_id] = check_picture(picture, record, audit, method=method)
        except InvalidRecordError as error:
            code = error.code if error.code in FATAL_CODES else "file-unreadable"
            audit.note(code, record.record_id, error.found)
        except DicomError as error:
            logger.debug("%s", error)
            audit.note("file-unreadable", record.record_id, "the pixels cannot be decoded")


def _region_method(header: FileHeader) -> Method:
    """Scanned films and pictures carry no presentation intent."""
    is_digital = header.attributes is not None and header.attributes.presentation_intent is not None
    return "global" if is_digital else "otsu"


def _doubting_the_salt(findings: Sequence[Finding]) -> list[Finding]:
    """Where no identity fits at all, the salt is another one, not every image."""
    others = [each for each in findings if each.code != "uid-differs"]
    if len(others) == len(findings):
        return others
    said = (
        f"none of {len(findings) - len(others)} record ids fits the salt found for this manifest: it is "
        "another one's, or all images are; identities were not checked"
    )
    return [*others, Finding("salt-differs", "", said, Action.WARNED)]


def _note_patients(manifest: Manifest, audit: Audit) -> None:
    first: dict[str, dict[Split, str]] = defaultdict(dict)
    for split in Split:
        for record in manifest.images(split):
            first[record.patient_id].setdefault(split, record.record_id)
    for lists in first.values():
        for one, other in combinations(lists, 2):
            said = f"its patient stands in {other.value}, and in {one.value} with record {lists[one]}"
            audit.note("patient-in-two-lists", lists[other], said)


def note_repeated_bytes(manifest: Manifest, audit: Audit) -> None:
    """Notes files with the same bytes under two record ids, within a list and across lists."""
    first: dict[str, tuple[Split, str]] = {}
    for split in Split:
        for record in manifest.images(split):
            if record.sha256 is None:
                continue
            other, record_id = first.setdefault(record.sha256, (split, record.record_id))
            if record_id != record.record_id:
                code = "image-twice" if other is split else "image-in-two-lists"
                said = f"its file has the same bytes as that of record {record_id} in {other.value}"
                audit.note(code, record.record_id, said)


def _note_mended(left_out: Quarantined, audit: Audit) -> None:
    if left_out.image is None or not left_out.code.startswith(_FILE_FAULTS):
        return
    try:
        read_whole_file(left_out.image)
    except InvalidRecordError:
        return
    said = f"left out for {left_out.code}; its file can be read now: make the manifest again to take it in"
    audit.note("quarantine-mended", left_out.record_id, said, place=left_out.place)


def _log(findings: Sequence[Finding], paths: dict[str, Path]) -> None:
    seen: Counter[str] = Counter()
    for each in findings:
        seen[each.code] += 1
        level = logging.WARNING if seen[each.code] <= MAX_LOGGED_PER_CODE else logging.DEBUG
        where = paths.get(each.record_id, "manifest")
        logger.log(level, "%s %s: %s: %s", each.code, each.record_id or "manifest", where, each.found)
