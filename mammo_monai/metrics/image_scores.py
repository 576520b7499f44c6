"""Scores of whole images by several models, averaged: an ensemble."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammo_monai.errors import ManifestError
from mammo_monai.files import counted
from mammo_monai.schema import DetectionsFile

_NAMED = 3  # ids spelled out in an error; the rest are counted


def mean_image_scores(files: Sequence[DetectionsFile]) -> dict[str, float]:
    """The mean over the files of each image's score, by record id, in the order of the first file.

    Args:
        files: of the same images, in any order, each image with a score.

    Raises:
        ManifestError: no file, files of different images, or an image without a score.

    Source: the ensemble of the best four classifiers: P4, after Shen et al., 2019.

    >>> from mammo_monai.records import Detections
    >>> models = [DetectionsFile((Detections("a", image_score=score),)) for score in (0.25, 0.75)]
    >>> mean_image_scores(models)
    {'a': 0.5}
    """
    if not files:
        raise ManifestError("the mean of images' scores needs at least one file of detections, got none.")
    first = [each.record_id for each in files[0].detections]
    for number, file in enumerate(files, start=1):
        ids = {each.record_id for each in file.detections}
        if different := sorted(ids ^ set(first)):
            raise ManifestError(
                f"file {number} of {len(files)}: expected the images of the first file, {len(different)} "
                f"differ: {_named(different)}. Predict on the same images with each model."
            )
        if missing := [each.record_id for each in file.detections if each.image_score is None]:
            raise ManifestError(
                f"file {number} of {len(files)}: {counted(len(missing), 'image')} without an "
                f"image_score: {_named(missing)}. Average models that score whole images."
            )
    scores = [{each.record_id: each.image_score for each in file.detections} for file in files]
    # Sorted, so that the order of the files changes no rounding.
    return {
        record_id: float(np.clip(np.mean(sorted(each[record_id] or 0.0 for each in scores)), 0, 1))
        for record_id in first
    }


def _named(record_ids: Sequence[str]) -> str:
    return ", ".join(record_ids[:_NAMED]) + (", …" if len(record_ids) > _NAMED else "")
