"""Pages of the API, made from the packages' `__all__`, and the list of all modules with their first lines.

Public is what a package names in `__all__`: the pages follow the code, nobody keeps a list. Files are parsed
here, not imported; the builder imports them when it reads docstrings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = "mammo_monai"
LOOSE_MODULES = ("records", "errors")
"""Modules of the package's own folder that others use; every public name in them is documented."""

PARTS_OF_A_RUN = (
    "records",
    "errors",
    "schema",
    "geometry",
    "dicom",
    "imaging",
    "readers",
    "phantoms",
    "transforms",
    "data",
    "networks",
    "inference",
    "engines",
    "metrics",
    "reports",
    "bundle",
    "experiments",
    "service",
    "apps",
)
"""The order of the pages: as data flow, from films to a report; a package not named here comes last."""


@dataclass(frozen=True)
class Name:
    """A public name: the package that offers it, the module that defines it, and what it is."""

    package: str
    name: str
    module: str
    original: str
    kind: str

    @property
    def documented(self) -> str:
        """The name it is imported by; of a constant, whose docstring stands beside it, its module's."""
        return f"{self.module}.{self.original}" if self.kind == "data" else f"{self.package}.{self.name}"

    @property
    def directive(self) -> str:
        """The line that documents it."""
        return f".. auto{self.kind}:: {self.documented}"


@dataclass(frozen=True)
class Source:
    """The package's files on disk, parsed on demand."""

    root: Path

    def tree(self, module: str) -> ast.Module:
        return _parsed(self.file(module))

    def file(self, module: str) -> Path:
        path = self.root / Path(*module.split("."))
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

    def first_line(self, module: str) -> str:
        """What a module owns, in its own words."""
        return (ast.get_docstring(self.tree(module)) or "").split("\n", maxsplit=1)[0]

    def public_names(self, package: str) -> list[Name]:
        """What `__all__` names, in the order of the modules that define it."""
        tree = self.tree(package)
        return [self._name(package, each, tree) for each in _all_of(tree)]

    def _name(self, package: str, name: str, tree: ast.Module) -> Name:
        module, original = package, name
        while (origin := _imported_from(tree, original)) is not None:
            module, original = origin
            tree = self.tree(module)
        return Name(package, name, module, original, _kind(tree, original))


def api_pages(root: Path, *, with_docstrings: bool = True) -> dict[str, str]:
    """The API's index, a page for each public package, and the list of modules, by their places in the site.

    Without docstrings the pages hold the names alone: nothing is imported, and every link holds.
    """
    source = Source(root)
    packages = [f"{PACKAGE}.{name}" for name in (*LOOSE_MODULES, *_public_packages(root))]
    packages.sort(key=_place_in_a_run)
    homes = _homes(source, packages)
    pages = {f"reference/api/{_short(each)}.rst": _package_page(source, each, homes) for each in packages}
    if not with_docstrings:
        pages = {
            place: re.sub(r"^\.\. auto(\w+):: (\S+)(\n +:.*)*", r"``\2``", text, flags=re.M)
            for place, text in pages.items()
        }
    pages["reference/api/index.rst"] = _api_index(source, packages)
    pages["reference/modules.md"] = _modules_page(source, root)
    return pages


def documented_names(root: Path) -> dict[str, str]:
    """From where a name is defined to the name it is documented under."""
    source = Source(root)
    homes = _homes(source, [f"{PACKAGE}.{name}" for name in _public_packages(root)])
    found = {f"{each.module}.{each.original}": each.documented for each in homes.values()}
    for module in LOOSE_MODULES:
        names = [
            node.name for node in source.tree(f"{PACKAGE}.{module}").body if isinstance(node, ast.ClassDef)
        ]
        found |= {f"{PACKAGE}.{module}.{name}": f"{PACKAGE}.{module}.{name}" for name in names}
    return found


def _public_packages(root: Path) -> list[str]:
    """Packages that say what is public: `metrics`, `dicom.network` …"""
    files = sorted((root / PACKAGE).rglob("__init__.py"))
    found = [file.parent.relative_to(root / PACKAGE).as_posix().replace("/", ".") for file in files]
    trees = {name: file for name, file in zip(found, files, strict=True) if name != "."}
    return [name for name, file in trees.items() if _all_of(ast.parse(file.read_text(encoding="utf-8")))]


def _place_in_a_run(package: str) -> tuple[int, str]:
    part = package.split(".")[1]
    return (PARTS_OF_A_RUN.index(part) if part in PARTS_OF_A_RUN else len(PARTS_OF_A_RUN)), package


def _homes(source: Source, packages: list[str]) -> dict[tuple[str, str], Name]:
    """Each name as the package nearest to the top offers it, where several do."""
    homes: dict[tuple[str, str], Name] = {}
    for package in sorted(set(packages), key=lambda each: (each.count("."), each)):
        if _short(package) not in LOOSE_MODULES:
            for name in source.public_names(package):
                homes.setdefault((name.module, name.original), name)
    return homes


def _package_page(source: Source, package: str, homes: dict[tuple[str, str], Name]) -> str:
    """One page: the package's docstring, then its names, module by module."""
    lines = [*heading(_short(package), "="), f".. automodule:: {package}"]
    if _short(package) in LOOSE_MODULES:
        return "\n".join([*lines, "   :members:", ""])
    lines += [
        "   :no-members:",
        "",
        f".. code-block:: python\n\n   from {package} import {_first(source, package)}",
        "",
    ]
    for module, names in _by_module(source.public_names(package)):
        lines += heading(module.removeprefix(f"{package}.").replace(".", " · ").replace("_", " "), "-")
        lines += [_escaped(source.first_line(module)), ""] if module != package else []
        for each in names:
            home = homes[each.module, each.original].package
            there = f"``{each.name}`` is described in :doc:`{_short(home)}`."
            lines += [each.directive if home == package else there, ""]
    return "\n".join(lines)


def _first(source: Source, package: str) -> str:
    names = [each.name for each in source.public_names(package) if each.kind == "function"]
    return names[0] if names else source.public_names(package)[0].name


def _by_module(names: list[Name]) -> Iterator[tuple[str, list[Name]]]:
    for module in sorted({each.module for each in names}):
        yield module, [each for each in names if each.module == module]


def _api_index(source: Source, packages: list[str]) -> str:
    lines = [
        *heading("API", "="),
        "What Python code may import: a page for each package, in the order in which data flow. Names that a",
        "package does not list in ``__all__`` are its own affair and may change without notice.",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - package",
        "     - what it owns",
    ]
    for each in packages:
        lines += [f"   * - :doc:`{_short(each)}`", f"     - {_escaped(source.first_line(each))}"]
    lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {_short(each)}" for each in packages), ""]
    return "\n".join(lines)


def _modules_page(source: Source, root: Path) -> str:
    """Every module with the line that says what it owns: for who looks for a place, not for an import."""
    files = sorted((root / PACKAGE).rglob("*.py"))
    modules = [file.relative_to(root).with_suffix("").as_posix().removesuffix("/__init__") for file in files]
    lines = [
        "# Where everything lives",
        "",
        f"All {len(modules)} modules of the package, each with the line that says what it owns. "
        "What you may import is in [the API](api/index.rst).",
    ]
    folder = None
    for module in modules:
        here = module.split("/")[1] if "/" in module else PACKAGE
        if here != folder and (root / PACKAGE / here).is_dir():
            folder = here
            lines += ["", f"## {folder}", "", "| module | what it owns |", "|---|---|"]
        elif folder is None:
            folder = here
            lines += ["", "## The package itself", "", "| module | what it owns |", "|---|---|"]
        line = source.first_line(module.replace("/", ".")).replace("|", "\\|")
        lines.append(f"| `{module.removeprefix(PACKAGE + '/')}` | {line} |")
    return "\n".join([*lines, ""])


def heading(text: str, line: str) -> list[str]:
    """A heading of reStructuredText."""
    return [text, line * max(3, len(text)), ""]


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _short(package: str) -> str:
    return package.removeprefix(f"{PACKAGE}.")


def _escaped(line: str) -> str:
    """A docstring's line as reStructuredText: backticks are code, stars are stars."""
    return line.replace("*", "\\*").replace("|", "\\|")


def _all_of(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(each) for each in ast.literal_eval(node.value)]
    return []


def _imported_from(tree: ast.Module, name: str) -> tuple[str, str] | None:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return str(node.module), alias.name
    return None


def _kind(tree: ast.Module, name: str) -> str:
    """The directive's ending for what a module defines under a name."""
    for node in tree.body:
        if getattr(node, "name", None) == name:
            if isinstance(node, ast.ClassDef):
                is_exception = any(ast.unparse(base).endswith("Error") for base in node.bases)
                return "exception" if is_exception else "class"
            return "function"
    return "data"
