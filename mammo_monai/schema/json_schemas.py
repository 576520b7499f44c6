"""The JSON Schemas of this package's files, for editors and other tools; the readers here check more.

They say which fields there are, of which type and in which range. What no schema can say the readers refuse:
lists of different lengths, boxes outside their image, a record id that stands twice, a hash that differs.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Literal, get_args

SchemaName = Literal["manifest", "folds", "detections", "operating-points", "metrics", "node"]
SCHEMA_NAMES: tuple[SchemaName, ...] = get_args(SchemaName)


def json_schema(name: SchemaName) -> dict[str, Any]:
    """The schema of a file (draft 2020-12).

    Raises:
        ValueError: another name.

    >>> json_schema("folds")["$id"]
    'urn:mammo-monai:folds:1'
    """
    if name not in SCHEMA_NAMES:
        raise ValueError(f"a schema is one of {', '.join(SCHEMA_NAMES)}, got {name!r}.")
    text = resources.files("mammo_monai.schema").joinpath("json", f"{name}.schema.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
