"""The codes that results use, each with its place in the standard; our own where the standard has none.

No code here says that something is or is not cancer: marks say where to look, never what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_monai.records import LESION_LABELS, Laterality, ViewPosition

NOTHING_MARKED = "Nothing marked"
PRIVATE_SCHEME = "99MAMMOMONAI"
# Made once with uuid.uuid4, as PS3.5 B.2 allows; names the scheme wherever these objects go.
PRIVATE_SCHEME_UID = "2.25.206881606539251224965215401447063470817"


class Code(NamedTuple):
    """A coded concept: value, designator of its scheme, meaning for people."""

    value: str
    scheme: str
    meaning: str

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the concept; meanings differ in spelling and language."""
        return self.value, self.scheme


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def _own(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME, meaning)


# PS3.16 Annex D, with the template that uses the concept.
LANGUAGE = _dcm("121049", "Language of Content Item and Descendants")  # TID 1204
ENGLISH = Code("en", "RFC5646", "English")
OBSERVER_TYPE = _dcm("121005", "Observer Type")  # TID 1002
PERSON = _dcm("121006", "Person")
DEVICE = _dcm("121007", "Device")
PERSON_OBSERVER_NAME = _dcm("121008", "Person Observer Name")  # TID 1003
DEVICE_UID = _dcm("121012", "Device Observer UID")  # TID 1004
DEVICE_NAME = _dcm("121013", "Device Observer Name")
DEVICE_MANUFACTURER = _dcm("121014", "Device Observer Manufacturer")
DEVICE_MODEL_NAME = _dcm("121015", "Device Observer Model Name")
DEVICE_SERIAL_NUMBER = _dcm("121016", "Device Observer Serial Number")
PROCESSING_EQUIPMENT = _dcm("109102", "Processing Equipment")  # CID 7005

MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report")  # TID 1500
PROCEDURE_REPORTED = _dcm("121058", "Procedure reported")
MAMMOGRAPHY = _sct("71651007", "Mammography")
IMAGE_LIBRARY = _dcm("111028", "Image Library")  # TID 1600, TID 4000
IMAGE_LIBRARY_GROUP = _dcm("126200", "Image Library Group")
MODALITY = _dcm("121139", "Modality")  # TID 1602
MODALITY_MG = _dcm("MG", "Mammography")
IMAGE_LATERALITY = _dcm("111027", "Image Laterality")  # TID 4020
IMAGE_VIEW = _dcm("111031", "Image View")
ORIENTATION_ROW = _dcm("111044", "Patient Orientation Row")
ORIENTATION_COLUMN = _dcm("111043", "Patient Orientation Column")
STUDY_DATE = _dcm("111060", "Study Date")
IMAGING_MEASUREMENTS = _dcm("126010", "Imaging Measurements")
MEASUREMENT_GROUP = _dcm("125007", "Measurement Group")  # TID 1410
TRACKING_IDENTIFIER = _dcm("112039", "Tracking Identifier")
TRACKING_UID = _dcm("112040", "Tracking Unique Identifier")
FINDING = _dcm("121071", "Finding")
FINDING_SITE = _sct("363698007", "Finding Site")
BREAST = _sct("76752008", "Breast")
IMAGE_REGION = _dcm("111030", "Image Region")
CERTAINTY = _dcm("111012", "Certainty of Finding")
MEASUREMENT_METHOD = _sct("370129005", "Measurement Method")  # TID 300
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")

ALGORITHM_NAME = _dcm("111001", "Algorithm Name")  # TID 4019
ALGORITHM_VERSION = _dcm("111003", "Algorithm Version")
ALGORITHM_PARAMETERS = _dcm("111002", "Algorithm Parameters")
ARTIFICIAL_INTELLIGENCE = _dcm("123110", "Artificial Intelligence")  # CID 7162

CAD_REPORT = _dcm("111036", "Mammography CAD Report")  # TID 4000
FINDINGS_SUMMARY = _dcm("111017", "CAD Processing and Findings Summary")  # TID 4001, CID 6047
WITHOUT_FINDINGS = _dcm("111241", "All algorithms succeeded; without findings")
WITH_FINDINGS = _dcm("111242", "All algorithms succeeded; with findings")
INDIVIDUAL_IMPRESSION = _dcm("111034", "Individual Impression/Recommendation")  # TID 4003, a container's name
RENDERING_INTENT = _dcm("111056", "Rendering Intent")
PRESENTATION_REQUIRED = _dcm("111150", "Presentation Required: Rendering device is expected to present")
SINGLE_IMAGE_FINDING = _dcm("111059", "Single Image Finding")  # TID 4006
CENTER = _dcm("111010", "Center")  # TID 4021
OUTLINE = _dcm("111041", "Outline")
SUMMARY_OF_DETECTIONS = _dcm("111064", "Summary of Detections")
SUMMARY_OF_ANALYSES = _dcm("111065", "Summary of Analyses")
SUCCEEDED = _dcm("111222", "Succeeded")  # CID 6042
NOT_ATTEMPTED = _dcm("111225", "Not Attempted")
SUCCESSFUL_DETECTIONS = _dcm("111063", "Successful Detections")  # TID 4015
DETECTION_PERFORMED = _dcm("111022", "Detection Performed")  # TID 4017
MAXIMUM_OPERATING_POINT = _dcm("111072", "Maximum CAD Operating Point")  # TID 4023
OPERATING_POINT_TABLE = _dcm("111093", "CAD Operating Point Table")
X_CONCEPT = _dcm("122698", "X-Concept")
Y_CONCEPT = _dcm("122699", "Y-Concept")
OPERATING_POINT = _dcm("111071", "CAD Operating Point")
FALSE_MARKERS_PER_IMAGE = _dcm("111086", "False Markers per Image")  # CID 6048

PERCENT = Code("%", "UCUM", "Percent")
NO_UNITS = Code("1", "UCUM", "no units")
ARBITRARY_UNIT = Code("[arb'U]", "UCUM", "arbitrary unit")
FIRST_POINT_ONLY = Code("{0:0}", "UCUM", "range: 0:0")

# What the standard has no code for, in 16 characters. A value never changes its meaning once written.
INTENDED_USE = _own("intended-use", "Intended use")
NOT_FOR_DIAGNOSIS = _own("not-diagnostic", "Not for diagnosis: marks where to look")
REVIEW = _own("review", "Review of the marks by a person")
REVIEWED = _own("reviewed", "Reviewed and edited by a person")
NOT_REVIEWED = _own("not-reviewed", "Not reviewed by a person")
SCORE = _own("score", "Detection score")
SCORE_THRESHOLD = _own("score-threshold", "Lowest detection score that is marked")
BY_PROBABILITY = _own("by-probability", "Calibrated probability that the box hits a lesion")
BY_SCORE = _own("by-score", "Detection score, not calibrated")
MARKS_OVERLAY = _own("marks", "Marks, not for diagnosis")

BREAST_CODES: Mapping[Laterality, Code] = {  # CID 6022
    Laterality.LEFT: _sct("80248007", "Left breast"),
    Laterality.RIGHT: _sct("73056007", "Right breast"),
}
SIDE_CODES: Mapping[Laterality, Code] = {  # CID 244
    Laterality.LEFT: _sct("7771000", "Left"),
    Laterality.RIGHT: _sct("24028007", "Right"),
}
VIEW_CODES: Mapping[ViewPosition, Code] = {  # CID 4014
    ViewPosition.CC: _sct("399162004", "cranio-caudal"),
    ViewPosition.MLO: _sct("399368009", "medio-lateral oblique"),
    ViewPosition.ML: _sct("399260004", "medial-lateral"),
    ViewPosition.LM: _sct("399352003", "latero-medial"),
    ViewPosition.XCCL: _sct("399192008", "cranio-caudal exaggerated laterally"),
}

_DISTORTION = _sct("129792006", "Architectural distortion of breast")
_CLUSTER = _sct("129769006", "Calcification Cluster")
_LESION = _sct("52988006", "Lesion")
FINDING_CODES: Mapping[int, Code] = {
    LESION_LABELS["mass"]: _sct("4147007", "Mass"),
    LESION_LABELS["calcification"]: _CLUSTER,
    LESION_LABELS["asymmetry"]: _sct("129790003", "Asymmetric breast tissue"),
    LESION_LABELS["distortion"]: _DISTORTION,
    LESION_LABELS["other"]: _LESION,
}
"""Finding of a class index in TID 1500 and in segments."""
# CID 6014 has no mass: mass-like findings are densities there, which is what workstations look for.
CAD_FINDING_CODES: Mapping[int, Code] = {
    LESION_LABELS["mass"]: _sct("129793001", "Mammography breast density"),
    LESION_LABELS["calcification"]: _CLUSTER,
    LESION_LABELS["distortion"]: _DISTORTION,
}
"""Single image finding of a class index, CID 6014; other classes have none."""


def finding_code(label: int) -> Code:
    """The finding of a class index; a class this package has no word for is a lesion.

    >>> finding_code(0).meaning, finding_code(9).meaning
    ('Mass', 'Lesion')
    """
    return FINDING_CODES.get(label, _LESION)


def code_item(code: Code) -> Dataset:
    """A code as an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def code_sequence(code: Code) -> Sequence:
    """A code sequence with one item."""
    return Sequence([code_item(code)])


def code_of(sequence: object) -> tuple[str, str]:
    """Value and scheme of the first item of a code sequence; two empty texts where there is none."""
    if not isinstance(sequence, Sequence) or not sequence:
        return "", ""
    return str(sequence[0].get("CodeValue", "")), str(sequence[0].get("CodingSchemeDesignator", ""))


def private_scheme() -> Sequence:
    """Coding Scheme Identification of our own codes.

    Source: DICOM PS3.3 C.12.1.1.1.
    """
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeUID = PRIVATE_SCHEME_UID
    item.CodingSchemeName = "mammo-monai"
    item.CodingSchemeResponsibleOrganization = "mammo-monai"
    return Sequence([item])
