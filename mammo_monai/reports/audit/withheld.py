"""Keeps paths, file names and patients out of a page, should a finding's own words hold one.

Findings are written without them; a table made by hand, or by another tool, may not be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mammo_monai.schema import Manifest

WITHHELD = "[withheld]"
_SHORTEST = 4  # shorter names are numbers and words of ordinary sentences
_PATH = re.compile(
    r"(?<![\w/<])(?:~?/|\\\\|[A-Za-z]:[\\/])[^\s'\"]+"  # /data/a, ~/a, \\host\a, C:\a
    r"|(?:[^\s/\\'\"]+[/\\])+[^\s/\\'\"]*\.[A-Za-z0-9]{2,5}\b"  # folder/a.png
    r"|[^\s/\\'\"(]+\.(?:dcm|dicom|png|jpe?g|tiff?|xml|nii|nii\.gz|nrrd|roi)\b",  # a.dcm
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w.^-]+")


class Withholding:
    """Takes names of a manifest's patients and files out of text, and whatever looks like a path.

    >>> Withholding(["Doe^Jane"])("the mask /data/Doe/1.png of Doe^Jane is empty")
    'the mask [withheld] of [withheld] is empty'
    """

    def __init__(self, names: Iterable[str]) -> None:
        long = {name for name in names if len(name) >= _SHORTEST}
        self._names = {name.casefold() for name in long if _WORD.fullmatch(name)}
        self._phrases = sorted((name for name in long if not _WORD.fullmatch(name)), key=len, reverse=True)

    @classmethod
    def of(cls, manifest: Manifest) -> Withholding:
        """For all patients and image files of a manifest; record ids are meant to be seen."""
        images = manifest.images()
        paths = [record.image for record in images]
        paths += [each.image for each in manifest.quarantined if each.image]
        names = {record.patient_id for record in images}
        names |= {part for path in paths for part in (path.name, path.stem)}
        return cls(names - {record.record_id for record in images})

    def __call__(self, text: str) -> str:
        """The text with `[withheld]` in place of each name and path."""
        for phrase in self._phrases:
            text = text.replace(phrase, WITHHELD)
        text = _PATH.sub(WITHHELD, text)
        return _WORD.sub(self._replace, text) if self._names else text

    def _replace(self, word: re.Match[str]) -> str:
        bare = word[0].rstrip(".")
        return word[0].replace(bare, WITHHELD, 1) if bare.casefold() in self._names else word[0]
