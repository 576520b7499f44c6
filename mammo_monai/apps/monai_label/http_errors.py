"""Errors of this package as answers over HTTP: one status, one sentence, no path and no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# FastAPI's exception, by the door of the endpoints that answer with it.
from monailabel.endpoints.infer import HTTPException
from monailabel.interfaces.exception import MONAILabelException

from mammo_monai.errors import BundleError, MammoError, WeightsError

NOT_FOUND = 404
NOT_READY = 409
NOT_USABLE = 422
MISUSED = 400
__all__ = ["HTTPException", "answered"]


@contextmanager
def answered(paths: dict[str, str] | None = None) -> Iterator[None]:
    """Turns errors of the block into HTTPException, which a server answers and a task ends with.

    Args:
        paths: texts to replace in messages: a file of the server by the name its client knows it by.

    Raises:
        HTTPException: 404 for what MONAI Label does not find, 409 for weights and bundles that are not ready,
            422 for images and labels that cannot be used, 400 for options that are none.
    """
    try:
        yield
    except MONAILabelException as error:
        raise HTTPException(NOT_FOUND, error.msg) from error
    except (MammoError, ValueError) as error:
        is_unready = isinstance(error, WeightsError | BundleError)
        status = NOT_READY if is_unready else NOT_USABLE if isinstance(error, MammoError) else MISUSED
        raise HTTPException(status, _named(str(error), paths or {})) from error


def _named(message: str, paths: dict[str, str]) -> str:
    for path, name in paths.items():
        if path:
            message = message.replace(path, name)
    return message
