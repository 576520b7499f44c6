"""From the highest level that a query has a key for, down to the level of its results.

Archives match a key at its own level only: the series of a patient are found by the patient's studies first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from pydicom.dataset import Dataset

from mammo_monai.dicom.network.queries import LEVELS, RETURN_KEYS, UNIQUE_KEYS, Level, Query

Answers = Callable[[Level, Mapping[str, str], int | None], Iterable[Dataset]]
"""Asks for one level: keys with their values, the number of answers that are enough."""


def matches(query: Query, answers: Answers, *, limit: int | None = None) -> Iterator[Dataset]:
    """Matches of a query, each with what was found of it at the levels above; `limit` at most.

    >>> asked = []
    >>> list(matches(Query("series", {"PatientID": "7"}), lambda level, *_: asked.append(level) or ()))
    []
    >>> asked
    ['study']
    """
    return islice(_below(query, answers, query.first_level(), Dataset(), limit), limit)


def _below(
    query: Query, answers: Answers, level: Level, above: Dataset, limit: int | None
) -> Iterator[Dataset]:
    """What lies below a match, at the level of the query."""
    is_last = level == query.level
    higher = [UNIQUE_KEYS[each] for each in LEVELS[: LEVELS.index(level)]]
    keys = {
        **dict.fromkeys([*higher, *RETURN_KEYS[level]], ""),
        **query.values_at(level),
        **{each: str(above[each].value) for each in higher if each in above},
    }
    # One request is answered in whole before the next one is made: they share an association.
    for each in list(answers(level, keys, limit if is_last else None)):
        match = Dataset()
        match.update(above)
        match.update(each)
        if is_last:
            yield match
        else:
            yield from _below(query, answers, LEVELS[LEVELS.index(level) + 1], match, limit)
