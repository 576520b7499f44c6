"""What folders tell of the images in them: the list, the patient, the class; and what contradicts it.

Findings: split-unknown, split-conflict, class-unknown (warned), patient-from-folder (repaired, or warned).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from mammo_monai.readers.annotations.annotated import AnnotatedImage
from mammo_monai.readers.annotations.identity import MAX_IMAGES_PER_PATIENT, with_patients
from mammo_monai.readers.annotations.image_records import ImageItem, RecordMaker
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.annotations.splits import split_of, split_of_folder
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.folder.files import patient_folders
from mammo_monai.readers.reading import Reading
from mammo_monai.records import ImageRecord, Split, record_id_of
from mammo_monai.schema import Action
from mammo_monai.words import counted

# More folders in one are patients of a site, not exams of a patient. No source known.
_MAX_EXAMS = 6
# Of masks, and of numbers without names, a folder may be all that tells the class.
_NAMELESS = ("png", "nifti", "yolo")
# They say nothing of what is drawn.
_NO_CLASSES = ("other", "ignore", "none", "background")


def splits_of(
    records: Sequence[ImageRecord], items: Sequence[ImageItem], maker: RecordMaker, reading: Reading
) -> Mapping[str, Split | None]:
    """The list each record belongs to: by its annotation's word, else by its folder."""
    by_path = {item.path.absolute(): item for item in items}
    uid_words = {
        record_id_of(uid, reading.salt): each.fields.get("split", "")
        for uid, annotated in maker.by_uid.items()
        for each in annotated
    }
    unknown: Counter[str] = Counter()
    splits: dict[str, Split | None] = {}
    n_differing = 0
    for record in records:
        item = by_path[record.image]
        word = item.fields.get("split") or uid_words.get(record.record_id, "")
        said, in_folder = split_of(word), split_of_folder(item.name)
        splits[record.record_id] = said if word else in_folder
        n_differing += None not in (said, in_folder) and said is not in_folder
        if word and said is None:
            unknown[word] += 1
    if unknown:
        words = ", ".join(f"{word!r} ({count})" for word, count in sorted(unknown.items())[:5])
        reading.audit.note(
            "split-unknown", "", f"splits called {words} are none of training, validation, test"
        )
    if n_differing:
        images = counted(n_differing, "image")
        found = f"{images} in the folder of another list than annotations say: theirs is kept"
        reading.audit.note("split-conflict", "", found)
    return splits


def records_with_patients(
    records: Sequence[ImageRecord],
    items: Sequence[ImageItem],
    maker: RecordMaker,
    audit: Audit,
    salt: str | None,
) -> list[ImageRecord]:
    """As `with_patients`; says whose patients folders alone tell, and whether these may be exams."""
    by_path = {item.path.absolute(): item.name for item in items}
    told = {*maker.told_by_folder}
    chains = [patient_folders(by_path[each.image]) for each in records if each.record_id in told]
    if told:
        found = f"the patients of {len(told)} images are told by their folders alone"
        is_unsure = _may_be_exams(chains)
        if is_unsure:
            found += ", which may be exams or views of the patients in the folders above: a split may put "
            found += "one patient on two sides. Say which folder it is with --name-pattern"
        audit.note("patient-from-folder", "", found, Action.WARNED if is_unsure else Action.REPAIRED)
    return with_patients(records, audit, salt)


def note_class_folders(
    records: Sequence[ImageRecord],
    by_image: Mapping[Path, Sequence[AnnotatedImage]],
    types: LesionTypes,
    named: tuple[str, Path],
    audit: Audit,
) -> None:
    """Notes masses of annotations that lie in folders called after other classes, or after anatomy.

    Args:
        by_image: annotations by image file. named: the format of the annotations, and the images' root.
    """
    name, root = named
    if name not in _NAMELESS or (name == "yolo" and not types.has_bare_numbers):
        return
    masses = {record.image: record for record in records if record.has_mass}
    found: Counter[str] = Counter()
    for path, annotated in by_image.items():
        if path.absolute() in masses:
            own = {part.casefold() for part in PurePosixPath(path.relative_to(root).as_posix()).parts[:-1]}
            parts = {part for each in annotated for part in PurePosixPath(each.names[0]).parts[:-1]}
            found.update({word for part in parts for word in _classes_in(part, own, types)})
    if found:
        words = ", ".join(f"{word!r} ({count})" for word, count in sorted(found.items())[:5])
        said = (
            f"images have masses by annotations in folders called {words}: folders tell no class here. Read "
            "each folder for itself with --annotations, or give each class a value and say --class"
        )
        audit.note("class-unknown", "", said)


def _classes_in(part: str, own: set[str], types: LesionTypes) -> Iterable[str]:
    """The word of a folder that means no mass; anatomy only where the image does not lie there too."""
    word = part.casefold()
    if word in _NO_CLASSES or not types.explains(word):
        return
    kind = types.type_of(word)
    if (kind is None and word not in own) or kind not in (None, "mass"):
        yield word


def _may_be_exams(chains: Sequence[tuple[str, ...]]) -> bool:
    """Whether the nearest folders may be parts of patients: called alike in several folders, or few in each.

    Args:
        chains: the folders of each image that may tell its patient, the nearest last.

    >>> _may_be_exams([("p1", "2019"), ("p1", "2021"), ("p2", "2019")])
    True
    >>> _may_be_exams([("site a", f"p{n}") for n in range(9)]), _may_be_exams([("p1",), ("p2",)])
    (False, False)
    """
    above: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    below: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for *upper, nearest in chains:
        above[nearest.casefold()].add(tuple(upper))
        below[tuple(upper)].append(nearest)
    if any(len(uppers) > 1 for uppers in above.values()):
        return True
    parts = [len({*names}) for upper, names in below.items() if upper]
    is_few = max(parts, default=0) <= _MAX_EXAMS
    is_small = max(map(len, below.values()), default=0) <= MAX_IMAGES_PER_PATIENT
    return len(parts) > 1 and max(parts) > 1 and is_few and is_small
