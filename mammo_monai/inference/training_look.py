"""Makes a bundle's training statistics: every image prepared as for prediction, in figures of them all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mammo_monai import __version__
from mammo_monai.imaging.typicality import FALSE_ALARM_RATE, fit_statistics
from mammo_monai.inference.decode_ahead import decoded_ahead
from mammo_monai.inference.sample_statistics import sample_statistics
from mammo_monai.inference.sources import Samples, Sources
from mammo_monai.schema.training_statistics import TrainingStatistics
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
STATISTICS = "models/training_statistics.json"


def training_statistics(
    dataset: Samples,
    *,
    model: Mapping[str, Any],
    manifest_sha256: str | None = None,
    false_alarm_rate: float = FALSE_ALARM_RATE,
    on_progress: Callable[[int, int], None] | None = None,
) -> TrainingStatistics:
    """The statistics of a data set's images, as the bundle prepares them.

    Args:
        dataset: samples with the bundle's inference transforms, and `patient_id`; an empty one counts as a
            patient of its own.
        model: as `model_description`: its `weights_sha256` and `recipe` are noted.
        on_progress: called with the images done, and all.

    Raises:
        ValueError: fewer images than `typicality.MIN_IMAGES`.
        ManifestError: no image, or an id twice. MammoError: an image cannot be read; no statistics are made
            of the others, as those that fail may be of a kind.
    """
    sources = Sources(dataset)
    rows, patients = [], []
    with decoded_ahead(dataset, range(len(sources))) as images:
        for done, loaded in enumerate(images, start=1):
            if loaded.sample is None:
                raise loaded.error or RuntimeError("nothing was loaded")
            rows.append(sample_statistics(loaded.sample))
            patients.append(str(loaded.sample.get("patient_id") or sources[loaded.number].record_id))
            if on_progress is not None:
                on_progress(done, len(sources))
            elif done % 200 == 0:
                logger.info("%d of %s", done, counted(len(sources), "image"))
    weights, recipe = model.get("weights_sha256"), model.get("recipe")
    return replace(
        fit_statistics(rows, patients, false_alarm_rate=false_alarm_rate),
        recipe=dict(recipe) if isinstance(recipe, Mapping) else {},
        weights_sha256=weights if isinstance(weights, str) else None,
        manifest_sha256=manifest_sha256,
        software=f"mammo-monai {__version__}",
    )
