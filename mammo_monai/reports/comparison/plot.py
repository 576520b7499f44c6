"""The difference of two FROC curves over false positives per image, with its band, as an `<svg>` element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from mammo_monai.metrics import DifferenceCurve
from mammo_monai.reports.plots.style import text_colour

_FPPI_RANGE = (0.125, 4.0)
_FPPI_TICKS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
_N_POINTS = 61
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_MOST_STEPS = 4  # grid lines above 0, and below
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 14, 12, 48  # margins, in units of the drawing
Point = tuple[float, float]


def curve_fppi() -> tuple[float, ...]:
    """The FPPIs a difference curve is drawn at: 61 from .125 to 4, evenly spaced on the logarithmic axis."""
    return tuple(np.geomspace(*_FPPI_RANGE, _N_POINTS).tolist())


@dataclass(frozen=True)
class _Frame:
    """Where values lie on the drawing; differences reach from −reach to reach."""

    width: int
    height: int
    step: float
    reach: float

    @property
    def right(self) -> int:
        return self.width - _RIGHT

    @property
    def bottom(self) -> int:
        return self.height - _BOTTOM

    def place(self, fppi: float, difference: float) -> Point:
        low, high = (math.log(each) for each in _FPPI_RANGE)
        x = _LEFT + (math.log(fppi) - low) / (high - low) * (self.right - _LEFT)
        y = _TOP + (self.reach - difference) / (2 * self.reach) * (self.bottom - _TOP)
        return round(x, 1), round(y, 1)


def difference_svg(curve: DifferenceCurve, names: tuple[str, str], *, size: tuple[int, int]) -> str:
    """The curve for a page that sets `--ink`, `--faint`, `--grid`, `--run-1` and `--run-2`.

    Above 0 the second detector finds more, below the first. The band is left out where it is NaN.

    Args:
        names: of the first and the second detector, plain text.
        size: width and height in units of the drawing, about a pixel each.
    """
    frame = _frame(curve, size)
    first, second = (escape(name) for name in names)
    drawn = _band(frame, curve) + _polyline(_stairs(frame, curve.fppi.tolist(), curve.difference.tolist()))
    upper, lower = text_colour("run-2"), text_colour("run-1")
    return (
        f'<svg viewBox="0 0 {frame.width} {frame.height}" aria-hidden="true" font-size="13">'
        f"{_grid(frame)}{drawn}"
        f'<text x="{_LEFT + 8}" y="{_TOP + 16}" style="fill:{upper}">{second} finds more</text>'
        f'<text x="{_LEFT + 8}" y="{frame.bottom - 8}" style="fill:{lower}">{first} finds more</text></svg>'
    )


def _frame(curve: DifferenceCurve, size: tuple[int, int]) -> _Frame:
    """An axis with 0 in the middle that holds curve and band, on the finest grid with few enough lines."""
    values = np.abs(np.concatenate([curve.difference, curve.low, curve.high]))
    largest = max(float(np.nanmax(values)), _STEPS[0])
    step = next((each for each in _STEPS if largest <= each * _MOST_STEPS), _STEPS[-1])
    return _Frame(*size, step, step * math.ceil(round(largest / step, 6)))


def _grid(frame: _Frame) -> str:
    lines = []
    steps = round(frame.reach / frame.step)
    for n in range(-steps, steps + 1):
        x, y = frame.place(_FPPI_RANGE[0], n * frame.step)
        colour = "faint" if n == 0 else "grid"
        lines.append(f'<path d="M{x} {y}H{frame.right}" stroke="var(--{colour})"/>')
        text = "0" if n == 0 else f"{'+' if n > 0 else '−'}{abs(n) * frame.step:.2g}"
        lines.append(_text(x - 8, y + 4.5, text, "end"))
    for fppi in _FPPI_TICKS:
        x, y = frame.place(fppi, -frame.reach)
        lines.append(f'<path d="M{x} {_TOP}V{y}" stroke="var(--grid)"/>')
        anchor = "end" if fppi == _FPPI_RANGE[1] else "middle"
        lines.append(_text(x, y + 21, f"{fppi:g}", anchor))
    middle_x, middle_y = (_LEFT + frame.right) / 2, (_TOP + frame.bottom) / 2
    lines.append(_text(middle_x, frame.height - 8, "false positives per image", "middle", "ink"))
    turned = f' transform="rotate(-90 14 {middle_y})"'
    lines.append(_text(14, middle_y, "difference in sensitivity", "middle", "ink", turned))
    return "".join(lines)


def _band(frame: _Frame, curve: DifferenceCurve) -> str:
    """One area for each stretch without NaN."""
    is_drawn = ~(np.isnan(curve.low) | np.isnan(curve.high))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_drawn, [False]]).astype(int)))
    areas = []
    for start, stop in edges.reshape(-1, 2).tolist():
        # The last step of a stretch lasts to the next point, as the curve's does.
        fppi = curve.fppi[start : stop + 1].tolist()
        low, high = curve.low[start:stop].tolist(), curve.high[start:stop].tolist()
        missing = len(fppi) - len(low)
        above = _stairs(frame, fppi, high + high[-1:] * missing)
        below = _stairs(frame, fppi, low + low[-1:] * missing)
        points = " ".join(f"{x},{y}" for x, y in (*above, *reversed(below)))
        areas.append(f'<polygon points="{points}" fill="var(--ink)" opacity="0.12"/>')
    return "".join(areas)


def _stairs(frame: _Frame, fppi: Sequence[float], values: Sequence[float]) -> list[Point]:
    """Corners of the steps: a value holds from its FPPI to the next one."""
    points = [frame.place(x, y) for x, y in zip(fppi, values, strict=True)]
    corners = points[:1]
    for (_, before), (x, y) in pairwise(points):
        corners += [(x, before), (x, y)]
    return corners


def _polyline(points: Sequence[Point]) -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="var(--ink)" stroke-width="2"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "faint", more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="var(--{colour})"{more}>{text}</text>'
