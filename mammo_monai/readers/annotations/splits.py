"""Which list of the manifest a site's own word for a split means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from mammo_monai.records import Split

_WORDS: Mapping[str, Split] = {
    "train": Split.TRAINING,
    "training": Split.TRAINING,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "dev": Split.VALIDATION,
    "test": Split.TEST,
    "testing": Split.TEST,
}
SPLIT_FOLDERS = frozenset(_WORDS)


def split_word(text: str) -> str:
    """The one word for a split that stands alone in a text; "" for none or several.

    >>> split_word("instances_train2017"), split_word("boxes"), split_word("latest")
    ('train', '', '')
    """
    words = {word for word in re.findall(r"[a-z]+", text.lower()) if word in _WORDS}
    return words.pop() if len(words) == 1 else ""


def split_of(word: str) -> Split | None:
    """The list a word means, None if it means none.

    >>> split_of("Val").value, split_of("fold 1")
    ('validation', None)
    """
    return _WORDS.get(word.strip().lower())


def split_of_folder(name: str) -> Split | None:
    """The list that a folder on an image's relative path names; None for none or several.

    >>> split_of_folder("images/val/left.png").value
    'validation'
    """
    parts = PurePosixPath(name).parent.parts
    found = {split for part in parts if (split := split_of(part)) is not None}
    return found.pop() if len(found) == 1 else None


def official_split(splits: Mapping[str, Split | None]) -> Mapping[str, Split]:
    """The official split, if there is one: at least two lists must occur.

    Args:
        splits: by record id; None where nobody says it.
    """
    known = {record_id: split for record_id, split in splits.items() if split is not None}
    return known if len(set(known.values())) > 1 else {}
