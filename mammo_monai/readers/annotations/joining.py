"""Finds the image that each annotation belongs to, by names; what two images could be is never guessed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mammo_monai.readers.annotations.annotated import AnnotatedImage, bare_name
from mammo_monai.readers.annotations.names import one_blank, plain_path, spellings

# Folders that say what kind of file lies in them, not whose: `labels/p1/a.txt` belongs to `images/p1/a.png`.
_KINDS = (
    "images image imgs img dicom dicoms dcm png pngs jpg jpegimages pictures labels label masks mask "
    "annotations annotation annots xml xmls seg segs segmentation segmentations roi rois boxes bboxes final "
    "ground_truth groundtruth gt coco voc yolo nifti data ."
)
KIND_FOLDERS = frozenset(_KINDS.split())


@dataclass
class Joined:
    """Annotations by their image.

    Attributes:
        by_image: the annotations of each image, by its path.
        unmatched: those that no name leads from; they may still name a SOPInstanceUID.
        ambiguous: those that could belong to each of several images, with these.
        by_name_alone: how many were joined by a unique file name although their folders differ.
    """

    by_image: dict[Path, list[AnnotatedImage]] = field(default_factory=lambda: defaultdict(list))
    unmatched: list[AnnotatedImage] = field(default_factory=list)
    ambiguous: list[tuple[AnnotatedImage, tuple[Path, ...]]] = field(default_factory=list)
    by_name_alone: int = 0


class ImageNames:
    """The images below a folder, by their names.

    Args:
        root: the folder. paths: of the images.
        spelt: how names are compared; `one_blank` takes all blanks between two words for one.
    """

    def __init__(self, root: Path, paths: Sequence[Path], spelt: Callable[[str], str] = plain_path) -> None:
        self._root, self._paths, self._spelt = root, paths, spelt
        names = {path: spelt(path.relative_to(root).as_posix()) for path in paths}
        self._folders = {path: _folders(name) for path, name in names.items()}
        count = Counter(names.values())  # accents as one character or taken apart are two files on some disks
        self._exact = {name: path for path, name in names.items() if count[name] == 1}
        self._has_odd_blanks = any(one_blank(name) != name for name in count)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        # By the innermost folder too: in a tree of patients each file name occurs once per patient.
        self._by_folder: dict[tuple[str, str], list[Path]] = defaultdict(list)
        for path in paths:
            name, stem = PurePosixPath(names[path]).name.casefold(), _stem(names[path])
            self._by_name[name].append(path)
            self._by_stem[stem].append(path)
            for key in {name, stem}:
                self._by_folder[key, _innermost(self._folders[path])].append(path)
        self.are_unique = all(len(each) == 1 for each in self._by_stem.values())

    def twins(self) -> list[tuple[Path, ...]]:
        """Images that differ in the suffix alone, or in folders that only tell kinds of files."""
        groups: dict[tuple[str, tuple[str, ...]], list[Path]] = defaultdict(list)
        for stem, paths in self._by_stem.items():
            for path in paths:
                groups[stem, self._folders[path]].append(path)
        return [tuple(group) for group in groups.values() if len({path.name for path in group}) > 1]

    def by_one_blank(self) -> ImageNames | None:
        """The same images by `one_blank`; None where no name has other blanks."""
        return ImageNames(self._root, self._paths, one_blank) if self._has_odd_blanks else None

    def called(self, name: str) -> list[Path]:
        """Images whose file has this name, else this name but for the suffix; folders are not compared."""
        key = self._key(name)
        return self._by_name.get(key) or self._by_stem.get(key) or []

    def matching(self, name: str) -> tuple[Path, ...]:
        """The images that a relative path can mean: one if it is sure, several if it is not.

        Of the images with that file name those count whose folders do not contradict the path's: one list
        of folders ends with the other. The same folders come first, then the more that agree. Folders that
        only tell kinds of files (images, labels) do not count.
        """
        if self._spelt(name) in self._exact:
            return (self._exact[self._spelt(name)],)
        wanted = _folders(self._spelt(name))
        ranks: dict[Path, tuple[bool, int]] = {}
        for path in self._near(name, wanted):
            has = self._folders[path]
            shared = min(len(has), len(wanted))
            if has[len(has) - shared :] == wanted[len(wanted) - shared :]:
                ranks[path] = (has == wanted, shared)
        best = max(ranks.values(), default=None)
        return tuple(path for path, rank in ranks.items() if rank == best)

    def _near(self, name: str, wanted: tuple[str, ...]) -> list[Path]:
        """The images of that name whose innermost folder does not contradict these folders."""
        if not wanted:
            return self.called(name)
        key = self._key(name)
        return [*self._by_folder.get((key, wanted[-1]), ()), *self._by_folder.get((key, ""), ())]

    def _key(self, name: str) -> str:
        """The file name, if an image has it, else the name without its suffix."""
        own = PurePosixPath(self._spelt(name)).name
        return own.casefold() if own.casefold() in self._by_name else bare_name(own).casefold()


def join(images: ImageNames, annotated: Sequence[AnnotatedImage]) -> Joined:
    """Joins annotations to images by relative path, else by file name.

    Folders that contradict each other are overlooked only where no two images and no two annotations share
    a name: then the name alone tells them apart.
    """
    joined = Joined()
    left: list[AnnotatedImage] = []
    for each in annotated:
        if not _is_joined(each, images, joined):
            left.append(each)
    loose = images.by_one_blank() if left else None
    if loose is not None:
        left = [each for each in left if not _is_joined(each, loose, joined)]
    names = Counter(key for each in annotated for key in {_stem(name) for name in each.names})
    are_unique = images.are_unique and max(names.values(), default=0) <= 1
    for each in left:
        paths = tuple(dict.fromkeys(path for name in _spelt(each) for path in images.called(name)))
        if are_unique and len(paths) == 1 and paths[0] not in joined.by_image:
            joined.by_image[paths[0]].append(each)
            joined.by_name_alone += 1
        else:
            joined.unmatched.append(each)
    return joined


def _is_joined(each: AnnotatedImage, images: ImageNames, joined: Joined) -> bool:
    """Whether names of an annotation lead to an image, or to several: then it is ambiguous."""
    found = [paths for name in _spelt(each) if (paths := images.matching(name))]
    paths = found[0] if found else ()
    if each.is_agreed and len(found) > 1:  # two names of two images: nobody can say which is right
        paths = tuple(dict.fromkeys(path for each_paths in found for path in each_paths))
    if len(paths) == 1:
        joined.by_image[paths[0]].append(each)
    elif paths:
        joined.ambiguous.append((each, paths))
    return bool(paths)


def _spelt(each: AnnotatedImage) -> list[str]:
    return [spelt for name in each.names for spelt in spellings(name)]


def _innermost(folders: tuple[str, ...]) -> str:
    return folders[-1] if folders else ""


def _stem(name: str) -> str:
    return bare_name(PurePosixPath(plain_path(name)).name).casefold()


def _folders(name: str) -> tuple[str, ...]:
    """The folders of a relative or foreign path that tell whose file it is.

    >>> _folders("C:\\\\data\\\\images\\\\p1\\\\left.png")
    ('c:', 'p1')
    """
    parts = PurePosixPath(plain_path(name)).parent.parts
    return tuple(part.casefold() for part in parts if part != "/" and part.casefold() not in KIND_FOLDERS)
