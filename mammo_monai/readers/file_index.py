"""Finds a data set's files by folder name and series, because the paths in its tables match no download."""

from __future__ import annotations

import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Lock

from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.errors import ManifestError
from mammo_monai.readers.dicom_candidates import PICTURE_SUFFIXES
from mammo_monai.readers.folders import folders_below
from mammo_monai.readers.image_header import DICOM_SUFFIXES, elements_of
from mammo_monai.readers.stand_ins import finished_name

Progress = Callable[[int, int], None]


@dataclass
class _ByHeader:
    series: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    patients: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))


class FileIndex:
    """The images (DICOM, JPEG, PNG) and tables (`*.csv`) below a folder, by what their folders are called.

    What a download has not finished is passed over, as if it were not there.

    DICOM files may have any name: archives call them by their UID, whose end looks like a suffix. Names are
    compared without regard to upper and lower case. Headers are read once each, and only of DICOM files that
    no known name explains: when a file is sought that no name leads to, or for `cases`.

    Args:
        workers: threads that read headers. on_progress: called with (done, total) after each of them.

    Raises:
        ManifestError: `root` is not a folder.
    """

    def __init__(self, root: Path, *, workers: int = 1, on_progress: Progress | None = None) -> None:
        if not root.is_dir():
            raise ManifestError(f"{root}: no such folder; expected the data set as downloaded.")
        self.root = root
        self.tables: list[Path] = []
        self.images: list[Path] = []
        self.headers_read = 0
        self._workers, self._on_progress = workers, on_progress
        self._by_folder: dict[str, list[Path]] = defaultdict(list)
        self._listed: dict[str, list[Path]] = defaultdict(list)
        self._known: set[str] = set()
        self._known_pattern: re.Pattern[str] | None = None
        self._lock = Lock()
        self._headers: _ByHeader | None = None
        for folder, names in folders_below(root):
            for name in names:
                self._add(folder / name)

    def _add(self, path: Path) -> None:
        suffix = path.suffix.lower()
        # "._1-1.dcm": what macOS leaves beside files on foreign disks.
        if path.name.startswith(".") or finished_name(path.name):
            return
        if suffix in (".csv", *DICOM_SUFFIXES, *PICTURE_SUFFIXES):
            if _is_pipe_or_device(path):
                return
        elif not _begins_as_dicom(path):
            return
        if suffix == ".csv":
            self.tables.append(path)
            return
        self.images.append(path)
        for folder in {each.lower() for each in path.relative_to(self.root).parent.parts}:
            self._by_folder[folder].append(path)

    def in_folder(self, name: str) -> list[Path]:
        """Images below any folder of this name."""
        return list(self._by_folder.get(name.lower(), ()))

    def cases(self) -> set[str]:
        """The names that lead to images, in lower case: of folders, in listings, and PatientIDs in headers.

        Headers are read of files alone that no known name explains; call `know` and `list_under` before.
        """
        return {*self._by_folder, *self._listed, *self._by_header().patients}

    def of_case(self, name: str) -> list[Path]:
        """The images that one of `cases` leads to."""
        listed = self._listed.get(name.lower(), ())
        return self.in_folder(name) or [*listed] or [*self._by_header().patients.get(name.lower(), ())]

    def below(self, *parts: str) -> list[Path]:
        """Images that lie directly in a folder whose path ends with these names."""
        wanted = [part.lower() for part in parts]
        return [path for path in self.in_folder(wanted[-1]) if _parts(path.parent)[-len(wanted) :] == wanted]

    def know(self, names: Iterable[str], pattern: re.Pattern[str] | None = None) -> None:
        """Folder names that say enough: no header below them is read.

        Args:
            names: of cases and series. pattern: that a folder's name matches as a whole, for more of them.
        """
        self._known.update(name.lower() for name in names)
        self._known_pattern = pattern or self._known_pattern

    def list_under(self, name: str, paths: Sequence[Path]) -> None:
        """Files that a listing in the download names for a series or a case."""
        known = self._listed[name.lower()]
        known += [path for path in paths if path not in known]

    def locate(self, table_path: str) -> list[Path]:
        """The files a table's `case/study/series/file` can mean, by the surest clue that finds any.

        In this order: the path's own end; the series folder within the case folder; the case folder;
        a series folder anywhere; a listing in the download, by series, then by case; the headers, by
        SeriesInstanceUID, then by PatientID.
        """
        parts = PurePosixPath(table_path.replace("\\", "/").lower()).parts
        if not parts:
            return []
        in_case = self.in_folder(parts[0]) if len(parts) > 1 else []
        series = parts[-2] if len(parts) > 1 else ""
        return (
            [path for path in in_case if tuple(_parts(path))[-len(parts) :] == parts]
            or [path for path in in_case if path.parent.name.lower() == series]
            or in_case
            or (self.in_folder(series) if len(parts) > 1 else [])
            or list(self._listed.get(series, ()))
            or list(self._listed.get(parts[0], ()))
            or list(self._by_header().series.get(series, ()))
            or list(self._by_header().patients.get(parts[0], ()))
        )

    def _by_header(self) -> _ByHeader:
        with self._lock:
            if self._headers is None:
                self._headers = self._read_headers()
        return self._headers

    def _read_headers(self) -> _ByHeader:
        found = _ByHeader()
        listed = {path for paths in self._listed.values() for path in paths}
        unexplained = [path for path in self.images if path not in listed and not self._is_known(path)]
        self.headers_read = len(unexplained)
        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            for done, (path, names) in enumerate(
                zip(unexplained, pool.map(_series_and_patient, unexplained), strict=True), start=1
            ):
                for known, name in zip((found.series, found.patients), names, strict=True):
                    if name:
                        known[name].append(path)
                if self._on_progress:
                    self._on_progress(done, len(unexplained))
        return found

    def _is_known(self, path: Path) -> bool:
        if path.suffix.lower() in PICTURE_SUFFIXES:
            return True  # pictures have no header to ask
        folders = path.relative_to(self.root).parent.parts
        pattern = self._known_pattern
        return any(
            name.lower() in self._known or (pattern is not None and pattern.fullmatch(name))
            for name in folders
        )


def _is_pipe_or_device(path: Path) -> bool:
    """Whether reading would wait for somebody to write; what cannot be asked is reported where it is read."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode)


def _begins_as_dicom(path: Path) -> bool:
    try:
        return path.is_file() and is_dicom(path)
    except OSError:
        return False


def _parts(path: Path) -> list[str]:
    return [part.lower() for part in path.parts]


def _series_and_patient(path: Path) -> tuple[str, str]:
    """Both in lower case; empty where the file does not say or is damaged: its row reports it."""
    header = elements_of(path, "SeriesInstanceUID", "PatientID")
    if header is None:
        return "", ""
    return str(header.get("SeriesInstanceUID", "")).lower(), str(header.get("PatientID", "")).strip().lower()
