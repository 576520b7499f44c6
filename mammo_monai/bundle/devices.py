"""Whether torch can compute on a device that somebody asked for by name; refused before any loading."""

from __future__ import annotations

import torch

from mammo_monai.errors import BundleError

_EXPECTED = "expected cpu, cuda, cuda:N or mps"


def check_device(device: object) -> None:
    """Verifies the value of a bundle's id `device`; expressions ("$…", "@…") are left to the run.

    Raises:
        BundleError: no such device, a kind that marks nothing, or one that this machine does not have.

    >>> check_device("gpu")
    Traceback (most recent call last):
        ...
    mammo_monai.errors.BundleError: device gpu: is none; expected cpu, cuda, cuda:N or mps.
    """
    if not isinstance(device, str | torch.device) or str(device).startswith(("$", "@", "%")):
        return
    try:
        asked = torch.device(device)
    except RuntimeError:
        raise BundleError(f"device {device}: is none; {_EXPECTED}.") from None
    if asked.type not in ("cpu", "cuda", "mps"):
        raise BundleError(f"device {device}: this package was not made for it; {_EXPECTED}.")
    if asked.type == "mps" and not torch.backends.mps.is_available():
        raise BundleError(_absent(device, "mps"))
    if asked.type == "cuda":
        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if n_devices == 0:
            raise BundleError(_absent(device, "CUDA"))
        if (asked.index or 0) >= n_devices:
            last = n_devices - 1
            raise BundleError(
                f"device {device}: there is none of this number; "
                f"expected cuda:0{f' to cuda:{last}' if last else ''}, or cpu."
            )


def _absent(device: object, kind: str) -> str:
    return (
        f"device {device}: torch finds no {kind} device on this machine. `mammo-monai doctor` says why; "
        "with --device cpu it runs all the same, slower."
    )
