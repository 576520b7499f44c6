"""What structured reports have in common: document modules, observers, the algorithm, evidence."""

from __future__ import annotations

import itertools

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_monai.dicom.reading import first_text
from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.content_tree import (
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    coded,
    person_name,
    sop_reference,
    text,
    uid,
)
from mammo_monai.dicom.results.headers import (
    MANUFACTURER,
    ResultFacts,
    SeriesFacts,
    device_uid,
    new_result,
)
from mammo_monai.dicom.results.marked_image import CheckedImage

_UNKNOWN_ORGANISATION = "not recorded"


def new_report(images: list[CheckedImage], facts: ResultFacts, series: SeriesFacts, root: Dataset) -> Dataset:
    """A structured report with this content.

    It is complete; VERIFIED only where an observer is named, since a mark nobody looked at is no report.

    Source: DICOM PS3.3 C.17.1, C.17.2, C.17.3.
    """
    result = new_result(images, facts, series)
    result.ReferencedPerformedProcedureStepSequence = Sequence()
    result.PerformedProcedureCodeSequence = Sequence()
    result.CompletionFlag, result.VerificationFlag = "COMPLETE", "UNVERIFIED"
    result.PreliminaryFlag = "PRELIMINARY"
    if facts.observer is not None:
        result.VerificationFlag, result.PreliminaryFlag = "VERIFIED", "FINAL"
        result.VerifyingObserverSequence = Sequence([_verification(images[0].source, facts, facts.observer)])
    result.CurrentRequestedProcedureEvidenceSequence = Sequence([_evidence(images)])
    result.update(root)
    return result


def language() -> Dataset:
    """TID 1204: the report is in English."""
    return coded(HAS_CONCEPT_MOD, codes.LANGUAGE, codes.ENGLISH)


def observers(facts: ResultFacts) -> list[Dataset]:
    """TID 1002: the model, and the person who verified its marks.

    The serial number of a model is the SHA-256 of its weights.
    """
    model = facts.model
    found = [
        coded(HAS_OBS_CONTEXT, codes.OBSERVER_TYPE, codes.DEVICE),
        uid(HAS_OBS_CONTEXT, codes.DEVICE_UID, device_uid(model)),
        text(HAS_OBS_CONTEXT, codes.DEVICE_NAME, f"{model.name} {model.version}"),
        text(HAS_OBS_CONTEXT, codes.DEVICE_MANUFACTURER, MANUFACTURER),
        text(HAS_OBS_CONTEXT, codes.DEVICE_MODEL_NAME, model.name),
    ]
    if model.weights_sha256 is not None:
        found.append(text(HAS_OBS_CONTEXT, codes.DEVICE_SERIAL_NUMBER, model.weights_sha256))
    if facts.observer is not None:
        found += [
            coded(HAS_OBS_CONTEXT, codes.OBSERVER_TYPE, codes.PERSON),
            person_name(HAS_OBS_CONTEXT, codes.PERSON_OBSERVER_NAME, facts.observer),
        ]
    return found


def algorithm(relation: str, facts: ResultFacts) -> list[Dataset]:
    """TID 4019: name, version and, as parameters, the weights and the operating point."""
    return [
        text(relation, codes.ALGORITHM_NAME, facts.model.name),
        text(relation, codes.ALGORITHM_VERSION, facts.model.version),
        *(text(relation, codes.ALGORITHM_PARAMETERS, each) for each in facts.parameters),
    ]


def outline(box: list[float]) -> list[float]:
    """The corners of a box from the first around to the first, as x, y, x, y …

    >>> outline([1, 2, 5, 4])
    [1, 2, 5, 2, 5, 4, 1, 4, 1, 2]
    """
    x_min, y_min, x_max, y_max = box
    return [x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max, x_min, y_min]


def _verification(source: Dataset, facts: ResultFacts, observer: str) -> Dataset:
    item = Dataset()
    item.VerifyingObserverName = observer
    item.VerifyingObserverIdentificationCodeSequence = Sequence()
    item.VerifyingOrganization = first_text(source, "InstitutionName") or _UNKNOWN_ORGANISATION
    item.VerificationDateTime = facts.created.strftime("%Y%m%d%H%M%S")
    return item


def _evidence(images: list[CheckedImage]) -> Dataset:
    """The study with its series and their images that the report speaks of."""
    study = Dataset()
    study.StudyInstanceUID = images[0].source.StudyInstanceUID

    def series_of(image: CheckedImage) -> str:
        return str(image.source.SeriesInstanceUID)

    study.ReferencedSeriesSequence = Sequence()
    for series_uid, members in itertools.groupby(sorted(images, key=series_of), series_of):
        series = Dataset()
        series.SeriesInstanceUID = series_uid
        series.ReferencedSOPSequence = Sequence(
            [sop_reference(each.sop_class_uid, each.uid) for each in members]
        )
        study.ReferencedSeriesSequence.append(series)
    return study
