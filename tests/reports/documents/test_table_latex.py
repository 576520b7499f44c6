"""LaTeX tables: balanced, escaped, as many cells as columns; read by a small strict parser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.reports.documents.table_latex import latex_table, latex_text, write_latex
from mammo_monai.reports.page.report import ReportOptions
from mammo_monai.reports.tables.table import Table
from tests.reports.full_runs import bare_run, full_run

KNOWN = {
    *("begin", "end", "centering", "caption", "label", "small", "resizebox", "ifdim", "width", "linewidth"),
    *("else", "fi", "toprule", "midrule", "bottomrule", "par", "smallskip", "footnotesize", "noindent"),
    *("textbf", "textbackslash", "textasciicircum", "textasciitilde", "textasciigrave", "textless"),
    *("textgreater", "textbar", "pm", "times", "cdot", "geq", "leq", "approx", "rightarrow", "ldots"),
    *("textsuperscript", "alpha", "beta", "gamma", "mu", "sigma"),
}
TOKEN = re.compile(r"\\([A-Za-z]+)|\\(.)|([{}$&#^_~%])|([^\\{}$&#^_~%]+)", re.DOTALL)
TABULAR = re.compile(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}(.*?)\\end\{tabular\}", re.DOTALL)


def parse(text: str) -> list[int]:
    """The number of cells of every row of every tabular, or an error where LaTeX would stop or set nonsense.

    Commands are known ones, braces, formulas and environments balance, no special character stands alone,
    and each row has as many cells as its tabular has columns.
    """
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    source = "\n".join(re.sub(r"\{%$", "{", line) for line in lines)
    check_environments(source)
    rows = []
    for form, body in TABULAR.findall(source):
        *own, rest = re.sub(r"\\(top|mid|bottom)rule", "", body).split(r" \\" + "\n")
        assert not rest.strip(), f"a row does not end: {rest}"
        rows += [len(re.findall(r"(?<!\\)&", row)) + 1 for row in own]
        assert set(rows[len(rows) - len(own) :]) == {len(form)}, f"rows of other than {len(form)} cells"
    check_signs(TABULAR.sub("", source), has_cells=False)
    for _, body in TABULAR.findall(source):
        check_signs(body, has_cells=True)
    return rows


def check_environments(source: str) -> None:
    environments: list[str] = []
    for command, name in re.findall(r"\\(begin|end)\{(\w+)\}", source):
        if command == "begin":
            environments.append(name)
        else:
            assert environments.pop() == name, f"{name} ends out of turn"
    assert not environments, f"left open: {environments}"
    assert source.count(r"\begin{tabular}") == len(TABULAR.findall(source)), "a tabular without columns"


def check_signs(source: str, *, has_cells: bool) -> None:
    depth, dollars, end = 0, 0, 0
    for match in TOKEN.finditer(source):
        assert match.start() == end, f"not understood: {source[end:]:.20}"
        end = match.end()
        command, escaped, special, _ = match.groups()
        assert command is None or command in KNOWN, f"unknown command {command}"
        assert escaped is None or escaped in "{}$&#%_" + ("\\" if has_cells else ""), f"odd escape {escaped}"
        assert special is None or special in "{}$" + ("&" if has_cells else ""), f"{special} stands alone"
        depth += (special == "{") - (special == "}")
        dollars += special == "$"
        assert depth >= 0, "a brace closes nothing"
    assert end == len(source), f"not understood: {source[end:]:.20}"
    assert depth == 0, "a brace is left open"
    assert dollars % 2 == 0, "a formula is left open"


@pytest.mark.parametrize(
    "broken",
    [
        r"\begin{table}",
        r"\begin{table}\end{tabular}",
        "a $ b",
        "50 % of all",
        "a_b",
        "a & b",
        "{",
        "}",
        r"\undefined",
        r"\begin{tabular}{@{}lr@{}} a \\ \end{tabular}",
    ],
)
def test_the_parser_sees_what_would_not_compile(broken: str) -> None:
    with pytest.raises((AssertionError, IndexError)):
        parse(broken)


def test_every_table_of_a_report_parses(tmp_path: Path) -> None:
    runs = [
        full_run("two_stage & 50 %", table="P0-II"),
        full_run("x^2 {a} ~ #1 \\end", table="P1"),
        bare_run(),
    ]
    options = ReportOptions(
        title="A\nB", banner="Phantom figures are not clinical figures: 100 %.", has_published=True
    )
    write_latex(tmp_path / "tables.tex", runs, options, label="tab:x")
    text = (tmp_path / "tables.tex").read_text(encoding="utf-8")
    assert len(parse(text)) > 60
    assert text.startswith("% A B. Made by mammo-monai")
    assert r"\textbf{Phantom figures are not clinical figures: 100 \%.}" in text
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert labels == [f"tab:x-{n}" for n in range(1, len(labels) + 1)]
    assert text.count(r"\begin{table}") == len(labels) >= 15
    assert r"two\_stage \& 50 \%" in text
    assert "falls from" not in text
    assert "one lesion of 112" in text


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.tex", "b.tex"):
        write_latex(tmp_path / name, [full_run(table="P0-I")])
    assert (tmp_path / "a.tex").read_bytes() == (tmp_path / "b.tex").read_bytes()


def test_columns_of_figures_are_set_right() -> None:
    table = Table(
        "Two", ("run", "sensitivity", "rule"), (("a", "0.90 (0.80–0.95)", "IoU"), ("b", "–", "IoU"))
    )
    text = latex_table(table, label="t")
    assert r"\begin{tabular}{@{}lrl@{}}" in text
    assert r"a & 0.90 (0.80--0.95) & IoU \\" in text
    assert "minipage" not in text


def test_notes_and_the_mark_of_wilson_stand_below() -> None:
    text = latex_table(
        Table("c", ("a", "b"), (("x", "1.00 (0.80–1.00)ᵂ"),), notes=("One ± two.",)), label="t"
    )
    assert "\\par One $\\pm$ two.\n\\par \\textsuperscript{W} Wilson" in text
    parse(text)


def test_a_table_without_rows_still_compiles() -> None:
    text = latex_table(Table("Nothing", ("a", "b"), ()), label="t")
    assert "\\midrule\n\\bottomrule" in text
    assert len(parse(text)) == 1


@pytest.mark.parametrize(
    ("text", "set_text"),
    [
        ("--x – y", "-{}-x -- y"),
        ("---", "-{}-{}-"),
        ("μ ± σ", r"$\mu$ $\pm$ $\sigma$"),
        ("“ours”", "``ours''"),
        ("1–4 cm²", r"1--4 cm\textsuperscript{2}"),
        ("Müller", "Müller"),
        ("*best", "{*}best"),  # after a row's end, * and [ would be read as its options
        ("中\u202e", "{[}U+4E2D{]}{[}U+202E{]}"),
        ("a\n b", "a b"),
        ("", ""),
    ],
)
def test_signs_are_set_as_latex_has_them(text: str, set_text: str) -> None:
    assert latex_text(text) == set_text


@given(st.text(max_size=40))
def test_any_name_may_be_set(text: str) -> None:
    table = Table(text, ("run", text), ((text, "1"),), notes=(text,))
    assert len(parse(latex_table(table, label="t"))) == 2


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="at least one run"):
        write_latex(tmp_path / "tables.tex", [])
    assert not list(tmp_path.iterdir())
