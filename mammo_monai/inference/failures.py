"""An image's error in the words of this package: its root, its file, and the code of a refusal."""

from __future__ import annotations

from pathlib import Path

import torch

from mammo_monai.errors import MammoError, ManifestError, UnsuitableImageError, causes


def explained_error(error: Exception, record_id: str, image: Path) -> MammoError:
    """The root of an image's error (MONAI wraps what a transform raises), with the image's file."""
    *_, root = chain = list(causes(error))
    cause = next((each for each in chain if isinstance(each, MammoError)), root)
    reason = str(cause) if isinstance(cause, MammoError) else f"{type(cause).__name__}: {cause}"
    where = f"record {record_id}" if str(image) in reason else f"{image} (record {record_id})"
    if isinstance(root, torch.OutOfMemoryError):
        reason += (
            ". Give precision bf16, a smaller batch_size of the inferer or --device cpu; or end what else "
            "computes on this GPU (nvidia-smi)"
        )
    text = readable(f"{where}: {reason}")
    return retold(cause, text) if isinstance(cause, MammoError) else MammoError(text)


def is_of_device(error: BaseException) -> bool:
    """Whether a GPU failed in a way that every later image meets too: not this image's fault.

    >>> is_of_device(ValueError("a film without pixels"))
    False
    """
    return any(isinstance(each, torch.AcceleratorError) for each in causes(error))


def readable(text: str) -> str:
    r"""The text with what of a file's name is no UTF-8 written out: no file can hold it as it is.

    >>> readable("film\udcff.png")
    'film\\udcff.png'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def check_name(image: Path) -> None:
    """Refuses an image whose name no detections file can hold.

    Raises:
        ManifestError: the name holds bytes that are no UTF-8.
    """
    name = str(image)
    if readable(name) != name:
        raise ManifestError(f"{readable(name)}: the file's name is no text in UTF-8. Rename the file.")


def retold(error: MammoError, text: str) -> MammoError:
    """An error of the same kind with other words; a refusal keeps its code."""
    code = code_of(error)
    return UnsuitableImageError(text, code) if code else type(error)(text)


def code_of(error: BaseException) -> str:
    """Why an image was refused, in a word of `dicom.refusal_codes.REASONS`; "" for other errors."""
    return error.code if isinstance(error, UnsuitableImageError) else ""
