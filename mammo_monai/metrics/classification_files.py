"""Scores class_scores.json files: figures of each run, mean and SD over runs, paired tests between models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mammo_monai.errors import ManifestError
from mammo_monai.files import content_sha256, write_json_atomic
from mammo_monai.metrics.classification import (
    ClassificationFigures,
    ClassifiedUnits,
    Figure,
    classification_figures,
)
from mammo_monai.metrics.classification_pairs import McNemar, PairedFigure, mcnemar_test, paired_figures
from mammo_monai.metrics.classification_runs import RunsFigure, summarise_runs
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.schema import ClassScoresFile, read_class_scores
from mammo_monai.words import counted

CLASS_FIGURES_SCHEMA = "mammo-monai/class-figures/1"
_SAME_PATCHES = (
    "A paired test needs the same patches: score both models on the same list with the same plan and seed."
)


@dataclass(frozen=True, eq=False)
class ScoredClasses:
    """Runs of one classifier, and of another one on the same units.

    Attributes:
        names: of the runs, as shown. class_names: background first.
        runs, others: figures of each run. over_runs: mean ± SD.
        paired: differences, others minus runs; empty without others. mcnemar: of each pair of runs.
        sha256: of the files, others last.
    """

    names: tuple[str, ...]
    other_names: tuple[str, ...]
    class_names: tuple[str, ...]
    runs: tuple[ClassificationFigures, ...]
    others: tuple[ClassificationFigures, ...]
    over_runs: tuple[RunsFigure, ...]
    over_others: tuple[RunsFigure, ...]
    paired: tuple[PairedFigure, ...]
    mcnemar: tuple[McNemar, ...]
    sha256: tuple[str, ...]
    rule: FrocRule

    def as_json(self) -> dict[str, Any]:
        """All figures as plain JSON content; undefined is null."""
        return {
            "schema": CLASS_FIGURES_SCHEMA,
            "inputs_sha256": list(self.sha256),
            "class_names": list(self.class_names),
            "confidence": self.rule.confidence,
            "n_bootstrap": self.rule.n_bootstrap,
            "seed": self.rule.seed,
            "runs": [_figures(each) for each in self.runs],
            "over_runs": [_plain(asdict(each)) for each in self.over_runs],
            "against": [_figures(each) for each in self.others],
            "over_against": [_plain(asdict(each)) for each in self.over_others],
            "paired": [_plain(asdict(each)) for each in self.paired],
            "mcnemar": [asdict(each) for each in self.mcnemar],
        }


def score_class_files(
    paths: Sequence[Path],
    against: Sequence[Path] = (),
    *,
    rule: FrocRule | None = None,
    n_permutations: int = 1000,
) -> ScoredClasses:
    """Figures of the runs in files, and, with `against`, the difference of the others to them.

    Args:
        paths: class_scores.json, one per run of a model. against: of another model, as many, on the same
            patches; run by run they are paired in the order given.

    Raises:
        ManifestError: a file is not what its format promises, or files to be paired are of other patches,
            classes or truth; names file and record.
        ValueError: no file, another number of files in `against`, or a negative number of permutations.
    """
    if not paths:
        raise ValueError("expected at least one class_scores.json, got none.")
    if against and len(against) != len(paths):
        raise ValueError(
            "expected as many files after --against as before it, one per run, got "
            f"{len(against)} and {len(paths)}."
        )
    rule = rule or FrocRule()
    files = [read_class_scores(path) for path in (*paths, *against)]
    _check_classes([*paths, *against], files)
    figures = [classification_figures(_units(each), rule) for each in files]
    runs, others = tuple(figures[: len(paths)]), tuple(figures[len(paths) :])
    paired: tuple[PairedFigure, ...] = ()
    mcnemar: tuple[McNemar, ...] = ()
    if against:
        joined = [_joined((paths[0], files[0]), pair) for pair in zip((*paths, *against), files, strict=True)]
        first, second = joined[: len(paths)], joined[len(paths) :]
        paired = paired_figures(first, second, rule, n_permutations=n_permutations)
        mcnemar = tuple(
            mcnemar_test(a.predicted == a.class_index, b.predicted == b.class_index)
            for a, b in zip(first, second, strict=True)
        )
    names = names_of([*paths, *against])
    return ScoredClasses(
        names[: len(paths)],
        names[len(paths) :],
        files[0].class_names,
        runs,
        others,
        summarise_runs(runs),
        summarise_runs(others) if others else (),
        paired,
        mcnemar,
        tuple(content_sha256(path) for path in (*paths, *against)),
        rule,
    )


def score_classes(scores: str | Path, output: str | Path) -> dict[str, Any]:
    """`score_class_files` of one file as a step of a bundle: writes the figures and returns them."""
    content = score_class_files([Path(scores)]).as_json()
    write_json_atomic(Path(output), content)
    return content


def names_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """A word that tells each file from the others: its name, else that of a folder above, else a number.

    >>> names_of([Path("a/eval/class_scores.json"), Path("b/eval/class_scores.json")])
    ('a', 'b')
    """
    parts = [(path.stem, *reversed(path.absolute().parent.parts)) for path in paths]
    for names in zip(*parts, strict=False):
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(str(number) for number in range(1, len(paths) + 1))


def _units(content: ClassScoresFile) -> ClassifiedUnits:
    return ClassifiedUnits(
        np.array([each.probabilities for each in content.scores], dtype=np.float64).reshape(
            -1, len(content.class_names)
        ),
        np.array([each.class_index for each in content.scores], dtype=np.int64),
        np.array([each.patient for each in content.scores], dtype=np.int64),
    )


def _joined(model: tuple[Path, ClassScoresFile], other: tuple[Path, ClassScoresFile]) -> ClassifiedUnits:
    """The other file's answers in the order of the model's file, with its patients."""
    row_of = {(each.record_id, each.site): each for each in other[1].scores}
    asked = model[1].scores
    if len(asked) != len(row_of):
        raise ManifestError(
            f"{other[0]}: {counted(len(row_of), 'patch')}, {model[0]} has {len(asked)}. {_SAME_PATCHES}"
        )
    answers = []
    for row, each in enumerate(asked):
        found = row_of.get((each.record_id, each.site))
        if found is None or found.class_index != each.class_index:
            said = "is not in it" if found is None else f"has class {found.class_index} in it"
            raise ManifestError(
                f"{other[0]}: {model[0]}, scores row {row} ({each.record_id}, site {each.site}, class "
                f"{each.class_index}) {said}. {_SAME_PATCHES}"
            )
        answers.append(found)
    aligned = _units(ClassScoresFile(tuple(answers), other[1].class_names))
    return ClassifiedUnits(aligned.probabilities, aligned.class_index, _units(model[1]).patient)


def _check_classes(paths: Sequence[Path], files: Sequence[ClassScoresFile]) -> None:
    for path, content in zip(paths, files, strict=True):
        if not content.scores:
            raise ManifestError(f"{path}: no score in it. Make it again with the bundle's evaluating.")
        if content.class_names != files[0].class_names:
            raise ManifestError(
                f"{path}: classes {', '.join(content.class_names)}, but {paths[0]} has "
                f"{', '.join(files[0].class_names)}. Give files of the same classes."
            )


def _figures(figures: ClassificationFigures) -> dict[str, Any]:
    return {
        "n_units": figures.n_units,
        "n_patients": figures.n_patients,
        "figures": _named(figures.figures),
        "per_class": [_named(each) for each in figures.per_class],
        "confusion": figures.confusion.tolist(),
    }


def _named(figures: Mapping[Any, Figure]) -> dict[str, Any]:
    return {name: _plain(asdict(each)) for name, each in figures.items()}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """NaN as null."""
    return {name: _without_nan(value) for name, value in values.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
