"""experiment.json in the folder of the runs: what a table needs to name and order them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.experiments.definition import ExperimentError
from mammo_monai.files import write_json_atomic
from mammo_monai.schema.fields import list_, load_json, mapping, read_field, text_

HEAD_NAME = "experiment.json"
HEAD_SCHEMA = "mammo-monai/experiment-head/1"


@dataclass(frozen=True)
class Head:
    """An experiment as its folder tells it.

    Attributes:
        runs: descriptions by name, in the file's order; the first is what the others are compared with.
        folds: all there are, run or not.
        is_phantom: whether the images are synthetic.
    """

    name: str
    description: str
    runs: Mapping[str, str] = field(default_factory=dict)
    folds: tuple[str, ...] = ()
    is_phantom: bool = False


def write_head(folder: Path, head: Head) -> None:
    """Writes experiment.json."""
    content = {
        "schema": HEAD_SCHEMA,
        "name": head.name,
        "description": head.description,
        "runs": [{"name": name, "description": text} for name, text in head.runs.items()],
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
        runs = [mapping(each) for each in read_field(where, content, "runs", list_)]
        return Head(
            read_field(where, content, "name", text_),
            read_field(where, content, "description", str, ""),
            {read_field(where, each, "name", text_): str(each.get("description", "")) for each in runs},
            tuple(text_(each) for each in read_field(where, content, "folds", list_)),
            is_phantom=bool(content.get("is_phantom", False)),
        )
    except (ManifestError, TypeError, ValueError) as error:
        raise ExperimentError(
            f"{error} Give the folder that `mammo-monai experiment run` wrote (--out)."
        ) from error
