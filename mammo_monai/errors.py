"""The exceptions of this package: each says what was expected, what came, where, and what to do."""

from collections.abc import Iterator

LONGEST_MESSAGE = 3000  # characters; a damaged file can put megabytes into what is quoted from it


class MammoError(Exception):
    """Base of every error this package raises on bad data; misuse of the API raises built-ins.

    As text it is at most `LONGEST_MESSAGE` characters long: its middle is left out, for where it happened
    stands at the beginning and what to do at the end.
    """

    def __str__(self) -> str:
        text = super().__str__()
        half = LONGEST_MESSAGE // 2
        return text if len(text) <= LONGEST_MESSAGE else f"{text[: half - 5]} […] {text[-half:]}"


class ManifestError(MammoError):
    """A manifest, detections, metrics file or a data set's table does not hold what its format promises."""


class DicomError(MammoError):
    """A DICOM object cannot be read as a mammogram for presentation."""


class UnsuitableImageError(DicomError):
    """A DICOM object that can be read and is not to be marked, with the reason's code.

    Attributes:
        code: of `dicom.refusal_codes.REASONS`; it stays the same from version to version.
    """

    def __init__(self, message: str, code: str = "") -> None:
        told = f" (refusal {code})"
        super().__init__(message if not code or told in message else message + told)
        self.code = code


class GeometryError(MammoError):
    """Boxes, contours or frames that cannot exist: reversed corners, wrong shapes, outside the image."""


class UndefinedMetricError(MammoError):
    """A figure was asked for that the data do not define, such as a sensitivity without lesions."""


class WeightsError(MammoError):
    """Weights are missing, damaged, or belong to another architecture."""


class BundleError(MammoError):
    """A bundle cannot be found, or its configuration cannot be run."""


class TrainingError(MammoError):
    """Training cannot go on: a loss is not finite, or a checkpoint does not fit the run."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, outermost first, each once: `raise inner from outer` is a ring.

    >>> wrapped = KeyError("k")
    >>> wrapped.__cause__ = cause = ValueError("v")
    >>> cause.__cause__ = wrapped
    >>> [type(each).__name__ for each in causes(wrapped)]
    ['KeyError', 'ValueError']
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__
