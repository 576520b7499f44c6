"""Which images a run asks for in the file: manifests, folds or once, the list it is scored on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mammo_monai.errors import ManifestError
from mammo_monai.experiments.field_checks import (
    ExperimentError,
    Json,
    read_flag,
    read_text,
    reject_unknown,
)
from mammo_monai.records import Split
from mammo_monai.schema.folds import SOURCE_LETTERS, FoldScheme

PHANTOMS_PREFIX = "phantoms:"
ONCE = "once"
_Manifest = TypeVar("_Manifest")
_FOLDS = {"scheme", "n_folds", "validation_fraction", "seed"}


@dataclass(frozen=True)
class FoldsRequest:
    """Folds to be made when the experiment runs, as `mammo-monai folds make` would."""

    scheme: FoldScheme
    seed: int = 0


@dataclass(frozen=True)
class DataRequest:
    """What a run says of its images; what it leaves out is the experiment's.

    Attributes:
        manifests: letters of the experiment's manifests (A is the first), paths, or
            `phantoms:LAYOUT[:PATIENTS]`.
        folds: of `mammo-monai folds make`, or how to make some.
        is_once: trained and scored once, not per fold: on the lists of its one manifest, or on those of
            `stage`, which all folds must share.
        stage: of the folds; None is the last.
        test_split: the list that is scored, for a run done once; the official test list only where asked for.
    """

    manifests: tuple[str, ...] = ()
    folds: Path | FoldsRequest | None = None
    is_once: bool = False
    stage: str | None = None
    test_split: Split = Split.TEST

    @property
    def is_common(self) -> bool:
        """Whether it asks for nothing but what the whole experiment uses."""
        return self == DataRequest()


def data_request(where: str, row: Json, folder: Path) -> DataRequest:
    """What the row of a run asks for.

    Raises:
        ExperimentError: a field of another kind, or test_split for a run that is done per fold.
    """
    asked, is_once = row.get("folds"), row.get("folds") == ONCE
    if isinstance(asked, Mapping):
        is_once = read_flag(f"{where}, folds", asked, ONCE, False)
        asked = {name: value for name, value in asked.items() if name != ONCE}
    stage = read_text(where, row, "stage")
    if is_once and asked != ONCE and stage is None:
        raise ExperimentError(
            f"{where}: folds with once need stage, the one that all folds share, such as pretraining-b. To "
            'train on the lists of the manifest itself, say "folds": "once".'
        )
    return DataRequest(
        manifests=manifest_names(where, row.get("manifest"), folder),
        folds=None if asked == ONCE else folds_request(where, asked, folder),
        is_once=is_once,
        stage=stage,
        test_split=_test_split(where, row.get("test_split"), is_once=is_once),
    )


def _test_split(where: str, value: object, *, is_once: bool) -> Split:
    known = [each.value for each in (Split.VALIDATION, Split.TEST)]
    if value is None:
        return Split.VALIDATION if is_once else Split.TEST
    if value not in known:
        raise ExperimentError(f"{where}: test_split must be {' or '.join(known)}, got {value!r:.80}.")
    if not is_once:
        raise ExperimentError(
            f'{where}: test_split is for runs with "folds": "once"; a run per fold is scored on the test '
            "list of each fold, so that each image counts once. Take it out."
        )
    return Split(value)


def manifest_names(where: str, value: object, folder: Path) -> tuple[str, ...]:
    """Manifests as a file names them: single letters and phantoms as they stand, paths from its folder.

    Raises:
        ExperimentError: neither a text nor a list of texts.
    """
    names = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
        raise ExperimentError(f"{where}: manifest must be a path or a list of paths, got {value!r:.80}.")
    return tuple(
        each if each.startswith(PHANTOMS_PREFIX) or is_letter(each) else str((folder / each).absolute())
        for each in names
    )


def is_letter(name: str) -> bool:
    """Whether a name stands for one of the experiment's manifests: A is the first.

    >>> is_letter("B"), is_letter("AB"), is_letter("b")
    (True, False, False)
    """
    return len(name) == 1 and name in SOURCE_LETTERS


def lettered(manifests: Sequence[_Manifest]) -> dict[str, _Manifest]:
    """Manifests by their letters: A is the first.

    Raises:
        ExperimentError: more than there are letters.

    >>> lettered(["one.json", "two.json"])
    {'A': 'one.json', 'B': 'two.json'}
    """
    if len(manifests) > len(SOURCE_LETTERS):
        raise ExperimentError(
            f"expected at most {len(SOURCE_LETTERS)} manifests, A to {SOURCE_LETTERS[-1]}, got "
            f"{len(manifests)}. Join some into one manifest, or make several experiments."
        )
    return dict(zip(SOURCE_LETTERS, manifests, strict=False))


def folds_request(where: str, value: Any, folder: Path) -> Path | FoldsRequest | None:
    """Folds as a file asks for them; None where it does not.

    Raises:
        ExperimentError: neither a path nor what folds can be made by.
    """
    if value is None:
        return None
    if isinstance(value, str) and value:
        return folder / value
    if not isinstance(value, dict):
        raise ExperimentError(
            f"{where}: folds must be the path of a folds.json, or an object with scheme, n_folds, "
            f"validation_fraction, seed; got {value!r:.80}."
        )
    where = f"{where}, folds"
    reject_unknown(where, value, _FOLDS)
    seed = value.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ExperimentError(f"{where}: seed must be a whole number of at least 0, got {seed!r:.80}.")
    try:
        scheme = FoldScheme(
            value.get("scheme", "kfold"), value.get("n_folds", 5), value.get("validation_fraction", 0.2)
        )
    except (ManifestError, TypeError) as error:
        raise ExperimentError(f"{where}: {error}") from error
    return FoldsRequest(scheme, seed)
