"""Detections files of several models made into one: read, checked, calibrated, fused, written."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.files import content_sha256
from mammo_monai.inference.ensemble import fused_stream
from mammo_monai.inference.ensemble_member import Contents, Member
from mammo_monai.inference.fusion_calibration import calibration_for
from mammo_monai.inference.fusion_methods import FusionRule
from mammo_monai.inference.written import Written, tallied
from mammo_monai.records import Detections
from mammo_monai.schema import (
    detections_format,
    iter_detections,
    read_detections,
    read_model,
    write_detections,
)
from mammo_monai.schema.fields import Json
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


def fuse_files(
    paths: Sequence[Path],
    output: Path,
    rule: FusionRule,
    *,
    points: Sequence[Path | None],
    names: Sequence[str] | None = None,
    is_calibrated: bool = True,
) -> Written:
    """Fuses the detections of several models on the same images, and writes them; see `fused_stream`.

    Of members in .jsonl or .parquet one image or shard is in memory at a time, as long as all list their
    images in the order of the first; record ids of all are.

    Args:
        paths: of the detections of each model. output: another file than these.
        points: the operating_points.json of each model, whose calibration it is fused with; None where it has
            none. Not read where `is_calibrated` is False.
        names: of the models; None takes the bundles that the files name, else the files' names.

    Returns:
        What was written: counts, the description of the ensemble, and the detections, read from the file.

    Raises:
        ManifestError: a file that is not what its format promises, or was thinned out by an operating point;
            and as `fused_stream`. ValueError: likewise, or two files of one content.
        WeightsError: a calibration of other weights.
        OSError: the output cannot be written.
    """
    rule.check_models(len(paths))
    if Path(output).absolute() in [Path(each).absolute() for each in paths]:
        raise ValueError(f"{output}: the ensemble would overwrite a member. Name another file with -o.")
    hashes = [content_sha256(Path(path)) for path in paths]
    if twice := [str(path) for n, path in enumerate(paths) if hashes[n] in hashes[:n]]:
        raise ValueError(
            f"{twice[0]}: the same detections as another member: a model fused with itself has two votes. "
            "Name each model once; --fuse-weights gives one more weight."
        )
    contents = [_whole(Path(path)) for path in paths]
    told = names or told_apart(
        [str(each.model.get("bundle") or path.stem) for path, each in zip(paths, contents, strict=True)]
    )
    members = [
        Member(
            name,
            content,
            str(path),
            sha256,
            calibration_for(each, content.model, detections=path)
            if is_calibrated and each is not None
            else None,
        )
        for name, path, content, sha256, each in zip(told, paths, contents, hashes, points, strict=True)
    ]
    fused = fused_stream(members, rule, is_calibrated=is_calibrated)
    written = Written(Path(output), fused.model, n_failed=len(fused.model["failed"]))
    write_detections(written.path, tallied(fused.detections, written), fused.model)
    logger.info("wrote %s: %d models, %s", output, len(members), counted(written.n_images, "image"))
    return written


def told_apart(names: Sequence[str]) -> list[str]:
    """The names, those that stand several times numbered.

    >>> told_apart(["a", "b", "a"])
    ['a', 'b', 'a-2']
    """
    told: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in told:
            number += 1
            candidate = f"{name}-{number}"
        told.append(candidate)
    return told


@dataclass(frozen=True)
class _OnDisk:
    """A .jsonl or .parquet output whose images are read anew at every pass, one or one shard at a time."""

    path: Path
    model: Json

    @property
    def detections(self) -> Iterator[Detections]:
        """Its images, from the first."""
        return iter_detections(self.path)


def _whole(path: Path) -> Contents:
    is_json = detections_format(path) == "json"
    content: Contents = read_detections(path) if is_json else _OnDisk(path, read_model(path))
    if "operating_point" in content.model:
        raise ManifestError(
            f"{path}: it shows only what one operating point shows; boxes below its threshold are missing, "
            "and would count as not seen. Predict again without --fppi."
        )
    return content
