"""The HTML page shows every table that PDF and LaTeX set."""

from __future__ import annotations

from html import escape
from pathlib import Path

from mammo_monai.reports.page.report import ReportOptions, write_report
from mammo_monai.reports.tables.table_list import report_tables
from tests.reports.full_runs import full_run


def test_the_page_has_every_table_of_the_list(tmp_path: Path) -> None:
    runs = [full_run()]
    write_report(tmp_path / "report.html", runs, options=ReportOptions(has_published=True))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    tables = report_tables(runs, has_published=True)
    assert len(tables) > 8
    assert [table.caption for table in tables if escape(table.caption) not in page] == []
