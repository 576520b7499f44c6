"""The exceptions of this package: each says what was expected, what came, where, and what to do."""


class MammoError(Exception):
    """Base of every error this package raises on bad data; misuse of the API raises built-ins."""


class ManifestError(MammoError):
    """A manifest, detections, metrics file or a data set's table does not hold what its format promises."""


class DicomError(MammoError):
    """A DICOM object cannot be read as a mammogram for presentation."""


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
