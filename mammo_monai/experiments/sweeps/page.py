"""What a sweep leaves to read: the table of its trials as text, CSV and on a page with plots; one file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from mammo_monai import __version__
from mammo_monai.experiments.sweeps.best import BEST_FILE, best_trial, is_synthetic, optimism_text, write_best
from mammo_monai.experiments.sweeps.definition import Sweep
from mammo_monai.experiments.sweeps.space import Parameter
from mammo_monai.experiments.sweeps.study import Trial
from mammo_monai.experiments.table import duration_text
from mammo_monai.files import write_text_atomic
from mammo_monai.reports import INTENDED_USE, Table
from mammo_monai.reports.page.plots import plot_figure
from mammo_monai.reports.page.shell import html_page, main_of, stylesheet
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.plots import RUN_COLOURS, RUN_COLOURS_DARK
from mammo_monai.reports.plots.sweeps import SweepPoint, VariedAxis, sweep_history_svg, sweep_value_svg
from mammo_monai.reports.runs import SYNTHETIC
from mammo_monai.reports.tables.table import UNDEFINED

PAGE_FILE, CSV_FILE = "sweep.html", "trials.csv"
_STATES = {"running": "unfinished", "pruned": "given up", "failed": "failed", "complete": "done"}
_CSS = """
body { max-width: 72rem; }
.plots { margin-bottom: 1.5rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: 1rem; }
.plots figure { margin: 0; padding: 0.75rem; border-radius: 0.5rem; background: var(--panel); }
.plots svg { display: block; width: 100%; height: auto; }
.trials td { white-space: normal; overflow-wrap: anywhere; }
"""


def write_sweep(out: Path, sweep: Sweep, trials: Sequence[Trial], *, names: Sequence[str] = ()) -> list[Path]:
    """Writes best.json, trials.csv and sweep.html; returns what was written.

    Args:
        names: of the manifests, where others than the file's were given.

    Raises:
        OSError: a file cannot be written.
    """
    best = write_best(out, sweep, trials, names=names)
    write_text_atomic(out / CSV_FILE, trials_csv(sweep, trials))
    write_text_atomic(out / PAGE_FILE, sweep_page(sweep, trials, is_phantom=is_synthetic(sweep, names)))
    return [each for each in (best, out / CSV_FILE, out / PAGE_FILE) if each is not None]


def trials_table(sweep: Sweep, trials: Sequence[Trial]) -> Table:
    """The trials, best first, then those without a figure."""
    sign = -1 if sweep.objective.is_maximised else 1
    ordered = sorted(trials, key=lambda each: (each.value is None, sign * (each.value or 0.0), each.number))
    header = ("trial", sweep.objective.text, *(each.name for each in sweep.parameters), "time", "state")
    rows = tuple(
        (
            each.name,
            UNDEFINED if each.value is None else f"{each.value:.4f}",
            *(_text(each.values.get(parameter.name)) for parameter in sweep.parameters),
            duration_text(each.seconds),
            _STATES[each.state],
        )
        for each in ordered
    )
    return Table("Trials, best first", header, rows)


def trials_csv(sweep: Sweep, trials: Sequence[Trial]) -> str:
    """One row of plain values per trial, by number; undefined is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["trial", "state", "objective", *(each.name for each in sweep.parameters), "seconds"])
    for each in trials:
        values = [_text(each.values.get(parameter.name)) for parameter in sweep.parameters]
        writer.writerow([each.name, each.state, each.value, *values, each.seconds])
    return stream.getvalue()


def sweep_page(sweep: Sweep, trials: Sequence[Trial], *, is_phantom: bool = False) -> str:
    """The HTML page."""
    best = best_trial(sweep, trials)
    banner = f'<p class="banner" role="note">{escape(SYNTHETIC)}</p>' if is_phantom else ""
    description = str(sweep.content.get("description", ""))
    parts = [
        f"<header><h1>{escape(sweep.name)}</h1><p>{escape(description)}</p>{banner}"
        f'<p class="notice">{escape(INTENDED_USE)}</p></header>',
        "" if best is None else _best_html(sweep, trials, best),
        _plots_html(sweep, trials),
        f'<section class="trials">{html_table(trials_table(sweep, trials))}{_states_note(trials)}</section>',
        f"<section>{html_table(_space_table(sweep))}</section>",
        f"<footer><p>Made by mammo-monai {escape(__version__)}, <code>mammo-monai experiment sweep</code>."
        " Intervals and FROC curves of the trials: <code>mammo-monai experiment table</code> of the same "
        "folder.</p></footer>",
    ]
    return html_page(sweep.name, main_of(parts), styles=(_colours(), stylesheet("report.css"), _CSS))


def _best_html(sweep: Sweep, trials: Sequence[Trial], best: Trial) -> str:
    values = ", ".join(
        f"<code>{escape(name)}</code> {escape(_text(each))}" for name, each in best.values.items()
    )
    return (
        f"<section><h2>Best</h2><p><strong>{best.name}</strong>: {escape(sweep.objective.text)} "
        f"{best.value:.4f} on validation images, with {values}. "
        f"As an experiment: <code>{BEST_FILE}</code>.</p>"
        f'<p class="banner" role="note">{escape(optimism_text(sweep, trials))}</p></section>'
    )


def _plots_html(sweep: Sweep, trials: Sequence[Trial]) -> str:
    label, objective = sweep.objective.text, sweep.objective
    points = [_point(each) for each in trials]
    crosses = any(each.value is None and each.last is not None for each in points)
    note = "Crosses: trials that were given up, at their last validation figure. " if crosses else ""
    history = plot_figure(
        "history",
        lambda size, salt: sweep_history_svg(
            points, label=label, is_maximised=objective.is_maximised, size_in=size, salt=salt
        ),
        label=f"{label} of each trial in order, and the best so far",
        caption=f"{note}A line that still rises says that more trials may find more; the higher of many is "
        "by chance, too.",
        sizes=((9.4, 3.4), (4.4, 3.2)),
    )
    if not history:
        return ""
    drawn = [
        f'<figure role="img" aria-label="{escape(label)} by {escape(each.name)}">'
        + sweep_value_svg(*_varied(each, trials), label=label, size_in=(4.6, 3.2), salt=f"parameter-{n}")
        + "</figure>"
        for n, each in enumerate(sweep.parameters)
    ]
    return (
        f"<section><h2>Trials in order</h2>{history}</section><section><h2>By value</h2>"
        f'<div class="plots">{"".join(drawn)}</div></section>'
    )


def _point(trial: Trial) -> SweepPoint:
    figures = list(trial.figures.values())
    return SweepPoint(trial.number, trial.value, figures[-1] if figures and trial.value is None else None)


def _varied(parameter: Parameter, trials: Sequence[Trial]) -> tuple[list[SweepPoint], VariedAxis]:
    """The trials that have a value of the parameter, and these."""
    having = [each for each in trials if parameter.name in each.values]
    names = tuple(_text(each) for each in parameter.choices)
    found = [each.values[parameter.name] for each in having]
    numbers = tuple(float(names.index(_text(each))) if names else float(each) for each in found)
    return [_point(each) for each in having], VariedAxis(parameter.name, numbers, parameter.is_log, names)


def _space_table(sweep: Sweep) -> Table:
    rows = [(each.name, each.text()) for each in sweep.parameters]
    how = f"sampler {sweep.sampler}, seed {sweep.seed}, pruner {sweep.pruner}"
    return Table(f"What was varied ({how})", ("id", "values"), tuple(rows))


def _states_note(trials: Sequence[Trial]) -> str:
    told = []
    if any(each.state == "pruned" for each in trials):
        told.append("Given up: below the median of the others' validation figure at the same epoch.")
    if any(each.state == "failed" for each in trials):
        told.append("Failed: failed.json in the trial's folder says why; it is not done again.")
    return "".join(f'<p class="quiet">{each}</p>' for each in told)


def _text(value: Any) -> str:
    """A value as a cell.

    >>> _text(0.000123456789), _text("light"), _text([8, 16]), _text(None), _text(True)
    ('0.000123457', 'light', '[8, 16]', 'null', 'true')
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _colours() -> str:
    def numbered(colours: Sequence[str]) -> str:
        return "".join(f"--run-{n}:{colour};" for n, colour in enumerate(colours, start=1))

    dark = f"@media (prefers-color-scheme: dark){{:root{{{numbered(RUN_COLOURS_DARK)}}}}}"
    return f":root{{{numbered(RUN_COLOURS)}}}\n{dark}\n"
