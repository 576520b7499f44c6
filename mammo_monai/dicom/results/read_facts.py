"""What an object says of the model that made its marks, and of people who edited them."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from mammo_monai.dicom.reading import first_text
from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.identity import UNKNOWN_VERSION, UNNAMED, ModelIdentity


def identity_in(dataset: Dataset) -> ModelIdentity:
    """The model by the contributing equipment, which all our results hold; else by the general equipment."""
    values = _values(dataset)
    return ModelIdentity(
        name=first_text(dataset, "ManufacturerModelName") or UNNAMED,
        version=values.get("model_version", UNKNOWN_VERSION),
        weights_sha256=values.get("weights_sha256"),
        software=values.get("software", ""),
        threshold=_number(values.get("score_threshold")),
        fppi=_number(values.get("false_positives_per_image")),
    )


def is_reviewed_in(dataset: Dataset) -> bool:
    """Whether a person has edited the marks; False where the object does not say."""
    return _values(dataset).get("reviewed_by_a_person") == "yes"


def named_values(lines: Iterable[str]) -> dict[str, str]:
    """`name=value` lines as a mapping; others are left out.

    >>> named_values(["threshold=0.3", "free text"])
    {'threshold': '0.3'}
    """
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, found, value in pairs if found}


def _values(dataset: Dataset) -> dict[str, str]:
    for item in dataset.get("ContributingEquipmentSequence") or ():
        if codes.code_of(item.get("PurposeOfReferenceCodeSequence")) == codes.PROCESSING_EQUIPMENT.key:
            return named_values(str(item.get("ContributionDescription", "")).splitlines())
    return {}


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
