"""The architecture, as tests: what each folder may import, where words may stand, how long things may be.

Every check is a function from a file to what is wrong with it; each is shown a planted fault first, so that a
check that has gone blind fails too.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "mammo_monai"

LAYER = {
    **dict.fromkeys(("errors", "records", "files", "locks", "pace", "processes"), 0),
    **dict.fromkeys(("parts", "bundle_homes", "words"), -1),
    **dict.fromkeys(("geometry", "schema"), 1),
    **dict.fromkeys(("metrics", "dicom", "imaging"), 2),
    **dict.fromkeys(("readers", "phantoms", "reports", "transforms", "networks"), 3),
    "data": 4,
    "inference": 5,
    "engines": 6,
    **dict.fromkeys(("bundle", "experiments", "service", "apps", "doctor"), 7),
    "cli": 8,
}
# Imports within a layer that are meant, with the reason; CONTRIBUTING.md says so too.
SAME_LAYER = {
    ("schema", "geometry"): "boxes are checked where files are read; geometry reads no file",
    ("experiments", "bundle"): "an experiment is a list of bundle runs; bundle knows of no experiment",
    ("service", "bundle"): "a node and a review page mark with a bundle; bundle knows of no service",
    ("doctor", "service"): "the doctor reads a node's settings; service knows of no doctor",
    ("apps", "bundle"): "an application of another platform wraps a bundle; bundle knows of no application",
}
TORCH_FREE = {name for name, layer in LAYER.items() if layer < 3} | {"readers", "phantoms", "reports"}

NUMBERS = {"numpy", "scipy", "sklearn", "PIL"}
TORCH = {"torch", "monai"}
ALLOWED: dict[str, set[str]] = {
    **{name: {"numpy"} for name, layer in LAYER.items() if layer < 2},
    "metrics": NUMBERS,
    "imaging": NUMBERS,
    "dicom": NUMBERS | {"pydicom", "pynetdicom", "dicomweb_client", "requests"},
    "readers": NUMBERS | {"pydicom", "nibabel", "xlrd", "defusedxml"},
    "phantoms": NUMBERS | {"pydicom"},
    "reports": NUMBERS | {"matplotlib"},
    "transforms": NUMBERS | TORCH | {"torchvision"},
    "networks": NUMBERS | TORCH | {"torchvision", "safetensors", "timm"},
    "data": NUMBERS | TORCH,
    "inference": NUMBERS | TORCH,
    "engines": NUMBERS | TORCH | {"ignite", "tqdm"},
    "bundle": NUMBERS | TORCH | {"jsonschema", "cryptography"},
    "experiments": NUMBERS | TORCH,
    "service": NUMBERS | {"pydicom", "prometheus_client"},  # what it marks with comes from `bundle`
    "apps": NUMBERS | TORCH | {"pydicom", "monailabel"},  # monai.deploy is a part of monai by name
    "doctor": {"numpy", "pydicom", "cryptography"},  # each kind in a process of its own
    "cli": {"numpy", "tqdm", "rich"},
    "": set(),
}
# Extras and heavy packages: only inside the function that uses them, so that the folder imports without them.
ALLOWED_WHERE_USED: dict[str, set[str]] = {
    "imaging": {"itk"},
    "dicom": {"openjpeg", "pylibjpeg", "jpeg_ls", "gdcm"},
    "inference": {"onnx", "onnxruntime", "openvino"},
    "schema": {"pyarrow"},
    "reports": {"reportlab"},
    "experiments": {"mlflow", "optuna"},
    "bundle": {"huggingface_hub", "openvino", "nncf"},
    "service": {"ray"},
    "doctor": {"torch"},
    "cli": {"shtab"},
}

DATA_SETS = re.compile("cbis|inbreast|vindr", re.IGNORECASE)
MAY_NAME_DATA_SETS = re.compile(
    f"{PACKAGE}/((readers|phantoms|cli|experiments)/|reports/literature/published.py$)"
)

MAX_FILE_LINES = 400
MAX_BODY_LINES = 40
MAX_TRAIN_CONFIG_LINES = 90


@dataclass(frozen=True)
class Import:
    """One imported name; `is_deferred` inside a function, `is_type_only` where it never runs."""

    name: str
    line: int
    is_deferred: bool = False
    is_type_only: bool = False
    is_relative: bool = False

    @property
    def top(self) -> str:
        return self.name.split(".")[0]


def imports_of(text: str) -> list[Import]:
    return list(_imports(ast.parse(text), is_deferred=False, is_type_only=False))


def _imports(node: ast.AST, *, is_deferred: bool, is_type_only: bool) -> Iterator[Import]:
    for name in _names(node):
        is_relative = isinstance(node, ast.ImportFrom) and node.level > 0
        yield Import(name, node.lineno, is_deferred, is_type_only, is_relative)  # type: ignore[attr-defined]
    is_deferred = is_deferred or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    guarded = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, is_deferred=is_deferred, is_type_only=is_type_only or child in guarded)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = ast.unparse(node.func).split(".")[-1]
        if function in {"import_module", "__import__", "optional_import"}:
            return [str(node.args[0].value)]
    return []


def folder_of(path: str) -> str:
    """`mammo_monai/metrics/froc.py` → `metrics`, `mammo_monai/files.py` → `files`, the package → ``."""
    name = Path(path).parts[1].removesuffix(".py")
    return "" if name == "__init__" else name


def upward_imports(path: str, text: str) -> list[str]:
    here, found = folder_of(path), []
    for each in imports_of(text):
        if each.is_relative:
            found.append(f"{path}:{each.line} imports {each.name} relatively; imports are absolute")
        there = each.name.split(".")[1] if each.top == PACKAGE and "." in each.name else here
        if there in {here, "__version__"} or (here, there) in SAME_LAYER:
            continue
        is_down = there in TORCH_FREE if here == "" else LAYER.get(there, 9) < LAYER.get(here, -1)
        if not is_down:
            layer = LAYER.get(here, "unknown")
            found.append(f"{path}:{each.line} (layer {layer}) imports {each.name} (layer {LAYER.get(there)})")
    return found


def foreign_packages(path: str, text: str) -> list[str]:
    here, found = folder_of(path), []
    for each in imports_of(text):
        if each.top in sys.stdlib_module_names | {PACKAGE} or each.is_type_only or each.is_relative:
            continue
        if each.top in ALLOWED.get(here, set()):
            continue
        if each.top not in ALLOWED_WHERE_USED.get(here, set()):
            found.append(
                f"{path}:{each.line} imports {each.top}: not among the packages of {here or PACKAGE}/"
            )
        elif not each.is_deferred:
            found.append(f"{path}:{each.line} imports {each.top} at the top: import it where it is used")
    return found


def data_set_names(path: str, text: str) -> list[str]:
    if MAY_NAME_DATA_SETS.match(path):
        return []
    lines = enumerate(text.splitlines(), start=1)
    return [f"{path}:{n} names a data set: {line.strip():.60}" for n, line in lines if DATA_SETS.search(line)]


def prints(path: str, text: str) -> list[str]:
    if folder_of(path) == "cli":
        return []
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Call, ast.Attribute)))
    names = ((node, ast.unparse(node.func if isinstance(node, ast.Call) else node)) for node in calls)
    forbidden = {"print", "pprint", "pprint.pprint", "sys.stdout"}
    return [
        f"{path}:{node.lineno} uses {name}: the library logs" for node, name in names if name in forbidden
    ]


def long_files(path: str, text: str) -> list[str]:
    lines = text.count("\n")
    return [f"{path}: {lines} lines, {MAX_FILE_LINES} at most"] if lines > MAX_FILE_LINES else []


def long_functions(path: str, text: str) -> list[str]:
    """A body counts from its first statement after the docstring to its last line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            has_docstring = len(node.body) > 1 and isinstance(node.body[0], ast.Expr)
            first = node.body[1] if has_docstring else node.body[0]
            lines = (node.end_lineno or 0) - first.lineno + 1
            if lines > MAX_BODY_LINES:
                found.append(
                    f"{path}:{node.lineno} {node.name}: body of {lines} lines, {MAX_BODY_LINES} at most"
                )
    return found


def assertions(path: str, text: str) -> list[str]:
    lines = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assert)]
    lines += [text[: match.start()].count("\n") + 2 for match in re.finditer(r"\n\s+assert ", text)]
    return [f"{path}:{line} asserts: library code raises" for line in sorted(set(lines))]


def grab_bags(path: str, text: str) -> list[str]:
    is_one = Path(path).stem in {"utils", "util", "helpers", "common", "misc"}
    return [f"{path}: a file owns one idea, and its name says which"] if is_one else []


Check = Callable[[str, str], list[str]]
CHECKS: tuple[Check, ...] = (
    upward_imports,
    foreign_packages,
    data_set_names,
    prints,
    long_files,
    long_functions,
    assertions,
    grab_bags,
)
LONG_BODY = "def f():\n    '''Doc.'''\n" + "    x = 1\n" * 41
TYPE_ONLY = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"


def in_folder(name: str) -> str:
    return f"{PACKAGE}/{name}/planted.py"


@pytest.mark.parametrize(
    ("check", "path", "text", "expected"),
    [
        (
            upward_imports,
            in_folder("metrics"),
            "import mammo_monai.reports.page.report",
            r"py:1 \(layer 2\) .*reports",
        ),
        (
            upward_imports,
            in_folder("metrics"),
            "\nfrom mammo_monai import engines",
            r"py:2 .*engines \(layer 6\)",
        ),
        (upward_imports, in_folder("metrics"), "from mammo_monai.imaging import breast", "layer 2"),
        (upward_imports, in_folder("data"), "def f():\n    import mammo_monai.cli", "py:2 .*layer 8"),
        (upward_imports, in_folder("data"), "import_module('mammo_monai.cli')", "layer 8"),
        (upward_imports, in_folder("data"), "from mammo_monai.unheard import x", r"unheard.x \(layer None\)"),
        (upward_imports, in_folder("unheard"), "from mammo_monai.records import Box", "layer unknown"),
        (upward_imports, in_folder("data"), "from .samples import x", "relatively"),
        (upward_imports, f"{PACKAGE}/__init__.py", "from mammo_monai.networks import x", "networks"),
        (upward_imports, f"{PACKAGE}/geometry/boxes.py", "from mammo_monai.schema import x", "layer 1"),
        (upward_imports, in_folder("imaging"), TYPE_ONLY + "    from mammo_monai.data import x", "layer 4"),
        (foreign_packages, in_folder("metrics"), "import torch", "imports torch: not among the packages"),
        (foreign_packages, in_folder("readers"), "def f():\n    import monai.data", "py:2 imports monai"),
        (foreign_packages, f"{PACKAGE}/files.py", "from scipy import stats", "scipy: .* of files/"),
        (foreign_packages, in_folder("imaging"), "import pydicom", "pydicom"),
        (foreign_packages, in_folder("imaging"), "import itk", "import it where it is used"),
        (foreign_packages, in_folder("cli"), "import torch", "torch"),
        (foreign_packages, f"{PACKAGE}/__init__.py", "import numpy", "numpy"),
        (foreign_packages, in_folder("metrics"), "optional_import('pandas')", "pandas"),
        (data_set_names, in_folder("metrics"), "x = 1\n# as in INbreast", "py:2 names a data set"),
        (data_set_names, f"{PACKAGE}/reports/page/report.py", "'CBIS-DDSM'", "names a data set"),
        (data_set_names, in_folder("data"), "def vindr(): ...", "names a data set"),
        (prints, in_folder("metrics"), "x = 1\nprint(x)", "py:2 uses print"),
        (prints, in_folder("metrics"), "import sys\nsys.stdout.write('x')", "py:2 uses sys.stdout"),
        (long_files, in_folder("metrics"), "\n" * 401, "401 lines"),
        (long_functions, in_folder("metrics"), LONG_BODY, "f: body of 41 lines"),
        (long_functions, in_folder("metrics"), LONG_BODY.replace("def", "async def"), "41 lines"),
        (assertions, in_folder("metrics"), "def f():\n    assert True", "py:2 asserts"),
        (assertions, in_folder("metrics"), "assert True", "py:1 asserts"),
        (grab_bags, f"{PACKAGE}/metrics/utils.py", "", "owns one idea"),
    ],
)
def test_a_planted_fault_is_seen(check: Check, path: str, text: str, expected: str) -> None:
    found = check(path, text)
    assert len(found) == 1
    assert re.search(expected, found[0])


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (upward_imports, in_folder("cli"), "from mammo_monai import __version__, engines"),
        (
            upward_imports,
            f"{PACKAGE}/schema/manifest.py",
            "from mammo_monai.geometry.boxes import check_boxes",
        ),
        (upward_imports, in_folder("metrics"), "from mammo_monai.metrics.froc import froc_curve"),
        (upward_imports, f"{PACKAGE}/__init__.py", "from mammo_monai.readers import x"),
        (foreign_packages, in_folder("geometry"), TYPE_ONLY),
        (foreign_packages, in_folder("imaging"), "def f():\n    import itk"),
        (
            foreign_packages,
            in_folder("metrics"),
            "import json\nimport numpy as np\nfrom scipy.stats import norm",
        ),
        (data_set_names, f"{PACKAGE}/reports/literature/published.py", "INbreast"),
        (data_set_names, in_folder("readers"), "INbreast"),
        (prints, in_folder("cli"), "print()"),
        (prints, in_folder("metrics"), "'''Says print(x).\n\n>>> print(1)\n1\n'''"),
        (long_files, in_folder("metrics"), "\n" * 400),
        (long_functions, in_folder("metrics"), LONG_BODY.replace("    x = 1\n", "", 1)),
        (assertions, in_folder("metrics"), "'''We assert nothing.'''"),
    ],
)
def test_what_is_allowed_is_not_reported(check: Check, path: str, text: str) -> None:
    assert check(path, text) == []


def library_files() -> list[Path]:
    return sorted((ROOT / PACKAGE).rglob("*.py"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_library_keeps_to_the_architecture(check: Check) -> None:
    files = library_files()
    assert len(files) > 20
    found = [
        each
        for path in files
        for each in check(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(["", *found])


def test_every_check_is_shown_a_fault() -> None:
    (mark,) = test_a_planted_fault_is_seen.pytestmark  # type: ignore[attr-defined]  # set by the decorator
    assert {case[0] for case in mark.args[1]} == set(CHECKS)


def test_every_folder_has_a_layer_and_its_packages() -> None:
    folders = {folder_of(path.relative_to(ROOT).as_posix()) for path in library_files()}
    assert folders <= set(ALLOWED)
    assert set(ALLOWED) == {*LAYER, ""}


def modules_loaded_by(code: str, folder: Path) -> set[str]:
    """Top-level modules in a fresh interpreter, started elsewhere, after `code`."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_torch_free_folders_import_no_torch_by_detours_either(tmp_path: Path) -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in library_files()]
    free = [name for name in names if folder_of(name.replace(".", "/") + ".py") in TORCH_FREE]
    assert len(free) > 20
    code = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in free)
    assert modules_loaded_by(code, tmp_path).isdisjoint({"torch", "monai", "torchvision", "ignite"})


HEAVY = {"torch", "monai", "torchvision", "ignite", "scipy", "sklearn", "matplotlib", "PIL", "pydicom", "itk"}
HELP = """
import contextlib, io
from mammo_monai.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
    main(["--help"])
if "usage: mammo-monai" not in shown.getvalue():
    raise RuntimeError(shown.getvalue())
"""


def test_help_loads_no_heavy_package(tmp_path: Path) -> None:
    # What made it slow was always an import (torch 2 s, scipy and sklearn 0.5 s): seen without a clock.
    assert modules_loaded_by(HELP, tmp_path) & HEAVY == set()


def test_a_heavy_import_would_be_seen(tmp_path: Path) -> None:
    assert modules_loaded_by("import scipy", tmp_path) & HEAVY == {"scipy"}


def config_faults(path: str, text: str) -> list[str]:
    """A training configuration of 90 lines at most; no lambda in any configuration."""
    found = [f"{path} holds a lambda: code holds decisions"] if "lambda" in text else []
    if Path(path).name == "train.json" and text.count("\n") > MAX_TRAIN_CONFIG_LINES:
        found.append(f"{path}: {text.count(chr(10))} lines, {MAX_TRAIN_CONFIG_LINES} at most")
    return found


def test_bundle_configurations_are_thin() -> None:
    configs = sorted(ROOT.glob("bundles/*/configs/*.json"))
    assert sum(path.name == "train.json" for path in configs) >= 3
    found = [
        each
        for path in configs
        for each in config_faults(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(["", *found])


def test_a_thick_configuration_would_be_seen() -> None:
    assert config_faults("bundles/x/configs/train.json", "\n" * 90) == []
    assert len(config_faults("bundles/x/configs/train.json", "\n" * 91)) == 1
    assert len(config_faults("bundles/x/configs/evaluate.json", '"$lambda x: x"')) == 1
