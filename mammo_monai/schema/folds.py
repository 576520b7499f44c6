"""folds.json: which images train, validate and test in each fold, by record id, sealed with a hash.

No patient id and no path stands in it, so it may be published with a result.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mammo_monai.errors import ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.records import Split
from mammo_monai.schema.fields import (
    Json,
    finite_number,
    list_,
    load_json,
    mapping,
    read_field,
    sha256,
    text_,
    whole_number,
)

FOLDS_SCHEMA = "mammo-monai/folds/1"
FoldSchemeName = Literal["kfold", "half", "s1", "s2", "s3", "s4", "s5", "s6", "s7"]
FOLD_SCHEMES: tuple[FoldSchemeName, ...] = get_args(FoldSchemeName)
SOURCE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class FoldScheme:
    """How folds are made.

    Attributes:
        name: "kfold": each fold tests once; "half": half trains, half tests, one fold; "s1" to "s7": P2's
            setups over two manifests.
        n_folds: for all but "half".
        validation_fraction: of all patients of what is tested; for "half", of the training half.
        keeps_test: the test lists the manifests came with are in no fold: a last word is left.

    Raises:
        ManifestError: another name, or a number that cannot be.
    """

    name: FoldSchemeName = "kfold"
    n_folds: int = 5
    validation_fraction: float = 0.2
    keeps_test: bool = False

    def __post_init__(self) -> None:
        if self.name not in FOLD_SCHEMES:
            raise ManifestError(f"scheme must be {', '.join(FOLD_SCHEMES)}, got {self.name!r}.")
        if isinstance(self.n_folds, bool) or not isinstance(self.n_folds, int) or self.n_folds < 2:
            raise ManifestError(f"folds must be a whole number of 2 or more, got {self.n_folds!r:.80}.")
        fraction = self.validation_fraction
        if not isinstance(fraction, int | float) or isinstance(fraction, bool) or not 0 <= fraction < 1:
            raise ManifestError(f"validation_fraction must be at least 0 and below 1, got {fraction!r:.80}.")


@dataclass(frozen=True)
class FoldSource:
    """A manifest that folds were made of; its letter is its place: A, B, C.

    Attributes:
        manifest: its file name, for people. n_images: in all its lists.
        sha256: of its record ids, grouped by patient; two manifests with the same value can stand for each
            other.
    """

    manifest: str
    n_images: int
    sha256: str


@dataclass(frozen=True)
class FoldStage:
    """One training in a fold: the record ids of its three lists."""

    name: str
    training: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def record_ids(self, split: Split | None = None) -> tuple[str, ...]:
        """The record ids of one list, or of all three in the order training, validation, test."""
        if split is None:
            return self.training + self.validation + self.test
        return getattr(self, split.value)  # type: ignore[no-any-return]  # the names are the fields


@dataclass(frozen=True)
class Fold:
    """A fold: its stages in the order in which they are trained; the last one's test list is the fold's."""

    name: str
    stages: tuple[FoldStage, ...]


@dataclass(frozen=True)
class Folds:
    """All folds of an experiment, with the manifests they were made of."""

    scheme: FoldScheme
    seed: int
    sources: tuple[FoldSource, ...]
    folds: tuple[Fold, ...]

    @property
    def sha256(self) -> str:
        """The hash that seals the file: SHA-256 of the content as JSON without spaces, keys sorted."""
        return _seal(_content(self))

    @property
    def command(self) -> str:
        """The command that makes these folds again."""
        how_many = "" if self.scheme.name == "half" else f"--folds {self.scheme.n_folds} "
        return (
            f"mammo-monai folds make {shlex.join(each.manifest for each in self.sources)} "
            f"--scheme {self.scheme.name} {how_many}"
            f"--validation-fraction {self.scheme.validation_fraction:g} --seed {self.seed}"
            f"{' --keep-test' if self.scheme.keeps_test else ''} -o folds.json"
        )


def read_folds(path: Path) -> Folds:
    """The folds at `path`.

    Raises:
        ManifestError: not JSON, another schema, a missing or wrong field, content that does not fit the hash,
            or an image in two lists of a stage, or trained on in any stage and tested in the last.
    """
    path = Path(path)
    content = load_json(path, FOLDS_SCHEMA)
    where = str(path)
    folds = Folds(
        scheme=_scheme(where, content),
        seed=read_field(where, content, "seed", whole_number),
        sources=tuple(
            FoldSource(
                manifest=read_field(at, source, "manifest", text_),
                n_images=read_field(at, source, "n_images", whole_number),
                sha256=read_field(at, source, "sha256", sha256),
            )
            for at, source in _objects(where, content, "sources")
        ),
        folds=tuple(_fold(at, fold) for at, fold in _objects(where, content, "folds")),
    )
    promised = read_field(where, content, "sha256", sha256)
    found = _seal({name: value for name, value in content.items() if name != "sha256"})
    if promised != found:
        raise ManifestError(
            f"{path}: the folds were changed after they were made: their SHA-256 is {found[:16]}…, the file "
            f"says {promised[:16]}…. Fetch the file anew, or make it again: {folds.command}"
        )
    _check(folds, f"{path}, ")
    return folds


def write_folds(path: Path, folds: Folds) -> None:
    """Writes folds under their hash.

    Raises:
        ManifestError: no fold, a name twice, an image in two lists of a stage, or trained on in any stage and
            tested in the last; nothing is written then.
    """
    _check(folds, "")
    write_json_atomic(Path(path), {**_content(folds), "sha256": folds.sha256})


def _content(folds: Folds) -> dict[str, Any]:
    return {
        "schema": FOLDS_SCHEMA,
        "scheme": {
            "name": folds.scheme.name,
            "n_folds": folds.scheme.n_folds,
            "validation_fraction": float(folds.scheme.validation_fraction),
            **({"keeps_test": True} if folds.scheme.keeps_test else {}),  # older files keep their hash
        },
        "seed": folds.seed,
        "sources": [
            {"manifest": each.manifest, "n_images": each.n_images, "sha256": each.sha256}
            for each in folds.sources
        ],
        "folds": [
            {
                "name": fold.name,
                "stages": [
                    {"name": stage.name, **{split.value: list(stage.record_ids(split)) for split in Split}}
                    for stage in fold.stages
                ],
            }
            for fold in folds.folds
        ],
    }


def _seal(content: Json) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _scheme(where: str, content: Json) -> FoldScheme:
    scheme = read_field(where, content, "scheme", mapping)
    where = f"{where}, scheme"
    try:
        return FoldScheme(
            name=read_field(where, scheme, "name", text_),  # type: ignore[arg-type]  # checked by the class
            n_folds=read_field(where, scheme, "n_folds", whole_number),
            validation_fraction=read_field(where, scheme, "validation_fraction", finite_number),
            keeps_test="keeps_test" in scheme and read_field(where, scheme, "keeps_test", _boolean),
        )
    except ManifestError as error:
        raise error if str(error).startswith(where) else ManifestError(f"{where}: {error}") from None


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _fold(where: str, item: Json) -> Fold:
    stages = tuple(
        FoldStage(
            read_field(at, stage, "name", text_),
            *(tuple(read_field(at, stage, split.value, _list_of_record_ids)) for split in Split),
        )
        for at, stage in _objects(where, item, "stages")
    )
    return Fold(read_field(where, item, "name", text_), stages)


def _objects(where: str, item: Json, name: str) -> list[tuple[str, Json]]:
    """The objects of a list, each with where it stands."""
    rows = read_field(where, item, name, _list_of_objects)
    return [(f"{where}, {name} row {row}", each) for row, each in enumerate(rows)]


def _list_of_objects(value: Any) -> list[Json]:
    return [mapping(each) for each in list_(value)]


def _list_of_record_ids(value: Any) -> list[str]:
    return [text_(each) for each in list_(value)]


def _check(folds: Folds, where: str) -> None:
    if not folds.folds:
        raise ManifestError(f"{where}folds: expected one fold or more, got none. Make the file again.")
    _reject_repeats(f"{where}folds", [fold.name for fold in folds.folds])
    for fold in folds.folds:
        at = f"{where}fold {fold.name}"
        if not fold.stages:
            raise ManifestError(f"{at}: expected one stage or more, got none. Make the file again.")
        _reject_repeats(at, [stage.name for stage in fold.stages])
        for stage in fold.stages:
            _reject_repeats(f"{at}, stage {stage.name}", stage.record_ids())
        tested = set(fold.stages[-1].test)
        for stage in fold.stages[:-1]:
            learnt = tested.intersection(stage.training + stage.validation)
            if learnt:
                raise ManifestError(
                    f"{at}: record {min(learnt)} is trained or validated on in stage {stage.name}, but "
                    f"tested in stage {fold.stages[-1].name}. Make the folds again."
                )


def _reject_repeats(where: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ManifestError(f"{where}: {name} stands twice; it may stand once. Make the folds again.")
        seen.add(name)
