"""The files of an in-house folder: which are images, and what their folders tell of patient and split."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath

from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations.annotated import ANNOTATION_SUFFIXES, IMAGE_SUFFIXES, bare_name
from mammo_monai.readers.annotations.joining import KIND_FOLDERS
from mammo_monai.readers.annotations.png import image_names, is_mask
from mammo_monai.readers.annotations.splits import SPLIT_FOLDERS
from mammo_monai.readers.folders import folders_below
from mammo_monai.readers.stand_ins import finished_name

# Folders called after a class, a side or a view hold many patients, or part of one.
_CLASSES = (
    "mass masses normal normals benign malignant cancer cancers positive negative abnormal suspicious lesion "
    "lesions calcification calcifications left right l r cc mlo ml"
)
_CLASS_FOLDERS = frozenset(_CLASSES.split())
_SIDE = "(?:l|r|left|right)"
_VIEW_FOLDER = re.compile(rf"{_SIDE}?[ _-]?(?:cc|mlo|ml)[ _-]?{_SIDE}?", re.IGNORECASE)
_NAME_SUFFIXES = (".tsv", ".yaml", ".yml")
UNREAD_SUFFIXES = (".jp2", ".j2k", ".jls", ".ljpeg", ".webp", ".gif", ".pgm", ".ppm", ".heic", ".dcm.gz")
"""Images of kinds that are not read: each is left out with a row, not passed over."""
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar")
_OTHER_SUFFIXES = (
    *ANNOTATION_SUFFIXES,
    ".md",
    ".pdf",
    ".xls",
    ".xlsx",
    *ARCHIVE_SUFFIXES,
    ".py",
    ".yaml",
    ".yml",
)


def files_below(folder: Path, *, on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """All files below a folder, folder by folder in order, without hidden ones; see `folders_below`.

    Args:
        on_error: called where a folder below cannot be looked into; None logs a warning.

    Raises:
        ManifestError: no such folder.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; expected the folder of the images or annotations.")
    return [
        parent / name
        for parent, names in folders_below(folder, on_error=on_error)
        for name in names
        if not name.startswith(".")
    ]


def refuse_pipes(paths: Collection[Path]) -> None:
    """Raises where a pipe, socket or device stands for an annotation: reading one may wait for ever.

    Raises:
        ManifestError: names the first.
    """
    for path in sorted(paths):
        is_read = path.name.lower().endswith((*ANNOTATION_SUFFIXES, *IMAGE_SUFFIXES, *_NAME_SUFFIXES))
        if is_read and path.exists() and not (path.is_file() or path.is_dir()):
            raise ManifestError(
                f"{path}: expected a file, found a pipe, socket or device, which would wait for a writer. "
                "Put the file there, or take it away."
            )


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name, or DICOM by its content where the name says nothing.

    A file without a suffix that is empty, or a web page, counts too: a download that failed left it, and
    its image would be lost without a word.
    """
    name = (finished_name(path.name) or path.name).lower()
    if name.endswith((*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)):
        return True
    if name.endswith(_OTHER_SUFFIXES) or name == "dicomdir":
        return False
    try:
        return is_dicom(path) or (path.is_file() and not path.suffix and _is_failed_download(path))
    except OSError:
        return False


def _is_failed_download(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(1) in (b"", b"<")


def in_utf8(name: str) -> str:
    """A name as text, bytes of another encoding as numbers.

    >>> in_utf8("left.png"), in_utf8("left\\udce9.png")
    ('left.png', 'left\\\\udce9.png')
    """
    return name.encode("utf-8", errors="backslashreplace").decode("utf-8")


def without_masks(images: Sequence[Path], root: Path) -> list[Path]:
    """The images without pictures that are named like a mask of another image.

    Where boxes come from elsewhere, masks may still lie beside the images.
    """
    names = {path: PurePosixPath(path.relative_to(root).as_posix()) for path in images}
    sure = {bare_name(path.name).casefold() for path, name in names.items() if not is_mask(name)}
    return [
        path
        for path, name in names.items()
        if not (is_mask(name) and any(_stem(each) in sure for each in image_names(_bare(name))))
    ]


def patient_folder(name: str) -> str:
    """The nearest folder on an image's relative path that may tell its patient, "" if none does.

    >>> patient_folder("train/P017/left/cc.png"), patient_folder("images/normal/a.png")
    ('P017', '')
    """
    return "".join(patient_folders(name)[-1:])


def patient_folders(name: str) -> tuple[str, ...]:
    """The folders on an image's relative path that may tell its patient, the nearest last.

    >>> patient_folders("images/P017/2019/R_CC/1.png")
    ('P017', '2019')
    """
    passed_over: Collection[str] = KIND_FOLDERS | SPLIT_FOLDERS | _CLASS_FOLDERS
    folders = PurePosixPath(name).parent.parts
    return tuple(
        part for part in folders if part.casefold() not in passed_over and not _VIEW_FOLDER.fullmatch(part)
    )


def _bare(name: PurePosixPath) -> str:
    return str(name.with_name(bare_name(name.name)))


def _stem(name: str) -> str:
    return bare_name(PurePosixPath(name).name).casefold()
