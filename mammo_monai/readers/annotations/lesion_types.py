"""What a site calls its lesions, as the package's own lesion types."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.records import LESION_LABELS

IGNORED = "ignore"
"""Given as a type: such annotations are no lesions."""

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "mass": "mass",
        "masses": "mass",
        "calcification": "calcification",
        "calcifications": "calcification",
        "microcalcification": "calcification",
        "microcalcifications": "calcification",
        "calcification cluster": "calcification",
        "calc": "calcification",
        "calcs": "calcification",
        "asymmetry": "asymmetry",
        "asymmetries": "asymmetry",
        "focal asymmetry": "asymmetry",
        "global asymmetry": "asymmetry",
        "distortion": "distortion",
        "distortions": "distortion",
        "architectural distortion": "distortion",
        "architectural distortions": "distortion",
        "other": "other",
    }
)
_NORMAL = {"normal", "negative", "none", "no finding", "no findings", "no lesion", "healthy"}
_NO_LESION = {
    *_NORMAL,
    "",
    "background",
    "breast",
    "pectoral",
    "pectoral muscle",
    "muscle",
    "nipple",
    "skin",
    "ignore",
}


class LesionTypes:
    """Turns a site's class names into types of `LESION_LABELS`, and remembers what it met.

    Args:
        category: the site's name for masses, in any case, singular or plural; "mass" always is one.
        classes: the site's other names, and class numbers of annotations without names, as types; `ignore`
            for what is no lesion.

    Raises:
        ManifestError: a type that is none of `LESION_LABELS`.

    >>> types = LesionTypes("tumour", {"cyst": "other"})
    >>> types.type_of("Tumours"), types.type_of("Cyst"), types.type_of("no_finding")
    ('mass', 'other', None)
    """

    def __init__(self, category: str = "mass", classes: Mapping[str, str] | None = None) -> None:
        known = [*LESION_LABELS, IGNORED]
        for name, kind in (classes or {}).items():
            if kind not in known:
                raise ManifestError(f"class {name!r} must mean one of {', '.join(known)}, got {kind!r}.")
        self.category = _plain(category)
        self._types = {_plain(name): kind for name, kind in (classes or {}).items()}
        self._has_numbers = any(name.isascii() and name.isdigit() for name in self._types)
        self._lock = threading.Lock()
        self._unknown: Counter[str] = Counter()
        self._numbers: Counter[int] = Counter()

    def type_of(self, name: str) -> str | None:
        """The type of a class name; None for what is no lesion; `other+name` for one nobody has explained."""
        plain = _plain(name)
        if plain in self._types:
            return None if self._types[plain] == IGNORED else self._types[plain]
        if plain in {self.category + ending for ending in ("", "s", "es")}:
            return "mass"
        if plain in _NO_LESION:
            return None
        if plain.isascii() and plain.isdigit():
            return self.type_of_number(int(plain))
        if plain not in _WORDS:
            with self._lock:
                self._unknown[plain] += 1
        return _WORDS.get(plain, f"other+{plain.replace('+', ' ')}")

    @property
    def has_bare_numbers(self) -> bool:
        """Whether numbers were met that nothing explains; all of them count as masses."""
        return bool(self._numbers)

    def explains(self, name: str) -> bool:
        """Whether a class name is known, so that `type_of` need not fall back on `other`."""
        plain = _plain(name)
        masses = {self.category + ending for ending in ("", "s", "es")}
        return bool(plain) and (plain in self._types or plain in masses or plain in {*_NO_LESION, *_WORDS})

    def type_of_number(self, number: int) -> str | None:
        """The type of a class that has a number but no name: a mass unless `classes` speaks of numbers."""
        kind = self._types.get(str(number))
        if kind is not None:
            return None if kind == IGNORED else kind
        with self._lock:
            if self._has_numbers:
                self._unknown[str(number)] += 1
            else:
                self._numbers[number] += 1
        return "other" if self._has_numbers else "mass"

    def type_of_mask_value(self, value: int, *, is_only: bool) -> str | None:
        """The type of a value in a mask; an only value is a flag: 1 and 255 mean the same.

        Args:
            is_only: no other value stands in the mask, besides 0.
        """
        return self.type_of_number(1 if is_only and not self._has_numbers else value)

    def check(self, audit: Audit, where: str, *, has_masses: bool, are_classes: bool = True) -> None:
        """Says which names nobody has explained; call it once all annotations are read.

        Args:
            where: file or folder of the annotations, for messages.
            has_masses: whether any lesion came out as a mass.
            are_classes: bare numbers tell classes apart (YOLO); False: they may count lesions (masks).

        Raises:
            ManifestError: names were met, none of them means mass; or several bare class numbers.
        """
        names = ", ".join(f"{name} ({count})" for name, count in sorted(self._unknown.items()))
        if names and not has_masses:
            raise ManifestError(
                f"{where}: expected a category called {self.category!r}, found {names:.500}. Say which one "
                "holds the masses with --category NAME, or what each name means with --class NAME=TYPE."
            )
        if names:
            found = f"classes nobody has explained are no masses but other: {names}; say --class NAME=TYPE"
            audit.note("class-unknown", "", found)
        if len(self._numbers) < 2:
            return
        numbers = ", ".join(map(str, sorted(self._numbers)[:10]))
        if are_classes:
            raise ManifestError(
                f"{where}: expected one class, or names for the class numbers; found {numbers} without "
                "names. Put classes.txt beside the labels, one name a line, or say "
                "--class 0=mass --class 1=TYPE."
            )
        found = (
            f"masks hold the values {numbers}: each is a lesion of its own, all masses; "
            "if they are classes, say --class 1=mass --class 2=TYPE"
        )
        audit.note("mask-values", "", found)


def says_normal(name: str) -> bool:
    """Whether a class name says that an image shows no lesion, rather than what else a box may hold.

    >>> says_normal("No_Finding"), says_normal("nipple"), says_normal("")
    (True, False, False)
    """
    return _plain(name) in _NORMAL


def _plain(name: str) -> str:
    """One spelling of a class name: lower case, single blanks.

    >>> _plain(" Architectural_Distortion")
    'architectural distortion'
    """
    return " ".join(str(name).replace("_", " ").replace("-", " ").lower().split())
