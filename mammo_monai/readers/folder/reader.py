"""Reads an in-house set: a tree of DICOM, PNG, JPG, TIFF, BMP images and annotations in any common format.

The codes of its findings stand in docs/how-to/in-house-data.md.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mammo_monai.errors import ManifestError
from mammo_monai.files import sha256_of
from mammo_monai.readers.annotations.annotated import AnnotatedImage, bare_name
from mammo_monai.readers.annotations.formats import FORMATS, FormatName, Place, find_annotations
from mammo_monai.readers.annotations.identity import compiled_pattern, ml_as_mlo
from mammo_monai.readers.annotations.image_records import ImageItem, RecordMaker
from mammo_monai.readers.annotations.joining import ImageNames, Joined, join
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.annotations.nifti import is_nifti
from mammo_monai.readers.annotations.same_patient import joined_patients
from mammo_monai.readers.annotations.splits import official_split
from mammo_monai.readers.annotations.without_lesion import note_suspicious_normals
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.folder.called_alike import called_alike
from mammo_monai.readers.folder.files import (
    ARCHIVE_SUFFIXES,
    UNREAD_SUFFIXES,
    files_below,
    in_utf8,
    is_image,
    patient_folder,
    refuse_pipes,
    without_masks,
)
from mammo_monai.readers.folder.told_by_folders import (
    note_class_folders,
    records_with_patients,
    splits_of,
)
from mammo_monai.readers.image_header import DICOM_SUFFIXES, modality_of
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.readers.repeated import drop_repeated_records, ends_of
from mammo_monai.readers.stand_ins import finished_name
from mammo_monai.records import ImageRecord, record_id_of
from mammo_monai.schema import Action

logger = logging.getLogger(__name__)

# DICOM objects that lie beside images and are none: PS3.3 C.7.3.1.1.1.
_OTHER_MODALITIES = {"SEG", "SR", "PR", "KO", "DOC", "PLAN", "RTSTRUCT", "RTPLAN", "REG", "AU", "FID"}


@dataclass(frozen=True)
class FolderOptions:
    """How to read what a folder leaves open.

    Attributes:
        annotations: file or folder of the annotations; None: among the images.
        format: of the annotations; "auto" looks at the files.
        name_pattern: regular expression searched in the relative path without its suffix; its groups
            `patient`, `laterality` and `view` come before the DICOM header.
        category: the site's word for masses, label 0, in any case, singular or plural.
        classes: what the site's other class names, or class numbers, mean: types of `LESION_LABELS`, or
            `ignore`.
        clip_boxes: cut boxes at the image border; without it a box more than 1 px outside is a fault.
        unlisted: what images without annotation are: "normal", or "leave-out". None: normal, with a
            warning; of MONAI Label and 3D Slicer left out, as nobody has looked at them.
        patients_are_public: keeps the ids of patients, a public data set's own pseudonyms, so that folds are
            dealt alike everywhere; else they become salted hashes.
    """

    annotations: Path | None = None
    format: FormatName = "auto"
    name_pattern: str | None = None
    category: str = "mass"
    classes: Mapping[str, str] = field(default_factory=dict)
    clip_boxes: bool = False
    unlisted: Literal["normal", "leave-out"] | None = None
    patients_are_public: bool = False


@dataclass(frozen=True)
class _Site:
    """The images below the root, and the annotations by their images."""

    root: Path
    images: Sequence[Path]
    format: str
    joined: Joined
    twins: Sequence[tuple[Path, ...]]

    @property
    def by_uid(self) -> Mapping[str, tuple[AnnotatedImage, ...]]:
        """Annotations that no path leads from, by each of their names."""
        found: dict[str, list[AnnotatedImage]] = defaultdict(list)
        for each in self.joined.unmatched:
            for name in dict.fromkeys(bare_name(name.rpartition("/")[2]) for name in each.names):
                found[name].append(each)
        return {name: tuple(each) for name, each in found.items()}


def read_folder(root: Path, reading: Reading, options: FolderOptions = FolderOptions()) -> DataSet:
    """The images below a folder with the lesions that annotations beside, below or elsewhere give them.

    An annotation finds its image by SOPInstanceUID, else by relative path, else by file name; what could
    belong to several images quarantines them all. Patient, laterality and view come from the annotations,
    else the name pattern, else the DICOM header, the patient last from the folder. A split column, or
    folders called train, val, test, make the official split.

    Raises:
        ManifestError: no folder, no annotations or several formats of them, a pattern or class that cannot
            be used, or (strict) images with faults.
    """
    root = Path(root)
    types = LesionTypes(options.category, options.classes)
    pattern = compiled_pattern(options.name_pattern)
    site = _look_around(root, options, reading.audit)
    maker = RecordMaker(reading.salt, types, pattern, options.clip_boxes, site.by_uid)
    items = _items(site)
    records = reading.images(lambda item, audit: _read(maker, item, audit), items)
    records = joined_patients(ml_as_mlo(records, reading.audit), maker.told, reading.audit)
    records = drop_repeated_records(records, reading.audit)
    listed = _listed(site, records, reading)
    if not options.unlisted:
        _refuse_orphans_alone(site, listed)
    records = _without_copies(records, items, listed, reading)
    if not options.unlisted:
        records = _without_called_alike(records, listed, site, reading)
    records = _judge_unlisted(records, listed, site, options, reading.audit)
    types.check(
        reading.audit,
        str(options.annotations or root),
        has_masses=any(record.has_mass for record in records),
        are_classes=FORMATS[site.format].numbers_are_classes,
    )
    note_class_folders(records, site.joined.by_image, types, (site.format, root), reading.audit)
    splits = splits_of(records, items, maker, reading)
    salt = None if options.patients_are_public else reading.salt
    records = records_with_patients(records, items, maker, reading.audit, salt)
    note_suspicious_normals(records, maker.malignant, reading.audit)
    return DataSet(tuple(records), official_split(splits))


def _look_around(root: Path, options: FolderOptions, audit: Audit) -> _Site:
    closed: dict[str, str] = {}
    files = files_below(root, on_error=lambda error: closed.update({error.filename: error.strerror}))
    for folder, reason in closed.items():
        logger.warning("%s: cannot be looked into: %s", folder, reason)
        audit.note("folder-unreadable", "", f"a folder cannot be looked into ({reason}): its images are lost")
    images = [path for path in files if is_image(path)]
    location = Path(options.annotations) if options.annotations else root
    if location.is_file():
        place = Place(location.parent, (location,))
    elif location.resolve() == root.resolve():
        place = Place(root, files, frozenset(bare_name(path.name).casefold() for path in images))
    else:
        place = Place(location, files_below(location))
    refuse_pipes({*place.files} - {*images})
    name, chosen = find_annotations(place, options.format)
    refuse_pipes(chosen)
    # A file inside the root is named from there, so that folders on the way can tell images apart.
    base = root if place.base.is_relative_to(root) else place.base
    annotations = {*chosen, *(place.files if place.image_stems is None else ())}
    images = without_masks([path for path in images if path not in annotations], root)
    if not images:
        raise ManifestError(
            f"{root}: expected DICOM, PNG, JPG or TIFF images below it, found none.{_packed(files)}"
        )
    annotated = FORMATS[name].read(chosen, base, audit)
    if not annotated and not options.unlisted:
        raise ManifestError(
            f"{chosen[0]}: expected annotations, found none in it: all images would seem normal. Was it cut "
            "off? If they show no lesion, say --unlisted normal."
        )
    names = ImageNames(root, images)
    joined = join(names, annotated)
    if joined.by_name_alone:
        found = (
            f"{joined.by_name_alone} annotations name other folders than their images lie in; joined by name"
        )
        audit.note("joined-by-name", "", found, Action.REPAIRED)
    return _Site(root, images, name, joined, names.twins())


def _packed(files: Sequence[Path]) -> str:
    masks = [path for path in files if is_nifti(path)]
    archives = [path for path in files if path.name.lower().endswith(ARCHIVE_SUFFIXES) and path not in masks]
    if masks and not archives:
        return f" NIfTI ({masks[0].name}) is read as masks alone: convert the images."
    return f" Unpack {archives[0].name} first." if archives else ""


def _items(site: _Site) -> list[ImageItem]:
    faults = _faults_of_twins(site)
    for unclear, paths in site.joined.ambiguous:
        others = f"{len(paths) - 1} others" if len(paths) > 2 else "another one"
        found = f"an annotation could belong to this image or to {others} that it names"
        remedy = "Put folders into the annotation's name, or use SOPInstanceUIDs."
        if len({bare_name(path.name).casefold() for path in paths}) > 1:
            remedy = "Its names are those of different images: mend the wrong one."
        for path in paths:
            faults[path] = InvalidRecordError("annotation-ambiguous", unclear.where, found, remedy)
    items = []
    for path in site.images:
        # Some archives leave names that are no text; no manifest could be written with one.
        shown = site.root / in_utf8(path.relative_to(site.root).as_posix())
        name = shown.relative_to(site.root).as_posix()
        annotated = tuple(site.joined.by_image.get(path, ()))
        row = next((each.place for each in annotated if each.place), site.format)
        items.append(
            ImageItem(
                path=shown,
                name=name,
                where=f"{shown}, {row}" if annotated else str(shown),
                source=f"folder, {row}",
                annotated=annotated,
                folder_patient=patient_folder(name),
                fault=faults.get(path) or _fault_of_name(path, shown),
            )
        )
    return items


def _fault_of_name(path: Path, shown: Path) -> InvalidRecordError | None:
    if shown != path:
        found = "the name of the file is no UTF-8 text, and no manifest can hold it"
        return InvalidRecordError("file-unreadable", str(shown), found, "Rename it.")
    if finished_name(path.name):
        found = "the download of the file did not finish"
        return InvalidRecordError("file-truncated", str(path), found, "Download it again.")
    if path.name.lower().endswith(UNREAD_SUFFIXES):
        found = f"images of this kind ({''.join(path.suffixes[-2:])[-8:]}) are not read"
        return InvalidRecordError("image-unreadable", str(path), found, "Convert it to DICOM, PNG or TIFF.")
    return None


def _faults_of_twins(site: _Site) -> dict[Path, InvalidRecordError]:
    """Of one picture in several formats the annotated one is read, else the first, DICOM before others."""
    faults: dict[Path, InvalidRecordError] = {}
    for twins in site.twins:
        known = [path for path in twins if path in site.joined.by_image]
        kept = known or sorted(twins, key=lambda path: path.suffix.lower() not in (*DICOM_SUFFIXES, ""))[:1]
        for path in (path for path in twins if path not in kept):
            found = "another image has the same name but for the suffix; that one is read"
            faults[path] = InvalidRecordError("image-repeated", str(path), found, f"See {kept[0]}.")
    return faults


def _read(maker: RecordMaker, item: ImageItem, audit: Audit) -> ImageRecord | None:
    """The record of an image; other DICOM objects are passed over."""
    own = Audit()
    record = maker.read(item, own)
    if [each.code for each in own.quarantined] == ["dicom-unusable"] and not item.annotated:
        modality = modality_of(item.path)
        if modality in _OTHER_MODALITIES:
            found = f"a DICOM object of modality {modality} is no image; passed over"
            audit.note("other-object", own.quarantined[0].record_id, found, Action.REPAIRED)
            return None
    audit.merge(own)
    return record


def _listed(site: _Site, records: Sequence[ImageRecord], reading: Reading) -> set[str]:
    """The record ids of images that have an annotation; annotations without an image are noted."""
    by_path = {path.absolute() for path in site.joined.by_image}
    listed = {record.record_id for record in records if record.image in by_path}
    met = _met(records, reading)
    listed |= {record_id for uid in site.by_uid if (record_id := record_id_of(uid, reading.salt)) in met}
    for each in _orphans(site, met, reading.salt):
        if each.fault:
            logger.warning("%s It is not known which image it is of.", each.fault)
            found = f"{each.fault.found}; it is not known which image it is of"
            reading.audit.note(each.fault.code, "", found)
        else:
            logger.warning("%s: names an image that is not there", each.where)
            found = "an annotation names an image that is not there"
            reading.audit.note("annotation-orphan", "", found, place=each.place)
    return listed


def _met(records: Sequence[ImageRecord], reading: Reading) -> set[str]:
    """The record ids of all images, quarantined ones too."""
    return {record.record_id for record in records} | {q.record_id for q in reading.audit.quarantined}


def _orphans(site: _Site, met: set[str], salt: str) -> list[AnnotatedImage]:
    """The annotations that neither a path nor a SOPInstanceUID leads from."""
    by_uid = {uid: each for uid, each in site.by_uid.items() if record_id_of(uid, salt) in met}
    seen = {id(each) for annotated in by_uid.values() for each in annotated}
    return [each for each in site.joined.unmatched if id(each) not in seen]


def _refuse_orphans_alone(site: _Site, listed: set[str]) -> None:
    """Where no annotation at all finds an image, names differ; all images would seem normal."""
    joined = site.joined
    orphans = joined.unmatched
    is_any = joined.by_image or joined.ambiguous or listed or any(each.fault for each in orphans)
    if orphans and not is_any:
        raise ManifestError(
            f"{orphans[0].where}: none of the {len(orphans)} annotations names an image below {site.root}: "
            "all images would seem normal. Are they of these images? If these show no lesion, say "
            "--unlisted normal."
        )


def _without_copies(
    records: Sequence[ImageRecord], items: Sequence[ImageItem], listed: set[str], reading: Reading
) -> list[ImageRecord]:
    """The records without byte-for-byte copies of another's picture; an annotated one is kept first.

    Files with a SOPInstanceUID are told apart by that. Whole files are hashed only where their sizes and
    both ends agree.
    """
    by_name = {record_id_of(item.name, reading.salt) for item in items}
    alike: dict[tuple[int | None, bytes], list[ImageRecord]] = defaultdict(list)
    sizes = Counter(record.file_size for record in records if record.record_id in by_name)
    for record in records:
        if record.record_id in by_name and sizes[record.file_size] > 1:
            alike[record.file_size, ends_of(record.image)].append(record)
    copies: set[str] = set()
    for group in (each for each in alike.values() if len(each) > 1):
        first: dict[str, ImageRecord] = {}
        for record in sorted(group, key=lambda each: each.record_id not in listed):
            kept = first.setdefault(sha256_of(record.image), record)
            with reading.audit.image(record.record_id, str(record.image), path=record.image):
                if kept is not record:
                    copies.add(record.record_id)
                    found = f"the picture is a copy of record {kept.record_id}"
                    raise InvalidRecordError("image-repeated", str(record.image), found, f"See {kept.image}.")
    return [record for record in records if record.record_id not in copies]


def _without_called_alike(
    records: Sequence[ImageRecord], listed: set[str], site: _Site, reading: Reading
) -> list[ImageRecord]:
    """The records without those that would count as normal while an annotation may be theirs."""
    unlisted = {record.image: record for record in records if record.record_id not in listed}
    orphans = _orphans(site, _met(records, reading), reading.salt)
    doubtful = called_alike([each for each in orphans if not each.fault], [*unlisted])
    for path, orphan in doubtful.items():
        with reading.audit.image(unlisted[path].record_id, str(path), path=path):
            found = "it has no annotation, and one of an image that is not there is called alike"
            remedy = f"Give both the same name, or say --unlisted normal. See {orphan.where}."
            raise InvalidRecordError("annotation-orphan", str(path), found, remedy)
    return [record for record in records if record.image not in doubtful]


def _judge_unlisted(
    records: Sequence[ImageRecord], listed: set[str], site: _Site, options: FolderOptions, audit: Audit
) -> list[ImageRecord]:
    unlisted = [record for record in records if record.record_id not in listed]
    # One of these images may be that of an annotation which cannot be read.
    is_lost = any(each.fault for each in site.joined.unmatched)
    default = "normal" if FORMATS[site.format].absent_is_normal and not is_lost else "leave-out"
    verdict = options.unlisted or default
    said = f"{len(unlisted)} of {len(records)} images have no annotation: "
    said += "they count as normal" if verdict == "normal" else "they are left out"
    logger.info(said)
    if unlisted and options.unlisted is None:
        said += "; say --unlisted leave-out if nobody has read them, --unlisted normal if they show no lesion"
        audit.note("images-unlisted", "", said)
    return list(records) if verdict == "normal" else [r for r in records if r.record_id in listed]
