"""Patients of a data set: grouped from images, parted by whether they have a mass, shuffled and dealt.

Nothing here draws random numbers: the order of patients is that of a hash of seed and patient id, so it
depends on neither the order of the records nor a library's version.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mammo_monai.records import ImageRecord


@dataclass(frozen=True)
class Patients:
    """The patients of some images.

    Attributes:
        images: by patient id, in order of record id.
        abnormal, normal: ids of the patients with a mass in any image, and of those without, shuffled.
    """

    images: Mapping[str, tuple[ImageRecord, ...]]
    abnormal: tuple[str, ...]
    normal: tuple[str, ...]

    def records(self, patients: Collection[str]) -> tuple[ImageRecord, ...]:
        """All images of these patients, in order of record id."""
        found = (record for patient in patients for record in self.images[patient])
        return tuple(sorted(found, key=lambda record: record.record_id))


def group_patients(records: Sequence[ImageRecord], *, seed: int) -> Patients:
    """The patients of `records`; follow-ups of one patient stay together."""
    images: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda each: each.record_id):
        images[record.patient_id].append(record)
    abnormal = {patient for patient, found in images.items() if any(each.has_mass for each in found)}
    return Patients(
        images={patient: tuple(found) for patient, found in images.items()},
        abnormal=tuple(shuffled(abnormal, seed)),
        normal=tuple(shuffled(set(images) - abnormal, seed)),
    )


def shuffled(patients: Collection[str], seed: int) -> list[str]:
    """The patients in an order that the seed alone decides."""

    def place(patient: str) -> tuple[bytes, str]:
        # Ids come from file names too, which may hold bytes that are no UTF-8.
        return hashlib.sha256(f"{seed}:{patient}".encode(errors="surrogatepass")).digest(), patient

    return sorted(patients, key=place)


def deal_by_shares(patients: Patients, shares: Mapping[str, float], *, seed: int) -> dict[str, list[str]]:
    """Patients by list: each list gets its share of the abnormal ones and of the normal ones.

    Each count is the share of the stratum, rounded by largest remainder. Where there are enough patients, no
    list with a share above 0 stays empty.

    >>> from pathlib import Path
    >>> records = [ImageRecord(Path(p), p, p, 60, 90) for p in "abcdefghij"]
    >>> dealt = deal_by_shares(group_patients(records, seed=0), {"training": 0.8, "test": 0.2}, seed=0)
    >>> {name: len(patients) for name, patients in dealt.items()}
    {'training': 8, 'test': 2}
    """
    dealt: dict[str, list[str]] = {name: [] for name in shares}
    for stratum in (patients.abnormal, patients.normal):
        start = 0
        for name, count in _counts(len(stratum), shares).items():
            dealt[name] += stratum[start : start + count]
            start += count
    for name, share in shares.items():
        largest = max(dealt, key=lambda each: len(dealt[each]))
        if share > 0 and not dealt[name] and len(dealt[largest]) > 1:
            patient = shuffled(dealt[largest], seed)[-1]
            dealt[largest].remove(patient)
            dealt[name].append(patient)
    return dealt


def deal_in_turn(patients: Patients, n_hands: int) -> list[list[str]]:
    """Patients in `n_hands` lists, one after the other as cards are dealt: abnormal ones, then normal ones.

    The normal ones go on where the abnormal ones ended, so two lists differ by at most one patient in each
    stratum and by at most one in all.
    """
    in_turn = patients.abnormal + patients.normal
    return [list(in_turn[first::n_hands]) for first in range(n_hands)]


def choose_by_images(patients: Patients, n_images: int) -> list[str]:
    """Patients with `n_images` images together, exactly wherever whole patients allow it, else the nearest.

    Neither nobody nor everybody is chosen where there are two patients or more. Abnormal and normal patients
    give images by their shares of all images, as nearly as the sum allows. In each stratum patients are taken
    in shuffled order, each unless the rest could then no longer make the sum.

    Source: P3 trains again into 985 + 246 of 1231 images; by which rule it does not say.
    """
    strata = (patients.abnormal, patients.normal)
    sizes = [[len(patients.images[patient]) for patient in stratum] for stratum in strata]
    n_all = sum(map(sum, sizes))
    # Beyond twice the number nothing is nearer than the smallest choice there is.
    limit = min(max(2 * n_images, min((size for each in sizes for size in each), default=0)), n_all - 1)
    sums = [_reachable_sums(each, limit) for each in sizes]
    share = n_images * sum(sizes[0]) / n_all if n_all else 0
    totals = min(
        (
            (abnormal, normal)
            for abnormal in _bits(sums[0][0])
            for normal in _nearest_two(sums[1][0], min(n_images, limit) - abnormal)
            if abnormal + normal <= limit
        ),
        key=lambda each: (sum(each) == 0, abs(sum(each) - n_images), -sum(each), abs(each[0] - share)),
        default=(0, 0),
    )
    return [
        patient
        for stratum, each, reachable, total in zip(strata, sizes, sums, totals, strict=True)
        for patient in _first_with_sum(stratum, each, reachable, total)
    ]


def _counts(n_patients: int, shares: Mapping[str, float]) -> dict[str, int]:
    exact = {name: share * n_patients for name, share in shares.items()}
    counts = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: n_patients - sum(counts.values())]:
        counts[name] += 1
    return counts


def _reachable_sums(sizes: Sequence[int], limit: int) -> list[int]:
    """Entry i: bit s is set where some of `sizes[i:]` sum to s ≤ limit; the last entry is the empty sum."""
    mask = (1 << (limit + 1)) - 1
    sums = [1 & mask]
    for size in reversed(sizes):
        sums.append((sums[-1] | sums[-1] << size) & mask)
    return sums[::-1]


def _bits(number: int) -> list[int]:
    return [place for place in range(number.bit_length()) if number >> place & 1]


def _nearest_two(sums: int, wanted: int) -> list[int]:
    """The largest sum not above `wanted` and the smallest above it, where there are such sums."""
    below = sums & ((1 << (wanted + 1)) - 1) if wanted >= 0 else 0
    above = sums ^ below
    found = [below.bit_length() - 1] if below else []
    return found + ([(above & -above).bit_length() - 1] if above else [])


def _first_with_sum(
    patients: Sequence[str], sizes: Sequence[int], reachable: Sequence[int], total: int
) -> list[str]:
    chosen = []
    for number, (patient, size) in enumerate(zip(patients, sizes, strict=True)):
        if size <= total and reachable[number + 1] >> (total - size) & 1:
            chosen.append(patient)
            total -= size
    return chosen
