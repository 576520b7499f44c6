"""Files that run code when they are loaded: pickles, known by name or first bytes, and never loaded."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.errors import ManifestError

_SUFFIXES = (".pkl", ".pickle", ".pth", ".pt", ".joblib")
_BEGINNINGS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))  # docs.python.org, "pickletools"


def refuse_pickle(path: Path) -> None:
    """Raises for a pickle, or a folder that holds pickles and nothing else.

    Raises:
        ManifestError: says what to bring instead.
    """
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.is_file() and each.name[0] != ".")
        found = files[0] if files and all(each.suffix.lower() in _SUFFIXES for each in files) else None
    else:
        found = path if _is_pickle(path) else None
    if found is not None:
        raise ManifestError(
            f"{found}: a pickle, which can run anything when it is read: none is ever loaded here. Have the "
            "toolkit write COCO results (MMDetection: CocoMetric(outfile_prefix=…); Detectron2: "
            "coco_instances_results.json), or a table of file_name, xmin, ymin, xmax, ymax, score "
            "(nnDetection: from pred_boxes and pred_scores)."
        )


def _is_pickle(path: Path) -> bool:
    if path.suffix.lower() in _SUFFIXES:
        return True
    if not path.is_file():  # to open a pipe would wait for ever
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(2).startswith(_BEGINNINGS)
    except OSError:
        return False  # whose reader says so
