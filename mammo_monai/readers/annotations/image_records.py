"""Makes the record of one image from its file, its header and what annotations say of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target, bare_name, without_repeats
from mammo_monai.readers.annotations.identity import (
    grades_of,
    groups_in_name,
    identity_of,
    laterality_of,
    refuse_other_side,
    view_of,
)
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.annotations.same_patient import Told, told_by
from mammo_monai.readers.annotations.told_twice import note_told_twice
from mammo_monai.readers.annotations.without_lesion import says_malignant
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.image_header import (
    ImageHeader,
    note_unsuitable,
    read_image_header,
    refuse_turned_picture,
)
from mammo_monai.readers.whole_files import refuse_cut_short
from mammo_monai.records import ImageRecord, Lesion, record_id_of


@dataclass(frozen=True)
class ImageItem:
    """An image file and the annotations that were found to be its own.

    Attributes:
        name: relative path, POSIX: stands for the image in its record id where it has no SOPInstanceUID.
        where: file, and row where a table lists it, for messages. source: the same for the manifest.
        folder_patient: of the image's folder, "" where folders tell no patient.
        fault: why the image cannot be used, known before it is opened.
    """

    path: Path
    name: str
    where: str
    source: str
    annotated: tuple[AnnotatedImage, ...] = ()
    folder_patient: str = ""
    fault: InvalidRecordError | None = None

    @property
    def fields(self) -> Mapping[str, str]:
        """What the annotations say of the image besides lesions; the first that says a thing counts."""
        return merged_fields(self.annotated)

    @property
    def place(self) -> str:
        """Table and row for audit.csv, "" where no table lists the image."""
        return next((each.place for each in self.annotated if each.place), "")


@dataclass(frozen=True)
class RecordMaker:
    """What it takes to read one image after the other; safe in threads.

    Attributes:
        by_uid: annotations that name their image by SOPInstanceUID alone.
        told_by_folder: gets the record ids of images whose patient only their folder tells.
        told: gets who says the patient of each image, by its file.
        malignant: gets the record ids of images that annotations call so.
    """

    salt: str
    types: LesionTypes
    pattern: re.Pattern[str] | None = None
    clip: bool = False
    by_uid: Mapping[str, tuple[AnnotatedImage, ...]] = field(default_factory=dict)
    told_by_folder: list[str] = field(default_factory=list)
    told: dict[Path, Told] = field(default_factory=dict)
    malignant: list[str] = field(default_factory=list)

    def read(self, item: ImageItem, audit: Audit) -> ImageRecord | None:
        """The record of an image, or None where a fault quarantined it."""
        guard = audit.image(
            record_id_of(item.name, self.salt), item.where, place=item.place, path=item.path.absolute()
        )
        with guard:
            if item.fault is not None:
                raise item.fault
            header = read_image_header(item.path)
            guard.record_id = record_id_of(header.sop_instance_uid or item.name, self.salt)
            refuse_cut_short(item.path)
            note_unsuitable(audit, guard.record_id, header.reasons)
            annotated = (*item.annotated, *self.by_uid.get(header.sop_instance_uid, ()))
            refuse_contradictions(annotated, item.where)
            refuse_other_uid(annotated, header.sop_instance_uid, item.where)
            target = Target(item.path, header, guard.record_id, self.types, audit, self.clip)
            fields = merged_fields(annotated)
            folder, _, name = item.name.rpartition("/")
            groups = groups_in_name(self.pattern, f"{folder}/{bare_name(name)}".lstrip("/"), item.where)
            known = self._known(item, fields, groups, guard.record_id, header)
            birads, density = grades_of(fields, item.where)
            record = ImageRecord(
                image=item.path.absolute(),
                record_id=guard.record_id,
                patient_id=known.get("patient", ""),
                width=header.width,
                height=header.height,
                lesions=lesions_in(annotated, target),
                laterality=laterality_of(known, header, item.where),
                view_position=view_of(known, guard.record_id, audit),
                pixel_spacing_mm=header.pixel_spacing_mm,
                breast_density=density,
                birads=birads,
                source=item.source,
                file_size=item.path.stat().st_size,
            )
            note_told_twice(record, groups, bare_name(name), target)
            if says_malignant(fields.get("pathology", "")):
                self.malignant.append(record.record_id)
            return record
        return None

    def _known(
        self,
        item: ImageItem,
        fields: Mapping[str, str],
        groups: Mapping[str, str],
        record_id: str,
        header: ImageHeader,
    ) -> Mapping[str, str]:
        """Patient, laterality and view as text; remembers who says the patient."""
        refuse_other_side(fields, groups, item.where)
        known = identity_of(fields, groups, header)
        self.told[item.path.absolute()] = told_by(fields, groups, header.patient_id, item.folder_patient)
        if not known.get("patient") and item.folder_patient:
            known["patient"] = item.folder_patient
            self.told_by_folder.append(record_id)  # atomic; only counted, so the order is nothing
        return known


def merged_fields(annotated: tuple[AnnotatedImage, ...]) -> Mapping[str, str]:
    """The fields of all annotations of an image; the first that says a thing counts."""
    merged: dict[str, str] = {}
    for each in reversed(annotated):
        merged.update(each.fields)
    return merged


def lesions_in(annotated: tuple[AnnotatedImage, ...], target: Target) -> tuple[Lesion, ...]:
    """The lesions of all annotations of an image; what a copy of a file or table repeats counts once."""
    if annotated:
        refuse_turned_picture(target.path)
    lesions = [lesion for each in annotated for lesion in each.lesions(target)]
    return tuple(without_repeats(lesions, target) if len(annotated) > 1 else lesions)


def refuse_other_uid(annotated: tuple[AnnotatedImage, ...], uid: str, where: str) -> None:
    """Raises where an annotation was joined by a name, but says that it is of another image."""
    if uid and any(each.uid not in ("", uid) for each in annotated):
        found = "the annotation names this file, and the SOPInstanceUID of another image"
        remedy = "Mend the table, or leave out the column that is wrong."
        raise InvalidRecordError("identity-differs", where, found, remedy)


def refuse_contradictions(annotated: tuple[AnnotatedImage, ...], where: str) -> None:
    """Raises where several annotations claim to be the whole truth of one image."""
    if len(annotated) > 1 and not all(each.is_part for each in annotated):
        found = f"{len(annotated)} annotations claim the same image"
        remedy = f"Keep one of them: {annotated[0].where}; {annotated[1].where}."
        raise InvalidRecordError("annotation-repeated", where, found, remedy)
    for name in ("patient", "laterality", "view", "split"):
        if len({each.fields[name].casefold() for each in annotated if each.fields.get(name)}) > 1:
            found = f"the annotations of one image differ in {name}"
            raise InvalidRecordError("identity-differs", where, found, "Mend the tables.")
