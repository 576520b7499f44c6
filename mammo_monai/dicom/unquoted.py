"""Keeps values of DICOM elements out of warnings, logs and errors: pydicom quotes them, names included."""

from __future__ import annotations

import logging
import struct
import traceback
import warnings
import zlib

from pydicom import config

_PYDICOM = "pydicom"
# PS3.3 C.7.3.1.1.1 and C.7.6.3.1.2; retired terms too, for old archives are read.
_MODALITIES = (
    "AR AS ASMT AU BDUS BI BMD CD CF CFM CP CR CS CT CTPROTOCOL DD DF DG DM DMS DOC DS DX EC ECG EEG EMG EOG "
    "EPS ES FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS M3D MA MG MR MS NM OAM OCT OP OPM OPR OPT "
    "OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD "
    "RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF ST STAIN TEXTUREMAP TG US VA VF XA XC"
)
MODALITIES = frozenset(_MODALITIES.split())
_YBR = "YBR_FULL YBR_FULL_422 YBR_PARTIAL_422 YBR_PARTIAL_420 YBR_ICT YBR_RCT"
PHOTOMETRICS = frozenset(("PALETTE COLOR", *f"MONOCHROME1 MONOCHROME2 RGB HSV ARGB CMYK XYB {_YBR}".split()))
# Their words are of bytes and positions, never of values.
_SPEAK_OF_LENGTHS = (EOFError, struct.error, zlib.error, MemoryError)
_SAID_INSTEAD = "pydicom: %s (its words are not shown: they may quote a patient's data)"


class AttributeValueError(ValueError):
    """An attribute whose number or shape cannot be; its words are ours and hold numbers alone."""


class _WithoutWords(logging.Filter):
    """Lets pydicom's records through with the place that spoke, and without what was said."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg != _SAID_INSTEAD:
            record.msg, record.args = _SAID_INSTEAD, (f"{record.module}, line {record.lineno}",)
            record.exc_info = record.exc_text = None
        return True


def silence_values() -> None:
    """Stops pydicom from showing values; called once, when `mammo_monai.dicom` is imported.

    Values are not checked against their VR while files are read (each unusual one would be quoted in a
    warning), pydicom's warnings are not shown, and its log records keep their level and place alone. What a
    program decides later about warnings and validation holds.
    """
    config.settings.reading_validation_mode = config.IGNORE
    warnings.filterwarnings("ignore", module=rf"{_PYDICOM}(\.|$)")
    logger = logging.getLogger(_PYDICOM)
    if not any(isinstance(each, _WithoutWords) for each in logger.filters):
        logger.addFilter(_WithoutWords())


def without_values(error: BaseException) -> str:
    """What an exception of another library is, in words that hold no value: its class and where it arose.

    >>> try:
    ...     int("DOE^JANE")
    ... except ValueError as error:
    ...     without_values(error).split(" in ")[0]
    'ValueError'
    """
    name = type(error).__name__
    if isinstance(error, AttributeValueError):
        return str(error)
    if isinstance(error, _SPEAK_OF_LENGTHS):
        return f"{name}: {error}"
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{name} in {frames[-1].name}" if frames else name


def shown_term(text: str, known: frozenset[str]) -> str:
    """A code of an image's header as messages show it: defined terms as they are, anything else unsaid.

    >>> shown_term("CT", MODALITIES), shown_term("DOE^JANE", MODALITIES), shown_term("", MODALITIES)
    ('CT', 'another term', 'none')
    """
    if not text:
        return "none"
    return text if text in known else "another term"
