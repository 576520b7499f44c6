"""Splits of one data set by patient: stratified by normal/abnormal, seeded, the same whatever the order."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, get_args

from mammo_monai.errors import ManifestError
from mammo_monai.readers.reading import DataSet
from mammo_monai.readers.splits.patients import choose_by_images, deal_by_shares, deal_in_turn, group_patients
from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import Manifest

logger = logging.getLogger(__name__)

SplitName = Literal["official", "p3", "half", "fractions"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)

# P3 (Agarwal et al., 2019): 60/20/20 at case level, stratified by normal/abnormal.
DEFAULT_FRACTIONS: Mapping[str, float] = MappingProxyType({"training": 0.6, "validation": 0.2, "test": 0.2})
# P3 trains again into 985 + 246 of the official 1231 training images; P0 takes that split over.
P3_VALIDATION_IMAGES = 246
DEFAULT_VALIDATION_FRACTION = 0.2


@dataclass(frozen=True)
class SplitScheme:
    """How a data set is parted into its three lists.

    Attributes:
        name: "official": the data set's own training and test lists, validation out of training;
            "p3": the same, with an exact number of validation images; "half": half of the patients each for
            training and test (P0), validation out of training; "fractions": of all patients.
        validation_fraction: of the training patients, for "official" and "half"; 0 gives no validation list.
        validation_images: for "p3".
        fractions: training, validation, test, for "fractions".

    Raises:
        ManifestError: another name, or a number that cannot be.
    """

    name: SplitName = "official"
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION
    validation_images: int = P3_VALIDATION_IMAGES
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)

    def __post_init__(self) -> None:
        if self.name not in SPLIT_NAMES:
            raise ManifestError(f"split must be {', '.join(SPLIT_NAMES)}, got {self.name!r}.")
        check_validation_fraction(self.validation_fraction)
        if self.validation_images < 1:
            raise ManifestError(f"validation_images must be at least 1, got {self.validation_images}.")
        _shares(self._fractions)

    @property
    def _fractions(self) -> dict[str, float]:
        return dict(zip((split.value for split in Split), self.fractions, strict=True))


def split_data_set(data_set: DataSet, scheme: SplitScheme, *, seed: int = 0) -> Manifest:
    """The three lists of a data set by a scheme; no patient stands in two.

    Patients with a mass and patients without are dealt apart. Within a list the images are in order of record
    id. `about` of the manifest says split, seed, and in `split_options` the scheme's numbers that were used.

    Raises:
        ManifestError: an official split is asked for where there is none, it leaks, it lacks an image, or
            there are too few patients or images for the scheme.
    """
    makers: dict[SplitName, Callable[[DataSet, SplitScheme, int], Manifest]] = {
        "official": _official,
        "p3": _p3,
        "half": _half,
        "fractions": _by_fractions,
    }
    manifest = makers[scheme.name](data_set, scheme, seed)
    return replace(manifest, about={"split": scheme.name, "seed": seed, **manifest.about})


def split_records(
    records: Sequence[ImageRecord], *, fractions: Mapping[str, float] = DEFAULT_FRACTIONS, seed: int = 0
) -> Manifest:
    """A manifest whose lists share no patient and hold the fractions of patients asked for.

    Patients with a mass and patients without are dealt apart, so each list gets its share of both;
    each count is the fraction of the stratum, rounded by largest remainder. Where there are enough
    patients, no list with a fraction above 0 stays empty. All images of a patient stay together,
    follow-ups included. Within a list the images are in order of record id.

    Args:
        fractions: of patients, by "training", "validation", "test"; a list left out gets 0; sum 1.
        seed: another seed deals the patients anew.

    Raises:
        ManifestError: fractions that are negative, do not sum to 1, or name another list.
    """
    shares = _shares(fractions)
    patients = group_patients(records, seed=seed)
    lists = {
        name: patients.records(found) for name, found in deal_by_shares(patients, shares, seed=seed).items()
    }
    return Manifest(lists["training"], lists["validation"], lists["test"])


def carve_validation(
    training: Sequence[ImageRecord],
    test: Sequence[ImageRecord],
    *,
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION,
    seed: int = 0,
) -> Manifest:
    """A split with a validation list taken from its training patients; the test list is kept.

    Raises:
        ManifestError: a patient stands in `training` and in `test`, the fraction is not in [0, 1), or it
            leaves nobody to train on.
    """
    check_validation_fraction(validation_fraction)
    fractions = {"training": 1 - validation_fraction, "validation": validation_fraction}
    carved = split_records(training, fractions=fractions, seed=seed)
    if training and not carved.training:
        raise ManifestError(
            f"expected patients left to train on, but a validation_fraction of {validation_fraction:g} takes "
            f"all {len({record.patient_id for record in training})} of them. Ask for a smaller one, or 0."
        )
    manifest = Manifest(carved.training, carved.validation, _in_order(test))
    check_patient_disjoint(manifest)
    return manifest


def carve_validation_images(
    training: Sequence[ImageRecord], test: Sequence[ImageRecord], *, n_images: int, seed: int = 0
) -> Manifest:
    """As `carve_validation`, with a number of validation images: exactly, where whole patients allow it.

    Where they do not, the nearest number is taken and a warning logged.

    Raises:
        ManifestError: a patient stands in `training` and in `test`, or training has too few images.
    """
    if len(training) <= n_images:
        raise ManifestError(
            f"expected more than {n_images} training images to take {n_images} validation images from, got "
            f"{len(training)}. Ask for a fraction instead: --split official --validation-fraction 0.2."
        )
    patients = group_patients(training, seed=seed)
    chosen = set(choose_by_images(patients, n_images))
    manifest = Manifest(
        patients.records(patients.images.keys() - chosen), patients.records(chosen), _in_order(test)
    )
    check_patient_disjoint(manifest)
    found = len(manifest.validation)
    if found != n_images:
        logger.warning(
            "validation has %d images, not the %d asked for: no choice of whole patients comes nearer",
            found,
            n_images,
        )
    return manifest


def check_validation_fraction(validation_fraction: float) -> None:
    """Refuses a fraction that is not in [0, 1).

    Raises:
        ManifestError: names the value.
    """
    if not 0 <= validation_fraction < 1:
        raise ManifestError(f"validation_fraction must be at least 0 and below 1, got {validation_fraction}.")


def check_patient_disjoint(manifest: Manifest) -> None:
    """Refuses a manifest with a patient in two lists: its figures would be worth nothing.

    Raises:
        ManifestError: names an image of the patient in each list by record id; the patient is not named.
    """
    first_seen: dict[str, tuple[Split, str]] = {}
    leaks: dict[str, str] = {}
    for split in Split:
        for record in manifest.images(split):
            other, record_id = first_seen.setdefault(record.patient_id, (split, record.record_id))
            if other is not split:
                leaks.setdefault(
                    record.patient_id,
                    f"record {record_id} in {other.value} and record {record.record_id} in {split.value}",
                )
    if leaks:
        where = f"{manifest.path}: " if manifest.path else ""
        stand = "patient stands" if len(leaks) == 1 else "patients stand"
        raise ManifestError(
            f"{where}expected each patient in one list only, but {len(leaks)} "
            f"{stand} in two: {'; '.join([*leaks.values()][:3])}. "
            "Make the split again by patient."
        )


def _official(data_set: DataSet, scheme: SplitScheme, seed: int) -> Manifest:
    lists = _official_lists(data_set)
    if lists[Split.VALIDATION]:
        training, validation, test = (_in_order(lists[split]) for split in Split)
        return Manifest(training, validation, test)
    fraction = scheme.validation_fraction
    manifest = carve_validation(
        lists[Split.TRAINING], lists[Split.TEST], validation_fraction=fraction, seed=seed
    )
    return replace(manifest, about={"split_options": {"validation_fraction": fraction}})


def _p3(data_set: DataSet, scheme: SplitScheme, seed: int) -> Manifest:
    lists = _official_lists(data_set)
    training = lists[Split.TRAINING] + lists[Split.VALIDATION]
    n_images = scheme.validation_images
    manifest = carve_validation_images(training, lists[Split.TEST], n_images=n_images, seed=seed)
    return replace(manifest, about={"split_options": {"validation_images": n_images}})


def _half(data_set: DataSet, scheme: SplitScheme, seed: int) -> Manifest:
    patients = group_patients(data_set.records, seed=seed)
    if len(patients.images) < 2:
        raise ManifestError(
            f"expected at least 2 patients to part into halves, got {len(patients.images)}. "
            "Check how patients are told apart; images of one patient are never parted."
        )
    training, test = (patients.records(hand) for hand in deal_in_turn(patients, 2))
    fraction = scheme.validation_fraction
    manifest = carve_validation(training, test, validation_fraction=fraction, seed=seed)
    return replace(manifest, about={"split_options": {"validation_fraction": fraction}})


def _by_fractions(data_set: DataSet, scheme: SplitScheme, seed: int) -> Manifest:
    manifest = split_records(data_set.records, fractions=scheme._fractions, seed=seed)
    return replace(manifest, about={"split_options": {"fractions": list(scheme.fractions)}})


def _official_lists(data_set: DataSet) -> dict[Split, list[ImageRecord]]:
    if not data_set.official:
        raise ManifestError(
            "this data set has no official split. Use --split half, --split fractions, or a folds file "
            "(mammo-monai folds make)."
        )
    lists: dict[Split, list[ImageRecord]] = defaultdict(list)
    for record in data_set.records:
        if record.record_id not in data_set.official:
            raise ManifestError(
                f"record {record.record_id} stands in no list of the official split. "
                "Use --split half or --split fractions, or mend the data set's tables."
            )
        lists[data_set.official[record.record_id]].append(record)
    try:
        training, validation, test = (tuple(lists[split]) for split in Split)
        check_patient_disjoint(Manifest(training, validation, test))
    except ManifestError as error:
        raise ManifestError(
            f"{error} The data set's own split has this leak; --split half, fractions and folds do not."
        ) from None
    return lists


def _in_order(records: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
    return tuple(sorted(records, key=lambda record: record.record_id))


def _shares(fractions: Mapping[str, float]) -> dict[str, float]:
    names = [split.value for split in Split]
    shares = {name: float(fractions.get(name, 0.0)) for name in names}
    is_bad = not all(0 <= share <= 1 for share in shares.values()) or not math.isclose(
        sum(shares.values()), 1, abs_tol=1e-6
    )
    if set(fractions) - set(names) or is_bad:
        raise ManifestError(
            f"fractions of {', '.join(names)} must be from 0 to 1 and sum to 1, got {dict(fractions)}."
        )
    return shares
