"""Comprehensive SR with one measurement group per mark: TID 1500."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.content_tree import (
    CONTAINS,
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    SELECTED_FROM,
    coded,
    container,
    coordinates,
    image,
    number,
    text,
    uid,
)
from mammo_monai.dicom.results.headers import ResultFacts, SeriesFacts
from mammo_monai.dicom.results.marked_image import CheckedImage
from mammo_monai.dicom.results.report_header import algorithm, language, new_report, observers, outline

SERIES = SeriesFacts(
    ComprehensiveSRStorage, "SR", 9101, "Marks (SR), not for diagnosis", is_of_one_image=True
)


def measurement_report(marked: CheckedImage, facts: ResultFacts) -> Dataset:
    """The marks of one image: box as POLYLINE, certainty, finding, site, view, model.

    Built by hand, because the same tree serves TID 4000, and because sources with holes in their headers are
    to be reported on too; highdicom reads it back in the tests.

    Source: DICOM PS3.16 TID 1500, 1501, 1410, 300, 1600, 4019.
    """
    measurements = []
    if len(marked.boxes):
        groups = [_group(marked, n, facts) for n in range(len(marked.boxes))]
        measurements = [container(CONTAINS, codes.IMAGING_MEASUREMENTS, groups)]
    root = container(
        None,
        codes.MEASUREMENT_REPORT,
        [
            language(),
            *observers(facts),
            coded(HAS_CONCEPT_MOD, codes.PROCEDURE_REPORTED, codes.MAMMOGRAPHY),
            _image_library(marked),
            *measurements,
            container(CONTAINS, codes.QUALITATIVE_EVALUATIONS, _evaluations(marked, facts)),
        ],
        template="1500",
    )
    return new_report([marked], facts, SERIES, root)


def _image_library(marked: CheckedImage) -> Dataset:
    """TID 1600: the image with its side and view."""
    context = [coded(HAS_ACQ_CONTEXT, codes.MODALITY, codes.MODALITY_MG)]
    attributes = marked.attributes
    if attributes.laterality is not None:
        side = codes.SIDE_CODES[attributes.laterality]
        context.append(coded(HAS_ACQ_CONTEXT, codes.IMAGE_LATERALITY, side))
    if (view := marked.view_code) is not None:
        context.append(coded(HAS_ACQ_CONTEXT, codes.IMAGE_VIEW, view))
    entry = image(CONTAINS, marked.sop_class_uid, marked.uid)
    group = container(CONTAINS, codes.IMAGE_LIBRARY_GROUP, [*context, entry])
    return container(CONTAINS, codes.IMAGE_LIBRARY, [group])


def _group(marked: CheckedImage, n: int, facts: ResultFacts) -> Dataset:
    """TID 1410: one mark."""
    box = marked.boxes[n].tolist()
    laterality, view = marked.attributes.laterality, marked.view_code
    site = codes.BREAST if laterality is None else codes.BREAST_CODES[laterality]
    tracking_uid = facts.uid("mark", [marked.uid], content=f"{n} {box}")
    source = image(SELECTED_FROM, marked.sop_class_uid, marked.uid)
    return container(
        CONTAINS,
        codes.MEASUREMENT_GROUP,
        [
            text(HAS_OBS_CONTEXT, codes.TRACKING_IDENTIFIER, marked.mark_name(n)),
            uid(HAS_OBS_CONTEXT, codes.TRACKING_UID, tracking_uid),
            *algorithm(HAS_CONCEPT_MOD, facts),
            coded(CONTAINS, codes.FINDING, codes.finding_code(int(marked.labels[n]))),
            coded(HAS_CONCEPT_MOD, codes.FINDING_SITE, site),
            coordinates(CONTAINS, codes.IMAGE_REGION, "POLYLINE", outline(box), source),
            *_measurements(marked, n),
            *([] if view is None else [coded(CONTAINS, codes.IMAGE_VIEW, view)]),
        ],
        template="1410",
    )


def _measurements(marked: CheckedImage, n: int) -> list[Dataset]:
    """Certainty in percent, with the method that says whether it is calibrated, and the score."""
    certainty, score = float(marked.certainties[n]), float(marked.scores[n])
    found = []
    if not np.isnan(certainty):
        method = codes.BY_SCORE if marked.probabilities is None else codes.BY_PROBABILITY
        how = coded(HAS_CONCEPT_MOD, codes.MEASUREMENT_METHOD, method)
        found.append(number(CONTAINS, codes.CERTAINTY, 100 * certainty, codes.PERCENT, [how]))
    if not np.isnan(score):
        found.append(number(CONTAINS, codes.SCORE, score, codes.NO_UNITS))
    return found


def _evaluations(marked: CheckedImage, facts: ResultFacts) -> list[Dataset]:
    """Of the report as a whole: whether anything is marked, what it is for, and the operating point."""
    model = facts.model
    summary = codes.WITH_FINDINGS if len(marked.boxes) else codes.WITHOUT_FINDINGS
    found = [
        coded(CONTAINS, codes.FINDINGS_SUMMARY, summary),
        coded(CONTAINS, codes.INTENDED_USE, codes.NOT_FOR_DIAGNOSIS),
        coded(CONTAINS, codes.REVIEW, codes.REVIEWED if facts.is_reviewed else codes.NOT_REVIEWED),
        *algorithm(CONTAINS, facts),
    ]
    if model.threshold is not None:
        found.append(number(CONTAINS, codes.SCORE_THRESHOLD, model.threshold, codes.NO_UNITS))
    if model.fppi is not None:
        found.append(number(CONTAINS, codes.FALSE_MARKERS_PER_IMAGE, model.fppi, codes.NO_UNITS))
    return found
