"""The manifests that a sweep works on: those of the experiment without their test lists."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mammo_monai.experiments.data_request import PHANTOMS_PREFIX, lettered
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.files import sha256_of
from mammo_monai.schema import read_manifest, write_manifest

logger = logging.getLogger(__name__)


def manifest_files(names: Sequence[str]) -> list[Path]:
    """The files of an experiment's manifests; phantoms are generated.

    Raises:
        ExperimentError: there are none. ManifestError: phantoms of an unknown layout.
    """
    if not names:
        raise ExperimentError("no manifest: name one in the experiment file, or give --manifest FILE.")
    found = []
    for each in names:
        if each.startswith(PHANTOMS_PREFIX):
            from mammo_monai.data import manifest_path  # noqa: PLC0415  # torch, and only where asked for

            found.append(Path(manifest_path(each)))
        else:
            found.append(Path(each))
    return found


def without_test_lists(files: Sequence[Path], folder: Path) -> list[Path]:
    """Writes each manifest with training and validation lists alone, called A.json, B.json …

    A file that is there is left: `Sweeper` has found the manifests to be those it was made of.

    Raises:
        ExperimentError: more manifests than letters. ManifestError: a manifest that breaks its format.
        OSError: a file cannot be written.
    """
    written = []
    for letter, file in lettered(files).items():
        path = folder / f"{letter}.json"
        if not path.is_file():
            manifest = read_manifest(file)
            if not manifest.test:
                logger.warning(
                    "manifest %s has no test list: all its images take part in the choice. Keep others for "
                    "the figures that you report.",
                    letter,
                )
            write_manifest(path, replace(manifest, test=(), path=None))
        written.append(path)
    return written


def hashes_of(files: Sequence[Path]) -> list[str]:
    """SHA-256 of each file.

    Raises:
        ExperimentError: one is not there.
    """
    if missing := [each for each in files if not each.is_file()]:
        raise ExperimentError(f"{missing[0]}: no such manifest.")
    return [sha256_of(each) for each in files]
