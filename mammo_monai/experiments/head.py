"""experiment.json in the folder of the runs: what a table needs to name and order them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.files import write_json_atomic
from mammo_monai.schema.fields import Json, list_, load_json, mapping, read_field, text_

HEAD_NAME = "experiment.json"
HEAD_SCHEMA = "mammo-monai/experiment-head/1"


@dataclass(frozen=True)
class HeadRun:
    """A run as the head tells of it.

    Attributes:
        folds: its own; `("once",)` where it is not done per fold; empty: those of the head.
        scored_on: in words. scored_sha256: runs with the same one are scored on the same images; both are
            empty in folders of older versions, where all runs are.
        table, row: which row of which published table it reproduces; empty for none.
    """

    name: str
    description: str = ""
    folds: tuple[str, ...] = ()
    scored_on: str = ""
    scored_sha256: str = ""
    table: str = ""
    row: str = ""


@dataclass(frozen=True)
class Head:
    """An experiment as its folder tells it.

    Attributes:
        runs: in the file's order; of those scored on the same images, the others are compared with the first.
        folds: all there are, run or not.
        is_phantom: whether the images are synthetic.
    """

    name: str
    description: str
    runs: tuple[HeadRun, ...] = ()
    folds: tuple[str, ...] = ()
    is_phantom: bool = False

    def folds_of(self, run: HeadRun) -> tuple[str, ...]:
        """The folds that a run is done on."""
        return run.folds or self.folds


def write_head(folder: Path, head: Head) -> None:
    """Writes experiment.json."""
    content = {
        "schema": HEAD_SCHEMA,
        "name": head.name,
        "description": head.description,
        "runs": [asdict(each) for each in head.runs],
        "folds": list(head.folds),
        "is_phantom": head.is_phantom,
    }
    write_json_atomic(folder / HEAD_NAME, content)


def read_head(folder: Path) -> Head:
    """The head of the experiment in a folder.

    Raises:
        ExperimentError: the folder is not one of `mammo-monai experiment run`.
    """
    where = str(folder / HEAD_NAME)
    try:
        content = load_json(folder / HEAD_NAME, HEAD_SCHEMA)
        return Head(
            read_field(where, content, "name", text_),
            read_field(where, content, "description", str, ""),
            tuple(_run(where, each) for each in read_field(where, content, "runs", list_)),
            _names(where, content, "folds"),
            is_phantom=bool(content.get("is_phantom", False)),
        )
    except (ManifestError, TypeError, ValueError) as error:
        raise ExperimentError(
            f"{error} Give the folder that `mammo-monai experiment run` wrote (--out)."
        ) from error


def _run(where: str, item: object) -> HeadRun:
    row = mapping(item)
    texts = {
        name: read_field(where, row, name, str, "")
        for name in ("description", "scored_on", "scored_sha256", "table", "row")
    }
    folds = _names(where, row, "folds") if "folds" in row else ()
    return HeadRun(read_field(where, row, "name", text_), folds=folds, **texts)


def _names(where: str, item: Json, name: str) -> tuple[str, ...]:
    return tuple(text_(each) for each in read_field(where, item, name, list_))
