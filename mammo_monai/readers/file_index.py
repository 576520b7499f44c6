"""Finds a data set's files by folder name and series, because the paths in its tables match no download."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath

from mammo_monai.errors import ManifestError
from mammo_monai.readers.dicom_candidates import header_of


class FileIndex:
    """The DICOM files (`*.dcm`) and tables (`*.csv`) below a folder, by the names of the folders they lie in.

    Raises:
        ManifestError: `root` is not a folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ManifestError(f"{root}: no such folder; expected the data set as downloaded.")
        self.root = root
        self.tables: list[Path] = []
        self.dicom_files: list[Path] = []
        self._by_folder: dict[str, list[Path]] = defaultdict(list)
        for folder, subfolders, names in os.walk(root):
            subfolders.sort()
            for name in sorted(names):
                self._add(Path(folder) / name)

    def _add(self, path: Path) -> None:
        suffix = path.suffix.lower()
        if suffix == ".csv":
            self.tables.append(path)
        if suffix != ".dcm":
            return
        self.dicom_files.append(path)
        for folder in path.relative_to(self.root).parent.parts:
            self._by_folder[folder].append(path)

    def in_folder(self, name: str) -> list[Path]:
        """DICOM files below any folder of this name."""
        return list(self._by_folder.get(name, ()))

    def locate(self, table_path: str) -> list[Path]:
        """The files a table's `case/study/series/file` can mean, by the surest clue that finds any.

        In this order: the path's own end; the series folder within the case folder; the case folder;
        a series folder anywhere; the SeriesInstanceUID in the files' headers.
        """
        parts = PurePosixPath(table_path.replace("\\", "/")).parts
        if not parts:
            return []
        in_case = self.in_folder(parts[0])
        series = parts[-2] if len(parts) > 1 else ""
        return (
            [path for path in in_case if path.parts[-len(parts) :] == parts]
            or [path for path in in_case if path.parent.name == series]
            or in_case
            or self.in_folder(series)
            or list(self._by_series_uid.get(series, ()))
        )

    @cached_property
    def _by_series_uid(self) -> dict[str, list[Path]]:
        by_uid: dict[str, list[Path]] = defaultdict(list)
        for path in self.dicom_files:
            header = header_of(path, "SeriesInstanceUID")
            if header is not None:  # a damaged file is reported when a row asks for it
                by_uid[str(header.get("SeriesInstanceUID", ""))].append(path)
        return by_uid
