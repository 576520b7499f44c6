"""What all results have in common: the source's patient and study, a series, an equipment, an identity."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from mammo_monai import __version__
from mammo_monai.dicom.reading import first_text
from mammo_monai.dicom.results.codes import PROCESSING_EQUIPMENT, code_sequence, private_scheme
from mammo_monai.dicom.results.identity import ModelIdentity, result_uid
from mammo_monai.dicom.results.marked_image import CheckedImage

MANUFACTURER = "mammo-monai"
NOT_FOR_DIAGNOSIS_TEXT = "NOT FOR DIAGNOSIS"
UTF_8 = "ISO_IR 192"
# L* 76, a* 14, b* 74, each over 16 bits: PS3.3 C.10.7.1.1.
AMBER_CIELAB = (round(76 / 100 * 65535), round((14 + 128) / 255 * 65535), round((74 + 128) / 255 * 65535))
_LONG_STRING = 64
_TEXT_VRS = frozenset({"PN", "LO", "SH", "LT", "ST", "UC", "UT"})
# PS3.3 C.7.1.1, C.7.2.1, C.7.2.2. Type 2 first: they are there even when the source lacks them.
_REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
_COPIED = (
    "StudyInstanceUID",
    "IssuerOfPatientID",
    "OtherPatientNames",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyDescription",
    "PatientAge",
)


@dataclass(frozen=True)
class ResultFacts:
    """What a result says besides its marks.

    Attributes:
        kind: of `RESULT_KINDS`. is_reviewed: a person has edited the marks.
        observer: the name of that person, if it is to verify the report. created: local time.
        content: what a person made of the marks, for the UID; "" for marks as the model made them.
    """

    kind: str
    model: ModelIdentity
    created: datetime
    is_reviewed: bool = False
    observer: str | None = None
    content: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The model's weights, operating point and use as `name=value`, for Algorithm Parameters."""
        model = self.model
        values = {
            "weights_sha256": model.weights_sha256,
            "score_threshold": None if model.threshold is None else repr(model.threshold),
            "false_positives_per_image": None if model.fppi is None else repr(model.fppi),
            "software": model.software or None,
            "reviewed_by_a_person": "yes" if self.is_reviewed else "no",
            "intended_use": "not for diagnosis",
        }
        return tuple(f"{name}={value}" for name, value in values.items() if value is not None)

    def uid(self, purpose: str, source_uids: list[str], *, content: str = "") -> str:
        """A UID that follows from the sources, the model and, where reviewed, from what was edited."""
        return result_uid(purpose, source_uids, self.model, content=self.content + content)


@dataclass(frozen=True)
class SeriesFacts:
    """How a kind of result appears in a list of series.

    Attributes:
        is_of_one_side: the series says which breast it shows, so that each side has a series of its own.
        is_of_one_image: each image's result has a series of its own, named after side and view: viewers open
            one report of a series (OHIF 3.12), and a reader would see that of one view alone.
    """

    sop_class_uid: UID
    modality: str
    number: int
    description: str
    is_of_one_side: bool = False
    is_of_one_image: bool = False


def new_result(images: list[CheckedImage], facts: ResultFacts, series: SeriesFacts) -> Dataset:
    """A data set with all modules that results share; `images` are of one study, the first gives the patient.

    Text is UTF-8, whatever the source's character set: names survive, and so does a source that names none.
    """
    source = images[0].source
    result = Dataset()
    result.SpecificCharacterSet = UTF_8
    _copy_patient_and_study(source, result)
    uids = [each.uid for each in images]
    result.SOPClassUID, result.SOPInstanceUID = series.sop_class_uid, facts.uid(facts.kind, uids)
    purpose, members = f"{facts.kind} series", [str(source.StudyInstanceUID)]
    if series.is_of_one_side:
        laterality = images[0].attributes.laterality
        result.Laterality = "" if laterality is None else laterality.value
        purpose = f"{purpose} {result.Laterality}"
    result.SeriesDescription = series.description
    if series.is_of_one_image:
        members += uids
        result.SeriesDescription = _named_after_view(series.description, images[0])
    result.SeriesInstanceUID = facts.uid(purpose, members)
    result.Modality, result.SeriesNumber = series.modality, series.number
    result.InstanceNumber = _instance_number(source) if len(images) == 1 else 1
    _add_equipment(result, facts)
    result.InstanceCreationDate = result.ContentDate = facts.created.strftime("%Y%m%d")
    result.InstanceCreationTime = result.ContentTime = facts.created.strftime("%H%M%S")
    result.CodingSchemeIdentificationSequence = private_scheme()
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    return result


def long_string(text: str) -> str:
    """Text that fits Long String: 64 characters, no backslash, no line break.

    >>> long_string("a\\\\b\\n" + "c" * 80) == "a/b " + "c" * 60
    True
    """
    return " ".join(text.replace("\\", "/").split())[:_LONG_STRING]


def device_uid(model: ModelIdentity) -> str:
    """The UID of a model with its weights and threshold as an observer."""
    return result_uid("device", [], model)


def _named_after_view(description: str, image: CheckedImage) -> str:
    """Side and view after what the series holds: "Marks (SR) L CC, not for diagnosis"."""
    told = image.attributes.laterality, image.attributes.view_position
    view = " ".join(each.value for each in told if each is not None)
    what, comma, rest = description.partition(",")
    return f"{what} {view}{comma}{rest}" if view else description


def _copy_patient_and_study(source: Dataset, result: Dataset) -> None:
    for keyword in (*_REQUIRED, *_COPIED):
        if keyword in source:
            result.add(_decoded(source, keyword))
        elif keyword in _REQUIRED:
            setattr(result, keyword, "")


def _decoded(source: Dataset, keyword: str) -> DataElement:
    """An element with its text decoded from the source's character set; what is illegal there stays so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        element = source[keyword]
        value = element.value
        if element.VR in _TEXT_VRS and value is not None:
            value = [str(each) for each in value] if isinstance(value, MultiValue) else str(value)
        return DataElement(element.tag, element.VR, value, validation_mode=config.IGNORE)


def _instance_number(source: Dataset) -> int:
    """That of the source, so that results sort as their images do; 1 where it has none."""
    number = first_text(source, "InstanceNumber")
    return int(number) if number.isdecimal() and int(number) > 0 else 1


def _add_equipment(result: Dataset, facts: ResultFacts) -> None:
    """General Equipment, and the same as contributing equipment with the operating point in words.

    Source: DICOM PS3.3 C.7.5.1, C.12.1 (Contributing Equipment Sequence).
    """
    model = facts.model
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = code_sequence(PROCESSING_EQUIPMENT)
    item.ContributionDescription = "\r\n".join((*facts.parameters, f"model_version={model.version}"))[:1024]
    for equipment in (result, item):
        equipment.Manufacturer = MANUFACTURER
        equipment.ManufacturerModelName = long_string(model.name)
        equipment.DeviceSerialNumber = long_string(model.weights_sha256 or "unknown")
        software = model.software or f"mammo-monai {__version__}"
        equipment.SoftwareVersions = [long_string(software), long_string(f"model {model.version}")]
    result.ContributingEquipmentSequence = Sequence([item])
