"""Mammography CAD SR of one study: TID 4000, which mammography workstations read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from mammo_monai.dicom.reading import first_text
from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.content_tree import (
    CONTAINS,
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    HAS_PROPERTIES,
    INFERRED_FROM,
    SELECTED_FROM,
    coded,
    container,
    coordinates,
    date,
    image,
    number,
    reference,
    text,
)
from mammo_monai.dicom.results.headers import ResultFacts, SeriesFacts
from mammo_monai.dicom.results.marked_image import CheckedImage, check_one_study
from mammo_monai.dicom.results.report_header import algorithm, language, new_report, outline
from mammo_monai.errors import DicomError

SERIES = SeriesFacts(MammographyCADSRStorage, "SR", 9102, "Marks (CAD SR), not for diagnosis")
# Where the image library stands: second child of the root, after the language.
_LIBRARY = (1, 2)


def cad_report(images: list[CheckedImage], facts: ResultFacts) -> Dataset:
    """The marks of all images of a study.

    The template takes no items of others: weights, operating point and "not for diagnosis" are Algorithm
    Parameters. It holds one certainty per finding and no probability of cancer, no impression and no
    recommendation; the container that is named so by the standard holds the finding alone.

    Raises:
        DicomError: images of several studies, one image twice, or a class without a code in CID 6014.

    Source: DICOM PS3.16 TID 4000, 4001, 4003, 4006, 4015, 4017, 4019, 4020, 4021, 4023.
    """
    check_one_study(images)
    findings = [
        _individual(_finding(marked, n, facts, (*_LIBRARY, position)))
        for position, marked in enumerate(images, start=1)
        for n in range(len(marked.boxes))
    ]
    summary = codes.WITH_FINDINGS if findings else codes.WITHOUT_FINDINGS
    root = container(
        None,
        codes.CAD_REPORT,
        [
            language(),
            container(CONTAINS, codes.IMAGE_LIBRARY, [_library_entry(each) for each in images]),
            coded(CONTAINS, codes.FINDINGS_SUMMARY, summary, findings),
            coded(CONTAINS, codes.SUMMARY_OF_DETECTIONS, codes.SUCCEEDED, [_detections(images, facts)]),
            coded(CONTAINS, codes.SUMMARY_OF_ANALYSES, codes.NOT_ATTEMPTED),
        ],
        template="4000",
    )
    return new_report(images, facts, SERIES, root)


def _library_entry(marked: CheckedImage) -> Dataset:
    """TID 4020; what the source does not say is left out, not guessed."""
    attributes, context = marked.attributes, []
    if attributes.laterality is not None:
        side = codes.BREAST_CODES[attributes.laterality]
        context.append(coded(HAS_ACQ_CONTEXT, codes.IMAGE_LATERALITY, side))
    if (view := marked.view_code) is not None:
        context.append(coded(HAS_ACQ_CONTEXT, codes.IMAGE_VIEW, view))
    names = (codes.ORIENTATION_ROW, codes.ORIENTATION_COLUMN)
    context += [
        text(HAS_ACQ_CONTEXT, name, value) for name, value in zip(names, marked.orientation, strict=False)
    ]
    study_date = first_text(marked.source, "StudyDate")
    if len(study_date) == 8 and study_date.isdecimal():
        context.append(date(HAS_ACQ_CONTEXT, codes.STUDY_DATE, study_date))
    return image(CONTAINS, marked.sop_class_uid, marked.uid, context)


def _individual(finding: Dataset) -> Dataset:
    """TID 4003, which must enclose a finding; its name is the standard's, it holds no impression."""
    return container(INFERRED_FROM, codes.INDIVIDUAL_IMPRESSION, [_rendering_intent(), finding])


def _finding(marked: CheckedImage, n: int, facts: ResultFacts, entry: Sequence[int]) -> Dataset:
    """TID 4006 with centre and outline (TID 4021); `entry` is where the image stands in the library."""
    box, certainty = marked.boxes[n].tolist(), float(marked.certainties[n])
    certainties = []
    if not np.isnan(certainty):
        certainties = [number(HAS_PROPERTIES, codes.CERTAINTY, 100 * certainty, codes.PERCENT)]
    center = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
    return coded(
        CONTAINS,
        codes.SINGLE_IMAGE_FINDING,
        _finding_code(marked, n),
        [
            _rendering_intent(),
            *algorithm(HAS_PROPERTIES, facts),
            text(HAS_PROPERTIES, codes.ALGORITHM_PARAMETERS, _certainty_kind(marked)),
            *certainties,
            coordinates(HAS_PROPERTIES, codes.CENTER, "POINT", center, reference(SELECTED_FROM, entry)),
            coordinates(
                HAS_PROPERTIES, codes.OUTLINE, "POLYLINE", outline(box), reference(SELECTED_FROM, entry)
            ),
        ],
    )


def _certainty_kind(marked: CheckedImage) -> str:
    kind = codes.BY_SCORE if marked.probabilities is None else codes.BY_PROBABILITY
    return f"certainty={kind.value}"


def _finding_code(marked: CheckedImage, n: int) -> codes.Code:
    code = codes.CAD_FINDING_CODES.get(int(marked.labels[n]))
    if code is None:
        there = ", ".join(map(str, codes.CAD_FINDING_CODES))
        raise DicomError(
            f"{marked.name}: expected boxes of classes {there}, got class {int(marked.labels[n])}: a CAD "
            "report has no finding for it (CID 6014). Write an SR, or leave that class out."
        )
    return code


def _rendering_intent() -> Dataset:
    return coded(HAS_CONCEPT_MOD, codes.RENDERING_INTENT, codes.PRESENTATION_REQUIRED)


def _detections(images: list[CheckedImage], facts: ResultFacts) -> Dataset:
    """TID 4015: which classes were looked for, by which model, on which images.

    Without findings the class is not known from the marks: it is mass, what bundles look for.
    """
    found = itertools.chain.from_iterable(
        (_finding_code(each, n) for n in range(len(each.boxes))) for each in images
    )
    classes = dict.fromkeys(found) or {codes.CAD_FINDING_CODES[0]: None}
    is_calibrated = any(each.probabilities is not None for each in images)
    return container(
        INFERRED_FROM,
        codes.SUCCESSFUL_DETECTIONS,
        [
            coded(
                CONTAINS,
                codes.DETECTION_PERFORMED,
                each,
                [
                    *algorithm(HAS_PROPERTIES, facts),
                    *(reference(HAS_PROPERTIES, (*_LIBRARY, n)) for n in range(1, len(images) + 1)),
                    *_operating_point(facts, is_calibrated=is_calibrated),
                ],
            )
            for each in classes
        ],
    )


def _operating_point(facts: ResultFacts, *, is_calibrated: bool) -> list[Dataset]:
    """TID 4023: one point, that of the marks, as false markers per image; none where it is unknown.

    The other axis is the certainty; the threshold lies on it where certainties are scores.
    """
    model = facts.model
    if model.threshold is None or model.fppi is None:
        return []
    lies_at = [number(HAS_PROPERTIES, codes.FALSE_MARKERS_PER_IMAGE, model.fppi, codes.NO_UNITS)]
    if not is_calibrated:
        lies_at.append(number(HAS_PROPERTIES, codes.CERTAINTY, 100 * model.threshold, codes.PERCENT))
    point = number(CONTAINS, codes.OPERATING_POINT, 0, codes.FIRST_POINT_ONLY, lies_at)
    axes = [
        coded(CONTAINS, codes.X_CONCEPT, codes.FALSE_MARKERS_PER_IMAGE),
        coded(CONTAINS, codes.Y_CONCEPT, codes.CERTAINTY),
    ]
    return [
        number(HAS_PROPERTIES, codes.MAXIMUM_OPERATING_POINT, 0, codes.ARBITRARY_UNIT),
        container(HAS_PROPERTIES, codes.OPERATING_POINT_TABLE, [*axes, point]),
    ]
