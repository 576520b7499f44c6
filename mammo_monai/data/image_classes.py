"""Samples of whole images with their class, 0 or 1, and nested subsets of patients to learn from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mammo_monai.data.samples import load_samples, records_of
from mammo_monai.errors import ManifestError
from mammo_monai.records import MASS_LABEL, Positive, Split, ViewPosition, is_positive
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
Sample = dict[str, Any]


def load_image_samples(
    path: str | Path | Sequence[str | Path],
    split: Split | str | None = None,
    *,
    positive: Positive = "lesion",
    label: int = MASS_LABEL,
    max_patients: int | None = None,
    seed: int = 0,
    keep_boxes: bool = True,
    view_position: ViewPosition | str | None = None,
) -> list[Sample]:
    """The images of a list whose class is known, as `load_samples` gives them, each with `class_index`.

    Args:
        path, split, view_position: as in `load_samples`.
        positive: what class 1 is: "lesion", an image with a lesion of `label`; "malignant", see
            `records.is_positive`. Images of which that is unknown are left out, and counted in the log.
        max_patients: as many patients as these at most, see `chosen_patients`; None takes all.
        seed: of the choice of patients.
        keep_boxes: False gives samples without any box or lesion: what is learnt from them is learnt from the
            classes alone. Otherwise boxes come along, and augmentations that crop keep them in.

    Returns:
        Samples with `class_index`, an int64 scalar, 0 or 1.

    Raises:
        ManifestError: as `load_samples`; no image of known class, or `max_patients` below 1.
        ValueError: another class.
    """
    samples = load_samples(path, split, view_position=view_position)
    records = records_of(path, split)
    classes = [is_positive(records[each["record_id"]], positive, label=label) for each in samples]
    labelled = [
        {**each, "class_index": torch.tensor(int(known), dtype=torch.int64)}
        for each, known in zip(samples, classes, strict=True)
        if known is not None
    ]
    which = getattr(split, "value", split) or "all lists"
    if not labelled:
        raise ManifestError(
            f"{path}, {which}: none of {counted(len(samples), 'image')} says whether it is "
            f"{positive}: it takes a lesion's pathology, or a BI-RADS assessment other than 0 and 3. Use "
            "positive=lesion, or another manifest."
        )
    if max_patients is not None:
        truth = [(each["patient_id"], bool(each["class_index"])) for each in labelled]
        chosen = chosen_patients(truth, max_patients, seed=seed)
        labelled = [each for each in labelled if each["patient_id"] in chosen]
    n_positive = sum(int(each["class_index"]) for each in labelled)
    logger.info(
        "%s, %s: %s of known class, %d positive (%s); %d of unknown class left out",
        path,
        which,
        counted(len(labelled), "image"),
        n_positive,
        positive,
        len(samples) - sum(each is not None for each in classes),
    )
    return labelled if keep_boxes else [_without_boxes(each) for each in labelled]


def chosen_patients(
    images: Sequence[tuple[str, bool]], max_patients: int, *, seed: int = 0
) -> frozenset[str]:
    """The ids of some patients; of one seed, the choice of 10 holds the choice of 5.

    Patients with a positive image and those without are each put in random order and dealt out evenly, so
    that every choice has about their share among all; the scarcer kind comes first where one must.

    Args:
        images: id of the patient and class of every image.
        max_patients: at least 1; more than there are gives all, with a warning.

    Raises:
        ManifestError: `max_patients` is below 1.

    >>> images = [(f"p{n}", n < 4) for n in range(12)]
    >>> few, more = (chosen_patients(images, n) for n in (3, 6))
    >>> few < more, sum(dict(images)[each] for each in few), sum(dict(images)[each] for each in more)
    (True, 1, 2)
    """
    if type(max_patients) is not int or max_patients < 1:
        raise ManifestError(
            f"max_patients must be a whole number, at least 1, or null for all; got {max_patients!r}."
        )
    with_positive = {patient for patient, known in images if known}
    patients = sorted({patient for patient, _ in images})
    if max_patients > len(patients):
        every = counted(len(patients), "patient")
        logger.warning("max_patients is %d, the list has %s: all are taken", max_patients, every)
    generator = np.random.default_rng(seed)
    places: list[tuple[float, int, str]] = []
    for group in ([each for each in patients if (each in with_positive) == kind] for kind in (True, False)):
        order = generator.permutation(len(group))
        places += [((rank + 0.5) / len(group), len(group), group[n]) for rank, n in enumerate(order)]
    return frozenset(patient for _, _, patient in sorted(places)[:max_patients])


def _without_boxes(sample: Sample) -> Sample:
    none = {
        "box": np.zeros((0, 4), dtype=np.float32),
        "label": np.zeros(0, dtype=np.int64),
        "box_original": np.zeros((0, 4)),
        "label_original": np.zeros(0, dtype=np.int64),
    }
    return {**sample, **none}
