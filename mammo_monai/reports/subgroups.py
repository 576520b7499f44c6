"""The subgroups of runs in words and in one order: what tables, plots and CSV files of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mammo_monai.reports.runs import Run

Json = Mapping[str, Any]
SUBGROUP_FPPI = 0.5  # as bands of size are shown
TITLES: Mapping[str, str] = {
    "view_position": "view",
    "laterality": "side",
    "breast_density": "breast density",
    "type": "type of the lesion",
    "pathology": "pathology",
    "birads": "BI-RADS",
    "subtlety": "subtlety",
}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "laterality": {"L": "left", "R": "right"},
    "breast_density": {"1": "a", "2": "b", "3": "c", "4": "d"},
    "subtlety": {"1": "1, subtle", "5": "5, obvious"},
}


@dataclass(frozen=True)
class Subgroup:
    """One group of lesions or images, and each run's entry of it, None where a run has none.

    Attributes:
        by, group: as in metrics.json. entries: one per run.
    """

    by: str
    group: str
    entries: tuple[Json | None, ...]

    @property
    def title(self) -> str:
        """What the group is told apart by."""
        return TITLES.get(self.by, self.by.replace("_", " "))

    @property
    def word(self) -> str:
        """The group itself, such as `left` or `4`."""
        return _WORDS.get(self.by, {}).get(self.group, self.group)


def subgroups_of(runs: Sequence[Run]) -> list[Subgroup]:
    """The subgroups that some run has, by kind, then by name, unknown last."""
    found = [
        {(each["by"], each["group"]): each for each in run.metrics.get("subgroups") or ()} for run in runs
    ]
    order = list(TITLES)
    keys = sorted(
        dict.fromkeys(key for entries in found for key in entries),
        key=lambda key: (
            order.index(key[0]) if key[0] in order else len(order),
            key[0],
            key[1] == "unknown",
            key[1],
        ),
    )
    return [Subgroup(by, group, tuple(entries.get((by, group)) for entries in found)) for by, group in keys]


def point_of(entry: Json | None, fppi: float, kind: str = "points") -> Json | None:
    """The entry's point at `fppi` among its `points` or `false_positives`; None where it has none."""
    return next((each for each in (entry or {}).get(kind) or () if each["fppi"] == fppi), None)
