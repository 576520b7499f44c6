"""What a sweep varies: ids of a bundle's configuration, each with a range or a list of values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mammo_monai.experiments.field_checks import ExperimentError, Json, read_flag, reject_unknown

Kind = Literal["float", "int", "categorical"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_FIELDS = {
    "float": {"type", "low", "high", "log", "points"},
    "int": {"type", "low", "high", "step", "log"},
    "categorical": {"type", "choices"},
}


@dataclass(frozen=True)
class Parameter:
    """One varied id.

    Attributes:
        name: an id of train.json, such as `learning_rate` or `detector#focal_alpha`.
        low, high: the ends of a range, both included. is_log: drawn evenly by its logarithm.
        step: between whole numbers. points: how many numbers of a float range a grid takes, ends included.
        choices: JSON values of a categorical.
    """

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    is_log: bool = False
    step: int = 1
    points: int | None = None
    choices: tuple[Any, ...] = ()

    @property
    def ends(self) -> tuple[Any, Any]:
        """The first and the last value: a check builds both."""
        if self.kind == "categorical":
            return self.choices[0], self.choices[-1]
        return self._number(self.low), self._number(self.high)

    def grid(self) -> list[Any]:
        """The values that a grid takes, ascending, or as listed.

        >>> Parameter("rate", "float", 0.001, 0.1, is_log=True, points=3).grid()
        [0.001, 0.01, 0.1]
        >>> Parameter("size", "int", 2, 8, step=3).grid()
        [2, 5, 8]
        """
        if self.kind == "categorical":
            return list(self.choices)
        if self.kind == "int":
            return list(range(int(self.low), int(self.high) + 1, self.step))
        low, high = (math.log10(self.low), math.log10(self.high)) if self.is_log else (self.low, self.high)
        count = self.points or 2
        even = [low + (high - low) * n / (count - 1) for n in range(count)]
        return [float(f"{10**each if self.is_log else each:.12g}") for each in even]

    def text(self) -> str:
        """The range in words.

        >>> Parameter("rate", "float", 1e-05, 0.01, is_log=True).text()
        '1e-05 to 0.01, by logarithm'
        """
        if self.kind == "categorical":
            return ", ".join(json.dumps(each) for each in self.choices)
        low, high = self.ends
        steps = f", steps of {self.step}" if self.kind == "int" and self.step > 1 else ""
        return f"{low:g} to {high:g}{', by logarithm' if self.is_log else ''}{steps}"

    def _number(self, value: float) -> float | int:
        return int(value) if self.kind == "int" else float(value)


def parameters_of(where: str, value: object) -> tuple[Parameter, ...]:
    """The parameters of a sweep's section.

    Raises:
        ExperimentError: none, an unknown type, or a range that cannot be; the message names the parameter.
    """
    if not isinstance(value, dict) or not value:
        raise ExperimentError(
            f"{where}: parameters must be an object of ids and what they may be, such as "
            '{"learning_rate": {"type": "float", "low": 1e-5, "high": 1e-2, "log": true}}, '
            f"got {value!r:.80}."
        )
    return tuple(_parameter(f"{where}, {name}", name, item) for name, item in value.items())


def check_grid(where: str, parameters: Sequence[Parameter]) -> None:
    """Refuses a grid over a range of floats that does not say how many numbers it takes.

    Raises:
        ExperimentError: `points` is missing.
    """
    for each in parameters:
        if each.kind == "float" and each.points is None:
            raise ExperimentError(
                f"{where}, {each.name}: the sampler grid takes some numbers of a range: say how many "
                "with points."
            )


def _parameter(where: str, name: str, item: object) -> Parameter:
    kind = item.get("type") if isinstance(item, dict) else None
    if not isinstance(item, dict) or kind not in KINDS:
        raise ExperimentError(
            f"{where}: type must be {', '.join(KINDS[:-1])} or {KINDS[-1]}, got {kind!r:.80}."
        )
    reject_unknown(where, item, _FIELDS[kind])
    if kind == "categorical":
        return Parameter(name, "categorical", choices=_choices(where, item.get("choices")))
    is_log = read_flag(where, item, "log", False)
    low, high = _ends(where, item, kind, is_log=is_log)
    step, points = (_count(where, item, field, least) for field, least in (("step", 1), ("points", 2)))
    if kind == "int" and is_log and step not in (None, 1):
        raise ExperimentError(f"{where}: log and step do not go together; take one out.")
    return Parameter(name, kind, low, high, is_log, step or 1, points)


def _ends(where: str, item: Json, kind: str, *, is_log: bool) -> tuple[float, float]:
    ends = [item.get("low"), item.get("high")]
    allowed = int if kind == "int" else (int, float)
    if not all(isinstance(each, allowed) and not isinstance(each, bool) for each in ends):
        raise ExperimentError(
            f"{where}: low and high must be {kind}s, got {ends[0]!r:.40} and {ends[1]!r:.40}."
        )
    low, high = (float(each) for each in ends)  # type: ignore[arg-type]  # checked above
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ExperimentError(f"{where}: low must be below high, got {low:g} and {high:g}.")
    if is_log and low <= 0:
        raise ExperimentError(f"{where}: a range by logarithm begins above 0, got low {low:g}.")
    return low, high


def _count(where: str, item: Json, field: str, least: int) -> int | None:
    value = item.get(field)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ExperimentError(
            f"{where}: {field} must be a whole number of at least {least}, got {value!r:.40}."
        )
    return value


def _choices(where: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) < 2:
        raise ExperimentError(f"{where}: choices must be a list of at least two values, got {value!r:.80}.")
    if len({json.dumps(each, sort_keys=True) for each in value}) < len(value):
        raise ExperimentError(f"{where}: choices holds a value twice: {value!r:.80}.")
    return tuple(value)
