"""The recipe a training configuration asks for, read from the configuration itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from mammo_monai.errors import BundleError, causes
from mammo_monai.transforms import PrepareMammogramd, Recipe

PREPROCESSING = "train#preprocessing"


def configured_recipe(
    config: Path, changes: Mapping[str, object], content: dict[str, Any] | None = None
) -> Recipe:
    """The recipe of `train#preprocessing` in a configuration, whatever names its values there.

    Args:
        config: a bundle's `train.json`. changes: options of `training_transforms` to replace.
        content: what the file holds, where it has been read and found safe to run; else it is read.

    Raises:
        BundleError: no such file or id, values that do not fit, or a preprocessing without a recipe.
    """
    if not config.is_file():
        raise BundleError(f"{config}: no such configuration. Only bundles that train can be prepared for.")
    parser = ConfigParser()
    try:
        parser.read_config(str(config) if content is None else content)
        for name, value in changes.items():
            parser[f"{PREPROCESSING}#{name}"] = value
        transform = parser.get_parsed_content(PREPROCESSING)
    except Exception as error:  # MONAI wraps whatever a component raises, so no narrower class would do
        *_, cause = causes(error)
        raise BundleError(f"{config}, id {PREPROCESSING}: {type(cause).__name__}: {cause}") from error
    for each in getattr(transform, "transforms", ()):
        if isinstance(each, PrepareMammogramd):
            return each.recipe
    raise BundleError(
        f"{config}, id {PREPROCESSING}: expected training_transforms or another Compose with "
        "PrepareMammogramd, found none: what it needs cannot be prepared."
    )
