"""The papers' tables in their own layout, our runs beside the published figures.

A table appears where a run says that it reproduces it (`Run.table`), rows of one table by `Run.row`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mammo_monai.reports.literature.published import (
    OTHERS_RULES,
    P1_DETECTORS,
    P1_NOTES,
    P2_NORMALS,
    P2_NORMALS_NOTE,
    PAPER_TABLES,
    table_keys,
)
from mammo_monai.reports.literature.records import (
    PublishedPoint,
    PublishedRow,
    PublishedTable,
    digits_text,
    point_text,
)
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.fold_tables import SPREAD_NOTE, has_folds, sensitivity_of, spread_text
from mammo_monai.reports.tables.metric_tables import interval_text
from mammo_monai.reports.tables.run_tables import (
    band_of,
    band_text,
    confidence_text,
    level,
    scored_on,
    sensitivity_text,
)
from mammo_monai.reports.tables.table import UNDEFINED, Table, figure_text
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

# The run of P0's Table II is also that of its comparison and of its size bands.
_TWO_STAGE = "P0-II"
_ALSO_TWO_STAGE = ("P0-III", "P0-V")
_P1_ROWS = {"Precision": "precision", "Recall": "recall", "F1-Score": "f1"}


def paper_tables(runs: Sequence[Run]) -> list[Table]:
    """The papers' tables that the runs say they reproduce, in the order of print; the runs in theirs.

    A row without one of our runs shows a dash in our columns. A run whose row the paper does not print stands
    below the others, with dashes in the paper's columns. The run of P0's Table II stands in III and V too.
    """
    for run in runs:
        if run.table and run.table not in table_keys():
            known = ", ".join(table_keys())
            logger.warning("run %s reproduces table %r, which is none of %s.", run.name, run.table, known)
    tables = [_paper_table(paper, runs) for paper in PAPER_TABLES]
    place = next(n for n, paper in enumerate(PAPER_TABLES) if paper.key == "P2-S")
    tables.insert(place, _precision_table([run for run in runs if run.table == "P1"]))
    tables.insert(place + 2, _normals_table([run for run in runs if run.table == "P2-normals"]))
    return [table for table in tables if table]


def row_key(text: str) -> str:
    """What makes two rows the same: numbers by value, words without case and punctuation.

    >>> row_key("0.00001") == row_key("1e-5"), row_key("S-3") == row_key("s3"), row_key("0.2") == row_key("2")
    (True, True, False)
    """
    try:
        return repr(float(text))
    except ValueError:
        return "".join(letter for letter in text.casefold() if letter.isalnum())


def sensitivity_beside(run: Run, fppi: float) -> str:
    """The pooled figure with its interval; off the operating points the curve's own value, without one."""
    point = run.point_at(fppi)
    return figure_text(sensitivity_of(fppi)(run)) if point is None else sensitivity_text(point)


def _paper_table(paper: PublishedTable, runs: Sequence[Run]) -> Table | None:
    if paper.joins == "columns":
        keys = {paper.key, _TWO_STAGE} if paper.key in _ALSO_TWO_STAGE else {paper.key}
        own = [run for run in runs if run.table in keys]
        return _columns_beside(paper, own) if own else None
    by_row = _runs_by_row(paper, runs)
    return _rows_beside(paper, by_row, runs) if by_row else None


def _runs_by_row(paper: PublishedTable, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Our runs by the `row_key` of the row they stand in."""
    by_row: dict[str, list[Run]] = {}
    for run in runs:
        is_setup = paper.key == "P2-S" and run.table.startswith(paper.key)
        if run.table == paper.key or is_setup:
            by_row.setdefault(row_key(run.table.removeprefix("P2-") if is_setup else run.row), []).append(run)
    return by_row


def _columns_beside(paper: PublishedTable, own: Sequence[Run]) -> Table:
    """A row per published point, our runs in columns right of the published figure."""
    header = (*paper.before, *paper.value, *(title for run in own for title in _titles(run)), *paper.after)
    rows = tuple(
        (
            *row.before,
            *_point_cells(paper, point),
            *(cell for run in own for cell in _own_cells(run, paper, row, point)),
            *row.after,
        )
        for row in paper.rows
        for point in row.points
    )
    return Table(_caption(paper), header, rows, notes=_notes(_with_steps(paper, own), own))


def _rows_beside(paper: PublishedTable, by_row: dict[str, list[Run]], runs: Sequence[Run]) -> Table:
    """A row per published setting and point, our run for it in the same row; rows of our own below."""
    own = [run for run in runs if any(run is each for found in by_row.values() for each in found)]
    has_spread = any(has_folds(run) for run in own)
    header = (*paper.before, *paper.value, "our run", *(("mean ± SD of folds",) if has_spread else ()))
    header += (f"pooled ({confidence_text(own)} CI)",)
    places = [
        (row, point, _or_none(by_row.get(row_key(row.row)))) for row in paper.rows for point in row.points
    ]
    rows = [
        (*row.before, *_point_cells(paper, point), *_run_cells(run, point, has_spread))
        for row, point, found in places
        for run in found
    ]
    printed = {row_key(row.row) for row in paper.rows}
    points = {point.fppi: point for _, point, _ in places}
    for key, found in by_row.items():
        blank = (UNDEFINED,) * (len(paper.before) - 1)
        rows += [
            (run.row or run.table, *blank, f"{UNDEFINED} @ {fppi:g}", *_run_cells(run, point, has_spread))
            for fppi, point in points.items()
            for run in (() if key in printed else found)
        ]
    return Table(_caption(paper), header, tuple(rows), notes=_notes(_with_steps(paper, own), own))


def _or_none(found: Sequence[Run] | None) -> Sequence[Run | None]:
    return found or (None,)


def _point_cells(paper: PublishedTable, point: PublishedPoint) -> tuple[str, ...]:
    if len(paper.value) == 1:
        return (f"{point_text(point)} @ {point.fppi:g}",)
    return (f"{point.fppi:g}", point_text(point))


def _titles(run: Run) -> tuple[str, ...]:
    interval = f"{confidence_text([run])} CI"
    if not has_folds(run):
        return (f"{run.name}, {interval}",)
    return (f"{run.name}, mean ± SD of {len(run.folds)} folds", f"{run.name}, pooled, {interval}")


def _own_cells(run: Run, paper: PublishedTable, row: PublishedRow, point: PublishedPoint) -> tuple[str, ...]:
    """One cell per title of a run."""
    if paper.ours == "run":
        pooled = sensitivity_beside(run, point.fppi)
        return (spread_text(run, sensitivity_of(point.fppi)), pooled) if has_folds(run) else (pooled,)
    pooled = band_text(band_of(run, paper.ours, row.row), point.fppi)
    if not has_folds(run):
        return (pooled,)
    return (spread_text(run, lambda fold: _band_sensitivity(fold, paper.ours, row.row, point.fppi)), pooled)


def _band_sensitivity(run: Run, kind: str, band: str, fppi: float) -> float | None:
    points = (band_of(run, kind, band) or {}).get("points") or ()
    return next((point["sensitivity"] for point in points if point["fppi"] == fppi), None)


def _run_cells(run: Run | None, point: PublishedPoint, has_spread: bool) -> tuple[str, ...]:
    """Name, spread where any run has one, pooled figure."""
    if run is None:
        return (UNDEFINED,) * (3 if has_spread else 2)
    spread = (spread_text(run, sensitivity_of(point.fppi)) if has_folds(run) else UNDEFINED,)
    return (run.name, *(spread if has_spread else ()), sensitivity_beside(run, point.fppi))


def _precision_table(own: Sequence[Run]) -> Table | None:
    """P1's Table 2: one column per detector, each run of ours right of the one it is to stand beside."""
    if not own:
        return None
    columns: list[tuple[str, ...]] = []
    keys = {row_key(each.row) for each in P1_DETECTORS}
    for each in P1_DETECTORS:
        figures = [digits_text(getattr(each, name)) for name in (*_P1_ROWS.values(), "ap50")]
        columns.append((f"{each.model} {each.backbone} (P1)", *figures))
        columns += [_p1_column(run) for run in own if row_key(run.row) == row_key(each.row)]
    columns += [_p1_column(run) for run in own if row_key(run.row) not in keys]
    header, *rows = zip(("Model", *_P1_ROWS, "AP50"), *columns, strict=True)
    notes = (
        OTHERS_RULES,
        *P1_NOTES,
        "Ours: precision, recall and F1 at the score of the best F1, chosen on the images it is measured on "
        f"({_best_scores(own)}); hits by our rule.",
    )
    title = (
        f"P1, Table 2: precision, recall, F1 and AP50 of detectors, ours with {confidence_text(own)} interval"
    )
    return Table(title, header, tuple(rows), notes=_notes(notes, own, has_spread=False))


def _p1_column(run: Run) -> tuple[str, ...]:
    best = (run.metrics.get("precision_recall") or {}).get("best_f1") or {}
    bounds = best.get("intervals") or {}
    average = run.metrics.get("average_precision") or {}
    ap50 = (average.get("coco") or {}).get("ap50")
    if ap50 is None and average.get("min_iou") == 0.5:
        ap50 = average.get("value")
    cells = (interval_text(best.get(name), bounds.get(name) or {}) for name in _P1_ROWS.values())
    return (run.name, *cells, figure_text(ap50, digits=3))


def _best_scores(own: Sequence[Run]) -> str:
    scores = ((run.metrics.get("precision_recall") or {}).get("best_f1") or {} for run in own)
    return ", ".join(
        f"{run.name}: score ≥ {figure_text(each.get('score'), digits=3)}"
        for run, each in zip(own, scores, strict=True)
    )


def _normals_table(own: Sequence[Run]) -> Table | None:
    """P2's false positives on images without masses at scores .9 and .95."""
    if not own:
        return None
    scores = sorted({score for each in P2_NORMALS for score in each.false_positives})
    keys = {row_key(each.data) for each in P2_NORMALS}
    rows: list[tuple[str, ...]] = []
    for each in P2_NORMALS:
        printed = [f"{each.false_positives[score]:.2f}" for score in scores]
        found = [run for run in own if row_key(run.row) == row_key(each.data)]
        rows += [(each.data, *printed, *_normal_cells(run, scores)) for run in _or_none(found)]
    blank = (UNDEFINED,) * len(scores)
    rows += [
        (run.row or UNDEFINED, *blank, *_normal_cells(run, scores))
        for run in own
        if row_key(run.row) not in keys
    ]
    header = ("Images", *(f"score ≥ {score:g} (P2)" for score in scores), "our run")
    header += tuple(f"score ≥ {score:g}" for score in scores)
    title = "P2, Fig. 5: false positives per image without masses"
    return Table(
        title, header, tuple(rows), notes=_notes((OTHERS_RULES, P2_NORMALS_NOTE), own, has_spread=False)
    )


def _normal_cells(run: Run | None, scores: Sequence[float]) -> tuple[str, ...]:
    if run is None:
        return (UNDEFINED,) * (1 + len(scores))
    normal = run.metrics.get("normal_images") or {}
    values = dict(zip(normal.get("score") or (), normal.get("false_positives_per_image") or (), strict=True))
    n_images = f" of {counted(normal['n_images'], 'image')}" if normal.get("n_images") else ""
    cells = (f"{values[one]:.2f}{n_images}" if values.get(one) is not None else UNDEFINED for one in scores)
    return (run.name, *cells)


def _caption(paper: PublishedTable) -> str:
    return f"{paper.source}: {paper.title}, ours beside it"


def _with_steps(paper: PublishedTable, own: Sequence[Run]) -> tuple[str, ...]:
    """The paper's notes, and where figures of ours were read from when not at operating points."""
    every = {point.fppi for row in paper.rows for point in row.points}
    missing = sorted(fppi for fppi in every if any(run.point_at(fppi) is None for run in own))
    if not missing or paper.ours != "run":
        return paper.notes
    at = ", ".join(f"{fppi:g}" for fppi in missing)
    return (
        *paper.notes,
        f"Ours at {at} FPPI: the highest the curve shows there or before, without an interval.",
    )


def _notes(notes: Sequence[str], own: Sequence[Run], *, has_spread: bool = True) -> tuple[str, ...]:
    """What the table needs said, then what each of our runs was scored on and by which rule."""
    ours = [
        f"{run.name}: {level(run)}; {scored_on(run)}{', synthetic' if run.is_synthetic else ''}."
        for run in own
    ]
    spread = [SPREAD_NOTE] if has_spread and any(has_folds(run) for run in own) else []
    return (*notes, *dict.fromkeys(ours), *spread)
