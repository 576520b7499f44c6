"""What is looked at beside the marks: whether an image may be marked, and whether it is a usual one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.dicom.refusal_codes import check_accepted, warning_text
from mammo_monai.dicom.refusals import warnings_of_file
from mammo_monai.imaging.typicality import judge
from mammo_monai.inference.sample_statistics import sample_statistics
from mammo_monai.inference.sources import Sample
from mammo_monai.inference.training_look import STATISTICS
from mammo_monai.records import Detections
from mammo_monai.schema.training_statistics import TrainingStatistics, read_training_statistics
from mammo_monai.transforms.load import PICTURE_SUFFIXES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageChecks:
    """Refuses images that are not to be marked, and warns of those the model does not know.

    Attributes:
        accept: refusals that are set aside; codes of `refusal_codes.ACCEPTABLE`.
        training: what the training images look like; None says nothing of how usual an image is.
    """

    accept: tuple[str, ...] = ()
    training: TrainingStatistics | None = None

    def before(self, image: Path) -> tuple[str, ...]:
        """Warnings that the file's header gives; pictures, prepared copies and images in memory have none.

        Raises:
            UnsuitableImageError: the image is not to be marked. DicomError: it cannot be read.
        """
        if not image.is_file() or (image.suffix.lower() in PICTURE_SUFFIXES and not is_dicom(image)):
            return ()
        return warnings_of_file(image, self.accept)

    def __call__(self, sample: Sample, found: Detections, warnings: Sequence[str]) -> Detections:
        """The detections with all warnings, and how typical the image is; warnings go to the log, too."""
        typicality, told = None, list(warnings)
        if self.training is not None:
            judged = judge(self.training, sample_statistics(sample))
            typicality = judged.typicality
            if judged.is_untypical:
                told.append(warning_text("untypical", _came(judged.outside, self.training)))
        for each in told:
            logger.warning("record %s: %s", found.record_id, each)
        return replace(found, warnings=tuple(told), typicality=typicality)


def image_checks(
    statistics: Path | str | None, model: Mapping[str, object], accept: Sequence[str] = ()
) -> ImageChecks:
    """The checks of a bundle.

    Args:
        statistics: its training statistics, see `schema.training_statistics`; None, or no such file: none.
        model: its description; statistics of other weights are left aside, with a line in the log.

    Raises:
        ManifestError: a file that breaks its format. ValueError: a code that nobody can accept.
    """
    accepted = check_accepted(accept)
    if statistics is None or not Path(statistics).is_file():
        return ImageChecks(accepted)
    training = read_training_statistics(Path(statistics))
    weights = model.get("weights_sha256")
    if training.weights_sha256 is not None and weights != training.weights_sha256:
        logger.info(
            "%s is of other weights: whether images are like those trained on is not told. Make it for these "
            "with `mammo-monai bundle statistics`.",
            statistics,
        )
        return ImageChecks(accepted)
    return ImageChecks(accepted, training)


def statistics_of_bundle(bundle: Path) -> Path | None:
    """Where a bundle's training statistics lie; None where it has none."""
    path = Path(bundle) / STATISTICS
    return path if path.is_file() else None


def _came(outside: Sequence[str], training: TrainingStatistics) -> str:
    share = 1 - training.false_alarm_rate
    what = ", ".join(outside) if outside else "each figure within its range, their combination is not"
    return f"farther from the training images than {share:.0%} of them are, by {what}"
