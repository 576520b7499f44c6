"""The notebooks: stored bare, run from an empty folder with few phantoms, and leave nothing there."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
EXPLORE, TRAIN, READ = (
    "explore-a-manifest",
    "train-and-compare",
    "read-a-report-and-choose-an-operating-point",
)
NAMES = (EXPLORE, TRAIN, READ)
# The settings a test takes instead of those a reader gets; each must be there.
SMALL = {
    EXPLORE: {"PATIENTS": 4},
    TRAIN: {"PATIENTS": 5, "EPOCHS": 1, "SIZE_PX": 128},
    READ: {"PATIENTS": 4},
}
SAYS = {
    EXPLORE: (
        "file-truncated",
        "contour-missing",
        "refused: expected each patient",
        "SHA-256",
    ),
    TRAIN: ("class head", "everything less class head", "Conclusion: "),
    READ: ("show boxes of score", "there, all images", "unlike the model's training images"),
}
ALLOWED = {"mammo_monai", "matplotlib", "numpy", "IPython", *sys.stdlib_module_names}
PLACES = re.compile(r"(?<![\w.])/(?:home|root|work|tmp|Users|mnt|data)/|[A-Z]:\\")
LINK = re.compile(r"\]\(([^)#]+?)(?:#([^)]*))?\)")


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return content


def _texts(notebook: dict[str, Any], kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    notebook = _read(name)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_names_no_place_of_a_machine_and_installs_nothing_unasked(name: str) -> None:
    notebook = _read(name)
    lines = [line for text in _texts(notebook, "code") for line in text.splitlines()]
    assert not [line for line in lines if PLACES.search(line)]
    assert "# %pip install ." in lines
    assert not [line for line in lines if line.startswith(("%", "!"))]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_imports_this_package_and_what_comes_with_it(name: str) -> None:
    code = "\n".join(_texts(_read(name), "code"))
    imported = re.findall(r"^(?:from|import) (\w+)", code, flags=re.MULTILINE)
    assert set(imported) <= ALLOWED


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_notebook_lead_somewhere(name: str) -> None:
    targets = [found for text in _texts(_read(name), "markdown") for found in LINK.findall(text)]
    assert targets
    for path, anchor in targets:
        page = FOLDER / path
        assert page.is_file(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings]
            assert anchor in slugs, f"{path}#{anchor}"


def _with_settings(name: str) -> Any:
    """The notebook as nbformat has it, with the settings of the test."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    (cell,) = [each for each in notebook.cells if "parameters" in each.metadata.get("tags", ())]
    for setting, value in SMALL[name].items():
        cell.source, hits = re.subn(
            rf"^{setting} = \S+", f"{setting} = {value}", cell.source, flags=re.MULTILINE
        )
        assert hits == 1, f"{name} has no setting {setting}"
    return notebook


def _said(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.get("text", "") for output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_in_an_empty_folder_and_leaves_it_empty(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, own = tmp_path / "anywhere", tmp_path / "own"
    folder.mkdir()
    for variable in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        (own / variable).mkdir(parents=True)
        monkeypatch.setenv(variable, str(own / variable))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = _with_settings(name)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    said = _said(notebook)
    assert [words for words in SAYS[name] if words not in said] == []
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert list(folder.iterdir()) == []
