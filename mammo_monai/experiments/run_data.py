"""The images of each run: its manifests, its folds, and the list it is scored on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mammo_monai.experiments.configuration import config_hash
from mammo_monai.experiments.data_request import (
    ONCE,
    PHANTOMS_PREFIX,
    DataRequest,
    FoldsRequest,
    is_letter,
    lettered,
)
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.readers import splits
from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import Manifest, read_manifest
from mammo_monai.schema.folds import SOURCE_LETTERS, Folds, FoldStage, read_folds


@dataclass(frozen=True)
class RunData:
    """What one run trains on and is scored on.

    Attributes:
        manifests: by letter.
        folds: None for a run on the lists of its one manifest.
        names: of its folds; `("once",)` for a run that is done once.
        test_split: the list that is scored.
        is_common: whether it is what the whole experiment uses.
    """

    manifests: dict[str, Manifest]
    folds: Folds | None
    names: tuple[str, ...]
    stage: str | None = None
    test_split: Split = Split.TEST
    is_common: bool = True
    _lists: dict[str, Manifest] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_once(self) -> bool:
        """Whether there is one training in place of one per fold."""
        return self.names == (ONCE,)

    def manifest(self, fold: str) -> Manifest:
        """The lists of one fold; a test list that is not scored is left out, so that nothing reads it."""
        if fold not in self._lists:
            self._lists[fold] = self._made(fold)
        return self._lists[fold]

    @cached_property
    def scored_sha256(self) -> str:
        """The hash of what is scored: images and their lesions by fold; runs with the same one compare."""
        content = {
            fold: [
                [each.record_id, [[*lesion.box, lesion.label] for lesion in each.lesions]]
                for each in self.manifest(fold).images(self.test_split)
            ]
            for fold in self.names
        }
        return config_hash(content)

    def scored_text(self, n_manifests: int) -> str:
        """What is scored, in words: `test lists of 5 folds of B`."""
        scored = {
            each.record_id for fold in self.names for each in self.manifest(fold).images(self.test_split)
        }
        letters = [
            letter
            for letter, manifest in self.manifests.items()
            if any(each.record_id in scored for each in manifest.images())
        ]
        of = f" of {' and '.join(letters)}" if n_manifests > 1 else ""
        if self.is_once:
            return f"{self.test_split.value} list{of}"
        return f"test lists of {len(self.names)} folds{of}"

    def _made(self, fold: str) -> Manifest:
        if self.folds is None:
            (manifest,) = self.manifests.values()
            made = replace(manifest, path=None)
        else:
            name = self.folds.folds[0].name if fold == ONCE else fold
            made = splits.apply_folds(self.folds, [*self.manifests.values()], fold=name, stage=self.stage)
        return made if self.test_split is Split.TEST else replace(made, test=())


class DataSets:
    """Reads each manifest once and makes each kind of folds once, whichever runs ask for them.

    Args:
        names: the experiment's manifests, A first. folds: the experiment's. stage: the experiment's.

    Raises:
        ExperimentError: more manifests than letters.
    """

    def __init__(self, names: Sequence[str], folds: Path | FoldsRequest | None, stage: str | None) -> None:
        self.folds = folds
        self.stage = stage
        self._names = lettered(names)
        self._manifests: dict[str, Manifest] = {}
        self._folds: dict[tuple[tuple[str, ...], Path | FoldsRequest], Folds] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The manifests as they were asked for, by any run."""
        return tuple(self._names.values())

    def of(self, request: DataRequest, where: str) -> RunData:
        """The images of a run.

        Raises:
            ExperimentError: no manifest, no folds, a letter or a stage that is not there, or a list to score
                that is empty. ManifestError: files that break their format, or folds of another manifest.
        """
        letters = [self._letter(each, where) for each in request.manifests] or [*self._own_letters(where)]
        manifests = {letter: self._manifest(letter) for letter in dict.fromkeys(letters)}
        data = self._once(request, manifests, where) if request.is_once else self._by_fold(request, manifests)
        for fold in data.names:
            if not data.manifest(fold).images(data.test_split):
                raise ExperimentError(_nothing_scored(where, data, fold))
        return data

    def people(self, records: Iterable[ImageRecord]) -> set[Hashable]:
        """Keys of the patients and files of records, whichever manifests hold them; two people share none."""
        return {key for each in records for key in self._people.get(each.record_id, (each.record_id,))}

    @cached_property
    def _people(self) -> dict[str, list[Hashable]]:
        keys: dict[str, list[Hashable]] = {}
        for letter, manifest in self._manifests.items():
            for each in manifest.images():
                file = [] if each.sha256 is None else [each.sha256]
                keys.setdefault(each.record_id, []).extend([each.record_id, (letter, each.patient_id), *file])
        return keys

    def _own_letters(self, where: str) -> tuple[str, ...]:
        if not self._names:
            raise ExperimentError(
                f"{where}: no manifest: name one in the experiment file, or give --manifest FILE."
            )
        return tuple(self._names)

    def _letter(self, asked: str, where: str) -> str:
        """The letter of a manifest; one that only a run names gets the next free one."""
        if is_letter(asked):
            if asked not in self._names:
                n_needed, n_given = SOURCE_LETTERS.index(asked) + 1, len(self._names)
                raise ExperimentError(
                    f"{where}: manifest {asked} is the experiment's {n_needed}., but it has {n_given}. Give "
                    f"--manifest {n_needed} times, in order, or name them in the experiment file."
                )
            return asked
        known = next((letter for letter, name in self._names.items() if name == asked), None)
        if known is None:
            self._names = lettered([*self._names.values(), asked])
        return known or [*self._names][-1]

    def _manifest(self, letter: str) -> Manifest:
        if letter not in self._manifests:
            self._manifests[letter] = read_manifest(_manifest_path(self._names[letter]))
        return self._manifests[letter]

    def _once(self, request: DataRequest, manifests: dict[str, Manifest], where: str) -> RunData:
        if request.stage is None:
            if len(manifests) != 1:
                raise ExperimentError(
                    f"{where}: a run done once trains on the lists of one manifest, got {len(manifests)}: "
                    'say which, such as "manifest": "A".'
                )
            return RunData(manifests, None, (ONCE,), None, request.test_split, is_common=False)
        folds = self._folds_of(request, manifests)
        stages = [_stage(folds, fold.name, request.stage) for fold in folds.folds]
        if any(each != stages[0] for each in stages):
            raise ExperimentError(
                f"{where}: stage {request.stage} is not the same in all folds, so it cannot be trained once "
                "for all of them."
            )
        return RunData(manifests, folds, (ONCE,), request.stage, request.test_split, is_common=False)

    def _by_fold(self, request: DataRequest, manifests: dict[str, Manifest]) -> RunData:
        folds, stage = self._folds_of(request, manifests), request.stage or self.stage
        names = tuple(each.name for each in folds.folds)
        for name in names:
            _stage(folds, name, stage)
        return RunData(manifests, folds, names, stage, is_common=request.is_common)

    def _folds_of(self, request: DataRequest, manifests: dict[str, Manifest]) -> Folds:
        asked = request.folds or self.folds
        if asked is None:
            raise ExperimentError(
                "no folds: name a file of `mammo-monai folds make` in the experiment, or give "
                "--folds-file FILE."
            )
        key = (tuple(manifests), asked)
        if key not in self._folds:
            self._folds[key] = (
                splits.make_folds([*manifests.values()], asked.scheme, seed=asked.seed)
                if isinstance(asked, FoldsRequest)
                else read_folds(asked)
            )
        return self._folds[key]


def _manifest_path(name: str) -> Path:
    if not name.startswith(PHANTOMS_PREFIX):
        return Path(name)
    from mammo_monai.data import manifest_path  # noqa: PLC0415  # generated only where asked for

    return Path(manifest_path(name))


def _stage(folds: Folds, fold: str, stage: str | None) -> FoldStage:
    stages = next(each for each in folds.folds if each.name == fold).stages
    found = stages[-1] if stage is None else next((each for each in stages if each.name == stage), None)
    if found is None:
        names = ", ".join(each.name for each in stages)
        raise ExperimentError(f"no stage {stage} in fold {fold}: its stages are {names}.")
    return found


def _nothing_scored(where: str, data: RunData, fold: str) -> str:
    if not data.is_once:
        stage = f", stage {data.stage}" if data.stage else ""
        return (
            f"{where}: fold {fold}{stage}: the test list is empty, so nothing can be measured. Choose "
            'another stage, or train it once for all folds ("once": true in folds) and score its validation '
            "list."
        )
    return (
        f"{where}: the {data.test_split.value} list is empty, so nothing can be measured. Make the manifest "
        'or the folds with a validation fraction above 0, or name the list to score: "test_split".'
    )
