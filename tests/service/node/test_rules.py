"""What a node marks, and the reasons it gives for the rest."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    ComprehensiveSRStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from mammo_monai.service.node.rules import why_unwanted
from mammo_monai.service.node.settings import Rules
from tests.service.node.films import film


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"BodyPartExamined": "BREAST"},
        {"BodyPartExamined": "breast "},
        {"SOPClassUID": SecondaryCaptureImageStorage, "PresentationIntentType": None},
    ],
)
def test_mammograms_for_presentation_and_scanned_films_are_wanted(tags: dict[str, Any]) -> None:
    assert why_unwanted(film(**tags), Rules()) is None


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"SOPClassUID": ComprehensiveSRStorage}, "its SOP class is no mammogram's"),
        ({"SOPClassUID": BreastTomosynthesisImageStorage}, "its SOP class is no mammogram's"),
        ({"SOPClassUID": None}, "its SOP class is no mammogram's"),
        ({"Modality": "CR"}, "its modality is not among those wanted"),
        ({"Modality": None}, "it names no modality"),
        (
            {
                "SOPClassUID": DigitalMammographyXRayImageStorageForProcessing,
                "PresentationIntentType": None,
            },
            "its presentation intent is not among those wanted",
        ),
        ({"PresentationIntentType": "FOR PROCESSING"}, "its presentation intent is not among those wanted"),
        ({"BodyPartExamined": "CHEST"}, "its body part is not among those wanted"),
    ],
)
def test_the_rest_is_not_with_a_reason(tags: dict[str, Any], reason: str) -> None:
    assert why_unwanted(film(**tags), Rules()) == reason


def test_institutions_are_those_listed() -> None:
    rules = Rules(institutions=("St. Mary", ""))
    assert why_unwanted(film(InstitutionName="ST. MARY"), rules) is None
    assert why_unwanted(film(), rules) is None
    assert why_unwanted(film(InstitutionName="Elsewhere"), rules) == (
        "its institution is not among those wanted"
    )
    assert why_unwanted(film(), Rules(institutions=("St. Mary",))) == "it names no institution"


@pytest.mark.parametrize(
    ("day", "is_wanted"),
    [("20240229", True), ("20240228", False), ("2024.02.28", False), ("", True), ("20241301", True)],
)
def test_old_studies_are_not_wanted(day: str, is_wanted: bool) -> None:
    rules = Rules(study_not_before="2024-02-29")
    dataset = film()
    dataset.add_new("StudyDate", "LO", day)  # a DA of another form would be refused by pydicom here
    assert (why_unwanted(dataset, rules) is None) == is_wanted


def test_our_own_results_are_never_marked() -> None:
    everything = Rules(modalities=None, intents=None, body_parts=None)
    reason = why_unwanted(film(), everything, is_own_result=lambda _: True)
    assert reason == "a result of this software that came back"
    assert why_unwanted(film(Modality="CR"), everything) is None
