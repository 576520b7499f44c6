"""The page of an experiment: table, FROC, learning curves, what differs, where it comes from; one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from mammo_monai import __version__
from mammo_monai.experiments.configuration import changes_between
from mammo_monai.experiments.curves import CURVES_CSS, curves_section
from mammo_monai.experiments.data_request import ONCE
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.results import Results, RunResult
from mammo_monai.experiments.table import (
    COLOURED,
    as_csv,
    as_markdown,
    missing_table,
    runs_tables,
    scored_runs,
)
from mammo_monai.files import write_text_atomic
from mammo_monai.reports import INTENDED_USE, Run, Table
from mammo_monai.reports.page.figures import froc_section
from mammo_monai.reports.page.shell import html_page, main_of, stylesheet
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.plots import RUN_COLOURS, RUN_COLOURS_DARK
from mammo_monai.reports.runs import SYNTHETIC
from mammo_monai.schema.model_line import model_line
from mammo_monai.words import counted

NAMED_CHANGES = 12
# A table of many columns: the page may be wider than one of prose.
_WIDE = """
body { max-width: 88rem; }
.froc { max-width: 62rem; }
.runs th, .runs td { padding-inline: 0.4375rem; }
.runs thead th { white-space: normal; }
.runs td small { color: var(--faint); }
.runs tr > :first-child { padding-left: 0.875rem; }
.changes td { white-space: normal; overflow-wrap: anywhere; }
.changes td:not(:first-child) { min-width: 14rem; }
.hashes td:not(:last-child) { white-space: nowrap; }
"""
_INTERVAL_CELL = re.compile(r"<td>([^<(]+) (\([^<]+)</td>")


def write_table(path: Path, results: Results) -> None:
    """Writes the table in the format of the suffix: .html, .md or .csv.

    Raises:
        ExperimentError: another suffix. OSError: the file cannot be written.
    """
    texts = {".html": experiment_page, ".md": experiment_markdown, ".csv": as_csv}
    make = texts.get(Path(path).suffix.lower())
    if make is None:
        raise ExperimentError(f"{path}: a table is written as .html, .md or .csv.")
    write_text_atomic(Path(path), make(results))


def experiment_markdown(results: Results) -> str:
    """The table of runs, and what is missing, in Markdown."""
    missing = missing_table(results)
    parts = [f"# {results.head.name}", results.head.description]
    parts += [SYNTHETIC] if results.head.is_phantom else []
    for table, group in zip(runs_tables(results), results.scored_groups, strict=True):
        parts += [as_markdown(table), _basis(group)]
    parts += [as_markdown(missing)] if missing else []
    return "\n\n".join(part for part in parts if part) + "\n"


def experiment_page(results: Results) -> str:
    """The HTML page."""
    missing, head = missing_table(results), results.head
    banner = f'<p class="banner" role="note">{escape(SYNTHETIC)}</p>' if head.is_phantom else ""
    parts = [
        f"<header><h1>{escape(head.name)}</h1><p>{escape(head.description)}</p>{banner}"
        f'<p class="notice">{escape(INTENDED_USE)}</p></header>',
        *(
            _group_html(group, table, number)
            for number, (group, table) in enumerate(
                zip(results.scored_groups, runs_tables(results), strict=True), start=1
            )
        ),
        f"<section>{html_table(missing)}</section>" if missing else "",
        curves_section(results),
        f'<section class="changes"><h2>What differs</h2>{html_table(_changes_table(results))}</section>',
        "<footer><h2>Provenance</h2><details><summary>SHA-256 of data, folds and each run's files</summary>"
        f'<div class="hashes">{html_table(_provenance(results))}</div></details>'
        f"<details><summary>Models</summary>{html_table(_models(results))}</details>"
        f"<p>Made by mammo-monai {escape(__version__)} with <code>mammo-monai experiment table</code>.</p>"
        "</footer>",
    ]
    styles = (_colours(), stylesheet("report.css"), CURVES_CSS, _WIDE)
    return html_page(head.name, main_of(parts), styles=styles)


def _group_html(group: Results, table: Table, number: int) -> str:
    """Table and FROC of runs that are scored on the same images."""
    shown, scored = plotted_runs(group), scored_runs(group)
    less = f"The first run and the best of the others, {len(shown)} of {len(scored)}."
    name = "froc" if number == 1 else f"froc-{number}"
    # Each interval on a line of its own, below its figure.
    runs = _INTERVAL_CELL.sub(r"<td>\1<br><small>\2</small></td>", html_table(table))
    return (
        f'<section><h2>Runs</h2><div class="runs">{runs}</div><p class="quiet">{escape(_basis(group))}</p>'
        f"</section>{froc_section(shown, fppi=1.0, name=name)}"
        + (f'<p class="quiet">{less}</p>' if len(shown) < len(scored) else "")
    )


def plotted_runs(results: Results) -> list[Run]:
    """The first run and the best others by mean sensitivity, as many as the plot has colours, in order."""
    runs = scored_runs(results)
    best = sorted(runs[1:], key=lambda run: -(run.metrics["mean_sensitivity"]["value"] or 0.0))
    kept = {run.name for run in [*runs[:1], *best[: COLOURED - 1]]}
    return [run for run in runs if run.name in kept]


def _basis(results: Results) -> str:
    """What was scored and by which rule, and what the times were measured on."""
    run = next(run for run in results.runs if run.metrics is not None)
    metrics: Any = run.metrics
    machines = dict.fromkeys(
        _machine(part)
        for each in results.runs
        for fold in each.finished.values()
        for part in fold.environment.values()
    )
    unlike = len({tuple(each.finished) for each in results.runs if each.finished}) > 1
    note = (
        "Not all runs have finished the same folds: their sensitivities are of different images, each "
        "difference is on the folds that both have finished. "
    )
    return (
        f"{run.name}: {counted(metrics['n_images'], 'image')} ({metrics['n_normal_images']} normal), "
        f"{counted(metrics['n_lesions'], 'lesion')}, {counted(metrics['n_patients'], 'patient')}. "
        f"{note if unlike else ''}{metrics['rule']['text']} Times: {'; '.join(machines)}."
    )


def _machine(environment: Any) -> str:
    gpus = ", ".join(environment.get("gpus") or ()) or "no GPU"
    threads = environment.get("threads")
    return f"{environment.get('cpu')}, {counted(threads, 'thread')}, {gpus}"


def _changes_table(results: Results) -> Table:
    """What each run's configuration has otherwise than the first finished run's."""
    finished = [run for run in results.runs if run.finished]
    first, rows = _config(finished[0]), []
    for run in finished:
        changes = ["(the others differ from this)"]
        if run is not finished[0]:
            own = _config(run)
            changes = changes_between({} if "fuse" in own else first, own)
        named = "; ".join(changes[:NAMED_CHANGES]) + ("; …" if len(changes) > NAMED_CHANGES else "")
        rows.append((run.name, run.description, named or "nothing"))
    return Table("Configuration, against the first run", ("run", "what it is", "differs in"), tuple(rows))


def _config(run: RunResult) -> dict[str, Any]:
    config = next(iter(run.finished.values())).config
    if "fuse" in config:  # it has nothing else; that all of the first's values are missing says nothing
        return {"fuse": dict(config["fuse"])}
    kept = ("bundle", "is_trained", "training", "prediction")
    return {name: config[name] for name in kept if name in config}


def _provenance(results: Results) -> Table:
    rows: list[tuple[str, str, str]] = []
    told: set[tuple[str, ...]] = set()
    for run in results.runs:
        for fold in run.finished.values():
            inputs = fold.config["inputs"]
            data = [("manifest", each) for each in inputs["manifest_sha256"]]
            data += [("folds", inputs["folds_sha256"])] if inputs["folds_sha256"] else []
            if (key := tuple(sha256 for _, sha256 in data)) not in told:
                told.add(key)
                rows += [(f"data of {run.name}", name, sha256) for name, sha256 in data]
            rows += _hashes(_where(run, fold.fold), fold.done)
    return Table("SHA-256 of what the figures rest on", ("for", "file", "SHA-256"), tuple(rows))


def _models(results: Results) -> Table:
    """Which model made each run's detections, in which version, and what of its marks was scored."""
    rows = [
        (_where(run, fold.fold), model_line(fold.model))
        for run in results.runs
        for fold in run.finished.values()
    ]
    return Table("What made the detections", ("for", "model"), tuple(rows))


def _where(run: RunResult, fold: str) -> str:
    return run.name if fold == ONCE else f"{run.name}, fold {fold}"


def _hashes(where: str, done: Any) -> Sequence[tuple[str, str, str]]:
    named = (
        ("configuration", "config_sha256"),
        ("weights", "weights_sha256"),
        ("detections", "detections_sha256"),
    )
    return [(where, name, str(done[key])) for name, key in named if done.get(key)]


def _colours() -> str:
    def numbered(colours: Sequence[str]) -> str:
        return "".join(f"--run-{n}:{colour};" for n, colour in enumerate(colours, start=1))

    return (
        f":root{{{numbered(RUN_COLOURS)}}}\n"
        f"@media (prefers-color-scheme: dark){{:root{{{numbered(RUN_COLOURS_DARK)}}}}}\n"
    )
