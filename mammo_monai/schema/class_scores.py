"""class_scores.json: what a classifier answered on patches or images whose class is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.schema.fields import (
    Json,
    class_index,
    finite_number,
    list_,
    list_of_numbers_from_0_to_1,
    list_of_texts,
    load_json,
    mapping,
    read_field,
    text_,
    whole_number,
)

CLASS_SCORES_SCHEMA = "mammo-monai/class-scores/1"
SUM_TOLERANCE = 0.01  # probabilities of half precision add up to 1 within 0.004
Site = tuple[float, float]


@dataclass(frozen=True)
class ClassScore:
    """One answer beside the truth.

    Attributes:
        patient: a number that patches of one patient share; not the data set's own id.
        class_index: the true class; 0 is background. probabilities: of all classes, of sum 1.
        site: centre `(x, y)` of a patch, pixels of the original image; None for a whole image.
    """

    record_id: str
    patient: int
    class_index: int
    probabilities: tuple[float, ...]
    site: Site | None = None


@dataclass(frozen=True)
class ClassScoresFile:
    """Answers with the names of the classes, background first, and a description of the model."""

    scores: tuple[ClassScore, ...]
    class_names: tuple[str, ...]
    model: Json = field(default_factory=dict)


def read_class_scores(path: Path) -> ClassScoresFile:
    """The answers at `path`.

    Raises:
        ManifestError: not JSON, another schema, missing or wrong fields, probabilities that do not add up to
            1 or are not one per class, a site that stands twice, or an image of two patients; names the row.
    """
    path = Path(path)
    content = load_json(path, CLASS_SCORES_SCHEMA)
    names = tuple(read_field(str(path), content, "class_names", list_of_texts))
    if len(names) < 2:
        raise ManifestError(f"{path}: class_names must name at least 2 classes, got {len(names)}.")
    if len(set(names)) < len(names):
        raise ManifestError(f"{path}: class_names must differ, got {', '.join(names)}.")
    rows = content.get("scores")
    if not isinstance(rows, list):
        raise ManifestError(f"{path}: scores must be a list, got {type(rows).__name__}.")
    scores = tuple(_score(path, row, item, len(names)) for row, item in enumerate(rows))
    _reject_repeats(path, scores)
    return ClassScoresFile(scores, names, read_field(str(path), content, "model", mapping, {}))


def write_class_scores(path: Path, content: ClassScoresFile) -> None:
    """Writes the answers, one row each."""
    rows = [
        {
            "record_id": each.record_id,
            "patient": each.patient,
            "site": None if each.site is None else list(each.site),
            "class_index": each.class_index,
            "probabilities": list(each.probabilities),
        }
        for each in content.scores
    ]
    write_json_atomic(
        Path(path),
        {
            "schema": CLASS_SCORES_SCHEMA,
            "model": dict(content.model),
            "class_names": list(content.class_names),
            "scores": rows,
        },
    )


def pair_of_numbers(value: object) -> Site:
    """Two numbers, x and y."""
    x, y = (finite_number(each) for each in list_(value))
    return x, y


def _score(path: Path, row: int, item: object, n_classes: int) -> ClassScore:
    where = f"{path}, scores row {row}"
    if not isinstance(item, dict):
        raise ManifestError(
            f"{where}: expected an object with record_id, class_index, probabilities, got "
            f"{type(item).__name__}."
        )
    where = f"{where} ({read_field(where, item, 'record_id', text_)})"
    truth = read_field(where, item, "class_index", class_index)
    probabilities = tuple(read_field(where, item, "probabilities", list_of_numbers_from_0_to_1))
    if len(probabilities) != n_classes or truth >= n_classes:
        raise ManifestError(
            f"{where}: expected {n_classes} probabilities, one per name in class_names, and a class_index "
            f"below {n_classes}, got {len(probabilities)} probabilities and class_index {truth}."
        )
    if abs(sum(probabilities) - 1) > SUM_TOLERANCE:
        raise ManifestError(f"{where}: probabilities must add up to 1, got {sum(probabilities):.4f}.")
    return ClassScore(
        item["record_id"],
        read_field(where, item, "patient", whole_number),
        truth,
        probabilities,
        read_field(where, item, "site", pair_of_numbers, None),
    )


def _reject_repeats(path: Path, scores: Sequence[ClassScore]) -> None:
    row_of: dict[tuple[str, Site | None], int] = {}
    patient_of: dict[str, int] = {}
    for row, each in enumerate(scores):
        where = f"{path}, scores row {row} ({each.record_id})"
        first = row_of.setdefault((each.record_id, each.site), row)
        if first != row:
            raise ManifestError(
                f"{where}: site {each.site} stands already in row {first}; each may stand once."
            )
        if patient_of.setdefault(each.record_id, each.patient) != each.patient:
            raise ManifestError(
                f"{where}: patient {each.patient}, but {patient_of[each.record_id]} in a row above: one "
                "image is of one patient."
            )
