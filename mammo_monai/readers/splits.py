"""Splits by patient: stratified by normal/abnormal, seeded, the same whatever the order of the records."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mammo_monai.errors import ManifestError
from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import Manifest

# P3 (Agarwal et al., 2019): 60/20/20 at case level, stratified by normal/abnormal.
DEFAULT_FRACTIONS: Mapping[str, float] = MappingProxyType({"training": 0.6, "validation": 0.2, "test": 0.2})


def split_records(
    records: Sequence[ImageRecord], *, fractions: Mapping[str, float] = DEFAULT_FRACTIONS, seed: int = 0
) -> Manifest:
    """A manifest whose lists share no patient and hold the fractions of patients asked for.

    Patients with any lesion and patients without are dealt apart, so each list gets its share of both;
    each count is the fraction of the stratum, rounded by largest remainder. Where there are enough
    patients, no list with a fraction above 0 stays empty. All images of a patient stay together,
    follow-ups included. Within a list the images are in order of record id.

    Args:
        fractions: of patients, by "training", "validation", "test"; a list left out gets 0; sum 1.
        seed: another seed deals the patients anew.

    Raises:
        ManifestError: fractions that are negative, do not sum to 1, or name another list.
    """
    shares = _checked(fractions)
    by_patient: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        by_patient[record.patient_id].append(record)
    abnormal = {patient for patient, images in by_patient.items() if any(r.lesions for r in images)}
    dealt: dict[str, list[str]] = {split.value: [] for split in Split}
    for stratum in (abnormal, set(by_patient) - abnormal):
        _deal(_shuffled(stratum, seed), shares, dealt)
    _fill_empty_lists(dealt, shares, seed)
    lists = {
        name: tuple(sorted((r for p in patients for r in by_patient[p]), key=lambda r: r.record_id))
        for name, patients in dealt.items()
    }
    return Manifest(lists["training"], lists["validation"], lists["test"])


def carve_validation(
    training: Sequence[ImageRecord],
    test: Sequence[ImageRecord],
    *,
    validation_fraction: float = 0.2,
    seed: int = 0,
) -> Manifest:
    """An official split with a validation list taken from its training patients; the test list is kept.

    Source: P3 trains again into 985 + 246 of CBIS-DDSM's 1231 images, a fifth.

    Raises:
        ManifestError: a patient stands in `training` and in `test`, or the fraction is not in [0, 1).
    """
    if not 0 <= validation_fraction < 1:
        raise ManifestError(f"validation_fraction must be at least 0 and below 1, got {validation_fraction}.")
    fractions = {"training": 1 - validation_fraction, "validation": validation_fraction}
    carved = split_records(training, fractions=fractions, seed=seed)
    manifest = Manifest(carved.training, carved.validation, tuple(sorted(test, key=lambda r: r.record_id)))
    check_patient_disjoint(manifest)
    return manifest


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


def _checked(fractions: Mapping[str, float]) -> dict[str, float]:
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


def _shuffled(patients: set[str], seed: int) -> list[str]:
    # A hash, not a generator: the order depends on neither the input's order nor a library's version.
    return sorted(patients, key=lambda p: hashlib.sha256(f"{seed}:{p}".encode()).digest())


def _deal(patients: Sequence[str], shares: Mapping[str, float], dealt: dict[str, list[str]]) -> None:
    exact = {name: share * len(patients) for name, share in shares.items()}
    counts = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: len(patients) - sum(counts.values())]:
        counts[name] += 1
    start = 0
    for name, count in counts.items():
        dealt[name] += patients[start : start + count]
        start += count


def _fill_empty_lists(dealt: dict[str, list[str]], shares: Mapping[str, float], seed: int) -> None:
    for name, share in shares.items():
        largest = max(dealt, key=lambda each: len(dealt[each]))
        if share > 0 and not dealt[name] and len(dealt[largest]) > 1:
            patient = _shuffled(set(dealt[largest]), seed)[-1]
            dealt[largest].remove(patient)
            dealt[name].append(patient)
